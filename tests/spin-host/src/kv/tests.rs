//! Each hazard, on and off, against the store itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::{Database, KvStore, Swapped};
use super::{Hazards, KvError};
use crate::faults::Faults;

struct Scratch {
    folder: tempfile::TempDir,
    faults: Arc<Faults>,
    database: Database,
}

fn scratch(hazards: Hazards) -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let database = Database::new(&folder.path().join("kv.sqlite"), hazards, Arc::clone(&faults));
    Scratch { folder, faults, database }
}

fn with_keys(database: &Database, count: usize) -> KvStore {
    let store = database.store("default").unwrap();
    for index in 0..count {
        store.set(&format!("key{index}"), b"value").unwrap();
    }
    store
}

#[test]
fn values_outlive_the_process_and_stores_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kv.sqlite");
    {
        let database = Database::new(&file, Hazards::default(), Arc::default());
        database.store("default").unwrap().set("key", &[0, 255]).unwrap();
    }
    let database = Database::new(&file, Hazards::default(), Arc::default());
    let store = database.store("default").unwrap();
    assert_eq!(store.get("key"), Ok(Some(vec![0, 255])));
    assert_eq!(database.store("other").unwrap().get("key"), Ok(None));
    store.delete("key").unwrap();
    assert_eq!(store.exists("key"), Ok(false));
}

/// Both look, then both swap.
fn race(hazards: Hazards, before: Option<&[u8]>) -> [Swapped; 2] {
    let scratch = scratch(hazards);
    let store = scratch.database.store("default").unwrap();
    if let Some(value) = before {
        store.set("key", value).unwrap();
    }
    let [mut one, mut two] = [store.cas("key"), store.cas("key")];
    one.current().unwrap();
    two.current().unwrap();
    [one.swap(b"one").unwrap(), two.swap(b"two").unwrap()]
}

#[test]
fn two_swaps_on_a_missing_key_both_win_only_with_the_hazard() {
    assert_eq!(race(Hazards::default(), None), [Swapped::Yes, Swapped::Yes]);
    let off = Hazards { cas_missing_both_win: false, ..Hazards::default() };
    assert_eq!(race(off, None), [Swapped::Yes, Swapped::No]);
}

#[test]
fn two_swaps_on_a_present_key_never_both_win() {
    assert_eq!(race(Hazards::default(), Some(b"there")), [Swapped::Yes, Swapped::No]);
}

#[test]
fn increments_at_once_are_all_counted_and_get_then_set_is_not_atomic() {
    let scratch = scratch(Hazards { fsync: false, ..Hazards::default() });
    let store = scratch.database.store("default").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| assert!(store.increment("count", 1).is_ok())));
        }
    });
    assert_eq!(store.increment("count", 0), Ok(200));
    // Two readers, two writers: one of the writes is lost, whatever the order of the threads.
    let seen = [store.get("text").unwrap(), store.get("text").unwrap()];
    for value in seen {
        let length = value.map_or(0, |value| value.len());
        store.set("text", &vec![b'x'; length + 1]).unwrap();
    }
    assert_eq!(store.get("text"), Ok(Some(vec![b'x'])));
}

#[test]
fn incrementing_a_foreign_value_poisons_the_store_for_good() {
    let scratch = scratch(Hazards::default());
    let store = with_keys(&scratch.database, 1);
    let panics = |call: &dyn Fn()| catch_unwind(AssertUnwindSafe(call)).is_err();
    assert!(panics(&|| drop(store.increment("key0", 1))));
    assert!(panics(&|| drop(store.get("key0"))));
    assert!(panics(&|| drop(scratch.database.store("other").unwrap().set("key", b""))));
}

#[test]
fn incrementing_a_foreign_value_without_the_hazard_is_an_error() {
    let scratch = scratch(Hazards { increment_poisons: false, ..Hazards::default() });
    let store = with_keys(&scratch.database, 1);
    assert!(matches!(store.increment("key0", 1), Err(KvError::Other(_))));
    assert_eq!(store.get("key0"), Ok(Some(b"value".to_vec())));
}

/// Far more keys than a stream buffers.
const MANY: usize = 50;

#[tokio::test]
async fn an_open_stream_of_keys_holds_the_store_until_it_is_dropped() {
    let limit = Duration::from_millis(200);
    let scratch = scratch(Hazards { hold_limit: limit, fsync: false, ..Hazards::default() });
    let store = with_keys(&scratch.database, MANY);
    let (keys, _end) = store.stream_keys();
    let started = Instant::now();
    let Err(KvError::Other(why)) = store.get("key0") else { panic!("the store was free") };
    assert!(why.contains("get_keys"), "{why}");
    assert!(started.elapsed() >= limit);
    drop(keys);
    // The reader notices at its next key.
    assert_eq!(store.get("key0"), Ok(Some(b"value".to_vec())));
}

#[tokio::test]
async fn a_stream_of_keys_read_to_its_end_frees_the_store() {
    let scratch = scratch(Hazards { fsync: false, ..Hazards::default() });
    let store = with_keys(&scratch.database, MANY);
    let (mut keys, end) = store.stream_keys();
    let mut count = 0;
    while keys.recv().await.is_some() {
        count += 1;
    }
    assert_eq!((count, end.await), (MANY, Ok(Ok(()))));
    assert_eq!(store.exists("key0"), Ok(true));
}

#[tokio::test]
async fn without_the_hazard_a_stream_of_keys_holds_nothing() {
    let scratch = scratch(Hazards { get_keys_holds: false, fsync: false, ..Hazards::default() });
    let store = with_keys(&scratch.database, MANY);
    let (mut keys, _end) = store.stream_keys();
    assert!(keys.recv().await.is_some());
    assert_eq!(store.exists("key0"), Ok(true));
}

#[test]
fn injected_faults_fail_the_first_writes_and_slow_every_call() {
    let slow = Duration::from_millis(20);
    let scratch = scratch(Hazards::default());
    for (name, value) in [("kv-fail-writes", "2"), ("kv-slow-ms", "20"), ("kv-fail-opens", "1")] {
        scratch.faults.set(name, value).unwrap();
    }
    assert!(matches!(scratch.database.store("default"), Err(KvError::Other(_))));
    let store = scratch.database.store("default").unwrap();
    let started = Instant::now();
    assert!(store.set("key", b"1").is_err());
    assert!(store.increment("count", 1).is_err());
    assert!(store.set("key", b"3").is_ok());
    assert!(started.elapsed() >= 3 * slow);
    assert_eq!(store.get("key"), Ok(Some(b"3".to_vec())));
    scratch.faults.set("kv-fail-reads", "1").unwrap();
    assert!(store.get("key").is_err() && store.get("key").is_ok());
}

#[test]
fn the_file_is_made_when_a_store_is_first_opened() {
    let scratch = scratch(Hazards::default());
    let file = scratch.folder.path().join("kv.sqlite");
    assert!(!file.exists());
    scratch.database.store("default").unwrap();
    assert!(file.exists());
    // Where it cannot be made, the open fails, and the next may succeed.
    let folder = scratch.folder.path().join("later");
    let database = Database::new(&folder.join("kv.sqlite"), Hazards::default(), Arc::default());
    assert!(matches!(database.store("default"), Err(KvError::Other(_))));
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(database.store("default").unwrap().set("key", b"1"), Ok(()));
}

#[test]
fn writes_are_synced_unless_told_otherwise() {
    // SQLite's numbers: 2 is FULL, its default, and 0 is OFF.
    for (hazards, wanted) in [(Hazards::default(), 2), (Hazards { fsync: false, ..Hazards::default() }, 0)] {
        assert_eq!(scratch(hazards).database.store("default").unwrap().synchronous(), wanted);
    }
}

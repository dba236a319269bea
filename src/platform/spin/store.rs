//! Usage records and other values in Spin's key-value store, and answers that may have to be given again.
//!
//! A key has no metadata here, so a list reads each record. A call blocks the whole instance for a moment: records are
//! written when the answer has gone out.
//!
//! While a stream of keys is open the store is locked, and a call that waits for the lock blocks its instance: with the
//! one that reads the keys, both would wait for ever. So within an instance everything else waits until the keys are
//! read ([`KeysOpen`]); other instances only wait.

use super::log::log;
use super::timer::sleep;
use crate::json::from_bytes;
use crate::metering::record::Record;
use crate::platform::{Entry, Page, StoreError};
use serde_json::value::RawValue;
use spin_sdk::key_value::{Error, Store};
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The label that spin.toml lists under `key_value_stores`.
const LABEL: &str = "default";
/// Records on one page of a list. Each page goes through all keys, so there should be few.
const PAGE: usize = 5000;
/// Keys that are taken from the store at a time.
const BATCH: usize = 64;
/// A larger value is not remembered: the default store takes no more than 1 MB.
const LARGEST_REMEMBERED: usize = 1_000_000;
const LOOK_AGAIN_MS: u64 = 2;

/// Writes a value, in one try.
pub(super) async fn put(key: &str, value: &str) -> Result<(), StoreError> {
    put_once(key, value).await.map_err(|error| failed("a value could not be stored", &error))
}

/// The value under a key.
pub(super) async fn load(key: &str) -> Result<Option<String>, StoreError> {
    let value =
        get_once(key.to_owned()).await.map_err(|error| failed("a value could not be read", &error))?;
    value.map(String::from_utf8).transpose().map_err(|_| StoreError)
}

/// Erases a value, in one try.
pub(super) async fn erase(key: &str) -> Result<(), StoreError> {
    let erase = async {
        let store = open().await?;
        no_keys_open().await;
        store.delete(key).await
    };
    erase.await.map_err(|error| failed("a value could not be erased", &error))
}

/// Says so in the log. It may be the handle that is no good any more: the next call opens the store again.
fn failed(what: &str, error: &Error) -> StoreError {
    STORE.take();
    log(&format!("{what}: {error:?}"));
    StoreError
}

thread_local! {
    /// Streams of keys that this instance has open.
    static KEYS_OPEN: Cell<u32> = const { Cell::new(0) };
    static STORE: RefCell<Option<Rc<Store>>> = const { RefCell::new(None) };
}

/// Keeps this instance's other calls waiting.
struct KeysOpen;

impl KeysOpen {
    /// To be called without waiting after [`no_keys_open`].
    fn new() -> Self {
        KEYS_OPEN.set(KEYS_OPEN.get() + 1);
        Self
    }
}

impl Drop for KeysOpen {
    fn drop(&mut self) {
        KEYS_OPEN.set(KEYS_OPEN.get() - 1);
    }
}

/// Ready when no stream of keys is open. A task of one request cannot wake another's, so it looks again and again.
async fn no_keys_open() {
    while KEYS_OPEN.get() > 0 {
        sleep(LOOK_AGAIN_MS).await;
    }
}

/// The store, opened once per instance.
async fn open() -> Result<Rc<Store>, Error> {
    if let Some(store) = STORE.with_borrow(Clone::clone) {
        return Ok(store);
    }
    let store = Rc::new(Store::open(LABEL).await?);
    STORE.set(Some(Rc::clone(&store)));
    Ok(store)
}

async fn put_once(key: &str, value: &str) -> Result<(), Error> {
    let store = open().await?;
    no_keys_open().await;
    store.set(key, value).await
}

/// Where a value is remembered. The store forgets nothing by itself, so there are 256 places, and a value goes when another
/// comes to its place.
fn place(key: &str) -> String {
    let place = key.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    format!("remembered/{place:02x}")
}

/// Keeps a value under a key without a newline, until another takes its place.
pub(super) async fn remember(key: &str, value: &str) {
    if key.len() + value.len() < LARGEST_REMEMBERED
        && let Err(error) = put_once(&place(key), &format!("{key}\n{value}")).await
    {
        failed("a value could not be remembered", &error);
    }
}

/// What was remembered under the key; `None` also where the store does not answer.
pub(super) async fn recall(key: &str) -> Option<String> {
    match get_once(place(key)).await {
        Ok(found) => {
            let found = String::from_utf8(found?).ok()?;
            Some(found.strip_prefix(key)?.strip_prefix('\n')?.to_owned())
        }
        Err(error) => {
            failed("a remembered value could not be looked up", &error);
            None
        }
    }
}

async fn get_once(key: String) -> Result<Option<Vec<u8>>, Error> {
    let store = open().await?;
    no_keys_open().await;
    store.get(key).await
}

/// One page of records in the order of their keys; the cursor is the last key.
pub(super) async fn list(prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
    list_once(prefix, cursor).await.map_err(|error| failed("the usage store did not answer", &error))
}

async fn list_once(prefix: &str, cursor: Option<&str>) -> Result<Page, Error> {
    let store = open().await?;
    let names = first_keys(&store, prefix, cursor).await?;
    let more = names.len() > PAGE;
    let mut entries = Vec::with_capacity(names.len().min(PAGE));
    for name in names.into_iter().take(PAGE) {
        no_keys_open().await;
        let value = store.get(&name).await?.unwrap_or_default();
        entries.push(Entry { summary: summary(&value), name });
    }
    let cursor = entries.last().filter(|_| more).map(|last| last.name.clone());
    Ok(Page { entries, cursor })
}

/// The first keys behind the cursor, one more than a page holds. The store gives all keys in any order; all of them
/// must be taken before it is asked for anything else.
async fn first_keys(store: &Store, prefix: &str, cursor: Option<&str>) -> Result<BTreeSet<String>, Error> {
    no_keys_open().await;
    let open = KeysOpen::new();
    let (mut keys, end) = store.get_keys().await.into_inner();
    let mut first = BTreeSet::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let (result, read) = keys.read(batch).await;
        batch = read;
        for key in batch.drain(..) {
            if key.starts_with(prefix) && cursor.is_none_or(|cursor| key.as_str() > cursor) {
                first.insert(key);
                if first.len() > PAGE + 1 {
                    first.pop_last();
                }
            }
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(keys);
    let ended = end.await;
    drop(open);
    ended.map(|()| first)
}

/// `null` for what is no record: the report counts it.
fn summary(value: &[u8]) -> Box<RawValue> {
    let record: Option<Record> = from_bytes(value).ok();
    let summary = record.map(|record| record.summary());
    serde_json::value::to_raw_value(&summary).unwrap_or_default()
}

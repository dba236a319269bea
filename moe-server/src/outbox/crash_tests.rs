//! The outbox's files after a crash at every byte of every write, and between every two changes of the folder.

use super::files::Files;
use super::line::tests::receipt;
use super::line::{Entry, Numbered, encode};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Eight files of about three entries.
const LIMIT: u64 = 8 * 900;

/// What is in the folder, by name.
type Disk = BTreeMap<String, Vec<u8>>;

fn read(folder: &Path) -> Disk {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

fn put(disk: &Disk, folder: &Path) {
    let is = read(folder);
    for name in is.keys().filter(|name| disk.get(*name) != is.get(*name)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    // Written anew: where a file is cut to nothing first, some systems write it through.
    for (name, bytes) in disk.iter().filter(|(name, bytes)| is.get(*name) != Some(bytes)) {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Each state that a crash between the two can leave: files grow byte by byte (or have their new length already, and
/// zeros in the place of what is not written yet), then files go, the oldest first.
fn between(before: &Disk, after: &Disk) -> Vec<Disk> {
    let mut disk = before.clone();
    let mut states = vec![disk.clone()];
    for (name, bytes) in after {
        let old = before.get(name).map_or(0, Vec::len);
        assert!(bytes.starts_with(before.get(name).map_or(&[], Vec::as_slice)), "only appended to");
        for length in old..=bytes.len() {
            disk.insert(name.clone(), bytes[..length].to_vec());
            states.push(disk.clone());
            if length % 31 == 0 {
                let mut zeros = bytes[..length].to_vec();
                zeros.resize(bytes.len(), 0);
                states.push(Disk::from_iter(disk.clone().into_iter().chain([(name.clone(), zeros)])));
            }
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        disk.remove(name);
        states.push(disk.clone());
    }
    states
}

fn entry(n: u64) -> Numbered {
    Numbered { n, entry: Entry::Receipt(receipt(&format!("r{n}"))) }
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|n| encode(&entry(n)).unwrap()).collect()
}

/// The numbers found after a crash; what is found is what was written.
fn recovered(disk: &Disk, folder: &Path, go_on: bool) -> Vec<u64> {
    put(disk, folder);
    let (mut files, found) = Files::open(folder, LIMIT).unwrap();
    for numbered in &found.entries {
        assert_eq!(*numbered, entry(numbered.n));
    }
    let mut numbers: Vec<u64> = found.entries.iter().map(|numbered| numbered.n).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    if go_on {
        let next = found.last + 1;
        files.append(&lines([next]), next, next).unwrap();
        drop(files);
        let (_, found) = Files::open(folder, LIMIT).unwrap();
        let again: Vec<u64> = found.entries.iter().map(|numbered| numbered.n).collect();
        numbers.push(next);
        assert_eq!(again, numbers);
        numbers.pop();
    }
    numbers
}

#[test]
fn no_crash_loses_or_invents_an_entry() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut files, _) = Files::open(live.path(), LIMIT).unwrap();
    let mut seed = 5_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let (mut last, mut acked, mut lost, mut crashes, mut restarts) = (0, 0, 0, 0, 0);
    let mut before = read(live.path());
    for round in 0..45 {
        let held: Vec<u64> = (acked.max(lost) + 1..=last).collect();
        // The numbers that may or may not be there while this goes on.
        let mut coming = Vec::new();
        let mut going = 0;
        match random(10) {
            0 if !held.is_empty() => {
                acked = held[usize::try_from(random(held.len() as u64)).unwrap()];
                going = acked;
                files.acked(acked).unwrap();
            }
            1..=3 if round > 25 => {
                // Another process: what is there is left as it is, but for files that are done with.
                drop(files);
                (files, _) = Files::open(live.path(), LIMIT).unwrap();
                restarts += 1;
            }
            _ => {
                coming = (last + 1..=last + 1 + random(3)).collect();
                let text = lines(coming.iter().copied());
                let surplus = files.surplus(text.len() as u64);
                last += coming.len() as u64;
                files.append(&text, coming[0], last).unwrap();
                if let Some((count, upto)) = surplus {
                    (lost, going) = (upto, upto);
                    (0..count).for_each(|_| files.remove_oldest().unwrap());
                }
            }
        }
        let after = read(live.path());
        assert!(after.values().map(Vec::len).sum::<usize>() as u64 <= LIMIT + 64, "the notes are small");
        for disk in between(&before, &after) {
            crashes += 1;
            let found = recovered(&disk, dead.path(), crashes % 499 == 0);
            let kept = |n: &&u64| **n > going;
            let must: Vec<u64> = held.iter().filter(kept).copied().collect();
            let (old, new): (Vec<u64>, Vec<u64>) = found.iter().partition(|n| held.contains(n));
            assert_eq!(old.iter().filter(kept).copied().collect::<Vec<_>>(), must, "round {round}");
            // Of what is being written, a beginning.
            assert_eq!(new, coming[..new.len()], "round {round}");
        }
        before = after;
    }
    assert!(crashes > 3_000 && acked > 0 && lost > 0 && restarts > 0, "{crashes} {acked} {lost} {restarts}");
}

#[test]
fn what_was_written_twice_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut files, _) = Files::open(folder.path(), 1 << 20).unwrap();
        files.append(&lines(1..=3), 1, 3).unwrap();
    }
    assert_eq!(read(folder.path()).len(), 2);
    let (mut files, found) = Files::open(folder.path(), 1 << 20).unwrap();
    assert_eq!((found.entries.len(), found.last, found.notices.len()), (3, 3, 0));
    files.append(&lines([4]), 4, 4).unwrap();
    files.acked(4).unwrap();
    assert_eq!(read(folder.path()).len(), 1, "what is delivered goes");
    drop(files);
    let (_, found) = Files::open(folder.path(), 1 << 20).unwrap();
    assert_eq!((found.entries.len(), found.last), (0, 4));
    assert!(read(folder.path()).is_empty());
}

#[test]
fn a_line_that_is_not_whole_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = lines(1..=3).into_bytes();
    let second = text.iter().position(|&byte| byte == b'\n').unwrap() + 30;
    text[second] ^= 4;
    text.truncate(text.len() - 1);
    fs::write(folder.path().join("00000000000000000001-000.outbox"), text).unwrap();
    let (_, found) = Files::open(folder.path(), LIMIT).unwrap();
    assert_eq!(found.entries, [entry(1)]);
    assert_eq!(found.notices.len(), 2);
    assert!(
        found.notices[0].contains("line 2 is not whole") && found.notices[1].contains("line 3"),
        "{found:?}"
    );
}

//! The outbox's thread, one turn after the other: a full outbox, a disk that takes nothing.

use super::files::Files;
use super::line::tests::receipt;
use super::queue::Batch;
use super::writer::Writer;
use super::{Message, Shared};
use crate::schedule::meter::Meter;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

const LIMIT: u64 = 64 << 10;

struct Running {
    sender: Sender<Message>,
    shared: Arc<Shared>,
    done: watch::Receiver<u64>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(folder: &Path, instance: &str) -> Self {
        let (files, found) = Files::open(folder, LIMIT).unwrap();
        let shared = Arc::new(Shared::default());
        for numbered in found.entries {
            shared.queue().push(numbered);
        }
        let (sender, receiver) = channel();
        let (done, watched) = watch::channel(0);
        let meter = Arc::new(Meter::since(Instant::now()));
        let writer =
            Writer::new(files, receiver, done, shared.clone(), meter, instance.into(), found.last, LIMIT);
        let thread = std::thread::spawn(move || writer.run());
        Self { sender, shared, done: watched, thread }
    }

    fn post(&self, id: &str) {
        self.sender.send(Message::Receipt(Box::new(receipt(id)))).unwrap();
    }

    fn flush(&self) {
        let (reply, wait) = oneshot::channel();
        self.sender.send(Message::Flush(reply)).unwrap();
        wait.blocking_recv().unwrap();
    }

    fn waiting(&self) -> Batch {
        self.shared.queue().batch(usize::MAX).unwrap()
    }

    fn end(self) {
        drop(self.sender);
        self.thread.join().unwrap();
    }
}

fn size(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_full_outbox_drops_the_oldest_receipts_and_no_hour() {
    let folder = tempfile::tempdir().unwrap();
    // The hour of a server that is gone, in the first file.
    let first = Running::start(folder.path(), "before");
    first.flush();
    let hour = first.waiting().periods[0].clone();
    first.end();
    let running = Running::start(folder.path(), "now");
    for number in 0..2_000 {
        running.post(&format!("r{number:04}"));
        if number % 40 == 0 {
            running.flush();
            assert!(size(folder.path()) <= LIMIT, "{} bytes", size(folder.path()));
        }
    }
    running.flush();
    let held = running.waiting();
    running.end();
    assert!((60..1_000).contains(&held.receipts.len()), "{} receipts", held.receipts.len());
    assert_eq!(held.receipts.last().unwrap().id, "r1999");
    let first: usize = held.receipts[0].id[1..].parse().unwrap();
    assert_eq!(held.receipts.len(), 2_000 - first, "no gap");
    assert!(held.periods.contains(&hour), "{:?}", held.periods);
    // The same is on disk.
    let again = Running::start(folder.path(), "now");
    again.flush();
    assert_eq!(again.waiting().receipts, held.receipts);
    assert!(again.waiting().periods.contains(&hour));
    again.end();
}

#[test]
fn a_disk_that_takes_nothing_holds_nobody_up_and_is_tried_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("outbox");
    fs::create_dir(&folder).unwrap();
    let running = Running::start(&folder, "now");
    running.flush();
    // The next write begins a file, and there is no folder for it.
    running.sender.send(Message::Acked(running.waiting().upto)).unwrap();
    for number in 0..40 {
        running.post(&format!("a{number}"));
    }
    running.flush();
    fs::remove_dir_all(&folder).unwrap();
    for number in 0..40 {
        running.post(&format!("b{number}"));
    }
    running.flush();
    assert_eq!(*running.done.borrow(), 80, "nobody waits for what cannot be");
    assert_eq!(running.waiting().receipts.len(), 80, "and all are delivered from memory");
    fs::create_dir(&folder).unwrap();
    let begun = Instant::now();
    while size(&folder) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    running.end();
    let again = Running::start(&folder, "now");
    let ids: Vec<String> = again.waiting().receipts.into_iter().map(|receipt| receipt.id).collect();
    assert!((0..40).all(|number| ids.contains(&format!("b{number}"))), "{ids:?}");
    again.end();
}

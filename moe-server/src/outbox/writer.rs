//! The thread that owns the outbox's files.

use super::files::Files;
use super::line::{Entry, Numbered, encode};
use super::{Message, Shared, log};
use crate::schedule::meter::{Meter, Totals};
use moegate_wire::Period;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How often the time is told where no receipt comes. That of a server which is killed is lost back to there.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// After a failed write.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The most messages that share a write.
const MOST_AT_ONCE: usize = 1_024;

pub(super) struct Writer {
    files: Files,
    receiver: Receiver<Message>,
    done: watch::Sender<u64>,
    shared: Arc<Shared>,
    meter: Arc<Meter>,
    instance: String,
    /// The largest number of an entry.
    last: u64,
    limit: u64,
    /// Entries that may not be on disk, as lines.
    unsaved: VecDeque<(u64, String)>,
    failing: bool,
}

/// More than an entry takes on disk.
const LINE_BYTES: usize = 1_024;

/// What one turn brings.
#[derive(Default)]
struct Turn {
    entries: Vec<Entry>,
    receipts: u64,
    acked: Option<u64>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "all that the thread owns, put together in one place")]
    pub(super) fn new(
        files: Files,
        receiver: Receiver<Message>,
        done: watch::Sender<u64>,
        shared: Arc<Shared>,
        meter: Arc<Meter>,
        instance: String,
        last: u64,
        limit: u64,
    ) -> Self {
        let unsaved = VecDeque::new();
        Self { files, receiver, done, shared, meter, instance, last, limit, unsaved, failing: false }
    }

    /// Works until the last handle is gone.
    pub(super) fn run(mut self) {
        // The cold start is told at once.
        let mut told = Instant::now();
        self.turn(Turn::default(), true);
        loop {
            let wait = if self.failing { AGAIN_AFTER } else { TELL_EVERY.saturating_sub(told.elapsed()) };
            let mut turn = Turn::default();
            match self.receiver.recv_timeout(wait) {
                Ok(message) => turn.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for _ in 1..MOST_AT_ONCE {
                let Ok(message) = self.receiver.try_recv() else { break };
                turn.take(message);
            }
            // With a receipt goes the time that it was a part of.
            let tell = turn.receipts > 0 || !turn.flushes.is_empty() || told.elapsed() >= TELL_EVERY;
            if tell {
                told = Instant::now();
            }
            self.turn(turn, tell);
        }
    }

    fn turn(&mut self, turn: Turn, tell: bool) {
        let Turn { mut entries, receipts, acked, flushes } = turn;
        if let Some(upto) = acked {
            self.unsaved.retain(|(n, _)| *n > upto);
            if let Err(error) = self.files.acked(upto) {
                self.fail(&error);
            }
        }
        if tell {
            for (hour_ms, Totals { busy_us, idle_us, cold_us, asleep_us: _ }) in self.meter.take_changed() {
                let origin_instance = self.instance.clone();
                entries.push(Entry::Period(Period { origin_instance, hour_ms, busy_us, idle_us, cold_us }));
            }
        }
        self.add(entries);
        self.done.send_modify(|done| *done += receipts);
        for reply in flushes {
            // Whoever asked may not wait any more.
            let _ = reply.send(());
        }
    }

    /// Writes these entries, and those that could not be written before, and puts them into the queue.
    fn add(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() && self.unsaved.is_empty() {
            return;
        }
        let bytes: usize = self.unsaved.iter().map(|(_, line)| line.len()).sum();
        let surplus = self.files.surplus((bytes + entries.len() * LINE_BYTES) as u64);
        // Hours are small and stay; they are written again before the file goes.
        let kept = surplus.map(|(_, upto)| self.give_up(upto, "the outbox is full")).unwrap_or_default();
        let numbered: Vec<Numbered> = kept
            .into_iter()
            .chain(entries)
            .map(|entry| {
                self.last += 1;
                Numbered { n: self.last, entry }
            })
            .collect();
        for numbered in &numbered {
            match encode(numbered) {
                Ok(line) => self.unsaved.push_back((numbered.n, line)),
                Err(error) => log(format_args!("an entry of the outbox cannot be written as JSON: {error}")),
            }
        }
        match self.write(surplus.map_or(0, |(count, _)| count)) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    log("the outbox can be written again");
                }
            }
            Err(error) => self.fail(&error),
        }
        let mut queue = self.shared.queue();
        for numbered in numbered {
            queue.push(numbered);
        }
        drop(queue);
        self.bound_memory();
        self.shared.filled.notify_one();
    }

    /// Writes what is not saved, then removes so many of the oldest files.
    fn write(&mut self, surplus: usize) -> io::Result<()> {
        if let (Some(&(first, _)), Some(&(last, _))) = (self.unsaved.front(), self.unsaved.back()) {
            let lines: String = self.unsaved.iter().map(|(_, line)| line.as_str()).collect();
            self.files.append(&lines, first, last)?;
            self.unsaved.clear();
        }
        for _ in 0..surplus {
            self.files.remove_oldest()?;
        }
        Ok(())
    }

    /// What cannot be written is bounded like what can.
    fn bound_memory(&mut self) {
        let bytes: usize = self.unsaved.iter().map(|(_, line)| line.len()).sum();
        let half = self.unsaved.get(self.unsaved.len() / 2).map(|(n, _)| *n);
        if let Some(upto) = half.filter(|_| bytes as u64 > self.limit) {
            self.unsaved.retain(|(n, _)| *n > upto);
            self.give_up(upto, "the outbox cannot be written, and as much as may be on disk is in memory");
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            log(format_args!(
                "the outbox cannot be written: {error}; receipts are held in memory and tried again each second: make \
                 room or mend the disk, since they are lost where the server stops before they are delivered"
            ));
        }
    }

    /// Takes everything up to this number out of the queue and says so; answers the hours among it.
    fn give_up(&self, upto: u64, why: &str) -> Vec<Entry> {
        let mut gone = self.shared.queue().take_upto(upto);
        told_as_lost(&gone, why);
        gone.retain(|entry| matches!(entry, Entry::Period(_)));
        gone
    }
}

impl Turn {
    fn take(&mut self, message: Message) {
        match message {
            Message::Receipt(receipt) => {
                self.receipts += 1;
                self.entries.push(Entry::Receipt(*receipt));
            }
            Message::Acked(upto) => self.acked = Some(upto),
            Message::Flush(reply) => self.flushes.push(reply),
        }
    }
}

/// Says what was thrown away undelivered.
fn told_as_lost(gone: &[Entry], why: &str) {
    let mut receipts = gone.iter().filter_map(|entry| match entry {
        Entry::Receipt(receipt) => Some(receipt),
        Entry::Period(_) => None,
    });
    let Some(first) = receipts.next() else { return };
    let (count, last) = receipts.fold((1, first), |(count, _), receipt| (count + 1, receipt));
    log(format_args!(
        "{why}: {count} receipts that were not delivered are dropped, {} ({} ms) to {} ({} ms); the gateway charges such \
         requests at their upper bound. Look above for why nothing is delivered",
        first.id, first.created_ms, last.id, last.created_ms
    ));
}

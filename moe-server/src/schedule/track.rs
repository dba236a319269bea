//! What is known of one request, from admission on: written by the scheduler and by the answer's delivery, read as
//! its receipt.

use super::stats::Stats;
use crate::outbox::Outbox;
use crate::telemetry::RequestTrace;
use moegate_wire::{Ending, Nanodollars, Price, Receipt, Usage};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// Why a generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end token or a stop string.
    Stop,
    /// The limit on tokens.
    Length,
}

impl Finish {
    /// As in the field `finish_reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// The request's measurements so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub usage: Usage,
    pub queue: Duration,
    pub prefill: Duration,
    pub decode: Duration,
    pub finish: Option<Finish>,
    /// How the generation ended; `None` while it goes on.
    generated: Option<Ending>,
    /// How its delivery to the client ended. A complete request needs both.
    delivered: Option<Ending>,
}

impl Progress {
    #[must_use]
    pub fn ending(&self) -> Ending {
        match (self.generated, self.delivered) {
            (None, _) | (Some(Ending::Complete), None) => Ending::Running,
            (Some(Ending::Complete), Some(delivered)) => delivered,
            (Some(other), _) => other,
        }
    }
}

/// Shared by all who deal with one request.
#[derive(Debug)]
pub struct Track {
    pub id: String,
    pub model: String,
    pub created_ms: u64,
    /// From the ticket.
    pub price: Option<Price>,
    progress: watch::Sender<Progress>,
    stats: Arc<Stats>,
    /// Of its own, since it changes in each step and nobody waits for it.
    busy_us: AtomicU64,
    /// Where the receipt goes when the request has ended.
    outbox: Option<Outbox>,
    /// Its number there.
    posted: OnceLock<u64>,
    /// Where it is recorded.
    trace: Option<RequestTrace>,
}

impl Track {
    #[must_use]
    pub fn new(id: String, model: String, created_ms: u64, price: Option<Price>, stats: Arc<Stats>) -> Self {
        Self {
            id,
            model,
            created_ms,
            price,
            progress: watch::Sender::default(),
            stats,
            busy_us: AtomicU64::new(0),
            outbox: None,
            posted: OnceLock::new(),
            trace: None,
        }
    }

    /// The same, and its receipt goes to `outbox`.
    #[must_use]
    pub fn posted_to(self, outbox: Option<Outbox>) -> Self {
        Self { outbox, ..self }
    }

    /// The same, with spans from now on.
    #[must_use]
    pub fn traced(self, trace: Option<RequestTrace>) -> Self {
        Self { trace: trace.map(RequestTrace::queued), ..self }
    }

    /// The numbers now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Returns once the request has ended.
    pub async fn ended(&self) {
        let mut receiver = self.progress.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        let _ = receiver.wait_for(|progress| progress.ending() != Ending::Running).await;
    }

    /// The generation is over; only the first such call counts.
    pub fn end_generation(&self, ending: Ending) {
        self.change(|progress| {
            progress.generated.get_or_insert(ending);
        });
    }

    /// The delivery is over; only the first such call counts.
    pub fn end_delivery(&self, ending: Ending) {
        self.change(|progress| {
            progress.delivered.get_or_insert(ending);
        });
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut ended = None;
        self.progress.send_modify(|progress| {
            let before = progress.ending();
            change(progress);
            ended = (before != progress.ending()).then(|| progress.ending());
        });
        if let Some(ending) = ended {
            self.stats.count_ending(ending);
            if let Some(outbox) = &self.outbox {
                // An ending does not change: it is posted once.
                let _ = self.posted.set(outbox.post(self.receipt()));
            }
            if let Some(trace) = &self.trace {
                trace.ended(&self.receipt());
            }
        }
    }

    /// Returns once the receipt of a request that has ended is on disk, where it is to be there.
    pub async fn saved(&self) {
        if let (Some(outbox), Some(&number)) = (&self.outbox, self.posted.get()) {
            outbox.saved(number).await;
        }
    }

    /// Before the generation ends.
    pub(super) fn add_busy(&self, us: u64) {
        self.busy_us.fetch_add(us, Relaxed);
    }

    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let progress = self.progress();
        let ending = progress.ending();
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let busy_us = self.busy_us.load(Relaxed);
        let finish = progress.finish.filter(|_| ending == Ending::Complete);
        Receipt {
            id: self.id.clone(),
            model: self.model.clone(),
            usage: progress.usage,
            ending,
            finish_reason: finish.map(|finish| finish.as_str().to_owned()),
            created_ms: self.created_ms,
            queue_us: us(progress.queue),
            prefill_us: us(progress.prefill),
            decode_us: us(progress.decode),
            busy_us,
            cost: self.price.as_ref().map_or(Nanodollars(0), |price| price.cost(&progress.usage, busy_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_needs_generation_and_delivery() {
        use Ending::{Cancelled, Complete, Error, Running};
        let cases = [
            (None, None, Running),
            (Some(Complete), None, Running),
            (Some(Complete), Some(Complete), Complete),
            (Some(Complete), Some(Cancelled), Cancelled),
            // The client left, but the engine still works on it: the counts are not final.
            (None, Some(Cancelled), Running),
            (Some(Cancelled), Some(Cancelled), Cancelled),
            (Some(Error), Some(Complete), Error),
            (Some(Error), None, Error),
        ];
        for (generated, delivered, expected) in cases {
            let progress = Progress { generated, delivered, ..Progress::default() };
            assert_eq!(progress.ending(), expected, "{generated:?} {delivered:?}");
        }
    }

    #[test]
    fn an_ending_is_counted_once_and_does_not_change() {
        let stats = Arc::new(Stats::default());
        let track = Track::new("a".into(), "m".into(), 0, None, stats.clone());
        track.end_generation(Ending::Complete);
        track.end_delivery(Ending::Complete);
        track.end_delivery(Ending::Cancelled);
        track.end_generation(Ending::Error);
        assert_eq!(track.receipt().ending, Ending::Complete);
        let counts = [&stats.complete, &stats.error, &stats.cancelled].map(|c| c.load(Relaxed));
        assert_eq!(counts, [1, 0, 0]);
    }
}

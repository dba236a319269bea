//! What the scheduler's thread and its handles share, and what they send it.

use super::meter::Meter;
use super::stats::Stats;
use super::{Config, Job};
use crate::sleep::Switch;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, watch};

pub(crate) struct Queued {
    pub(crate) job: Job,
    pub(crate) since: Instant,
    /// A place in the queue, given back on admission or cancellation.
    pub(crate) place: OwnedSemaphorePermit,
}

/// What the scheduler's thread and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) stats: Arc<Stats>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) dead: OnceLock<&'static str>,
    /// Whether the thread has ended.
    pub(crate) gone: watch::Sender<bool>,
    pub(crate) closing: AtomicBool,
    /// Generations that failed with NaN since the last one that was completed.
    pub(crate) nan_streak: AtomicU32,
    pub(crate) switch: Switch,
    started: Instant,
    /// When the step began that is going on, by [`Self::now_ms`]; 0 where none is.
    pub(crate) step_began_ms: AtomicU64,
    /// Whether a [`Message::Look`] is on its way.
    pub(crate) told: AtomicBool,
    /// Whether the thread takes nothing more from the channel; held while something is sent.
    ended: Mutex<bool>,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            stats: Arc::default(),
            meter: Arc::new(Meter::since(config.started)),
            switch: Switch::loading(config.sleep.clone(), config.started),
            started: config.started,
            step_began_ms: AtomicU64::new(0),
            told: AtomicBool::new(false),
            dead: OnceLock::new(),
            gone: watch::Sender::new(false),
            closing: AtomicBool::new(false),
            nan_streak: AtomicU32::new(0),
            ended: Mutex::new(false),
        }
    }

    /// Since the process began, and never 0.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn ended(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the present step has taken longer than any does: a GPU that hangs never answers, and nothing in this process
    /// can make it.
    pub(super) fn is_stuck(&self, limit: Duration) -> bool {
        let began_ms = self.step_began_ms.load(Ordering::Relaxed);
        let now_ms = self.now_ms();
        began_ms != 0
            && now_ms.saturating_sub(began_ms) > u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
    }
}

pub(crate) enum Message {
    Job(Box<Queued>),
    /// Something is to be done that is in no message: see `closing` and `switch`. At most one is on its way.
    Look,
}

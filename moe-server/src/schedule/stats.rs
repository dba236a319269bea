//! Counters for `/metrics`. Written by the scheduler's thread and by requests that end, read at any time.

use moegate_wire::Ending;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the step time histogram's buckets, in micro-seconds.
pub const STEP_BOUNDS_US: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// See the fields; gauges hold the state after the latest step.
#[derive(Debug, Default)]
pub struct Stats {
    pub complete: AtomicU64,
    pub error: AtomicU64,
    pub cancelled: AtomicU64,
    /// Refused before admission, by any 4xx or 5xx status.
    pub refused: AtomicU64,
    /// Tokens of prompts that the engine has computed; those computed again after a preemption count again.
    pub prompt_tokens: AtomicU64,
    /// Tokens that the engine knew already when their sequence began (also one that begins again after a preemption), and how
    /// many sequences began with some.
    pub cached_tokens: AtomicU64,
    pub cache_hits: AtomicU64,
    /// Sequences that began.
    pub begun: AtomicU64,
    pub known_blocks: AtomicU64,
    pub known_tokens: AtomicU64,
    /// Over all engines that there were.
    pub evictions: AtomicU64,
    /// Sampled tokens.
    pub completion_tokens: AtomicU64,
    /// Sequences that gave their KV to older ones and were computed again later.
    pub preemptions: AtomicU64,
    /// Engines that broke and were replaced.
    pub rebuilds: AtomicU64,
    pub running: AtomicU64,
    pub kv_free_tokens: AtomicU64,
    /// Bytes of the GPU's memory; in all 0 where the engine is on none, or there is no engine.
    pub gpu_free: AtomicU64,
    pub gpu_total: AtomicU64,
    /// One more than the bounds: the last has no bound. Not cumulative.
    pub step_buckets: [AtomicU64; STEP_BOUNDS_US.len() + 1],
    pub step_us: AtomicU64,
}

impl Stats {
    pub(super) fn count_ending(&self, ending: Ending) {
        let counter = match ending {
            Ending::Complete => &self.complete,
            Ending::Cancelled => &self.cancelled,
            Ending::Error | Ending::Truncated => &self.error,
            Ending::Running => return,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn count_step(&self, elapsed: Duration) {
        let us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bucket = STEP_BOUNDS_US.partition_point(|&bound| bound < us);
        self.step_buckets[bucket].fetch_add(1, Relaxed);
        self.step_us.fetch_add(us, Relaxed);
    }
}

pub(super) fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Relaxed);
}

pub(super) fn set(gauge: &AtomicU64, value: usize) {
    gauge.store(value as u64, Relaxed);
}

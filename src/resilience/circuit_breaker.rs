//! A circuit breaker (Nygard, "Release It!"): an origin's model that keeps failing is left alone for a while.

use crate::config::Breaker;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// The window of the error rate: so many buckets of so many milliseconds.
const BUCKETS: usize = 3;
const BUCKET_MS: u64 = 10_000;
/// The longest time between two probes.
const LONGEST_MS: u64 = 60_000;
/// A probe that has said nothing for so long does not keep others from probing.
const PROBE_MS: u64 = 60_000;
/// How old the word of another instance may be.
const NEWS_MS: u64 = 120_000;
/// How often an instance asks what others know.
const ASK_AGAIN_MS: u64 = 5_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket {
    /// Number of the bucket since 1970.
    at: u64,
    works: u32,
    fails: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// `times`: openings in a row without a success between them.
    Open { until_ms: u64, times: u32 },
    /// One attempt is finding out.
    Probing { since_ms: u64, times: u32 },
}

/// Of one model at one origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    state: State,
    in_a_row: u32,
    /// Whether the last failure was an answer: the origin is there.
    answers: bool,
    /// Streams that began and broke off, with none between them that came to its end.
    broken_in_a_row: u32,
    buckets: [Bucket; BUCKETS],
    held_until_ms: u64,
    /// When the origin asked for that.
    held_since_ms: u64,
    /// When it last opened, closed or was held.
    changed_ms: u64,
    /// Other instances do not know of that change.
    unshared: bool,
    /// When it was last asked what others know.
    asked_ms: u64,
}

/// What one instance tells the others of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerUpdate {
    changed_ms: u64,
    /// 0: closed.
    open_until_ms: u64,
    times: u32,
    held_until_ms: u64,
    #[serde(default)]
    answers: bool,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Ready,
    /// The breaker is open.
    BreakerOpen {
        until_ms: u64,
        /// The origin is there: where no other can be asked, it is better than none.
        answers: bool,
    },
    /// The origin asked for patience.
    Backoff {
        until_ms: u64,
    },
}

/// A breaker's state as answers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl BreakerState {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

impl CircuitBreaker {
    #[must_use]
    pub fn admission(&self, now_ms: u64) -> Admission {
        let answers = self.answers;
        match self.state {
            State::Open { until_ms, .. } if now_ms < until_ms => Admission::BreakerOpen { until_ms, answers },
            State::Probing { since_ms, .. } if now_ms < since_ms + PROBE_MS => {
                Admission::BreakerOpen { until_ms: since_ms + PROBE_MS, answers }
            }
            _ if now_ms < self.held_until_ms => Admission::Backoff { until_ms: self.held_until_ms },
            _ => Admission::Ready,
        }
    }

    #[must_use]
    pub fn state(&self, now_ms: u64) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until_ms, .. } if now_ms < until_ms => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// An attempt begins; if the breaker is due, it is the probe.
    pub(super) fn begin(&mut self, now_ms: u64) {
        match self.state {
            State::Open { until_ms, times } if now_ms >= until_ms => {
                self.state = State::Probing { since_ms: now_ms, times };
            }
            State::Probing { since_ms, times } if now_ms >= since_ms + PROBE_MS => {
                self.state = State::Probing { since_ms: now_ms, times };
            }
            _ => {}
        }
    }

    /// `began_ms`: when the attempt began that has shown that it works. One from before the origin asked for patience says
    /// nothing about that.
    pub(super) fn works(&mut self, began_ms: u64, now_ms: u64) {
        self.in_a_row = 0;
        if began_ms > self.held_since_ms {
            self.held_until_ms = 0;
        }
        if self.state == State::Closed {
            self.bucket(now_ms).works += 1;
        } else {
            self.changed(now_ms);
            // What failed before it recovered says nothing about now.
            self.state = State::Closed;
            self.buckets = Default::default();
        }
    }

    /// A stream has come to its end. That it works was said when it began.
    pub(super) fn completes(&mut self) {
        self.broken_in_a_row = 0;
    }

    /// A stream that began has broken off: one failure, not one attempt that works and one that fails.
    pub(super) fn breaks_off(&mut self, breaker: &Breaker, now_ms: u64, rng: &mut Rng) {
        self.broken_in_a_row = self.broken_in_a_row.saturating_add(1);
        if let Some(bucket) = self.buckets.iter_mut().max_by_key(|bucket| (bucket.works > 0, bucket.at)) {
            bucket.works = bucket.works.saturating_sub(1);
        }
        // One that can be reached.
        self.fails(breaker, true, now_ms, rng);
    }

    /// `answers`: it answered, if only with a fault.
    pub(super) fn fails(&mut self, breaker: &Breaker, answers: bool, now_ms: u64, rng: &mut Rng) {
        if breaker.failures == 0 {
            return;
        }
        self.answers = answers;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.bucket(now_ms).fails += 1;
        let times = match self.state {
            State::Probing { times, .. } => times.saturating_add(1),
            // An attempt that began before it opened.
            State::Open { .. } => return,
            State::Closed if self.is_too_much(breaker, now_ms) => 0,
            State::Closed => return,
        };
        let open_ms = (u64::from(breaker.open_s) * 1000) << times.min(6);
        let open_ms = open_ms.min(LONGEST_MS);
        // Up to a tenth more, so that instances do not probe all at once.
        let until_ms = now_ms + open_ms + rng.below(open_ms / 10 + 1);
        self.state = State::Open { until_ms, times };
        self.changed(now_ms);
    }

    fn changed(&mut self, now_ms: u64) {
        self.changed_ms = now_ms;
        self.unshared = true;
    }

    /// What is new, once.
    pub(super) fn take_update(&mut self) -> Option<BreakerUpdate> {
        let (open_until_ms, times) = match self.state {
            State::Closed => (0, 0),
            State::Open { until_ms, times } => (until_ms, times),
            State::Probing { since_ms, times } => (since_ms, times),
        };
        let Self { changed_ms, held_until_ms, answers, .. } = *self;
        std::mem::take(&mut self.unshared).then_some(BreakerUpdate {
            changed_ms,
            open_until_ms,
            times,
            held_until_ms,
            answers,
        })
    }

    pub(super) fn asks(&mut self, now_ms: u64) -> bool {
        let due = now_ms >= self.asked_ms + ASK_AGAIN_MS;
        if due {
            self.asked_ms = now_ms;
        }
        due
    }

    /// What another instance has found out, if that is newer than what is known here. Not every store forgets, and not
    /// every clock is right: neither may take an origin away.
    pub(super) fn learn(&mut self, update: BreakerUpdate, now_ms: u64) {
        let BreakerUpdate { changed_ms, open_until_ms, times, held_until_ms, answers } = update;
        if changed_ms <= self.changed_ms || now_ms.abs_diff(changed_ms) > NEWS_MS {
            return;
        }
        self.changed_ms = changed_ms;
        self.answers = answers;
        self.held_since_ms = changed_ms;
        self.held_until_ms = held_until_ms.min(now_ms + super::health::LONGEST_HELD_MS);
        self.state = match open_until_ms.min(now_ms + LONGEST_MS) {
            0 => State::Closed,
            until_ms => State::Open { until_ms, times },
        };
        self.in_a_row = 0;
        self.broken_in_a_row = 0;
        self.buckets = Default::default();
    }

    fn is_too_much(&self, breaker: &Breaker, now_ms: u64) -> bool {
        let first = (now_ms / BUCKET_MS).saturating_sub(BUCKETS as u64 - 1);
        let recent = self.buckets.iter().filter(|bucket| bucket.at >= first);
        let (works, fails) = recent.fold((0, 0), |(w, f), b| (w + b.works, f + b.fails));
        let all = works + fails;
        self.in_a_row >= breaker.failures
            || self.broken_in_a_row >= breaker.failures
            || all >= breaker.attempts
                && u64::from(fails) * 100 >= u64::from(all) * u64::from(breaker.percent)
    }

    /// It is not to be asked before this time.
    pub(super) fn hold(&mut self, until_ms: u64, now_ms: u64) {
        self.held_until_ms = self.held_until_ms.max(until_ms);
        self.held_since_ms = now_ms;
        self.changed(now_ms);
        self.forget();
    }

    /// An attempt ended without saying anything: if it was the probe, another one may probe.
    pub(super) fn forget(&mut self) {
        if let State::Probing { since_ms, times } = self.state {
            self.state = State::Open { until_ms: since_ms, times };
        }
    }

    fn bucket(&mut self, now_ms: u64) -> &mut Bucket {
        let at = now_ms / BUCKET_MS;
        let bucket = &mut self.buckets[(at % BUCKETS as u64) as usize];
        if bucket.at != at {
            *bucket = Bucket { at, ..Bucket::default() };
        }
        bucket
    }
}

#[cfg(test)]
#[path = "circuit_breaker_tests.rs"]
mod tests;

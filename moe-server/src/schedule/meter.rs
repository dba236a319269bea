//! What the machine's time goes to: cold, idle, busy, asleep.
//!
//! The time from the start of the process on is cut into intervals of whole micro-seconds, and each belongs to one of the
//! four. So their totals are the time that has passed, and the shares of requests ([`divide`]) add up to the busy one.
//! Time asleep is nobody's: it is in no hour, and nothing is charged for it.

use moegate_wire::period::HOUR_MS;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Micro-seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// From waking to the end of the last step before the next rest.
    pub busy_us: u64,
    /// Ready, and nothing to compute.
    pub idle_us: u64,
    /// From the start, or from the beginning of a wake, until there was something to compute with.
    pub cold_us: u64,
    /// Nothing was loaded, and nothing was being loaded.
    pub asleep_us: u64,
}

impl Totals {
    fn add(&mut self, state: State, us: u64) {
        match state {
            State::Cold => self.cold_us += us,
            State::Idle => self.idle_us += us,
            State::Busy => self.busy_us += us,
            State::Asleep => self.asleep_us += us,
            State::Over => {}
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Cold,
    Idle,
    Busy,
    Asleep,
    /// The engine's thread has ended: what passes from then on counts as nothing.
    Over,
}

/// See the module. Written by the scheduler's thread, read at any time.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Up to where time is accounted for, in micro-seconds since `start`.
    until_us: u64,
    total: Totals,
    /// By the hour's beginning in Unix milliseconds; whether it has changed since it was taken.
    hours: BTreeMap<u64, (Totals, bool)>,
}

/// Hours that are kept for a reader who comes late.
const MAX_HOURS: usize = 48;

impl Meter {
    /// `start` is when the process began to load.
    #[must_use]
    pub fn since(start: Instant) -> Self {
        let inner =
            Inner { state: State::Cold, until_us: 0, total: Totals::default(), hours: BTreeMap::new() };
        Self { start, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for the time up to now, which was spent in the present state; answers how much it was.
    fn settle(&self, inner: &mut Inner) -> u64 {
        let now_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let us = now_us.saturating_sub(inner.until_us);
        inner.until_us += us;
        // By the wall clock as it is now: the monotonic one stands still while a machine sleeps.
        inner.account(us, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        us
    }

    /// Ready for requests, and there are none. What is left of the time after the last step counts as idle.
    pub(super) fn rest(&self) {
        let mut inner = self.inner();
        if inner.state == State::Cold {
            self.settle(&mut inner);
        }
        inner.state = State::Idle;
    }

    /// There is something to compute.
    pub(super) fn wake(&self) {
        let mut inner = self.inner();
        self.settle(&mut inner);
        inner.state = State::Busy;
    }

    /// The engine is gone.
    pub(super) fn sleep(&self) {
        self.turn(State::Asleep);
    }

    /// An engine is being made.
    pub(super) fn load(&self) {
        self.turn(State::Cold);
    }

    fn turn(&self, state: State) {
        let mut inner = self.inner();
        if inner.state == State::Busy {
            // Nothing was computed since the last step, which would have accounted for it.
            inner.state = State::Idle;
        }
        self.settle(&mut inner);
        inner.state = state;
    }

    /// A step is over: answers how long the engine was busy since the step before or since it woke.
    pub(super) fn step(&self) -> u64 {
        self.settle(&mut self.inner())
    }

    /// The thread ends. An unfinished step is nobody's.
    pub(super) fn end(&self) {
        let mut inner = self.inner();
        if inner.state != State::Busy {
            self.settle(&mut inner);
        }
        inner.state = State::Over;
    }

    /// A step that goes on is not in it yet.
    fn settled(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner();
        if matches!(inner.state, State::Cold | State::Idle | State::Asleep) {
            self.settle(&mut inner);
        }
        inner
    }

    /// From the start to now.
    #[must_use]
    pub fn total(&self) -> Totals {
        self.settled().total
    }

    /// Each hour (its beginning in Unix milliseconds) whose totals have changed since the last such call.
    #[must_use]
    pub fn take_changed(&self) -> Vec<(u64, Totals)> {
        let mut inner = self.settled();
        let changed = inner
            .hours
            .iter_mut()
            .filter_map(|(&hour, (totals, changed))| std::mem::take(changed).then_some((hour, *totals)));
        changed.collect()
    }
}

impl Inner {
    /// Accounts for the `us` before `now`, which is Unix time.
    fn account(&mut self, us: u64, now: Duration) {
        let state = self.state;
        if state == State::Over || us == 0 {
            return;
        }
        self.total.add(state, us);
        if state == State::Asleep {
            return;
        }
        let mut end_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let mut left = us;
        loop {
            let hour_ms = end_us.saturating_sub(1) / 1_000 / HOUR_MS * HOUR_MS;
            // Before 1970 there is no hour: all the rest goes into the first.
            let part = if hour_ms == 0 { left } else { left.min(end_us - hour_ms * 1_000) };
            let (totals, changed) = self.hours.entry(hour_ms).or_default();
            totals.add(state, part);
            *changed = true;
            left -= part;
            end_us = end_us.saturating_sub(part);
            if left == 0 {
                break;
            }
        }
        while self.hours.len() > MAX_HOURS {
            self.hours.pop_first();
        }
    }
}

/// Divides a step's time among its sequences by their numbers of tokens; the parts add up to `us` exactly.
pub fn divide(us: u64, tokens: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = u64> {
    let all = tokens.clone().map(|tokens| tokens as u128).sum::<u128>().max(1);
    let mut seen = 0;
    let mut given = 0;
    tokens.map(move |tokens| {
        seen += tokens as u128;
        // What rounding leaves is carried on to the next; at most `us`.
        let upto = u64::try_from(u128::from(us) * seen / all).unwrap_or(us);
        let part = upto - given;
        given = upto;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let parts = |us, tokens: &[usize]| divide(us, tokens.iter().copied()).collect::<Vec<_>>();
        assert_eq!(parts(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(parts(1_000, &[98, 1, 1]), [980, 10, 10]);
        assert_eq!(parts(0, &[3, 5]), [0, 0]);
        assert_eq!(parts(1, &[1; 7]).iter().sum::<u64>(), 1);
        let mut seed = 7_u64;
        for _ in 0..1_000 {
            let mut next = |below: u64| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % below
            };
            let us = next(1 << 30);
            let tokens: Vec<usize> =
                (0..=next(40)).map(|_| usize::try_from(next(500) + 1).unwrap()).collect();
            assert_eq!(parts(us, &tokens).iter().sum::<u64>(), us, "{tokens:?}");
        }
        assert_eq!(parts(u64::MAX, &[1 << 40, 3]).iter().sum::<u64>(), u64::MAX);
    }

    #[test]
    fn time_goes_into_the_hours_in_which_it_passed() {
        let hour_us = HOUR_MS * 1_000;
        let meter = Meter::since(Instant::now());
        let mut inner = meter.inner();
        inner.state = State::Idle;
        inner.account(2 * hour_us, Duration::from_micros(10 * hour_us + 5));
        inner.state = State::Busy;
        inner.account(7, Duration::from_micros(10 * hour_us + 12));
        let idle = |idle_us| Totals { idle_us, ..Totals::default() };
        let hours: Vec<(u64, Totals)> =
            inner.hours.iter().map(|(hour, (totals, _))| (hour / HOUR_MS, *totals)).collect();
        let last = Totals { busy_us: 7, ..idle(5) };
        assert_eq!(hours, [(8, idle(hour_us - 5)), (9, idle(hour_us)), (10, last)]);
        assert_eq!(inner.total, Totals { busy_us: 7, ..idle(2 * hour_us) });
        // Exactly at the full hour, all of it was in the one before.
        inner.account(1, Duration::from_micros(12 * hour_us));
        assert_eq!(inner.hours[&(11 * HOUR_MS)].0.busy_us, 1);
        assert!(!inner.hours.contains_key(&(12 * HOUR_MS)));
        // A clock before the beginning of time, and more hours than are kept.
        inner.account(hour_us, Duration::from_micros(3));
        assert_eq!(inner.hours[&0].0.busy_us, hour_us);
        inner.account(100 * hour_us, Duration::from_micros(1_000 * hour_us));
        assert_eq!(inner.hours.len(), MAX_HOURS);
    }

    #[test]
    fn nothing_is_lost_between_states() {
        let meter = Meter::since(Instant::now());
        let pause = || std::thread::sleep(Duration::from_millis(2));
        pause();
        meter.rest();
        pause();
        assert!(meter.total().idle_us >= 1_000);
        meter.wake();
        pause();
        let busy = meter.step();
        pause();
        assert_eq!(meter.total().busy_us, busy, "a step that goes on is not in it");
        meter.rest();
        pause();
        meter.sleep();
        let cold = meter.total().cold_us;
        pause();
        let asleep = meter.total().asleep_us;
        meter.sleep();
        assert!(asleep >= 1_000 && meter.total().cold_us == cold, "sleeping is not loading");
        meter.load();
        pause();
        meter.rest();
        pause();
        meter.end();
        let total = meter.total();
        assert!(total.cold_us - cold >= 1_000 && total.asleep_us >= asleep, "{total:?}");
        assert!(total.cold_us >= 2_000 && busy >= 2_000 && total.busy_us == busy, "{total:?}");
        let inner = meter.inner();
        assert_eq!(total.cold_us + total.idle_us + total.busy_us + total.asleep_us, inner.until_us);
        drop(inner);
        let mut hours = Totals::default();
        for (_, totals) in meter.take_changed() {
            hours.busy_us += totals.busy_us;
            hours.idle_us += totals.idle_us;
            hours.cold_us += totals.cold_us;
        }
        assert_eq!(hours, Totals { asleep_us: 0, ..total });
        pause();
        assert!(meter.take_changed().is_empty() && meter.total() == total, "after the end nothing counts");
    }
}

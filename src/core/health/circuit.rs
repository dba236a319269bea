//! A circuit breaker (Nygard, "Release It!"): an origin's model that keeps failing is left alone for a while.

use crate::core::config::Breaker;
use crate::core::route::Dice;
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
pub struct Circuit {
    state: State,
    in_a_row: u32,
    /// Streams that began and broke off, with none between them that came to its end.
    broken_in_a_row: u32,
    buckets: [Bucket; BUCKETS],
    held_until_ms: u64,
    /// When it last opened, closed or was held.
    changed_ms: u64,
    /// Other instances do not know of that change.
    unshared: bool,
    /// When it was last asked what others know.
    asked_ms: u64,
}

/// What one instance tells the others of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    changed_ms: u64,
    /// 0: closed.
    open_until_ms: u64,
    times: u32,
    held_until_ms: u64,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// The breaker is open.
    Shut {
        until_ms: u64,
    },
    /// The origin asked for patience.
    Held {
        until_ms: u64,
    },
}

/// A breaker's state as answers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Closed,
    HalfOpen,
    Open,
}

impl Shown {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

impl Circuit {
    #[must_use]
    pub fn gate(&self, now_ms: u64) -> Gate {
        match self.state {
            State::Open { until_ms, .. } if now_ms < until_ms => Gate::Shut { until_ms },
            State::Probing { since_ms, .. } if now_ms < since_ms + PROBE_MS => {
                Gate::Shut { until_ms: since_ms + PROBE_MS }
            }
            _ if now_ms < self.held_until_ms => Gate::Held { until_ms: self.held_until_ms },
            _ => Gate::Open,
        }
    }

    #[must_use]
    pub fn shown(&self, now_ms: u64) -> Shown {
        match self.state {
            State::Closed => Shown::Closed,
            State::Open { until_ms, .. } if now_ms < until_ms => Shown::Open,
            State::Open { .. } | State::Probing { .. } => Shown::HalfOpen,
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

    pub(super) fn works(&mut self, now_ms: u64) {
        self.in_a_row = 0;
        self.held_until_ms = 0;
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
    pub(super) fn breaks_off(&mut self, breaker: &Breaker, now_ms: u64, dice: &mut Dice) {
        self.broken_in_a_row = self.broken_in_a_row.saturating_add(1);
        if let Some(bucket) = self.buckets.iter_mut().max_by_key(|bucket| (bucket.works > 0, bucket.at)) {
            bucket.works = bucket.works.saturating_sub(1);
        }
        self.fails(breaker, now_ms, dice);
    }

    pub(super) fn fails(&mut self, breaker: &Breaker, now_ms: u64, dice: &mut Dice) {
        if breaker.failures == 0 {
            return;
        }
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
        let until_ms = now_ms + open_ms + dice.below(open_ms / 10 + 1);
        self.state = State::Open { until_ms, times };
        self.changed(now_ms);
    }

    fn changed(&mut self, now_ms: u64) {
        self.changed_ms = now_ms;
        self.unshared = true;
    }

    /// What is new, once.
    pub(super) fn news(&mut self) -> Option<News> {
        let (open_until_ms, times) = match self.state {
            State::Closed => (0, 0),
            State::Open { until_ms, times } => (until_ms, times),
            State::Probing { since_ms, times } => (since_ms, times),
        };
        let Self { changed_ms, held_until_ms, .. } = *self;
        std::mem::take(&mut self.unshared).then_some(News { changed_ms, open_until_ms, times, held_until_ms })
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
    pub(super) fn learn(&mut self, news: News, now_ms: u64) {
        let News { changed_ms, open_until_ms, times, held_until_ms } = news;
        if changed_ms <= self.changed_ms || now_ms.abs_diff(changed_ms) > NEWS_MS {
            return;
        }
        self.changed_ms = changed_ms;
        self.held_until_ms = held_until_ms.min(now_ms + super::LONGEST_HELD_MS);
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
mod tests {
    use super::*;

    const T: u64 = 1_000_000_000;
    const BREAKER: Breaker = Breaker { failures: 3, percent: 50, attempts: 10, open_s: 5 };

    struct Bench {
        circuit: Circuit,
        now: u64,
        dice: Dice,
    }

    impl Bench {
        fn new() -> Self {
            Self { circuit: Circuit::default(), now: T, dice: Dice::new([1; 10]) }
        }

        fn attempt(&mut self, works: bool) {
            self.circuit.begin(self.now);
            if works {
                self.circuit.works(self.now);
            } else {
                self.circuit.fails(&BREAKER, self.now, &mut self.dice);
            }
        }

        fn shown(&self) -> &'static str {
            self.circuit.shown(self.now).name()
        }

        fn shut_for(&self) -> u64 {
            match self.circuit.gate(self.now) {
                Gate::Shut { until_ms } => until_ms - self.now,
                _ => 0,
            }
        }
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let mut bench = Bench::new();
        for works in [false, false, true, false, false] {
            bench.attempt(works);
            assert_eq!(bench.shown(), "closed");
        }
        bench.attempt(false);
        assert_eq!(bench.shown(), "open");
        assert!((5_000..=5_500).contains(&bench.shut_for()));
    }

    #[test]
    fn so_does_the_error_rate_of_the_last_thirty_seconds() {
        let mut bench = Bench::new();
        for round in 0..9 {
            bench.attempt(round % 2 == 0);
            assert_eq!(bench.shown(), "closed", "{round}");
        }
        bench.attempt(false);
        assert_eq!(bench.shown(), "open");

        let mut slow = Bench::new();
        for round in 0..40 {
            slow.attempt(round % 2 == 0);
            slow.now += 6_000;
            assert_eq!(slow.shown(), "closed", "five in thirty seconds are too few");
        }
    }

    /// Each of them works when it begins.
    #[test]
    fn streams_that_break_off_open_it_too() {
        let mut bench = Bench::new();
        let stream = |bench: &mut Bench, ends: bool| {
            bench.attempt(true);
            if ends {
                bench.circuit.completes();
            } else {
                bench.circuit.breaks_off(&BREAKER, bench.now, &mut bench.dice);
            }
        };
        for ends in [false, false, true, false, false] {
            stream(&mut bench, ends);
            assert_eq!(bench.shown(), "closed");
        }
        stream(&mut bench, false);
        assert_eq!(bench.shown(), "open");
        // A probe that begins closes it, and opens it again when it breaks off.
        bench.now += bench.shut_for();
        stream(&mut bench, false);
        assert_eq!(bench.shown(), "open");

        // By their rate: four of ten.
        let mut bench = Bench::new();
        for round in 0..10 {
            stream(&mut bench, round % 5 > 1);
            assert_eq!(bench.shown(), "closed", "{round}");
        }
        let counts = bench.circuit.buckets.iter().fold((0, 0), |(w, f), b| (w + b.works, f + b.fails));
        assert_eq!(counts, (6, 4));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.attempt(false);
        }
        for expected in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
            let wait = bench.shut_for();
            assert!((expected..=expected + expected / 10).contains(&wait), "{wait} for {expected}");
            bench.now += wait;
            assert_eq!((bench.shown(), bench.circuit.gate(bench.now)), ("half_open", Gate::Open));
            bench.circuit.begin(bench.now);
            assert!(bench.shut_for() > 0, "a second one would probe too");
            bench.circuit.fails(&BREAKER, bench.now, &mut bench.dice);
        }
        bench.now += bench.shut_for();
        bench.attempt(true);
        assert_eq!(bench.shown(), "closed");
        bench.attempt(false);
        assert_eq!(bench.shown(), "closed", "it starts anew");
    }

    #[test]
    fn a_probe_that_says_nothing_gives_way() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.attempt(false);
        }
        bench.now += bench.shut_for();
        bench.circuit.begin(bench.now);
        bench.circuit.forget();
        assert_eq!(bench.circuit.gate(bench.now), Gate::Open);
        bench.circuit.begin(bench.now);
        bench.now += PROBE_MS;
        assert_eq!(bench.circuit.gate(bench.now), Gate::Open, "it never came back");
    }

    #[test]
    fn held_until_it_said() {
        let mut bench = Bench::new();
        bench.circuit.hold(T + 2_000, T);
        bench.circuit.hold(T + 1_000, T);
        assert_eq!(bench.circuit.gate(T), Gate::Held { until_ms: T + 2_000 });
        assert_eq!(bench.circuit.gate(T + 2_000), Gate::Open);
        assert_eq!(bench.shown(), "closed");
        bench.attempt(true);
        assert_eq!(bench.circuit.gate(T), Gate::Open);
    }

    #[test]
    fn instances_tell_each_other() {
        let (mut one, mut other) = (Bench::new(), Bench::new());
        assert_eq!(one.circuit.news(), None);
        for _ in 0..3 {
            one.attempt(false);
        }
        let news = one.circuit.news().unwrap();
        assert_eq!(one.circuit.news(), None, "told once");
        other.circuit.learn(news, other.now + NEWS_MS + 1);
        assert_eq!(other.shown(), "closed", "that is long ago");
        other.circuit.learn(news, other.now);
        assert_eq!((other.shown(), other.shut_for(), other.circuit.news()), ("open", one.shut_for(), None));
        other.now += other.shut_for();
        other.attempt(true);
        other.circuit.learn(news, other.now);
        assert_eq!(other.shown(), "closed", "what is known here is newer");
        one.circuit.learn(other.circuit.news().unwrap(), other.now);
        assert_eq!(one.shown(), "closed");
        let absurd =
            News { changed_ms: one.now + 60_000, open_until_ms: u64::MAX, times: 1, held_until_ms: u64::MAX };
        one.circuit.learn(absurd, one.now);
        assert_eq!(one.shut_for(), LONGEST_MS);
        one.now += super::super::LONGEST_HELD_MS;
        assert_eq!(one.circuit.gate(one.now), Gate::Open);
    }

    #[test]
    fn zero_never_opens() {
        let mut bench = Bench::new();
        for _ in 0..100 {
            bench.circuit.fails(&Breaker { failures: 0, ..BREAKER }, T, &mut bench.dice);
        }
        assert_eq!(bench.shown(), "closed");
    }
}

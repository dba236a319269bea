use super::*;

const T: u64 = 1_000_000_000;
const BREAKER: Breaker = Breaker { failures: 3, percent: 50, attempts: 10, open_s: 5 };

struct Bench {
    circuit: CircuitBreaker,
    now: u64,
    rng: Rng,
}

impl Bench {
    fn new() -> Self {
        Self { circuit: CircuitBreaker::default(), now: T, rng: Rng::new([1; 8]) }
    }

    fn attempt(&mut self, works: bool) {
        self.circuit.begin(self.now);
        if works {
            self.circuit.works(self.now, self.now);
        } else {
            self.circuit.fails(&BREAKER, false, self.now, &mut self.rng);
        }
    }

    fn shown(&self) -> &'static str {
        self.circuit.state(self.now).name()
    }

    fn shut_for(&self) -> u64 {
        match self.circuit.admission(self.now) {
            Admission::BreakerOpen { until_ms, .. } => until_ms - self.now,
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
            bench.circuit.breaks_off(&BREAKER, bench.now, &mut bench.rng);
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
        assert_eq!((bench.shown(), bench.circuit.admission(bench.now)), ("half_open", Admission::Ready));
        bench.circuit.begin(bench.now);
        assert!(bench.shut_for() > 0, "a second one would probe too");
        bench.circuit.fails(&BREAKER, false, bench.now, &mut bench.rng);
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
    assert_eq!(bench.circuit.admission(bench.now), Admission::Ready);
    bench.circuit.begin(bench.now);
    bench.now += PROBE_MS;
    assert_eq!(bench.circuit.admission(bench.now), Admission::Ready, "it never came back");
}

#[test]
fn held_until_it_said() {
    let mut bench = Bench::new();
    bench.circuit.hold(T + 2_000, T);
    bench.circuit.hold(T + 1_000, T);
    assert_eq!(bench.circuit.admission(T), Admission::Backoff { until_ms: T + 2_000 });
    assert_eq!(bench.circuit.admission(T + 2_000), Admission::Ready);
    assert_eq!(bench.shown(), "closed");
    bench.now += 2_000;
    bench.attempt(true);
    assert_eq!(bench.circuit.admission(T), Admission::Ready);
}

/// 429 with `Retry-After: 60`, while an older request is still being answered.
#[test]
fn only_an_attempt_begun_afterwards_ends_the_hold() {
    let mut bench = Bench::new();
    bench.circuit.hold(T + 60_000, T);
    bench.circuit.works(T - 1_000, T + 500);
    assert_eq!(bench.circuit.admission(T + 500), Admission::Backoff { until_ms: T + 60_000 });
    bench.circuit.works(T + 1, T + 900);
    assert_eq!(bench.circuit.admission(T + 900), Admission::Ready);
}

#[test]
fn instances_tell_each_other() {
    let (mut one, mut other) = (Bench::new(), Bench::new());
    assert_eq!(one.circuit.take_update(), None);
    for _ in 0..3 {
        one.attempt(false);
    }
    let update = one.circuit.take_update().unwrap();
    assert_eq!(one.circuit.take_update(), None, "told once");
    other.circuit.learn(update, other.now + NEWS_MS + 1);
    assert_eq!(other.shown(), "closed", "that is long ago");
    other.circuit.learn(update, other.now);
    assert_eq!(
        (other.shown(), other.shut_for(), other.circuit.take_update()),
        ("open", one.shut_for(), None)
    );
    other.now += other.shut_for();
    other.attempt(true);
    other.circuit.learn(update, other.now);
    assert_eq!(other.shown(), "closed", "what is known here is newer");
    one.circuit.learn(other.circuit.take_update().unwrap(), other.now);
    assert_eq!(one.shown(), "closed");
    let absurd = BreakerUpdate {
        changed_ms: one.now + 60_000,
        open_until_ms: u64::MAX,
        times: 1,
        held_until_ms: u64::MAX,
        answers: false,
    };
    one.circuit.learn(absurd, one.now);
    assert_eq!(one.shut_for(), LONGEST_MS);
    one.now += crate::resilience::health::LONGEST_HELD_MS;
    assert_eq!(one.circuit.admission(one.now), Admission::Ready);
}

#[test]
fn zero_never_opens() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.circuit.fails(&Breaker { failures: 0, ..BREAKER }, false, T, &mut bench.rng);
    }
    assert_eq!(bench.shown(), "closed");
}

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

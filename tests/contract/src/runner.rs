//! Plays the behaviours on the hosts, each under the name `host::behaviour`.

use crate::behaviours;
use crate::host::Host;
use crate::stage::{Behaviour, Stage};
use crate::transcript::{self, Noting, Transcript, timeless};
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// What came of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Count {
    /// Says it as cargo's test harness does.
    #[must_use]
    pub fn verdict(self) -> ExitCode {
        let Self { passed, failed } = self;
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub fn add(&mut self, holds: bool) {
        self.passed += usize::from(holds);
        self.failed += usize::from(!holds);
    }
}

/// Plays what the filters name (all without one) on `host`.
pub fn run(host: &dyn Host, filters: &[String]) -> (Count, Transcript) {
    let noting = Noting::new(host);
    let mut stage = Stage::new(&noting);
    let mut count = Count::default();
    let mut transcript = Transcript::new();
    let mut seen = 0;
    for behaviour in behaviours::all().iter().flat_map(|(_, behaviours)| behaviours.iter()) {
        let name = format!("{}::{}", host.name(), behaviour.name);
        if !host.can(behaviour.needs) || !is_chosen(&name, filters) {
            continue;
        }
        let holds = play(&mut stage, behaviour);
        println!("test {name} ... {}", if holds { "ok" } else { "FAILED" });
        count.add(holds);
        if !holds {
            println!("{}", host.said());
        }
        let records = stage.all[seen..].iter().map(timeless).collect();
        seen = stage.all.len();
        transcript.insert(behaviour.name, noting.take(records));
    }
    (count, transcript)
}

/// Holds two hosts against each other: one test a behaviour that both have shown.
pub fn compare(one: (&str, &Transcript), other: (&str, &Transcript)) -> Count {
    let mut count = Count::default();
    for (name, difference) in transcript::compare(one.1, other.1) {
        let verdict = if difference.is_none() { "ok" } else { "FAILED" };
        println!("test {}_as_{}::{name} ... {verdict}", one.0, other.0);
        count.add(difference.is_none());
        if let Some(difference) = difference {
            println!("{difference}");
        }
    }
    count
}

#[must_use]
pub fn is_chosen(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

fn play(stage: &mut Stage<'_>, behaviour: &Behaviour) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (behaviour.check)(stage);
        let unclaimed = stage.unclaimed();
        assert!(unclaimed.is_empty(), "records that nobody expected: {unclaimed:?}");
    }));
    if outcome.is_err() {
        // What the rest of it would have claimed must not be held against the next one.
        stage.let_go();
    }
    outcome.is_ok()
}

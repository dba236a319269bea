//! Plays the behaviours on the hosts, each under the name `host::behaviour`.

use crate::behaviours;
use crate::host::Host;
use crate::stage::{Behaviour, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
}

/// Plays what the filters name (all without one) on `host`.
pub fn run(host: &dyn Host, filters: &[String]) -> Count {
    let mut stage = Stage::new(host);
    let mut count = Count::default();
    for behaviour in behaviours::all().iter().flat_map(|(_, behaviours)| behaviours.iter()) {
        let name = format!("{}::{}", host.name(), behaviour.name);
        if !host.can(behaviour.needs) || !is_chosen(&name, filters) {
            continue;
        }
        let holds = play(&mut stage, behaviour);
        println!("test {name} ... {}", if holds { "ok" } else { "FAILED" });
        if holds {
            count.passed += 1;
        } else {
            count.failed += 1;
            println!("{}", host.said());
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
        let _later = catch_unwind(AssertUnwindSafe(|| stage.unclaimed()));
    }
    outcome.is_ok()
}

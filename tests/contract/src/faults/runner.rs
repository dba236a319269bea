//! Plays all of it on a host, each part under a name of its own: `host::fault::route::stream`.

use super::case::{Case, Fault};
use super::{play, properties, rows, stories};
use crate::host::Host;
use crate::runner::{Count, is_chosen};
use crate::stage::Stage;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One test.
struct Test {
    name: String,
    act: Box<dyn Fn(&mut Stage<'_>)>,
}

fn of_case(fault: &'static Fault, case: &'static Case, is_stream: bool) -> Test {
    let form = if is_stream { "streamed" } else { "whole" };
    let name = format!("{}::{}::{form}", fault.name, case.route.name());
    Test { name, act: Box::new(move |stage| play::play(stage, fault, case, is_stream)) }
}

/// All tests; those of [`properties`] are many in one.
fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for chapter in rows::all() {
        let cases = chapter.faults.iter().flat_map(|fault| fault.cases.iter().map(move |case| (fault, case)));
        for (fault, case) in cases {
            tests.extend(case.forms.streamed().iter().map(|&is_stream| of_case(fault, case, is_stream)));
        }
    }
    tests.extend(
        stories::ALL.iter().map(|story| Test { name: story.name.to_owned(), act: Box::new(story.check) }),
    );
    tests.push(Test { name: "random_schedules".to_owned(), act: Box::new(properties::check) });
    // Last, since it adds up what all others left.
    tests.push(Test { name: "usage".to_owned(), act: Box::new(properties::usage_adds_up) });
    tests
}

/// The names of all tests on a host.
pub fn names(host: &str) -> impl Iterator<Item = String> {
    all().into_iter().map(move |test| format!("{host}::{}", test.name))
}

/// Plays what the filters name (all without one).
pub fn run(host: &dyn Host, filters: &[String]) -> Count {
    let mut stage = Stage::new(host);
    let mut count = Count::default();
    for test in all() {
        let name = format!("{}::{}", host.name(), test.name);
        if !is_chosen(&name, filters) {
            continue;
        }
        let begun = std::time::Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            (test.act)(&mut stage);
            let unclaimed = stage.unclaimed();
            assert!(unclaimed.is_empty(), "records that nobody expected: {unclaimed:?}");
        }));
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {verdict} ({} ms)", begun.elapsed().as_millis());
        count.add(outcome.is_ok());
        if outcome.is_err() {
            println!("{}", host.said());
            // What the rest of it would have claimed must not be held against the next one.
            stage.let_go();
        }
    }
    count
}

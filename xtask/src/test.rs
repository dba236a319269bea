//! `cargo xtask test`: the suites, and what really ran in them.

mod browser;
mod suites;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::process::Running;
use crate::setup::Setup;
use suites::SUITES;

struct Suite {
    name: &'static str,
    what: &'static str,
    /// Whether it runs where no suite is named.
    usual: bool,
    /// Sets up what the suite needs and names what it runs.
    checks: fn(&Setup) -> Result<Vec<Check>>,
}

struct Check {
    name: &'static str,
    command: Command,
    counting: Counting,
}

/// How many tests a command stands for.
#[derive(Debug, Clone, Copy)]
enum Counting {
    /// One, by its exit status.
    Status,
    /// As its lines `test result: ok. N passed; M failed; …` or `N passed, M failed` say.
    Lines,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs the suites named, or the usual ones. True if something ran and nothing failed.
pub(crate) fn test(setup: &Setup, names: &[String]) -> Result<bool> {
    let suites = chosen(names)?;
    let mut report = Vec::new();
    let mut total = Count::default();
    for suite in suites {
        eprintln!("== {}: {}", suite.name, suite.what);
        let mut sum = Count::default();
        let mut lines = Vec::new();
        let began = Instant::now();
        match (suite.checks)(setup) {
            Ok(checks) => {
                lines.push(format!("    set-up: {} s", began.elapsed().as_secs()));
                for check in checks {
                    let (name, began) = (check.name, Instant::now());
                    let (Count { passed, failed }, failures) = run(check, &setup.root)?;
                    let s = began.elapsed().as_secs();
                    lines.push(format!("    {name}: {passed} passed, {failed} failed, {s} s"));
                    lines.extend(failures.iter().map(|failure| format!("        {failure}")));
                    sum.add(Count { passed, failed });
                }
            }
            Err(interrupted @ Failure::Interrupted(_)) => return Err(interrupted),
            Err(failure) => {
                eprintln!("{failure}");
                lines.push("    set-up: 0 passed, 1 failed".to_owned());
                sum.failed += 1;
            }
        }
        let s = began.elapsed().as_secs();
        report.push(format!("{}: {} passed, {} failed, {s} s", suite.name, sum.passed, sum.failed));
        report.append(&mut lines);
        total.add(sum);
    }
    println!("\n{}", report.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0 && total.passed > 0)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Suite>> {
    if names.is_empty() {
        return Ok(SUITES.iter().filter(|suite| suite.usual).collect());
    }
    names
        .iter()
        .map(|name| {
            SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
                let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
                Failure::new(format!("there is no suite {name}"))
                    .remedy(format!("name some of these: {}", known.join(", ")))
            })
        })
        .collect()
}

/// How many of the failed tests' lines the report repeats: where thousands of lines are cut, it is their end that stays.
const FAILURES: usize = 20;

/// What was counted, and the lines that name what failed.
fn run(check: Check, root: &Path) -> Result<(Count, Vec<String>)> {
    eprintln!("-- {}", check.name);
    let counted = Arc::new(Mutex::new((Count::default(), Vec::new())));
    let counting = Arc::clone(&counted);
    let mut command = check.command;
    command.current_dir(root);
    let on_line = move |line: &str| {
        let mut counting = counting.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, failures) = &mut *counting;
        if let Some(more) = count_in(line) {
            count.add(more);
        } else if line.trim_end().ends_with(" FAILED") && failures.len() < FAILURES {
            failures.push(line.trim().to_owned());
        }
    };
    let success = match Running::start_teed(check.name, command, Box::new(on_line)) {
        Ok(mut running) => running.wait()?.success(),
        Err(interrupted @ Failure::Interrupted(_)) => return Err(interrupted),
        Err(failure) => {
            eprintln!("{failure}");
            false
        }
    };
    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
    let (lines, failures) = std::mem::take(&mut *counted);
    Ok((verdict(check.counting, success, lines), failures))
}

/// A command that fails without naming a failed test (it did not compile, say) is a failure of its own.
fn verdict(counting: Counting, success: bool, lines: Count) -> Count {
    match (counting, success) {
        (Counting::Status, true) => Count { passed: 1, failed: 0 },
        (Counting::Status, false) => Count { passed: 0, failed: 1 },
        (Counting::Lines, true) if lines.passed == 0 => Count { failed: lines.failed.max(1), ..lines },
        (Counting::Lines, true) => lines,
        (Counting::Lines, false) => Count { failed: lines.failed.max(1), ..lines },
    }
}

/// The counts in a summary line of cargo's test harness, or of our own scripts.
fn count_in(line: &str) -> Option<Count> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("test result: ") {
        let (_, counts) = rest.split_once(". ")?;
        let mut parts = counts.split("; ");
        return Some(Count {
            passed: leading(parts.next()?, "passed")?,
            failed: leading(parts.next()?, "failed")?,
        });
    }
    let (passed, failed) = line.split_once(", ")?;
    Some(Count { passed: leading(passed, "passed")?, failed: leading(failed, "failed")? })
}

fn leading(text: &str, unit: &str) -> Option<u64> {
    text.strip_suffix(unit)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_are_counted_and_others_are_not() {
        let count = |passed, failed| Some(Count { passed, failed });
        for (line, expected) in [
            (
                "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                count(5, 0),
            ),
            ("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out", count(2, 3)),
            ("  12 passed, 1 failed", count(12, 1)),
            ("running 5 tests", None),
            ("5 passed, some failed", None),
            ("a test said 5 passed, 0 failed", None),
        ] {
            assert_eq!(count_in(line), expected, "{line}");
        }
    }

    #[test]
    fn a_failure_that_no_line_names_still_counts() {
        let lines = Count { passed: 7, failed: 0 };
        assert_eq!(verdict(Counting::Lines, false, lines), Count { passed: 7, failed: 1 });
        assert_eq!(verdict(Counting::Lines, true, lines), lines);
        assert_eq!(verdict(Counting::Lines, true, Count::default()), Count { passed: 0, failed: 1 });
        assert_eq!(verdict(Counting::Status, false, Count::default()), Count { passed: 0, failed: 1 });
    }

    #[test]
    fn what_needs_a_browser_runs_only_when_it_is_named() {
        let names = |suites: Vec<&Suite>| suites.iter().map(|suite| suite.name).collect::<Vec<_>>();
        let usual = names(chosen(&[]).unwrap());
        assert!(usual.contains(&"unit") && !usual.contains(&"browser"), "{usual:?}");
        assert_eq!(names(chosen(&["browser".to_owned()]).unwrap()), ["browser"]);
    }

    #[test]
    fn an_unknown_suite_is_an_error_that_lists_the_known() {
        let Err(failure) = chosen(&["unit".to_owned(), "nonsense".to_owned()]) else {
            panic!("it was accepted")
        };
        let text = failure.to_string();
        assert!(text.contains("no suite nonsense") && text.contains("unit"), "{text}");
    }
}

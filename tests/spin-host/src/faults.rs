//! Faults that a test asks for: at the start by options, later by lines on standard input.
//!
//! A line is the name of an option in [`NAMES`] without its dashes, and its value: `kv-fail-writes 3`, `variables-fail all`,
//! `kv-slow-ms 0`. Each is answered on standard output by `ok` once it holds, or by `error: …`. The end of standard input
//! changes nothing.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::kv::KvError;

/// What can be asked for, as an option with two dashes before it or as a line.
pub(crate) const NAMES: [&str; 11] = [
    "kv-fail-opens",
    "kv-fail-reads",
    "kv-fail-writes",
    "kv-slow-ms",
    "sqlite-fail-opens",
    "sqlite-busy",
    "sqlite-fail-statements",
    "sqlite-fail-commits",
    "sqlite-fail-after-commit",
    "sqlite-slow-ms",
    "variables-fail",
];

/// As a count: every call fails until another count is set.
const ALL: u32 = u32::MAX;

/// How many of the next calls fail, and how slow they are.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    opens: AtomicU32,
    reads: AtomicU32,
    writes: AtomicU32,
    /// Added to every key-value call, in milliseconds.
    slow: AtomicU32,
    pub(crate) sql: SqlFaults,
    variables: AtomicU32,
}

/// The same for `spin:sqlite`; each is taken by [`takes_one`].
#[derive(Debug, Default)]
pub(crate) struct SqlFaults {
    pub(crate) opens: AtomicU32,
    /// Statements that would take the lock for writing.
    pub(crate) busy: AtomicU32,
    pub(crate) statements: AtomicU32,
    /// Commits that do not happen.
    pub(crate) commits: AtomicU32,
    /// Commits that happen and are reported as failed.
    pub(crate) after_commit: AtomicU32,
    /// Added to every statement, in milliseconds.
    slow: AtomicU32,
}

impl SqlFaults {
    /// Added to every statement.
    pub(crate) fn slow(&self) -> Duration {
        Duration::from_millis(self.slow.load(Ordering::SeqCst).into())
    }
}

impl Faults {
    /// Sets one of [`NAMES`].
    ///
    /// # Errors
    /// A sentence that says what is wrong with the name or the value.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let (fault, may_be_all) = match name {
            "kv-fail-opens" => (&self.opens, true),
            "kv-fail-reads" => (&self.reads, true),
            "kv-fail-writes" => (&self.writes, true),
            "kv-slow-ms" => (&self.slow, false),
            "sqlite-fail-opens" => (&self.sql.opens, true),
            "sqlite-busy" => (&self.sql.busy, true),
            "sqlite-fail-statements" => (&self.sql.statements, true),
            "sqlite-fail-commits" => (&self.sql.commits, true),
            "sqlite-fail-after-commit" => (&self.sql.after_commit, true),
            "sqlite-slow-ms" => (&self.sql.slow, false),
            "variables-fail" => (&self.variables, true),
            _ => return Err(format!("{name:?} is none of {}", NAMES.join(", "))),
        };
        let count = match value {
            "all" if may_be_all => ALL,
            _ => value.parse().map_err(|error| format!("{name} {value:?}: {error}"))?,
        };
        fault.store(count, Ordering::SeqCst);
        Ok(())
    }

    /// Called when a store is opened.
    pub(crate) fn open(&self) -> Result<(), KvError> {
        key_value(&self.opens, "open")
    }

    /// Called when a value is read.
    pub(crate) fn read(&self) -> Result<(), KvError> {
        key_value(&self.reads, "read")
    }

    /// Called when a value is written or keys are listed.
    pub(crate) fn write(&self) -> Result<(), KvError> {
        key_value(&self.writes, "write")
    }

    /// Added to every key-value call.
    pub(crate) fn slow(&self) -> Duration {
        Duration::from_millis(self.slow.load(Ordering::SeqCst).into())
    }

    /// Whether this look-up of a variable fails, as where a provider cannot be reached.
    pub(crate) fn variable(&self) -> bool {
        takes_one(&self.variables)
    }
}

fn key_value(fault: &AtomicU32, what: &str) -> Result<(), KvError> {
    if takes_one(fault) { Err(KvError::Other(format!("injected {what} failure"))) } else { Ok(()) }
}

/// True while there are failures left.
pub(crate) fn takes_one(fault: &AtomicU32) -> bool {
    let take = |left: u32| if left == ALL { Some(ALL) } else { left.checked_sub(1) };
    fault.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
}

/// Follows the lines of standard input, in a thread of its own.
pub(crate) fn follow_standard_input(faults: Arc<Faults>) {
    std::thread::spawn(move || follow(&faults, std::io::stdin().lock(), std::io::stdout()));
}

fn follow(faults: &Faults, lines: impl BufRead, mut answers: impl Write) {
    for line in lines.lines().map_while(Result::ok) {
        let answer = match line.trim().split_once(' ') {
            Some((name, value)) => faults.set(name, value.trim()),
            None => Err(format!("{line:?}: NAME VALUE is wanted")),
        };
        let written = match answer {
            Ok(()) => writeln!(answers, "ok"),
            Err(why) => writeln!(answers, "error: {why}"),
        };
        // Whoever asked has gone where it cannot be written.
        if written.and_then(|()| answers.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_fails_so_many_calls_and_all_fails_every_one() {
        let faults = Faults::default();
        assert_eq!(faults.write(), Ok(()));
        faults.set("kv-fail-writes", "2").unwrap();
        assert!(faults.write().is_err() && faults.write().is_err() && faults.write().is_ok());
        faults.set("variables-fail", "all").unwrap();
        assert!((0..10).all(|_| faults.variable()));
        faults.set("variables-fail", "0").unwrap();
        assert!(!faults.variable());
        assert!(faults.read().is_ok() && faults.open().is_ok() && faults.slow().is_zero());
    }

    #[test]
    fn every_line_is_answered() {
        let faults = Faults::default();
        let mut answers = Vec::new();
        let lines = "kv-slow-ms 20\nkv-slow-ms all\nkv-fail-reads 1\nnonsense 1\nkv-fail-opens\n";
        follow(&faults, lines.as_bytes(), &mut answers);
        let answers = String::from_utf8(answers).unwrap();
        let [ok, all, also_ok, nonsense, short] = answers.lines().collect::<Vec<_>>()[..] else {
            panic!("{answers}")
        };
        assert_eq!([ok, also_ok], ["ok", "ok"]);
        assert!(all.starts_with("error: kv-slow-ms \"all\": "), "{all}");
        assert!(nonsense.starts_with("error: \"nonsense\" is none of kv-fail-opens, "), "{nonsense}");
        assert_eq!(short, "error: \"kv-fail-opens\": NAME VALUE is wanted");
        assert_eq!(faults.slow(), Duration::from_millis(20));
        assert!(faults.read().is_err());
    }

    #[test]
    fn every_name_can_be_set() {
        for name in NAMES {
            assert_eq!(Faults::default().set(name, "1"), Ok(()));
        }
    }
}

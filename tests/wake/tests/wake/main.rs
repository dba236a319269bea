//! Origins that sleep, in virtual time: `cargo xtask test wake` adds real hosts.
#![expect(clippy::unwrap_used, reason = "this is a test suite")]

mod policies;
mod schedules;
mod ways;

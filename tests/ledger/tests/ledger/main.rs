//! The account, over the whole gateway in process: `cargo xtask test ledger` adds real hosts.
#![expect(clippy::unwrap_used, reason = "this is a test suite")]

mod accounts;
mod cache;
mod cache_account;
mod cached;
mod crash_points;
mod keys;
mod keys_crash_points;
mod limits;
mod pushed;
mod pushed_failures;
mod telemetry;

//! Origins that sleep. Pure: one row for each origin, and what is asked of it. The row is kept by the ledger, in the shard of
//! the origin, so that one wake runs however many instances ask.
//!
//! `cold → waking → ready`, and back to cold when it is found asleep. A wake is led by whoever holds its lease; a lease that
//! is not renewed is taken over. [`CAP_MS`] after its beginning a wake has failed, whatever comes.

mod cache;
mod lifecycle;

pub use cache::{Known, OriginCache};
pub use lifecycle::{Answer, Ask, EndedWake, Lifecycle, Progress, Refused, Run, WokenBy};

/// The hard end of a wake, and of every wait for one, in milliseconds.
pub const CAP_MS: u64 = 600_000;

/// How long a leader may be silent, in milliseconds.
pub const LEASE_MS: u64 = 10_000;

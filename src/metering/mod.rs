//! What was used and what it cost. Pure.
//!
//! - [`limit`]: what may be used. [`bound`]: the most that an attempt can use.
//! - [`record`]: the usage record of an attempt. [`report`]: sums over records; [`query`]: which. [`csv`]: records for tables. [`receipt`]: what our own server signs.

pub mod bound;
pub mod config_version;
pub mod csv;
pub mod limit;
pub mod query;
pub mod receipt;
pub mod record;
pub mod report;

/// In milliseconds.
pub(crate) const HOUR_MS: u64 = moegate_wire::period::HOUR_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

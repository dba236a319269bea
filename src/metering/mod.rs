//! What was used and what it cost. Pure.
//!
//! - [`record`]: the usage record of an attempt. [`report`]: sums over records. [`receipt`]: what our own server signs.

pub mod receipt;
pub mod record;
pub mod report;

//! What one run of the MoE server did with its time, hour by hour: the other half of a request's cost, since idle and
//! starting machines are paid for as well.

use serde::{Deserialize, Serialize};

/// One hour in milliseconds; [`Period::hour_ms`] is a multiple of it.
pub const HOUR_MS: u64 = 3_600_000;

/// Absolute totals of one instance within one hour. They only grow: of two for the same instance and hour, the one with the
/// larger sum is the later one and replaces the other. Times are micro-seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Random, made when the process starts; of the shape of [`crate::ticket::is_request_id`].
    pub origin_instance: String,
    /// Unix time in milliseconds at which the hour (UTC) begins.
    pub hour_ms: u64,
    /// Computing. Its sum over all hours is that of [`crate::Receipt::busy_us`] over all requests of the instance, those
    /// that did not come from a gateway included.
    pub busy_us: u64,
    /// Ready, and nothing to compute.
    pub idle_us: u64,
    /// Loading: from the start of the process, or of a wake, until it was ready. Time asleep is in none of the three.
    pub cold_us: u64,
}

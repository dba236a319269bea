//! What an instance of the MoE server did within an hour.

use serde::{Deserialize, Serialize};

/// Absolute sums, which only grow: a later value for the same instance and hour replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Made at random when the process starts.
    pub instance: String,
    /// Unix milliseconds of the hour's beginning (UTC).
    pub hour_ms: u64,
    /// Micro-seconds in which something was computed.
    pub busy_us: u64,
    /// Ready, and nothing to compute.
    pub idle_us: u64,
    /// From the start of the process, or from a wake, until it was ready.
    pub cold_us: u64,
}

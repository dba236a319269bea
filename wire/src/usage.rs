//! Token counts of one request.

use serde::{Deserialize, Serialize};

/// Counts in tokens. `cached` and `cache_write` are parts of `prompt`, `reasoning` is part of `completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt: u64,
    /// Read from a cache.
    pub cached: u64,
    /// Written to a cache, where the provider has a price for it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_write: u64,
    pub completion: u64,
    pub reasoning: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

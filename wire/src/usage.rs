//! Token counts of one request.

use serde::{Deserialize, Serialize};

/// Counts in tokens. `cached` is part of `prompt`, `reasoning` is part of `completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt: u64,
    pub cached: u64,
    pub completion: u64,
    pub reasoning: u64,
}

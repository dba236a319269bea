//! Which answers of a route are given again.

use serde::{Deserialize, Serialize};

/// Answers that are given again to the same request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Seconds for which an answer is given again. 1 to 604800 (seven days).
    pub seconds: u32,
    /// The largest answer that is kept, in KiB. 1 to 512.
    #[serde(default = "usual_kib")]
    pub max_kib: u32,
}

fn usual_kib() -> u32 {
    256
}

//! Which web pages may call the gateway.

use serde::{Deserialize, Serialize};

/// Which web pages may call the gateway from a browser (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>). Without
/// this table no answer has a CORS header, and browsers keep pages of other origins from reading any. A page's key is known
/// to whoever opens the page: give each person a key of their own, or let a server of yours add it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The pages' origins as browsers send them in the header `Origin`: scheme, host and port, exactly, such as
    /// `["https://app.example", "http://localhost:3000"]`. Or `["*"]`: pages of any origin. Keys come in the header
    /// `Authorization`; cookies are never asked for.
    pub origins: Vec<String>,
    /// Seconds for which a browser may remember that a page may call. At most 86400; Chrome remembers for 7200 at most.
    #[serde(default = "usual_max_age_s")]
    pub max_age_s: u32,
}

fn usual_max_age_s() -> u32 {
    7200
}

impl Cors {
    /// What stands for pages of any origin.
    pub const ANY: &str = "*";

    /// Whether pages of any origin may call.
    #[must_use]
    pub fn is_for_any(&self) -> bool {
        self.origins.iter().any(|origin| origin == Self::ANY)
    }
}

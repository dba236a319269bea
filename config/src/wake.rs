//! How origins that sleep are woken, and what becomes of requests meanwhile.

use crate::{Authority, Origin};
use serde::{Deserialize, Serialize};

/// How an origin that sleeps is woken. Compiled in: no stored value names a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wake {
    /// What is called.
    pub via: WakeVia,
    /// `http` only: the URL that starts the origin, such as the machine API of a cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `http` only: the method for `url`. Default: `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `http` only: the name of the platform secret that is sent to `url` as `Authorization: Bearer`, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `http` only: the body for `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// `http` only: the body's type. Default: `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `http` and `request`: the path at the origin's own host that answers 200 once it takes work. Default: `/health`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// `vllm` only: the level of its sleep, 1 or 2; after 2 the weights are read anew. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// Seconds that a streamed request waits at most; others wait no longer than 240, since clients give up on an answer's
    /// head at 300. 1 to 540: the hard end of a wake is at 600.
    #[serde(default = "budget_s")]
    pub budget_s: u32,
    /// Wakes in an hour at most. 1 to 60.
    #[serde(default = "per_hour")]
    pub per_hour: u32,
    /// Seconds after its last request for which the origin is taken to be awake; later, it is asked first. What the origin
    /// itself has as the time after which it sleeps. 1 to 86400.
    #[serde(default = "sleep_after_s")]
    pub sleep_after_s: u32,
    /// Requests that one instance of the gateway holds at once while the origin wakes; further ones are refused. 0 to 1000.
    #[serde(default = "queue")]
    pub queue: u32,
}

fn budget_s() -> u32 {
    480
}

fn per_hour() -> u32 {
    6
}

fn sleep_after_s() -> u32 {
    300
}

fn queue() -> u32 {
    100
}

/// What is called to wake an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WakeVia {
    /// `POST /wake` of a moe-server, or of its supervisor.
    Moegate,
    /// `POST /wake_up` of a vLLM with `--enable-sleep-mode`.
    Vllm,
    /// Any API that starts the origin.
    Http,
    /// A request is all that it takes, as with endpoints that start by themselves (Modal, Cloud Run, Knative).
    Request,
}

/// What becomes of a route's requests while an origin wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cold {
    /// Served by the route's other origins, at once; where none can, as `hold`.
    Fallback,
    /// They wait: streams get their head and comments at once, other answers come when they are there.
    Hold,
    /// Refused with 503 `origin_waking` and `Retry-After`.
    Refuse,
}

impl Origin {
    /// A URL at the origin's root: beside the API's `/v1`, if its URL ends in that.
    #[must_use]
    pub fn at_root(&self, path: &str) -> String {
        let root = self.url.strip_suffix("/v1").unwrap_or(&self.url);
        format!("{root}{path}")
    }

    /// What its wake's own secret belongs to: the name, and scheme and authority.
    #[must_use]
    pub fn wake_secret(&self) -> Option<(&str, Option<Authority<'_>>)> {
        let wake = self.wake.as_ref()?;
        Some((wake.secret.as_deref()?, wake.url.as_deref().and_then(Authority::of)))
    }
}

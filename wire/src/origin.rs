//! What an origin that can sleep says of itself, and what it is told.
//!
//! Paths, each with the origin's bearer key except `GET /health`, which says [`OriginStatus::reason`] only to who shows
//! the key:
//!
//! - `GET` [`HEALTH`]: 200 in every state, an [`OriginStatus`] (and other members).
//! - `POST` [`WAKE`]: 200 when it is ready, else 202 at once; an [`OriginStatus`]. Idempotent: while it is waking it joins.
//! - `POST` [`SLEEP`]: 200 when it is cold, else 202 at once; an [`OriginStatus`]. What runs is finished first.
//! - `POST` [`LEASE`] with a [`Lease`]: 200, an [`OriginStatus`]. It wakes nothing.
//!
//! Work that is refused in any state but ready: 503 with the error code [`OriginState::refusal`] and `Retry-After`.

use serde::{Deserialize, Serialize};

pub const HEALTH: &str = "/health";
/// 200 when it is ready, else 503.
pub const READY: &str = "/ready";
pub const WAKE: &str = "/wake";
pub const SLEEP: &str = "/sleep";
pub const LEASE: &str = "/lease";

/// The longest lease in seconds; longer ones are refused with 400.
pub const MAX_LEASE_SECONDS: u64 = 3600;

/// What can be done with an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginState {
    /// Asleep: no weights in memory; [`WAKE`] brings it back.
    Cold,
    /// Loading.
    Waking,
    /// Takes work.
    Ready,
    /// On its way to cold: what runs is finished, new work is refused.
    Draining,
}

impl OriginState {
    /// As it stands in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Waking => "waking",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// The code of the error for work that is refused because of the state.
    #[must_use]
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Cold => Some("asleep"),
            Self::Waking => Some("waking"),
            Self::Ready => None,
            Self::Draining => Some("draining"),
        }
    }
}

/// The state of an origin and how far it is. Members that say nothing are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginStatus {
    pub state: OriginState,
    /// Unix time in milliseconds, by the origin's clock, at which the state began.
    pub since_ms: u64,
    /// Bytes of the model that are loaded, of [`Self::total_bytes`]. Zero when cold.
    #[serde(default)]
    pub loaded_bytes: u64,
    /// Bytes to load; zero as long as that isn't known.
    #[serde(default)]
    pub total_bytes: u64,
    /// While waking: how long until it is ready, by the rate measured so far, else by the last wake; rounded up. Absent
    /// as long as nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// How long the last wake that succeeded took, in milliseconds. Absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_wake_ms: Option<u64>,
    /// Why the last wake failed, until one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks an origin not to sleep by itself for so long. Of several, the one that ends last holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// At most [`MAX_LEASE_SECONDS`].
    pub seconds: u64,
}

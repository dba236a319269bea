//! One request on its way, and what has come of it.

use super::attempt::Attempt;
use super::cors::Allowed;
use super::stream::Watch;
use crate::config::{Key, Route, StreamMode};
use crate::dialect::ClientDialect;
use crate::dialect::request::RequestFacts;
use crate::platform::Platform;
use crate::resilience::idempotency::{Fingerprint, StoredReply};
use crate::resilience::retry::RetryState;
use crate::rng::Rng;
use crate::routing::Target;

pub(super) struct RequestContext<'a, P: Platform> {
    pub(super) platform: &'a P,
    pub(super) dialect: &'static dyn ClientDialect,
    pub(super) route: &'a Route,
    pub(super) key: &'a Key,
    pub(super) allowed: Allowed<'a>,
    pub(super) id: String,
    pub(super) started_ms: u64,
    /// The most bytes of a whole answer.
    pub(super) limit: usize,
    pub(super) facts: RequestFacts,
    pub(super) retry: RetryState<'a>,
    pub(super) rng: Rng,
    pub(super) attempts: Vec<Attempt<'a>>,
    /// Where the answer may have to be given again.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) watch: Watch<'a, P>,
    /// The origin that is asked once more without the question for counts, by its place in the configuration.
    pub(super) without_usage: Option<usize>,
    /// What is to be given again.
    pub(super) stored_reply: Option<StoredReply>,
}

impl<P: Platform> RequestContext<'_, P> {
    /// How a stream from there passes. One that is to be kept has to be seen.
    pub(super) fn stream_mode(&self, target: &Target<'_>) -> StreamMode {
        match &self.fingerprint {
            Some(fingerprint) if fingerprint.is_chosen() => StreamMode::Pump,
            _ => target.stream_mode(),
        }
    }
}

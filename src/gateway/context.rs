//! One request on its way, and what has come of it.

use super::attempt::Attempt;
use super::cache::Cache;
use super::cors::Allowed;
use super::reserve::Told;
use super::stream::Watch;
use super::telemetry::Traced;
use super::wake::WakeState;
use crate::config::{Config, Key, Route, StreamMode};
use crate::dialect::request::RequestFacts;
use crate::dialect::{ClientDialect, Exchange};
use crate::ledger::operation::Hold;
use crate::metering::config_version::ConfigVersion;
use crate::platform::Platform;
use crate::resilience::idempotency::{Fingerprint, StoredReply};
use crate::resilience::retry::RetryState;
use crate::rng::Rng;
use crate::routing::Target;
use http::HeaderMap;
use std::rc::Rc;

pub(super) struct RequestContext<'a, P: Platform> {
    pub(super) platform: &'a P,
    pub(super) config: &'a Config,
    /// The configuration's.
    pub(super) version: ConfigVersion,
    pub(super) dialect: &'static dyn ClientDialect,
    /// Of the dialect's.
    pub(super) endpoint: &'static str,
    /// The client's headers for origins of its own API.
    pub(super) passed: HeaderMap,
    /// What an answer repeats of the request.
    pub(super) echo: Option<Rc<str>>,
    pub(super) route: &'a Route,
    pub(super) key: &'a Key,
    /// That it was made with, where its limits hold too.
    pub(super) maker: Option<&'a Key>,
    /// What the browser token may use that it came with.
    pub(super) hold: Option<&'a Hold>,
    pub(super) allowed: Allowed<'a>,
    pub(super) id: String,
    pub(super) started_ms: u64,
    /// The most bytes of a whole answer.
    pub(super) limit: usize,
    pub(super) facts: RequestFacts,
    /// What records say that it belongs to.
    pub(super) tag: Option<String>,
    /// Milliseconds for the first content, by origin, where the client wants an answer or another origin sooner.
    pub(super) timeouts_ms: Vec<(String, u64)>,
    /// What is left of limits.
    pub(super) limits: Told,
    pub(super) retry: RetryState<'a>,
    pub(super) rng: Rng,
    pub(super) attempts: Vec<Attempt<'a>>,
    /// Targets that were not asked, since they cannot be told the request.
    pub(super) skipped: Vec<Skipped<'a>>,
    /// The members that the last origin was not told.
    pub(super) dropped: Vec<String>,
    /// Where the answer may have to be given again.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) watch: Watch<'a, P>,
    /// The origin that is asked once more without the question for counts, by its place in the configuration.
    pub(super) without_usage: Option<usize>,
    /// On a route with a cache.
    pub(super) cache: Option<Cache>,
    /// What is to be given again.
    pub(super) stored_reply: Option<StoredReply>,
    pub(super) wake: WakeState<'a>,
    pub(super) traced: Traced,
    /// A stream's reply whose head was sent while it waits.
    pub(super) begun: Option<P::Outgoing>,
}

/// A target that was not asked.
pub(super) struct Skipped<'a> {
    pub(super) target: Target<'a>,
    /// How many attempts there were before.
    pub(super) before: usize,
    /// The members of the request that it cannot be told.
    pub(super) params: Vec<String>,
}

impl<P: Platform> RequestContext<'_, P> {
    /// How that origin's answers are read, and passed on to this client.
    pub(super) fn exchange(&self, target: &Target<'_>) -> Option<&'static dyn Exchange> {
        self.dialect.exchange(self.endpoint, target.origin, &target.model.name)
    }

    /// How a stream from there passes. One that is to be kept has to be seen.
    pub(super) fn stream_mode(&self, target: &Target<'_>) -> StreamMode {
        if self.cache.as_ref().is_some_and(Cache::keeps) {
            return StreamMode::Pump;
        }
        match &self.fingerprint {
            Some(fingerprint) if fingerprint.is_chosen() => StreamMode::Pump,
            // What is said anew has to be read.
            _ if self.exchange(target).is_none_or(|exchange| !exchange.passes()) => StreamMode::Pump,
            _ => target.stream_mode(),
        }
    }
}

//! Answers that are given again on routes with a `cache`: to the very same request of the same tenant.
//!
//! An answer stands in the platform's store under a hash of everything that shapes it. Nobody relies on the store: where it
//! does not answer in time, or gives something else, an origin is asked.

use super::context::RequestContext;
use super::generate::asked_path;
use super::reply::{self, header_text};
use super::reserve;
use super::stream::Watch;
use crate::config::{ErrorDetail, Route, Rule};
use crate::dialect::without_cost;
use crate::error::ApiError;
use crate::platform::{Payload, Platform};
use crate::resilience::idempotency::StoredReply;
use crate::routing::Target;
use http::{HeaderName, HeaderValue, Request, header};
use moegate_wire::{Ending, sign};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};

/// How long the store may take for an answer before an origin is asked, and to keep one.
const LOAD_MS: u64 = 1_000;
const STORE_MS: u64 = 5_000;
/// Workers KV keeps nothing for a shorter time.
const LEAST_S: u64 = 60;
/// Spin's default store takes no more than 1 MB.
const LARGEST: usize = 1_000_000;
/// Places for answers where the store forgets nothing by itself. Spin's documentation gives its default store 1,024 keys.
const PLACES: u16 = 512;

/// The headers that an answer is kept with.
const HEADERS: [HeaderName; 5] =
    [header::CONTENT_TYPE, reply::REQUEST_ID, reply::MODEL, reply::ORIGIN, reply::DROPPED];

/// What a request may do with its route's cache.
pub(super) struct Cache {
    /// Of everything that shapes the answer, in hex.
    content: String,
    /// An answer has to be younger than so many seconds.
    younger_than_s: u64,
    /// For how many seconds, and up to how many bytes, the answer may be kept; none where the client forbids it.
    kept: Option<(u64, usize)>,
}

impl Cache {
    fn storage_key<P: Platform>(&self) -> String {
        let content = &self.content;
        match u16::from_str_radix(&content[..4], 16) {
            Ok(hash) if !P::STORE_EXPIRES => format!("cache/{}", hash % PLACES),
            _ => format!("cache/{content}"),
        }
    }

    /// Whether the answer may have to be kept.
    pub(super) fn keeps(&self) -> bool {
        self.kept.is_some()
    }
}

/// An answer that is given again.
struct Hit<'a> {
    target: Target<'a>,
    stored: StoredReply,
    age_ms: u64,
}

/// SHA-256 of what is hashed into it.
struct Sha(Sha256);

impl Hasher for Sha {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// What the client says in `Cache-Control` (RFC 9111, section 5.2.1): how old an answer may be, in seconds, and whether it
/// may be kept. `no-store` takes none that was kept either.
fn asked_for(control: &str) -> (u64, bool) {
    let mut asked = (u64::MAX, true);
    for directive in control.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-cache") {
            asked.0 = 0;
        } else if name.eq_ignore_ascii_case("no-store") {
            asked = (0, false);
        } else if name.eq_ignore_ascii_case("max-age") {
            // What cannot be read takes nothing old.
            asked.0 = asked.0.min(value.trim().trim_matches('"').parse().unwrap_or(0));
        }
    }
    asked
}

/// Whether the key's name decides where a request of this route goes.
fn looks_at_key(route: &Route) -> bool {
    let mut looks = false;
    route.rule().visit(&mut |rule| {
        looks |= match rule {
            Rule::When { when, .. } => !when.key.is_empty(),
            Rule::Split { sticky, .. } => sticky.as_deref() == Some("key"),
            _ => false,
        };
    });
    looks
}

impl<'a, P: Platform> RequestContext<'a, P> {
    /// On a route with a cache: where the answer of this request stands.
    pub(super) fn open_cache(&mut self, head: &Request<()>, body: &[u8]) {
        let Some(settings) = &self.route.cache else { return };
        let headers = head.headers();
        let (asked_s, keep) = asked_for(header_text(headers, "cache-control"));
        let seconds = u64::from(settings.seconds);
        let mut sha = Sha(Sha256::new());
        let key = self.key;
        // Another version of the gateway may say the same answer otherwise.
        env!("CARGO_PKG_VERSION").hash(&mut sha);
        (key.tenant.is_some(), key.tenant_or_name()).hash(&mut sha);
        looks_at_key(self.route).then_some(&key.name).hash(&mut sha);
        // Streams tell some keys what was tried.
        (key.error_detail() == ErrorDetail::Full).hash(&mut sha);
        // With all that the configuration says of them.
        self.route.hash(&mut sha);
        for leaf in self.route.rule().leaves() {
            self.config.origin(&leaf.origin).hash(&mut sha);
        }
        asked_path(head).hash(&mut sha);
        header_text(headers, "content-type").hash(&mut sha);
        for name in self.dialect.passed_headers() {
            self.passed.get(name).map(HeaderValue::as_bytes).hash(&mut sha);
        }
        for name in self.config.rule_headers() {
            headers.get(&name).map(HeaderValue::as_bytes).hash(&mut sha);
        }
        body.hash(&mut sha);
        self.cache = Some(Cache {
            content: sign::to_hex(&sha.0.finalize()),
            younger_than_s: seconds.min(asked_s),
            kept: keep.then_some((seconds, settings.max_kib as usize * 1024)),
        });
    }

    /// Answers with what is kept, if anything is. Such a request counts as one, and costs nothing.
    ///
    /// # Errors
    /// A limit of requests is reached, or the ledger that keeps it does not answer.
    pub(super) async fn answer_again(&mut self) -> Result<bool, ApiError> {
        let Some(Hit { target, mut stored, age_ms }) = self.look_up().await else { return Ok(false) };
        // It is not kept anew.
        self.cache = None;
        let now_ms = self.platform.now_ms();
        let mut plan = self.plan_cached(&target, now_ms);
        if let Some(plan) = plan.as_mut().filter(|plan| plan.is_limited()) {
            let on_failure = self.route.on_ledger_failure;
            let reserved = reserve::reserve(self.platform, plan, on_failure, now_ms, false).await;
            self.limits = reserved.map_err(|refused| refused.error)?;
        }
        let mut reply = self.reply(200, self.facts.stream);
        let headers = reply.headers_mut();
        headers.remove(reply::ATTEMPT_LOG);
        for name in HEADERS.into_iter().filter(|name| *name != reply::REQUEST_ID) {
            if let Some(value) = stored.header(&name) {
                reply::insert(headers, name, value);
            }
        }
        headers.insert(reply::COST, HeaderValue::from_static("0"));
        headers.insert(reply::CACHE, HeaderValue::from_static("hit"));
        headers.insert(header::AGE, (age_ms / 1000).into());
        // Answers in another API's words have ids that are made of the request's.
        if let Some(id) = stored.header(&reply::REQUEST_ID).filter(|id| !id.is_empty()) {
            stored.body = stored.body.replace(id, &self.id);
        }
        if self.fingerprint.is_some() {
            self.store_reply(200, reply.headers(), stored.body.clone());
        }
        let body = Payload::Own(stored.body.into_bytes());
        let delivered = self.platform.respond(reply.map(|()| body)).await;
        let ending = if delivered.is_ok() { Ending::Complete } else { Ending::Cancelled };
        self.settle_cached(&target, plan.map(|plan| plan.reservation), ending).await;
        Ok(true)
    }

    async fn look_up(&self) -> Option<Hit<'a>> {
        let cache = self.cache.as_ref().filter(|cache| cache.younger_than_s > 0)?;
        let key = cache.storage_key::<P>();
        let until_ms = self.platform.now_ms() + LOAD_MS;
        let loaded = Watch::new(self.platform).run_unattended(self.platform.load(&key), until_ms).await;
        let stored: StoredReply = serde_json::from_str(&loaded?.ok()??).ok()?;
        let age_ms = self.platform.now_ms().saturating_sub(stored.kept_ms());
        if !stored.is_of(&cache.content) || age_ms >= cache.younger_than_s * 1000 {
            return None;
        }
        let (origin, model) = (stored.header(&reply::ORIGIN)?, stored.header(&reply::MODEL)?);
        let target = Target::of(self.config, self.route, origin, model)?;
        Some(Hit { target, stored, age_ms })
    }

    /// What is to be kept of this request's answer, if it is a whole one.
    pub(super) fn cache_entry(&self) -> Option<String> {
        let cache = self.cache.as_ref()?;
        let (_, most) = cache.kept?;
        let reply = self.stored_reply.as_ref().filter(|reply| reply.status == 200)?;
        let is_whole = |attempt: &super::attempt::Attempt<'_>| {
            attempt.failure.is_none() && attempt.ending == Ending::Complete
        };
        if reply.body.len() > most || !self.attempts.last().is_some_and(is_whole) {
            return None;
        }
        let entry = reply.only(&HEADERS, without_cost(&reply.body), cache.content.clone());
        serde_json::to_string(&entry).ok().filter(|entry| entry.len() <= LARGEST)
    }

    /// Keeps it. Where the store does not take it, the next request asks an origin.
    pub(super) async fn keep_in_cache(&self, entry: Option<String>) {
        let Some((cache, entry)) = self.cache.as_ref().zip(entry) else { return };
        let Some((seconds, _)) = cache.kept else { return };
        let key = cache.storage_key::<P>();
        let until_ms = self.platform.now_ms() + STORE_MS;
        let store = self.platform.store_for(&key, &entry, seconds.max(LEAST_S));
        let _kept = Watch::new(self.platform).run_unattended(store, until_ms).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_for() {
        for (control, expected) in [
            ("", (u64::MAX, true)),
            ("no-cache", (0, true)),
            ("No-Store", (0, false)),
            ("max-age=30", (30, true)),
            ("max-age=30, max-age=\"20\"", (20, true)),
            ("max-age=0", (0, true)),
            ("max-age=soon", (0, true)),
            ("public, max-age=5,no-store", (0, false)),
            ("no-transform", (u64::MAX, true)),
        ] {
            assert_eq!(asked_for(control), expected, "{control}");
        }
    }
}

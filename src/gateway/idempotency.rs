//! Requests that come again with the same `Idempotency-Key`.

use super::cors::Allowed;
use super::reply::{self, insert};
use crate::error::ApiError;
use crate::platform::{Payload, Platform};
use crate::resilience::idempotency::{Claim, Fingerprint, Owner, StoredReply};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::sync::Arc;

/// How often a repeat looks whether the first is answered.
const LOOK_AGAIN_MS: u64 = 25;

/// The right to answer a request for the first time. Whoever drops it without an answer lets the next one try.
pub(super) struct FirstClaim<'p, P: Platform> {
    platform: &'p P,
    pub(super) fingerprint: Fingerprint,
    owner: Owner,
    window_ms: u64,
}

pub(super) enum Claimed<'p, P: Platform> {
    First(FirstClaim<'p, P>),
    /// The client has got what the first one got.
    Replayed,
}

impl<P: Platform> Drop for FirstClaim<'_, P> {
    fn drop(&mut self) {
        self.platform.state(|state| state.idempotency.release(&self.fingerprint, self.owner));
    }
}

impl<P: Platform> FirstClaim<'_, P> {
    /// Keeps the answer for its repeats here.
    pub(super) fn keep(&self, stored: StoredReply) -> Arc<StoredReply> {
        let stored = Arc::new(stored);
        let kept = Arc::clone(&stored);
        self.platform.state(|state| state.idempotency.keep(&self.fingerprint, kept, self.window_ms));
        stored
    }

    /// And for those elsewhere.
    pub(super) async fn share(&self, stored: &StoredReply) {
        if self.fingerprint.is_chosen()
            && let Ok(value) = serde_json::to_string(stored)
        {
            let key = self.fingerprint.storage_key();
            self.platform.remember(&key, &value, self.window_ms / 1000).await;
        }
    }
}

/// Claims the request, waits for the first one, or gives its answer again.
///
/// # Errors
/// 422 where the key belongs to another request, 409 where the first is still under way when `until_ms` has come.
pub(super) async fn claim<'p, P: Platform>(
    platform: &'p P,
    allowed: Allowed<'_>,
    fingerprint: Fingerprint,
    window_ms: u64,
    until_ms: u64,
) -> Result<Claimed<'p, P>, ApiError> {
    let owner = loop {
        let now_ms = platform.now_ms();
        match platform.state(|state| state.idempotency.claim(&fingerprint, window_ms, now_ms, until_ms)) {
            Claim::First(owner) => break owner,
            Claim::Differs => return Err(ApiError::key_reused()),
            Claim::Again(stored) => {
                replay(platform, allowed, &stored).await;
                return Ok(Claimed::Replayed);
            }
            Claim::Running if now_ms >= until_ms => return Err(ApiError::still_running()),
            Claim::Running => platform.sleep(LOOK_AGAIN_MS).await,
        }
    };
    let first = FirstClaim { platform, fingerprint, owner, window_ms };
    if !fingerprint.is_chosen() {
        return Ok(Claimed::First(first));
    }
    let stored = platform.recall(&fingerprint.storage_key()).await;
    let stored = stored.and_then(|value| serde_json::from_str::<StoredReply>(&value).ok()).map(Arc::new);
    match stored.and_then(|stored| stored.claim(&fingerprint, window_ms, platform.now_ms())) {
        Some(Claim::Again(stored)) => {
            replay(platform, allowed, &stored).await;
            Ok(Claimed::Replayed)
        }
        Some(_) => Err(ApiError::key_reused()),
        None => Ok(Claimed::First(first)),
    }
}

/// The headers that an answer is given again with.
const HEADERS: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    reply::REQUEST_ID,
    reply::MODEL,
    reply::ORIGIN,
    reply::ATTEMPTS,
    reply::ATTEMPT_LOG,
    reply::COST,
];

async fn replay<P: Platform>(platform: &P, allowed: Allowed<'_>, stored: &StoredReply) {
    let mut reply = Response::new(Payload::Own(stored.body.clone().into_bytes()));
    *reply.status_mut() = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    for name in HEADERS {
        if let Some((_, value)) = stored.headers.iter().find(|(own, _)| *own == name.as_str()) {
            insert(reply.headers_mut(), name, value);
        }
    }
    reply.headers_mut().insert(reply::REPLAYED, HeaderValue::from_static("true"));
    allowed.add_to(reply.headers_mut());
    let _left = platform.respond(reply).await;
}

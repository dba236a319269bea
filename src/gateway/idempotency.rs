//! Requests that come again with the same `Idempotency-Key`.

use super::cors::Allowed;
use super::ledger::{ask, catch_up, tell};
use super::reply::{self, insert};
use crate::error::ApiError;
use crate::ledger::{Operation, Outcome, operation as ledger};
use crate::platform::{Payload, Platform, Urgency};
use crate::resilience::idempotency::{Claim, Fingerprint, Owner, StoredReply};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::cell::Cell;
use std::sync::Arc;

/// How often a repeat looks whether the first is answered, here and elsewhere.
const LOOK_AGAIN_MS: u64 = 25;
const ASK_AGAIN_MS: u64 = 500;
/// How long a claim outlives its request: until its attempts are settled and its answer kept.
const AFTERWARDS_MS: u64 = 60_000;

/// The right to answer a request for the first time. Whoever drops it without an answer lets the next one try.
pub(super) struct FirstClaim<'p, P: Platform> {
    platform: &'p P,
    pub(super) fingerprint: Fingerprint,
    owner: Owner,
    window_ms: u64,
    /// Where the claim stands for all instances; none where nobody else is asked.
    shared: Option<Shared<'p>>,
    /// Whether nothing of it is left there to be given back.
    over: Cell<bool>,
}

impl<'p> Shared<'p> {
    fn forget(self, fingerprint: &Fingerprint) -> Option<(&'p str, Operation)> {
        let Self::Ledger(shard, owner) = self else { return None };
        Some((shard, Operation::Forget { key: fingerprint.storage_key(), owner: owner.to_owned() }))
    }
}

/// Where other instances look.
#[derive(Clone, Copy)]
pub(super) enum Shared<'p> {
    /// The ledger's shard, and the request's id: exact.
    Ledger(&'p str, &'p str),
    /// What other instances may or may not see.
    Cache,
}

pub(super) enum Claimed<'p, P: Platform> {
    First(FirstClaim<'p, P>),
    /// The client has got what the first one got.
    Replayed,
}

impl<P: Platform> Drop for FirstClaim<'_, P> {
    fn drop(&mut self) {
        let forget =
            self.shared.filter(|_| !self.over.get()).and_then(|shared| shared.forget(&self.fingerprint));
        self.platform.state(|state| {
            state.idempotency.release(&self.fingerprint, self.owner);
            // The work was dropped: the ledger learns it with the next request.
            if let Some((shard, operation)) = forget
                && let Ok(operation) = serde_json::to_string(&operation)
            {
                state.untold.push(shard, operation);
            }
        });
    }
}

impl<P: Platform> FirstClaim<'_, P> {
    /// Keeps the answer for its repeats here.
    pub(super) fn keep(&self, stored: StoredReply) -> Arc<StoredReply> {
        let stored = Arc::new(stored.of(self.fingerprint.content_hex()));
        let kept = Arc::clone(&stored);
        self.platform.state(|state| state.idempotency.keep(&self.fingerprint, kept, self.window_ms));
        stored
    }

    /// And for those elsewhere.
    pub(super) async fn share(&self, stored: &StoredReply) {
        let Some(shared) = self.shared else { return };
        self.over.set(true);
        let Ok(reply) = serde_json::to_string(stored) else { return };
        let key = self.fingerprint.storage_key();
        match shared {
            Shared::Ledger(shard, owner) => {
                let until_ms = self.platform.now_ms() + self.window_ms;
                let keep = Operation::Keep { key, owner: owner.to_owned(), until_ms, reply };
                if ask(self.platform, shard, &keep).await.is_err()
                    && let Ok(keep) = serde_json::to_string(&keep)
                {
                    // Not into the log: it holds the answer.
                    self.platform.state(|state| state.untold.push(shard, keep));
                }
            }
            Shared::Cache => self.platform.remember(&key, &reply, self.window_ms / 1000).await,
        }
    }

    /// There is no answer to keep: the next one tries.
    pub(super) async fn forget(&self) {
        self.over.set(true);
        if let Some((shard, forget)) = self.shared.and_then(|shared| shared.forget(&self.fingerprint)) {
            tell(self.platform, shard, &forget, Urgency::Now).await;
        }
    }
}

/// Claims the request, waits for the first one, or gives its answer again.
///
/// # Errors
/// 422 where the key belongs to another request, 409 where the first is still under way when `until_ms` has come, 503 where
/// the ledger does not answer.
pub(super) async fn claim<'p, P: Platform>(
    platform: &'p P,
    allowed: Allowed<'_>,
    fingerprint: Fingerprint,
    shared: Shared<'p>,
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
    let shared = fingerprint.is_chosen().then_some(shared);
    let first = FirstClaim { platform, fingerprint, owner, window_ms, shared, over: Cell::new(false) };
    let claimed = match shared {
        None => None,
        Some(Shared::Ledger(shard, id)) => first.claim_in_ledger(shard, id, until_ms).await?,
        Some(Shared::Cache) => {
            let stored = platform.recall(&fingerprint.storage_key()).await;
            stored.and_then(|reply| first.read(&reply))
        }
    };
    if claimed.is_some() {
        // What stands there is another's.
        first.over.set(true);
    }
    match claimed {
        Some(Claim::Again(stored)) => {
            replay(platform, allowed, &stored).await;
            Ok(Claimed::Replayed)
        }
        Some(_) => Err(ApiError::key_reused()),
        None => Ok(Claimed::First(first)),
    }
}

impl<P: Platform> FirstClaim<'_, P> {
    fn read(&self, reply: &str) -> Option<Claim> {
        let stored: StoredReply = serde_json::from_str(reply).ok()?;
        Arc::new(stored).claim(&self.fingerprint, self.window_ms, self.platform.now_ms())
    }

    /// `None`: it is the first of all instances.
    async fn claim_in_ledger(&self, shard: &str, id: &str, until_ms: u64) -> Result<Option<Claim>, ApiError> {
        // A claim of this instance's whose work was dropped may stand there still.
        catch_up(self.platform).await;
        loop {
            let now_ms = self.platform.now_ms();
            let claim = Operation::Claim(ledger::Claim {
                key: self.fingerprint.storage_key(),
                content: self.fingerprint.content_hex(),
                owner: id.to_owned(),
                now_ms,
                // What follows the answer takes time too.
                until_ms: until_ms + AFTERWARDS_MS,
            });
            match ask(self.platform, shard, &claim).await {
                Ok(Outcome::Claimed(ledger::Claimed::First)) => return Ok(None),
                Ok(Outcome::Claimed(ledger::Claimed::Differs)) => return Ok(Some(Claim::Differs)),
                Ok(Outcome::Claimed(ledger::Claimed::Again { reply })) => return Ok(self.read(&reply)),
                Ok(Outcome::Claimed(ledger::Claimed::Running)) if now_ms + ASK_AGAIN_MS < until_ms => {
                    self.platform.sleep(ASK_AGAIN_MS).await;
                }
                Ok(Outcome::Claimed(ledger::Claimed::Running)) => return Err(ApiError::still_running()),
                _ => return Err(ApiError::ledger_unavailable()),
            }
        }
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
        if let Some(value) = stored.header(&name) {
            insert(reply.headers_mut(), name, value);
        }
    }
    reply.headers_mut().insert(reply::REPLAYED, HeaderValue::from_static("true"));
    allowed.add_to(reply.headers_mut());
    let _left = platform.respond(reply).await;
}

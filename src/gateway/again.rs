//! Requests that come again with the same `Idempotency-Key`.

use crate::core::config::Key;
use crate::core::error::ApiError;
use crate::core::repeats::{Claim, Kept, Repeat};
use crate::platform::{Head, Platform, Reply, ReplyBody};
use std::sync::Arc;

/// How often a repeat looks whether the first is answered.
const LOOK_AGAIN_MS: u64 = 25;

/// The right to answer a request for the first time. Whoever drops it without an answer lets the next one try.
pub(super) struct First<'a, P: Platform> {
    platform: &'a P,
    pub(super) repeat: Repeat,
    window_ms: u64,
}

impl<P: Platform> Drop for First<'_, P> {
    fn drop(&mut self) {
        self.platform.memory(|memory| memory.repeats.release(&self.repeat));
    }
}

impl<P: Platform> First<'_, P> {
    /// Keeps the answer for its repeats: at once for those here, a moment later for those elsewhere.
    pub(super) async fn answered(self, kept: Kept) {
        let kept = Arc::new(kept);
        let window_ms = self.window_ms;
        self.platform.memory(|memory| memory.repeats.keep(&self.repeat, Arc::clone(&kept), window_ms));
        if self.repeat.is_chosen()
            && let Ok(value) = serde_json::to_string(&*kept)
        {
            self.platform.remember(&self.repeat.storage_key(), &value, window_ms / 1000).await;
        }
    }
}

/// Some, if the request is to be answered now. None: it is answered, with what the first one got.
///
/// # Errors
/// 422 where the key belongs to another request, 409 where the first is still under way when `until_ms` has come.
pub(super) async fn first<'a, P: Platform>(
    platform: &'a P,
    repeat: Repeat,
    window_ms: u64,
    until_ms: u64,
) -> Result<Option<First<'a, P>>, ApiError> {
    loop {
        let now_ms = platform.now_ms();
        match platform.memory(|memory| memory.repeats.claim(&repeat, window_ms, now_ms, until_ms)) {
            Claim::First => break,
            Claim::Differs => return Err(ApiError::key_reused()),
            Claim::Again(kept) => {
                give(platform, &kept).await;
                return Ok(None);
            }
            Claim::Running if now_ms >= until_ms => return Err(ApiError::still_running()),
            Claim::Running => {
                if platform.sleep(LOOK_AGAIN_MS).await.is_err() {
                    return Err(ApiError::still_running());
                }
            }
        }
    }
    let first = First { platform, repeat, window_ms };
    if !repeat.is_chosen() {
        return Ok(Some(first));
    }
    let kept = platform.recall(&repeat.storage_key()).await;
    let kept = kept.and_then(|value| serde_json::from_str::<Kept>(&value).ok()).map(Arc::new);
    match kept.and_then(|kept| kept.claim(&repeat, window_ms, platform.now_ms())) {
        Some(Claim::Again(kept)) => {
            give(platform, &kept).await;
            Ok(None)
        }
        Some(_) => Err(ApiError::key_reused()),
        None => Ok(Some(first)),
    }
}

/// The repeat that a request may be.
pub(super) fn repeat_of(head: &Head, key: &Key, path: &str, body: &[u8], window_s: u32) -> Option<Repeat> {
    let idempotency_key = head.idempotency_key.as_deref().filter(|_| window_s > 0)?;
    Some(Repeat::of(&key.name, idempotency_key, path, body))
}

/// The headers that an answer is given again with.
const HEADERS: &[&str] = &[
    "content-type",
    "cache-control",
    moegate_wire::header::REQUEST_ID,
    "x-moegate-model",
    "x-moegate-origin",
    "x-moegate-attempts",
    "x-moegate-attempt-log",
    "x-moegate-cost",
];

async fn give<P: Platform>(platform: &P, kept: &Kept) {
    let known = HEADERS.iter().filter_map(|&known| {
        let (_, value) = kept.headers.iter().find(|(name, _)| name == known)?;
        Some((known, value.clone()))
    });
    let mut headers: Vec<_> = known.collect();
    headers.push(("x-moegate-replayed", "true".to_owned()));
    let body = ReplyBody::Bytes(kept.body.clone().into_bytes());
    platform.respond(Reply { status: kept.status, headers }, body).await;
}

//! Reads requests' bodies: each up to a size, and all of them together within a budget of memory.

use super::connections::Limits;
use super::error::ApiError;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The memory that bodies may take, over all requests.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

/// Of a header's value in an error.
const MOST_SHOWN: usize = 64;

/// What one permit of a [`Budget`] stands for.
const BLOCK_BYTES: usize = 1_024;

impl Budget {
    /// Room for `bytes`, rounded up to whole KiB.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(BLOCK_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// Never waits: bodies that wait for one another while each holds a part would wait for ever.
    fn take(&self, blocks: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        self.0.clone().try_acquire_many_owned(blocks).map_err(|_| ApiError {
            retry_after_s: Some(2),
            ..ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "server_busy",
                "the bodies of other requests take all the memory that is meant for them; try again after the \
                 seconds that Retry-After says",
            )
        })
    }
}

/// A body and its share of the budget.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

/// Reads the body up to `limit` bytes. Where that fails, takes in as much again before answering: many clients read
/// the answer only after they have sent all.
pub(super) async fn read(
    body: Body,
    limit: usize,
    limits: &Limits,
    budget: &Budget,
) -> Result<Whole, ApiError> {
    let mut body = body.into_data_stream();
    let result = collect(&mut body, limit, limits, budget).await;
    if result.as_ref().is_err_and(|error| error.status != StatusCode::REQUEST_TIMEOUT) {
        drop_rest(body, limit, limits).await;
    }
    result
}

async fn collect(
    body: &mut BodyDataStream,
    limit: usize,
    limits: &Limits,
    budget: &Budget,
) -> Result<Whole, ApiError> {
    let too_large = || {
        let message = format!(
            "the body is larger than {limit} bytes; send less, or start the server with a larger --max-body-mb"
        );
        Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message))
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return too_large();
    }
    let mut bytes = Vec::with_capacity(announced);
    let mut share = budget.take(0)?;
    loop {
        let Ok(chunk) = timeout(limits.body_silence, body.next()).await else {
            let message = format!(
                "nothing of the body came for {} seconds; send it again",
                limits.body_silence.as_secs()
            );
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message));
        };
        let Some(chunk) = chunk else { return Ok(Whole { bytes, _share: share }) };
        let chunk: Bytes = chunk.map_err(|_| {
            ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body did not arrive completely")
        })?;
        let length = bytes.len() + chunk.len();
        if length > limit {
            return too_large();
        }
        share.merge(budget.take(length.div_ceil(BLOCK_BYTES) - share.num_permits())?);
        bytes.extend_from_slice(&chunk);
    }
}

/// Takes in what is left of a refused request's body, in bounds, and forgets it: a client that still sends when the
/// connection is closed often never sees why.
pub(super) async fn drain(body: Body, limit: usize, limits: &Limits) {
    drop_rest(body.into_data_stream(), limit, limits).await;
}

async fn drop_rest(mut stream: BodyDataStream, limit: usize, limits: &Limits) {
    let mut dropped = 0;
    let all = async {
        while let Some(Ok(chunk)) = stream.next().await
            && dropped <= limit
        {
            dropped += chunk.len();
        }
    };
    // Late or not, the answer is the same.
    let _ = timeout(limits.drain, all).await;
}

/// # Errors
/// 415 for a compressed body.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let plain = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    if text.split(',').all(|name| plain(name.trim())) {
        return Ok(());
    }
    let shown: String = text.chars().take(MOST_SHOWN).collect();
    let message = format!(
        "the body has the content encoding `{shown}`, which this server does not decode: send it without \
         `Content-Encoding`, as plain JSON"
    );
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ApiError::ENCODED, message))
}

/// Whether the client waits for a sign before it sends the body: then a refusal needs none of it.
pub(super) fn waits_for_continue(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_is_of_all_bodies_together() {
        let limits = Limits::default();
        let budget = Budget::new(3_000);
        let read = async |size: usize| read(Body::from(vec![0; size]), 10_000, &limits, &budget).await;
        let first = read(2_048).await.unwrap();
        assert_eq!((first.bytes.len(), budget.0.available_permits()), (2_048, 1));
        let error = read(1_025).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.code, error.retry_after_s), (429, "server_busy", Some(2)));
        assert_eq!(read(1_024).await.unwrap().bytes.len(), 1_024);
        drop(first);
        assert_eq!(budget.0.available_permits(), 3);
        assert_eq!(read(3_072).await.unwrap().bytes.len(), 3_072);
        assert_eq!(read(0).await.unwrap().bytes.len(), 0);
    }
}

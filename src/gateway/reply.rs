//! Heads of replies, and errors.

use super::attempt::{self};
use super::context::RequestContext;
use super::cors::Allowed;
use crate::config::{ErrorDetail, Failure};
use crate::dialect::ClientDialect;
use crate::dialect::request::StreamForm;
use crate::error::{ApiError, Detail, Limited, Remaining};
use crate::platform::{Payload, Platform};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use moegate_wire::header as wire;

pub(super) const MODEL: HeaderName = HeaderName::from_static("x-moegate-model");
pub(super) const ORIGIN: HeaderName = HeaderName::from_static("x-moegate-origin");
pub(super) const ATTEMPTS: HeaderName = HeaderName::from_static("x-moegate-attempts");
pub(super) const ATTEMPT_LOG: HeaderName = HeaderName::from_static("x-moegate-attempt-log");
pub(super) const DROPPED: HeaderName = HeaderName::from_static("x-moegate-dropped");
pub(super) const COST: HeaderName = HeaderName::from_static("x-moegate-cost");
pub(super) const CACHE: HeaderName = HeaderName::from_static("x-moegate-cache");
pub(super) const ORIGIN_STATE: HeaderName = HeaderName::from_static("x-moegate-origin-state");
pub(super) const WAKE_SECONDS: HeaderName = HeaderName::from_static("x-moegate-wake-seconds");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("x-moegate-replayed");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static(wire::REQUEST_ID);
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A header's text; empty where there is none that is text.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// A header's value as text, whatever its bytes.
pub(super) fn bytes_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// A value that comes from the configuration or from numbers; what could not stand in a header is left out.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn head(status: u16, content_type: HeaderValue, allowed: Allowed<'_>) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = head.headers_mut();
    headers.reserve(10);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    allowed.add_to(headers);
    head
}

/// What is left of a limit, as OpenAI's clients read it.
pub(super) fn remaining(headers: &mut HeaderMap, remaining: &Remaining) {
    let [limit, left, reset] = match remaining.what {
        Limited::Requests => [
            HeaderName::from_static("x-ratelimit-limit-requests"),
            HeaderName::from_static("x-ratelimit-remaining-requests"),
            HeaderName::from_static("x-ratelimit-reset-requests"),
        ],
        Limited::Tokens => [
            HeaderName::from_static("x-ratelimit-limit-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ],
    };
    headers.insert(limit, remaining.limit.into());
    headers.insert(left, remaining.left.into());
    insert(headers, reset, &duration(remaining.reset_ms));
}

/// As OpenAI writes it: `6m0s`, `1s`, `250ms`.
fn duration(ms: u64) -> String {
    let (minutes, seconds) = (ms / 60_000, ms / 1000 % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{ms}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

/// 200 with JSON. To a HEAD the platform sends the head alone.
pub(super) async fn json<P: Platform>(platform: &P, allowed: Allowed<'_>, body: String) {
    // A client that has left misses nothing.
    let _left = platform.respond(head(200, JSON, allowed).map(|()| Payload::Own(body.into_bytes()))).await;
}

/// 200 with a page. It loads nothing, and cannot be framed.
pub(super) async fn html<P: Platform>(platform: &P, allowed: Allowed<'_>, page: &'static str) {
    let mut reply = head(200, HeaderValue::from_static("text/html; charset=utf-8"), allowed);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    let _left = platform.respond(reply.map(|()| Payload::Own(page.as_bytes().to_vec()))).await;
}

/// The head of lines of JSON, or of CSV.
pub(super) fn lines(allowed: Allowed<'_>, csv: bool) -> Response<()> {
    let content_type = if csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    head(200, HeaderValue::from_static(content_type), allowed)
}

/// A reply without a body.
pub(super) async fn nothing<P: Platform>(platform: &P, head: Response<()>) {
    let _left = platform.respond(head.map(|()| Payload::Empty)).await;
}

/// An error as the whole reply; with what a request has met on its way, where it came that far.
pub(super) async fn refuse<P: Platform>(
    platform: &P,
    allowed: Allowed<'_>,
    dialect: &dyn ClientDialect,
    error: &ApiError,
    request_id: Option<&str>,
    context: Option<&RequestContext<'_, P>>,
) {
    let mut reply = head(error.status, JSON, allowed);
    let headers = reply.headers_mut();
    if let Some(context) = context {
        context.tell_wake(headers);
    }
    if error.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if error.status == 415 {
        // RFC 9110, section 15.5.16: what would have been taken.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let Some(seconds) = error.retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(Detail::Limit(left)) = error.detail.as_deref() {
        remaining(headers, left);
    }
    if let Some(methods) = error.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(id) = request_id {
        insert(headers, REQUEST_ID, id);
        if let Some(name) = dialect.id_header() {
            insert(headers, name, id);
        }
    }
    let body = match context {
        Some(context) => context.error_payload(error),
        None => Payload::Own(dialect.error_body(error, None).into_bytes()),
    };
    let _left = platform.respond(reply.map(|()| body)).await;
}

/// What a client learns of an error whose text is for the operator.
pub(super) fn plain(error: &ApiError, request_id: &str) -> ApiError {
    let what = match error.status {
        401..=403 => "could not be used with the gateway's account there",
        429 => "is limiting the rate of requests",
        504 => "did not answer in time",
        _ => "failed",
    };
    let message = format!(
        "the provider of this model {what}; the gateway's operator finds the reason under the request id {request_id}"
    );
    let shown = match error.status {
        status @ (429 | 502..=504) => ApiError::upstream(status, plain_code(status), message),
        status if status >= 500 => ApiError::upstream(502, "provider_error", message),
        status => ApiError::upstream(status, plain_code(status), message),
    };
    ApiError { retry_after_s: error.retry_after_s, ..shown }
}

fn plain_code(status: u16) -> &'static str {
    match status {
        401..=403 => "provider_refused",
        429 => "rate_limit_exceeded",
        504 => "provider_timeout",
        _ => "provider_error",
    }
}

/// The status of an error whose text is withheld: no client is to blame for the account that the gateway uses.
pub(super) fn plain_status(status: u16, failure: Option<Failure>) -> u16 {
    match failure {
        Some(Failure::RateLimited) if has_status_of_requests(status) => 429,
        Some(Failure::BadKey) if has_status_of_requests(status) => 502,
        _ => status,
    }
}

/// Statuses that are usually about the request itself.
fn has_status_of_requests(status: u16) -> bool {
    matches!(status, 400 | 404 | 413 | 422)
}

/// Whether an error's text is about the request itself, and not about the account that the gateway uses there.
pub(super) fn is_about_the_request(status: u16, failure: Option<Failure>) -> bool {
    match failure {
        Some(Failure::ContentFilter) => status < 500,
        Some(Failure::BadKey | Failure::RateLimited) => false,
        _ => has_status_of_requests(status),
    }
}

impl<P: Platform> RequestContext<'_, P> {
    /// An error as a body.
    pub(super) fn error_payload(&self, error: &ApiError) -> Payload<P::Bytes> {
        let id = (!self.attempts.is_empty()).then_some(&*self.id);
        Payload::Own(self.dialect.error_body(error, id).into_bytes())
    }

    /// The head of a reply that says who answered.
    pub(super) fn reply(&self, status: u16, streamed: bool) -> Response<()> {
        let events = streamed && self.facts.stream_form == StreamForm::Events;
        let mut reply = head(status, if events { EVENT_STREAM } else { JSON }, self.allowed);
        let headers = reply.headers_mut();
        insert(headers, REQUEST_ID, &self.id);
        if let Some(name) = self.dialect.id_header() {
            insert(headers, name, &self.id);
        }
        if let Some(attempt) = self.attempts.last() {
            insert(headers, MODEL, &attempt.target.model.name);
            insert(headers, ORIGIN, &attempt.target.origin.name);
        }
        if !self.dropped.is_empty() {
            insert(headers, DROPPED, &attempt::some_of(&self.dropped, ", "));
        }
        headers.insert(ATTEMPTS, self.attempts.len().into());
        if self.cache.is_some() {
            headers.insert(CACHE, HeaderValue::from_static("miss"));
        }
        self.limits.add_to(headers);
        self.tell_wake(headers);
        if self.key.error_detail() == ErrorDetail::Full {
            insert(headers, ATTEMPT_LOG, &attempt::log(&self.attempts, &self.skipped));
        }
        reply
    }
}

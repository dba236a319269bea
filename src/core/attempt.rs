//! One try at one origin: the request to send, and what its answer means.

use super::config::{Kind, Prefill, StreamWay};
use super::error::ApiError;
use super::route::Target;
use super::secret::OriginSecrets;
use super::stream::Partial;
use super::usage;
use crate::api::openai::{Changes, NoResume, Request, Resume};
use moegate_wire::{Receipt, Ticket, Usage, header, receipt, resume};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What goes to an origin.
#[derive(Clone, PartialEq, Eq)]
pub struct Outbound {
    pub method: &'static str,
    pub url: String,
    /// Carries secrets: this type has no `Debug`.
    pub headers: Vec<(String, String)>,
    pub body: OutboundBody,
    pub timeouts: Timeouts,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a stream's first content, or the whole of another answer, must be there.
    pub first_byte_ms: u32,
    /// Between two chunks of a pumped stream.
    pub idle_ms: u32,
    /// Until a stream must be at its end.
    pub total_ms: u32,
}

/// What differs from attempt to attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// At the origin.
    pub path: &'a str,
    pub id: &'a str,
    pub now_ms: u64,
    /// When the whole request must be over.
    pub deadline_ms: u64,
    /// How a stream is to pass.
    pub way: StreamWay,
    /// The answer so far, where the origin is to go on with one.
    pub partial: Option<&'a Partial>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboundBody {
    Empty,
    /// The bytes that the client sent, as they are.
    AsReceived,
    Bytes(Vec<u8>),
}

/// The few headers of an answer that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerHeaders {
    pub content_type: String,
    pub retry_after: String,
    pub retry_after_ms: String,
    /// Of a receipt.
    pub signature: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// Refused, unresolvable, no TLS.
    Connect,
    /// No first byte in time.
    Timeout,
    /// The connection broke before the answer was whole (before its first chunk, for a stream).
    Broken,
    /// What came is no stream of events with JSON, or one that ended before it had begun.
    BadStream,
    /// An unstreamed answer over the limit for bodies.
    TooLarge,
    /// The client left meanwhile.
    Cancelled,
}

/// The request for `target`.
///
/// # Errors
/// [`NoResume`] where it cannot go on with such a request.
pub fn request(
    target: &Target<'_>,
    secrets: &OriginSecrets<'_>,
    request: &Request<'_>,
    attempt: Attempt<'_>,
) -> Result<Outbound, NoResume> {
    let Attempt { path, id, now_ms, deadline_ms, way, partial } = attempt;
    let url = format!("{}{path}", target.origin.url);
    let mut headers = base_headers(secrets, &url);
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers.push((header::REQUEST_ID.to_owned(), id.to_owned()));
    let own = target.origin.kind == Kind::Moegate;
    if own && let Some(key) = secrets.bearer() {
        let ticket =
            Ticket { request_id: id.to_owned(), issued_at: now_ms / 1000, price: target.model.price() };
        headers.push((header::TICKET.to_owned(), key.sign_with(|key| ticket.encode(key))));
    }
    if own && target.route.continues && request.stream {
        headers.push((header::RESUME.to_owned(), resume::WANTED.to_owned()));
    }
    let changes = Changes {
        served: &target.model.name,
        // A relayed stream is metered by its receipt; a pumped one has to carry its usage.
        ask_usage: way == StreamWay::Pump,
        resume: partial.map(|partial| match own {
            true => Resume::Tokens(partial),
            false => Resume::Text(partial, target.origin.prefill),
        }),
    };
    let body = match request.rewritten(changes)? {
        Some(bytes) => OutboundBody::Bytes(bytes),
        None if partial.is_none() => OutboundBody::AsReceived,
        // The reply has begun: the platform has let go of what it received.
        None => OutboundBody::Bytes(request.body().to_vec()),
    };
    let left_ms = deadline_ms.saturating_sub(now_ms);
    Ok(Outbound {
        method: "POST",
        url,
        headers,
        body,
        timeouts: Timeouts {
            first_byte_ms: milliseconds(target.first_byte_ms().min(left_ms)),
            idle_ms: target.idle_ms(),
            total_ms: milliseconds(left_ms),
        },
    })
}

/// Timers take at most 2^31 - 1.
fn milliseconds(value: u64) -> u32 {
    value.clamp(1, (1 << 31) - 1) as u32
}

/// Whether the target can go on with the partial answer.
#[must_use]
pub fn can_resume(target: &Target<'_>, partial: &Partial) -> bool {
    match target.origin.kind {
        Kind::Moegate => partial.has_all_tokens(),
        Kind::Openai => partial.has_text_only() && target.origin.prefill != Prefill::None,
    }
}

/// The question for a receipt; waits a little for a generation that is just being cancelled.
#[must_use]
pub fn receipt_request(target: &Target<'_>, secrets: &OriginSecrets<'_>, request_id: &str) -> Outbound {
    let url = format!("{}/receipts/{request_id}?wait_ms=1500", target.origin.url);
    Outbound {
        method: "GET",
        headers: base_headers(secrets, &url),
        url,
        body: OutboundBody::Empty,
        timeouts: Timeouts { first_byte_ms: 5_000, idle_ms: 5_000, total_ms: 5_000 },
    }
}

fn base_headers(secrets: &OriginSecrets<'_>, url: &str) -> Vec<(String, String)> {
    let mut headers =
        vec![("user-agent".to_owned(), concat!("moegate/", env!("CARGO_PKG_VERSION")).to_owned())];
    secrets.attach(url, &mut headers);
    headers
}

/// The receipt in an answer, if its signature holds and it is the one that was asked for.
#[must_use]
pub fn read_receipt(
    headers: &AnswerHeaders,
    body: &[u8],
    secrets: &OriginSecrets<'_>,
    request_id: &str,
) -> Option<Receipt> {
    let signed = secrets.bearer()?.sign_with(|key| receipt::verify_body(key, body, &headers.signature));
    let receipt: Receipt = signed.then(|| serde_json::from_slice(body).ok())??;
    (receipt.id == request_id).then_some(receipt)
}

/// Whether an answer of this status shows that nothing was computed: the request was refused, or the origin is overloaded,
/// or Cloudflare says that it never reached the origin.
#[must_use]
pub fn used_nothing(status: u16) -> bool {
    matches!(status, 300..=499 | 503 | 521..=523 | 525 | 526 | 529 | 530)
}

/// What an unstreamed answer means for the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// To be passed on; `body` replaces the answer's own bytes where it is there.
    Pass { usage: Option<Usage>, body: Option<Vec<u8>> },
    /// The origin's own error, in OpenAI's shape: to be passed on as it is, with this status.
    PassError(u16),
    /// To be answered instead.
    Replace(ApiError),
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The counts in an answer's body, whatever else it holds: an error may come with what it cost.
#[must_use]
pub fn counts(body: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<Answer<'_>>(body).ok()?.usage.and_then(usage::parse)
}

/// Judges a whole answer by status and body.
#[must_use]
pub fn judge(target: &Target<'_>, secrets: &OriginSecrets<'_>, status: u16, body: &[u8]) -> Judgement {
    let origin = &target.origin.name;
    if secrets.occur_in(body) {
        return Judgement::Replace(ApiError::upstream(
            502,
            "origin_leaked_secret",
            format!(
                "origin `{origin}` answered {status} with a text that holds the gateway's own key for it; the answer was withheld"
            ),
        ));
    }
    let answer = serde_json::from_slice::<Answer<'_>>(body);
    match (status, answer) {
        (200..=299, Ok(Answer { error: Some(error), .. })) if error.get() != "null" => {
            Judgement::PassError(502)
        }
        (200..=299, Ok(Answer { usage, .. })) => pass(target, body, usage),
        (200..=299, Err(_)) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` answered {status} with something that is not a JSON object"),
        )),
        // Moderation and region blocks are the origin's word to the client; without such a body it is about the key.
        (403, Ok(Answer { error: Some(error), .. })) if error.get().starts_with('{') => {
            Judgement::PassError(status)
        }
        (401 | 403 | 407, Err(_)) if body.starts_with(b"error code: 1") => {
            Judgement::Replace(failure(target, SendError::Connect))
        }
        (401 | 403 | 407, _) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_refused_key",
            format!(
                "origin `{origin}` refused the gateway's own key ({status}): check its secret; your key is fine"
            ),
        )),
        (300..=399, _) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_redirects",
            format!(
                "origin `{origin}` answered with a redirect ({status}), which is never followed: put the final URL into moegate.toml"
            ),
        )),
        // What Cloudflare answers in an origin's place: refused, unreachable, no TLS, unresolvable; and where the
        // origin was reached: an empty answer, a late one.
        (521..=523 | 525 | 526 | 530, Err(_)) => Judgement::Replace(failure(target, SendError::Connect)),
        (520 | 527, Err(_)) => Judgement::Replace(failure(target, SendError::Broken)),
        (524, Err(_)) => Judgement::Replace(failure(target, SendError::Timeout)),
        (400..=599, Ok(Answer { error: Some(error), .. })) if error.get().starts_with('{') => {
            Judgement::PassError(status)
        }
        (400..=599, _) => Judgement::Replace(ApiError::upstream(
            status,
            "origin_error",
            format!("origin `{origin}` answered {status} without an error in OpenAI's form"),
        )),
        _ => Judgement::Replace(ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` answered with the status {status}"),
        )),
    }
}

fn pass(target: &Target<'_>, body: &[u8], raw: Option<&RawValue>) -> Judgement {
    let usage = raw.and_then(usage::parse);
    let insertion = raw
        .zip(usage)
        .and_then(|(raw, usage)| usage::cost_insertion(body, raw, target.model.price().cost(&usage)));
    let body = insertion.map(|(at, text)| [&body[..at], text.as_bytes(), &body[at..]].concat());
    Judgement::Pass { usage, body }
}

/// What the client is told when there was no answer.
#[must_use]
pub fn failure(target: &Target<'_>, error: SendError) -> ApiError {
    let origin = &target.origin.name;
    match error {
        SendError::Connect => ApiError::upstream(
            502,
            "origin_unreachable",
            format!(
                "origin `{origin}` cannot be reached or broke off before it answered: see that it runs, and that its URL in moegate.toml is right (on Workers, no IP addresses)"
            ),
        ),
        SendError::Timeout => ApiError::upstream(
            504,
            "origin_timeout",
            format!("origin `{origin}` did not answer within {} s", target.first_byte_ms() / 1000),
        ),
        SendError::Broken => ApiError::upstream(
            502,
            "origin_broke_off",
            format!("origin `{origin}` broke the connection before its answer was whole"),
        ),
        SendError::BadStream => ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` sent a stream without any event that could be read"),
        ),
        SendError::TooLarge => ApiError::upstream(
            502,
            "origin_answer_too_large",
            format!(
                "origin `{origin}` sent an unstreamed answer over the limit for bodies; ask for a stream"
            ),
        ),
        SendError::Cancelled => {
            ApiError::upstream(499, "client_left", "the client left before the answer came")
        }
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;

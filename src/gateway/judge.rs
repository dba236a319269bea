//! What an answer means for the client.

use super::attempt::Attempt;
use super::attempts::{Found, Outcome, Whole};
use super::context::RequestContext;
use super::receive::Exchanged;
use super::send::SendError;
use crate::config::Failure;
use crate::dialect::answer::{AnswerFacts, OriginError};
use crate::dialect::counts::Counts;
use crate::dialect::{AnswerContext, Exchange};
use crate::error::ApiError;
use crate::payload::Edit;
use crate::platform::{Payload, Platform};
use crate::routing::Target;
use crate::secret::OriginSecrets;
use http::HeaderMap;
use moegate_wire::{Ending, Usage};

/// Whether an answer of this status shows that nothing was computed: the request was refused, or the origin is overloaded,
/// or Cloudflare says that it never reached the origin.
#[must_use]
pub(super) fn used_nothing(status: u16) -> bool {
    matches!(status, 300..=499 | 503 | 521..=523 | 525 | 526 | 529 | 530)
}

/// What a whole answer means for the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// To be passed on with these changes.
    /// `own`: instead of the body, the answer in the client's form.
    Pass { counts: Option<Counts>, edits: Vec<Edit>, own: Option<Vec<u8>> },
    /// The origin's own error, which the client can read: to be passed on as it is, with this status. It may come with what
    /// it cost.
    PassError { status: u16, counts: Option<Counts>, failure: Failure },
    /// To be answered instead.
    Replace(ApiError, Failure),
}

/// Judges a whole answer by status and body.
#[must_use]
pub(super) fn answer(
    target: &Target<'_>,
    secrets: &OriginSecrets<'_>,
    exchange: &dyn Exchange,
    status: u16,
    body: &[u8],
    context: &AnswerContext,
) -> Judgement {
    let origin = &target.origin.name;
    let answer = exchange.answer(body, context);
    let is_answer = (200..300).contains(&status) && answer.as_ref().is_some_and(|answer| !answer.dubious);
    let error = if is_answer { None } else { exchange.error(status, body) };
    let failure = error.as_ref().map_or(Failure::BadAnswer, |error| error.failure);
    let says_secret = |error: &OriginError| {
        error.readable && error.message.as_ref().is_some_and(|text| secrets.occur_in(text.as_bytes()))
    };
    if secrets.occur_in(body) || error.as_ref().is_some_and(says_secret) {
        let text = format!(
            "origin `{origin}` answered {status} with a text that holds the gateway's own key for it; the answer was withheld"
        );
        return Judgement::Replace(ApiError::upstream(502, "origin_leaked_secret", text), failure);
    }
    let Some(error) = error else {
        return match answer {
            Some(AnswerFacts { counts, edits, own, .. }) => Judgement::Pass { counts, edits, own },
            None => Judgement::Replace(
                ApiError::upstream(
                    502,
                    "origin_answer_invalid",
                    format!("origin `{origin}` answered {status} with something that is not a JSON object"),
                ),
                Failure::BadAnswer,
            ),
        };
    };
    let shown = if (200..300).contains(&status) { status_of(failure) } else { status };
    match refusal(target, status, &error) {
        Some(told) => Judgement::Replace(told, failure),
        None if error.readable => {
            let counts = answer.and_then(|answer| answer.counts);
            Judgement::PassError { status: shown, counts, failure }
        }
        None => {
            let mut told = foreign(target, exchange, shown, error);
            if let Some(text) = secrets.struck_from(&told.message) {
                told.message = text.into();
            }
            told.param = told.param.filter(|param| !secrets.occur_in(param.as_bytes()));
            Judgement::Replace(told, failure)
        }
    }
}

/// What the client is told of an error that is not its business: of the gateway's key, of a redirect, of an origin that was
/// not reached.
fn refusal(target: &Target<'_>, status: u16, error: &OriginError) -> Option<ApiError> {
    let origin = &target.origin.name;
    match (status, error.failure) {
        (300..=399, _) => Some(ApiError::upstream(
            502,
            "origin_redirects",
            format!(
                "origin `{origin}` answered with a redirect ({status}), which is never followed: put the final URL into moegate.toml"
            ),
        )),
        // What Cloudflare answers in an origin's index: refused, unreachable, no TLS, unresolvable; and where the
        // origin was reached: an empty answer, a late one.
        (_, Failure::Connect) => Some(no_answer(target, &SendError::Connect)),
        (_, Failure::Broken) => Some(no_answer(target, &SendError::Broken)),
        (_, Failure::Timeout) => Some(no_answer(target, &SendError::Timeout)),
        // A 403 with a text is the origin's word to the client: a region, a permission.
        (403, Failure::BadKey) if error.readable => None,
        (401 | 407, _) => Some(refused_key(origin, status)),
        // Gemini and xAI refuse a key with 400.
        (400 | 403 | 404 | 413 | 422, Failure::BadKey) if !error.spent => Some(refused_key(origin, status)),
        (..=199 | 600.., _) => Some(ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` answered with the status {status}"),
        )),
        _ => None,
    }
}

fn refused_key(origin: &str, status: u16) -> ApiError {
    ApiError::upstream(
        502,
        "origin_refused_key",
        format!(
            "origin `{origin}` refused the gateway's own key ({status}): check its secret; your key is fine"
        ),
    )
}

/// An error that is not in the client's form, in it.
fn foreign(target: &Target<'_>, exchange: &dyn Exchange, status: u16, mut error: OriginError) -> ApiError {
    let origin = &target.origin.name;
    error.message = Some(match error.message.take() {
        Some(text) if error.known => text,
        Some(text) => format!("origin `{origin}` answered {status}: {text}"),
        None => format!("origin `{origin}` answered {status} without an error that can be read"),
    });
    exchange.told(error, status)
}

/// The status of an error that came under 200.
fn status_of(failure: Failure) -> u16 {
    match failure {
        Failure::ContextLength | Failure::ContentFilter | Failure::Unsupported | Failure::Refused => 400,
        Failure::ModelNotFound => 404,
        Failure::RateLimited => 429,
        _ => 502,
    }
}

/// What the client is told when there was no answer.
#[must_use]
pub(super) fn no_answer(target: &Target<'_>, error: &SendError) -> ApiError {
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
        SendError::Broken | SendError::Truncated(..) => ApiError::upstream(
            502,
            "origin_broke_off",
            format!("origin `{origin}` broke the connection before its answer was whole"),
        ),
        SendError::BadStream => ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` sent a stream without any event that could be read"),
        ),
        SendError::Encoded(coding) => ApiError::upstream(
            502,
            "origin_answer_encoded",
            format!(
                "origin `{origin}` sent its answer encoded as `{coding}` though it was asked not to; it cannot be read here"
            ),
        ),
        SendError::TooLarge => ApiError::upstream(
            502,
            "origin_answer_too_large",
            format!(
                "origin `{origin}` sent an unstreamed answer over the limit for bodies; ask for a stream"
            ),
        ),
        SendError::ClientLeft => {
            ApiError::upstream(499, "client_left", "the client left before the answer came")
        }
    }
}

impl<P: Platform> RequestContext<'_, P> {
    /// What an attempt has come to, by what was sent back.
    pub(super) fn judge(
        &self,
        attempt: &mut Attempt<'_>,
        exchange: &dyn Exchange,
        sent: Result<Exchanged<P>, SendError>,
        added_usage: bool,
    ) -> Outcome<P> {
        let (status, headers, body, seen) = match sent {
            Ok(Exchanged::Stream(stream)) => return Outcome::Found(Found::Stream(stream)),
            Ok(Exchanged::Whole { status, headers, body, seen }) => (status, headers, body, seen),
            Err(error) => {
                let told = no_answer(&attempt.target, &error);
                attempt.status = told.status;
                attempt.ending = Ending::Error;
                attempt.failure = error.failure();
                if let SendError::Truncated(counts, events) = error {
                    attempt.counts = Some(self.cut_counts(&attempt.target, counts, events));
                    attempt.counted = false;
                }
                let Some(failure) = attempt.failure else {
                    attempt.ending = Ending::Cancelled;
                    return Outcome::Found(Found::ClientLeft);
                };
                return Outcome::Failed(failure, self.replaced(&told, HeaderMap::new()));
            }
        };
        let nothing = used_nothing(status).then(|| Usage::default().into());
        let again = added_usage && exchange.refuses_usage(status, body.bytes());
        let mut context = self.answer_context(&attempt.target, attempt.began_ms);
        if self.dialect.tells_attempts() {
            let mut note = self.note(&attempt.target, attempt.began_ms, attempt.breaker);
            if let Some(own) = note.attempts.last_mut() {
                own.ms = attempt.head_ms.saturating_sub(attempt.began_ms);
            }
            context.note = Some(note.into());
        }
        let judged = answer(&attempt.target, &attempt.secrets, exchange, status, body.bytes(), &context);
        let (failure, whole) = match judged {
            Judgement::Pass { counts, edits, own } => {
                (attempt.status, attempt.counts) = (status, counts);
                let body = match own {
                    Some(own) => Payload::Own(own),
                    None => body.into_payload(edits),
                };
                return Outcome::Found(Found::Whole(Whole { status, headers, body }));
            }
            Judgement::PassError { status: shown, counts, failure } => {
                (attempt.status, attempt.counts) = (shown, counts.or(nothing).or(seen));
                (failure, Whole { status: shown, headers, body: body.into_payload(Vec::new()) })
            }
            Judgement::Replace(error, failure) => {
                // An answer that failed was computed all the same.
                let told = || exchange.answer(body.bytes(), &context).and_then(|answer| answer.counts);
                attempt.status = error.status;
                attempt.counts = nothing.or(seen).or_else(|| if status < 300 { told() } else { None });
                (failure, self.replaced(&error, headers))
            }
        };
        let failure = if again { Failure::Unsupported } else { failure };
        (attempt.failure, attempt.ending) = (Some(failure), Ending::Error);
        if again { Outcome::Again(whole) } else { Outcome::Failed(failure, whole) }
    }
}

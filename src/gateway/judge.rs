//! What an answer means for the client.

use super::send::SendError;
use crate::dialect::Exchange;
use crate::dialect::answer::{AnswerFacts, ErrorForm};
use crate::error::ApiError;
use crate::payload::Edit;
use crate::routing::Target;
use crate::secret::OriginSecrets;
use moegate_wire::Usage;

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
    Pass { usage: Option<Usage>, edits: Vec<Edit> },
    /// The origin's own error, which the client can read: to be passed on as it is, with this status. It may come with what
    /// it cost.
    PassError { status: u16, usage: Option<Usage> },
    /// To be answered instead.
    Replace(ApiError),
}

/// Judges a whole answer by status and body.
#[must_use]
pub(super) fn answer(
    target: &Target<'_>,
    secrets: &OriginSecrets<'_>,
    exchange: &dyn Exchange,
    status: u16,
    body: &[u8],
) -> Judgement {
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
    let answer = exchange.answer(body, &target.model.price());
    let error = answer.as_ref().map_or(ErrorForm::None, |answer| answer.error);
    let counted = answer.as_ref().and_then(|answer| answer.usage);
    let pass_error = |status| Judgement::PassError { status, usage: counted };
    match (status, answer, error) {
        (200..=299, Some(_), ErrorForm::Readable | ErrorForm::Other) => pass_error(502),
        (200..=299, Some(AnswerFacts { usage, edits, .. }), ErrorForm::None) => {
            Judgement::Pass { usage, edits }
        }
        (200..=299, None, _) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_answer_invalid",
            format!("origin `{origin}` answered {status} with something that is not a JSON object"),
        )),
        // Moderation and region blocks are the origin's word to the client; without such a body it is about the key.
        (403, _, ErrorForm::Readable) => pass_error(status),
        (401 | 403 | 407, None, _) if body.starts_with(b"error code: 1") => {
            Judgement::Replace(no_answer(target, &SendError::Connect))
        }
        (401 | 403 | 407, ..) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_refused_key",
            format!(
                "origin `{origin}` refused the gateway's own key ({status}): check its secret; your key is fine"
            ),
        )),
        (300..=399, ..) => Judgement::Replace(ApiError::upstream(
            502,
            "origin_redirects",
            format!(
                "origin `{origin}` answered with a redirect ({status}), which is never followed: put the final URL into moegate.toml"
            ),
        )),
        // What Cloudflare answers in an origin's index: refused, unreachable, no TLS, unresolvable; and where the
        // origin was reached: an empty answer, a late one.
        (521..=523 | 525 | 526 | 530, None, _) => Judgement::Replace(no_answer(target, &SendError::Connect)),
        (520 | 527, None, _) => Judgement::Replace(no_answer(target, &SendError::Broken)),
        (524, None, _) => Judgement::Replace(no_answer(target, &SendError::Timeout)),
        (400..=599, _, ErrorForm::Readable) => pass_error(status),
        (400..=599, ..) => Judgement::Replace(ApiError::upstream(
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

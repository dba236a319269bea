//! What kind of failure an answer is.

use crate::config::Failure;
use moegate_wire::resume;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Fields<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// Texts in codes, types and messages that say more than a status (OpenAI, Azure, Anthropic, Gemini, vLLM, SGLang,
/// llama.cpp, our own server).
const CONTEXT: &[&str] = &[
    "context_length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "string_above_max_length",
    "exceed_context_size",
    "maximum number of tokens",
];
const FILTER: &[&str] =
    &["content_filter", "content_policy", "content management policy", "responsible_ai", "moderation"];
/// Not the mere word "billing": Gemini's usual limit of requests per minute says to check one's plan and billing.
const QUOTA: &[&str] = &["insufficient_quota", "billing_hard_limit", "billing_not_active", "credit balance"];
const WAKING: &[&str] = &["origin_waking"];
/// Our own server of another model, or another version of it: the same handle would fail the same way.
const RESUME: &[&str] = &[resume::MISMATCH, resume::INVALID];

/// By status and body. Status 200 is for a body, or an event of a stream, that holds an error.
#[must_use]
pub(super) fn of_answer(status: u16, body: &[u8]) -> Failure {
    // Cloudflare's own pages have no JSON; an origin that is reached may use the same numbers.
    let Some(error) = error_of(body) else { return of_page(status, body) };
    let fields = serde_json::from_str::<Fields<'_>>(error.get()).unwrap_or_default();
    let says = |words: &[&str]| {
        let texts = [fields.code, fields.kind, fields.message];
        texts.iter().flatten().any(|raw| {
            let text = raw.get().to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    };
    // Under 200 the error may name the status it would have had (OpenRouter: a numeric code).
    let named = [fields.code, fields.status]
        .iter()
        .flatten()
        .find_map(|raw| raw.get().trim_matches('"').parse().ok());
    let status =
        if status < 400 { named.filter(|status| (400..600).contains(status)).unwrap_or(500) } else { status };
    match status {
        400 | 413 | 422 if says(CONTEXT) => Failure::ContextLength,
        413 => Failure::ContextLength,
        400 | 403 | 422 | 451 if says(FILTER) => Failure::ContentFilter,
        400 | 409 if says(RESUME) => Failure::ModelNotFound,
        503 if says(WAKING) => Failure::Waking,
        // Anthropic's 400 `invalid_request_error` for a spent account among them.
        400 | 429 if says(QUOTA) => Failure::BadKey,
        500..=599 if says(CONTEXT) => Failure::ContextLength,
        _ => of_status(status),
    }
}

fn error_of(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice::<Body<'_>>(body).ok()?.error
}

fn of_page(status: u16, body: &[u8]) -> Failure {
    match status {
        521..=523 | 525 | 526 | 530 => Failure::Connect,
        520 | 527 => Failure::Broken,
        524 => Failure::Timeout,
        401 | 403 | 407 if body.starts_with(b"error code: 1") => Failure::Connect,
        _ => of_status(status),
    }
}

fn of_status(status: u16) -> Failure {
    match status {
        401..=403 | 407 => Failure::BadKey,
        404 => Failure::ModelNotFound,
        408 => Failure::RequestTimeout,
        409 => Failure::Conflict,
        425 => Failure::TooEarly,
        429 => Failure::RateLimited,
        400..=499 => Failure::Refused,
        500..=599 => Failure::ServerError,
        _ => Failure::BadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_bodies() {
        for (status, body, expected) in [
            (429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#, Failure::RateLimited),
            (429, r#"{"error":{"message":"no","code":"insufficient_quota"}}"#, Failure::BadKey),
            (
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}"#,
                Failure::RateLimited,
            ),
            (
                400,
                r#"{"error":{"message":"Your credit balance is too low","type":"invalid_request_error"}}"#,
                Failure::BadKey,
            ),
            (400, r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#, Failure::ContextLength),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#,
                Failure::ContextLength,
            ),
            (400, r#"{"error":{"message":"no","code":"content_filter"}}"#, Failure::ContentFilter),
            (400, r#"{"error":{"message":"temperature must be a number"}}"#, Failure::Refused),
            (403, r#"{"error":{"message":"not with this key"}}"#, Failure::BadKey),
            (404, r#"{"error":{"message":"no such model"}}"#, Failure::ModelNotFound),
            (413, "too large", Failure::Refused),
            (413, r#"{"error":{"message":"too large"}}"#, Failure::ContextLength),
            (503, r#"{"error":{"code":"origin_waking","message":"starting"}}"#, Failure::Waking),
            (
                409,
                r#"{"error":{"code":"resume_mismatch","message":"other vocabulary"}}"#,
                Failure::ModelNotFound,
            ),
            (
                400,
                r#"{"error":{"code":"invalid_resume","message":"not of this request"}}"#,
                Failure::ModelNotFound,
            ),
            (503, r#"{"error":{"message":"busy"}}"#, Failure::ServerError),
            (529, r#"{"error":{"message":"overloaded"}}"#, Failure::ServerError),
            (522, "<html>", Failure::Connect),
            (522, r#"{"error":{"message":"mine"}}"#, Failure::ServerError),
            (524, "<html>", Failure::Timeout),
            (200, r#"{"error":{"message":"mid-stream","code":429}}"#, Failure::RateLimited),
            (200, r#"{"error":{"message":"mid-stream","code":"502"}}"#, Failure::ServerError),
            (200, r#"{"error":{"message":"mid-stream","code":"overloaded"}}"#, Failure::ServerError),
            (200, r#"{"error":"a text"}"#, Failure::ServerError),
            (200, "<html>", Failure::BadAnswer),
            (302, "", Failure::BadAnswer),
            (407, "error code: 1016", Failure::Connect),
            (408, "", Failure::RequestTimeout),
            (409, "", Failure::Conflict),
            (425, "", Failure::TooEarly),
        ] {
            assert_eq!(of_answer(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}

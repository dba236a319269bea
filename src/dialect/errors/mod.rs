//! What kind of failure an answer is: codes beat types, types beat statuses, statuses beat words.

mod body;
mod words;

use crate::config::Failure;
use crate::dialect::answer::OriginError;
use crate::error::{ApiError, shown_text};
use body::ErrorBody;
use std::borrow::Cow;
use words::{CODES, PHRASES};

/// What a page shows of itself at most.
const PAGE_BYTES: usize = 2048;

/// By status and body. Status 200 is for a body, or an event of a stream, that holds an error. `None`: it is an answer.
#[must_use]
pub(super) fn error_of(status: u16, body: &[u8]) -> Option<OriginError> {
    let succeeded = (200..300).contains(&status);
    match body::read(body, succeeded) {
        Some(error) => {
            let known = error.message.is_some();
            let error = of_error(status, error);
            // A shape that nobody knows is shown as it is.
            Some(if known { error } else { OriginError { message: text_of(body), ..error } })
        }
        None if succeeded => None,
        None => Some(of_page(status, body)),
    }
}

fn of_error(status: u16, error: ErrorBody) -> OriginError {
    let named = error.codes.iter().chain(&error.types).find_map(|code| of_code(code));
    // Under 200 the error may name the status it would have had (OpenRouter: a numeric code).
    let status = if status < 400 { error.status.map_or(500, |named| named as u16) } else { status };
    let by_words = || error.texts.iter().find_map(|text| of_text(status, text));
    let found = named.or_else(by_words);
    let failure = found.map_or_else(|| by_status(status), |(_, failure)| failure);
    let spent =
        failure == Failure::BadKey && (status == 402 || found.is_some_and(|(name, _)| is_spent(name)));
    let ErrorBody { readable, message, param, .. } = error;
    OriginError { failure, status, readable, known: message.is_some(), spent, message, param }
}

/// An origin's error as the gateway's own: its text, with the type and code that clients know. `status`: what the client
/// gets.
pub(super) fn told(error: OriginError, status: u16) -> ApiError {
    let (kind, code) = match error.failure {
        Failure::ContextLength => ("invalid_request_error", "context_length_exceeded"),
        Failure::ContentFilter => ("invalid_request_error", "content_filter"),
        Failure::ModelNotFound => ("model_not_found", "model_not_found"),
        Failure::RateLimited => ("rate_limit_error", "rate_limit_exceeded"),
        Failure::Unsupported => ("invalid_request_error", "unsupported_parameter"),
        Failure::Refused => ("invalid_request_error", "origin_error"),
        _ => ("upstream_error", "origin_error"),
    };
    let message = error.message.unwrap_or_else(|| "the origin reported an error without a text".to_owned());
    ApiError {
        kind,
        // A field's name; some put a sentence there.
        param: error.param.filter(|param| param.len() <= 100 && !param.contains(' ')).map(Cow::Owned),
        ..ApiError::upstream(status, code, shown_text(&message))
    }
}

/// What a client gets of an error in a stream whose text is for the operator.
pub(super) fn plain(request_id: &str) -> ApiError {
    let text = format!(
        "the provider of this model failed; the gateway's operator finds the reason under the request id {request_id}"
    );
    ApiError::upstream(502, "provider_error", text)
}

/// The entry of a table that holds: what it is called, and what it means.
type Entry = (&'static str, Failure);

fn of_code(code: &str) -> Option<Entry> {
    CODES.iter().find(|(own, _)| *own == code).copied()
}

/// What the words say where the status leaves it open.
fn of_text(status: u16, text: &str) -> Option<Entry> {
    let open: &[Failure] = match status {
        400 | 413 | 422 => &[
            Failure::BadKey,
            Failure::RateLimited,
            Failure::ContentFilter,
            Failure::ContextLength,
            Failure::ModelNotFound,
            Failure::Unsupported,
        ],
        403 => &[Failure::ContentFilter, Failure::BadKey],
        404 => &[Failure::Unsupported],
        429 => &[Failure::BadKey],
        503 => &[Failure::Waking, Failure::BadKey, Failure::ContextLength, Failure::ContentFilter],
        500..=599 => &[Failure::BadKey, Failure::ContextLength, Failure::ContentFilter],
        _ => &[],
    };
    PHRASES.iter().find(|(phrase, failure)| open.contains(failure) && text.contains(phrase)).copied()
}

/// Of the entries that mean a refused key: those of an account that is spent.
fn is_spent(name: &str) -> bool {
    ["quota", "billing", "credit", "balance"].iter().any(|word| name.contains(word))
}

fn by_status(status: u16) -> Failure {
    match status {
        413 => Failure::ContextLength,
        451 => Failure::ContentFilter,
        status => of_status(status),
    }
}

/// Whether an origin refuses to be asked for counts in a stream (Azure: openai-python#1469; Mistral: avante.nvim#2347).
#[must_use]
pub(super) fn refuses_stream_options(status: u16, body: &[u8]) -> bool {
    if !matches!(status, 400 | 422) {
        return false;
    }
    // In its texts only: elsewhere the body may hold the request, as FastAPI's `input` does.
    let Some(error) = body::read(body, false) else { return false };
    let mut said = error.texts.iter().map(String::as_str).chain(error.param.as_deref());
    said.any(|text| text.contains("stream_options") || text.contains("include_usage"))
}

/// Something that is no error of an API: a page, a text, nothing. Cloudflare's own have no JSON; an origin that is reached
/// may use the same numbers.
fn of_page(status: u16, body: &[u8]) -> OriginError {
    let text = head_of(body);
    let is_cloudflare = text.starts_with("error code: 1");
    let failure = match status {
        521..=523 | 525 | 526 | 530 => Failure::Connect,
        520 | 527 => Failure::Broken,
        524 => Failure::Timeout,
        401 | 403 | 407 if is_cloudflare => Failure::Connect,
        _ if text.starts_with('<') => of_status(status),
        _ => of_text(status, &text.to_lowercase()).map_or_else(|| of_status(status), |(_, failure)| failure),
    };
    let message = text_of(body).filter(|_| !is_cloudflare);
    OriginError { failure, status, readable: false, known: false, spent: false, message, param: None }
}

fn head_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(PAGE_BYTES)]).trim().to_owned()
}

/// A text to show; a page is for browsers, and shows as much of an origin's inside as it likes.
fn text_of(body: &[u8]) -> Option<String> {
    Some(head_of(body)).filter(|text| !text.is_empty() && !text.starts_with('<'))
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
#[path = "tests.rs"]
mod tests;

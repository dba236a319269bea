//! What the gateway itself says in OpenAI's form: errors, model lists, the note about attempts.

use crate::config::Failure;
use crate::dialect::answer::OriginError;
use crate::dialect::{AttemptEntry, AttemptNote, ModelInfo};
use crate::error::{ApiError, shown_text};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

// Structs rather than `json!`: their order of fields is the same in every build.
#[derive(Serialize)]
struct Envelope<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// `{"error":{…}}`.
pub(super) fn error_body(error: &ApiError) -> String {
    let ApiError { kind, code, param, message, .. } = error;
    to_json(&Envelope { error: Fields { message, kind, param: param.as_deref(), code } })
}

/// An origin's error that is not in this form, in it: its text, with the type and code that clients know.
pub(super) fn origin_error(error: OriginError, status: u16) -> ApiError {
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

/// The same as one event of a stream whose status is already sent.
pub(super) fn error_event(error: &ApiError) -> String {
    format!("data: {}\n\n", error_body(error))
}

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelEntry<'a>>,
}

#[derive(Serialize)]
struct ModelEntry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

fn entry(model: ModelInfo<'_>) -> ModelEntry<'_> {
    ModelEntry { id: model.name, object: "model", created: model.created_s, owned_by: "moegate" }
}

/// The list that `GET /v1/models` answers.
pub(super) fn model_list(models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
    to_json(&ModelList { object: "list", data: models.map(entry).collect() })
}

/// One entry of it.
pub(super) fn model_entry(model: ModelInfo<'_>) -> String {
    to_json(&entry(model))
}

#[derive(Serialize)]
struct Note<'a> {
    model_asked: &'a str,
    model: &'a str,
    origin: &'a str,
    attempts: &'a [AttemptEntry],
}

/// The member that tells within a stream who answered, with the comma before it: on an event that has other members. An
/// event of its own would have no choices, and the plainest client loop reads `choices[0]` of each (foundry-local#905).
pub(super) fn note_member(note: &AttemptNote) -> String {
    let AttemptNote { asked_model, model, origin, attempts } = note;
    let note = Note { model_asked: asked_model, model, origin, attempts };
    format!(",\"moegate\":{}", to_json(&note))
}

/// What is an error by its event's name or its line's, as the data of one.
pub(super) fn wrapped_error(said: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(said);
    let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
    let inner = if is_json { text.into_owned() } else { to_json(&text) };
    format!("{{\"error\":{inner}}}").into_bytes()
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    // Plain strings and numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

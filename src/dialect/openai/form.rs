//! What the gateway itself says in OpenAI's form: errors, model lists, the note about attempts.

use crate::dialect::ai_sdk::form::model_facts;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::{AttemptEntry, AttemptNote, ModelInfo};
use crate::error::ApiError;
use serde::Serialize;
use serde_json::value::RawValue;

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

/// The same as one event of a stream whose status is already sent.
pub(super) fn error_event(error: &ApiError) -> String {
    format!("data: {}\n\n", error_body(error))
}

fn entry(json: &mut JsonWriter, model: ModelInfo<'_>) {
    json.object(|json| {
        json.member("id", model.name);
        json.member("object", "model");
        json.key("created").number(model.created_s);
        json.member("owned_by", "moegate");
        if let Some(facts) = &model.facts {
            json.member("type", facts.kind());
            model_facts(json, facts);
        }
    });
}

/// The list that `GET /v1/models` answers.
pub(super) fn model_list(models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.member("object", "list");
        json.key("data").array(|json| models.for_each(|model| entry(json, model)));
    });
    json.into_string()
}

/// One entry of it.
pub(super) fn model_entry(model: ModelInfo<'_>) -> String {
    let mut json = JsonWriter::default();
    entry(&mut json, model);
    json.into_string()
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
    format!(",\"moegate\":{}", self::note(note))
}

/// The note's value.
pub(in crate::dialect) fn note(note: &AttemptNote) -> String {
    let AttemptNote { asked_model, model, origin, attempts } = note;
    to_json(&Note { model_asked: asked_model, model, origin, attempts })
}

/// What is an error by its event's name or its line's, as the data of one.
pub(super) fn wrapped_error(said: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(said);
    let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
    let inner = if is_json { text.into_owned() } else { to_json(&text) };
    format!("{{\"error\":{inner}}}").into_bytes()
}

pub(in crate::dialect) fn to_json(value: &impl Serialize) -> String {
    // Plain strings and numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

//! A request to one of these endpoints, read only as far as routing and metering need.

use super::super::request::Request as Json;
use super::form::{self, Form};
use super::{EMBEDDINGS, MODERATIONS, RERANK, is_of_images, is_served_by};
use crate::config::{DeniedAction, is_harmless, is_same_field};
use crate::dialect::ClientRequest;
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, LONGEST_USER, RequestFacts, RequestSize, StreamForm,
};
use crate::error::ApiError;
use crate::payload::Edit;

/// The longest name of a model.
const LONGEST: usize = 200;

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn parse<'a>(
    endpoint: &'static str,
    content_type: &str,
    body: &'a [u8],
) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
    if let Some(boundary) = form::boundary(content_type)? {
        return Ok(Box::new(OfForm::parse(endpoint, form::read(body, &boundary)?)?));
    }
    let mut json = Json::parse(endpoint, body)?;
    // Speech is streamed as events where this says so.
    let as_events = json.other("stream_format").is_some_and(|value| value.get() == "\"sse\"");
    json.facts.stream |= as_events;
    json.facts.include_usage = true;
    if is_of_images(endpoint) {
        json.facts.size.images = json.facts.size.choices;
    }
    if matches!(endpoint, EMBEDDINGS | MODERATIONS | RERANK) {
        json.facts.size.max_tokens = Some(0);
    }
    Ok(Box::new(OfJson(json)))
}

struct OfJson<'a>(Json<'a>);

impl ClientRequest for OfJson<'_> {
    fn facts(&self) -> &RequestFacts {
        self.0.facts()
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        if !is_served_by(changes.origin, &changes.model.name) {
            return Err(CannotEncode::Dialect);
        }
        Ok(self.0.with_edits(self.0.usual_edits(changes)?, changes))
    }
}

/// `multipart/form-data`.
struct OfForm<'a> {
    endpoint: &'static str,
    form: Form<'a>,
    facts: RequestFacts,
    /// The place of the part that names the model.
    model: usize,
}

impl<'a> OfForm<'a> {
    fn parse(endpoint: &'static str, form: Form<'a>) -> Result<Self, ApiError> {
        let mut found = [None; 4];
        for (at, part) in form.parts.iter().enumerate() {
            for (own, place) in ["model", "stream", "n", "user"].into_iter().zip(&mut found) {
                if !is_same_field(own, &part.name) {
                    continue;
                }
                // Gateway and origin might read different ones.
                if part.name != own || place.replace(at).is_some() {
                    let message = format!(
                        "the form has several parts that some origins would read as `{own}`: send exactly one of that name"
                    );
                    return Err(ApiError::invalid("ambiguous_field", Some(own), message));
                }
            }
        }
        let text = |at: usize, name| form.text(at).ok_or_else(|| wrong(name));
        let [model, stream, number, user] = found;
        let model = model.ok_or_else(|| {
            ApiError::invalid(
                "missing_field",
                Some("model"),
                "`model` is missing: name the model to use in a part of the form; GET /v1/models lists them",
            )
        })?;
        let name = text(model, "model")?;
        if name.is_empty() || name.len() > LONGEST {
            return Err(wrong("model"));
        }
        let stream = match stream.map(|at| text(at, "stream")).transpose()? {
            None | Some("" | "false" | "False" | "0") => false,
            Some("true" | "True" | "1") => true,
            Some(_) => {
                return Err(ApiError::invalid(
                    "wrong_type",
                    Some("stream"),
                    "`stream` must be true or false",
                ));
            }
        };
        let number = number.map(|at| text(at, "n")).transpose()?.map_or(Ok(1), str::parse);
        let number: u64 = number.map_err(|_| wrong("n"))?;
        let user = user.and_then(|at| form.text(at)).filter(|user| !user.is_empty());
        // A file's bytes are no text: what they come to in tokens nobody knows before.
        let said = form.parts.iter().filter(|part| !part.is_file).map(|part| part.content.len()).sum();
        let facts = RequestFacts {
            model: name.to_owned(),
            stream,
            include_usage: true,
            size: RequestSize {
                body_bytes: said,
                max_tokens: None,
                choices: number,
                media: form.parts.iter().filter(|part| part.is_file).count() as u64,
                images: if is_of_images(endpoint) { number } else { 0 },
            },
            user: user.map(|user| user.chars().take(LONGEST_USER).collect()),
            conversation: 0..0,
            stream_form: StreamForm::Events,
        };
        Ok(Self { endpoint, form, facts, model })
    }
}

fn wrong(field: &'static str) -> ApiError {
    ApiError::invalid(
        "wrong_type",
        Some(field),
        format!("`{field}` must be a short text in a part of the form"),
    )
}

impl ClientRequest for OfForm<'_> {
    fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        if !is_served_by(changes.origin, &changes.model.name) {
            return Err(CannotEncode::Dialect);
        }
        let mut edits = Vec::new();
        for (at, part) in self.form.parts.iter().enumerate() {
            if at == self.model {
                if self.facts.model != changes.model.name {
                    edits.push(Edit { span: part.content.clone(), text: changes.model.name.clone() });
                }
                continue;
            }
            if !changes.origin.denies(&part.name) {
                continue;
            }
            let value = self.form.text(at).unwrap_or_default();
            if value.is_empty()
                || is_harmless(&part.name, value)
                || is_harmless(&part.name, &format!("\"{value}\""))
            {
                continue;
            }
            match changes.origin.denied_action() {
                DeniedAction::Refuse => return Err(CannotEncode::Field(part.name.clone())),
                DeniedAction::Drop => edits.push(Edit { span: part.whole.clone(), text: String::new() }),
            }
        }
        let path = super::super::path(self.endpoint, changes.origin, &changes.model.name);
        Ok(Encoded { path, body: EncodedBody::Form(edits), dropped: Vec::new() })
    }
}

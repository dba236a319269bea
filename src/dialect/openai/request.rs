//! Requests of OpenAI's API, read only as far as routing and metering need.
//!
//! Everything else in a body passes untouched, byte for byte: only the spans that must differ are replaced.

use crate::config::{DeniedAction, is_harmless, is_same_field};
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::format::OriginFormat;
use crate::dialect::json::{Text, member, present, span, whole_number};
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, StreamForm,
};
use crate::dialect::{ClientRequest, registry, through};
use crate::error::{ApiError, shown_name};
use crate::payload::{Edit, edited};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The members that the gateway reads. Origins that look names up less exactly ([`is_same_field`]) would read others as
/// these, so those are refused.
const KNOWN: [&str; 11] = [
    "model",
    "stream",
    "stream_options",
    "messages",
    "prompt",
    "max_tokens",
    "max_completion_tokens",
    "n",
    moegate_wire::resume::FIELD,
    "input",
    "max_output_tokens",
];
// Places in `KNOWN`.
const MODEL: usize = 0;
const STREAM: usize = 1;
const STREAM_OPTIONS: usize = 2;
const MESSAGES: usize = 3;
const PROMPT: usize = 4;
const MAX_TOKENS: usize = 5;
const MAX_COMPLETION_TOKENS: usize = 6;
const N: usize = 7;
const RESUME: usize = 8;
const INPUT: usize = 9;
const MAX_OUTPUT_TOKENS: usize = 10;

/// The byte order mark, in UTF-8.
const MARK: &str = "\u{feff}";

/// What the gateway needs of a request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) body: &'a [u8],
    endpoint: &'static str,
    pub(super) facts: RequestFacts,
    members: Members<'a>,
}

/// The members of the body's object.
#[derive(Debug, Default)]
struct Members<'a> {
    known: [Option<&'a RawValue>; KNOWN.len()],
    others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(Text(name)) = map.next_key()? {
                    let value = map.next_value()?;
                    match KNOWN.iter().position(|known| *known == name) {
                        // Gateway and origin might read different ones.
                        Some(at) if members.known[at].is_some() => {
                            return Err(A::Error::duplicate_field(KNOWN[at]));
                        }
                        Some(at) => members.known[at] = Some(value),
                        None => members.others.push((name, value)),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Request<'a> {
    /// Reads the object. Members given twice, or under a name that only nearly differs, are refused: gateway and origin
    /// might read different ones.
    ///
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(endpoint: &'static str, body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|e| {
            ApiError::invalid("invalid_json", None, format!("the request body is not UTF-8: {e}"))
        })?;
        // Some editors and shells begin a file with it (RFC 8259, section 8.1).
        let text = text.strip_prefix(MARK).unwrap_or(text);
        if text.trim_start().as_bytes().first() != Some(&b'{') {
            return Err(ApiError::invalid("invalid_json", None, "the request body must be a JSON object"));
        }
        let members: Members<'a> = serde_json::from_str(text).map_err(|e| {
            ApiError::invalid("invalid_json", None, format!("the request body is not valid JSON: {e}"))
        })?;
        for (name, _) in &members.others {
            if let Some(known) = KNOWN.iter().find(|known| is_same_field(known, name)) {
                return Err(ApiError::invalid(
                    "ambiguous_field",
                    Some(known),
                    format!(
                        "{} differs from `{known}` only in case, `-` or `_`, and some origins would read it as that: write `{known}` or leave it out",
                        serde_json::Value::from(shown_name(name))
                    ),
                ));
            }
        }
        if members.known[RESUME].is_some() {
            return Err(ApiError::invalid(
                "reserved_field",
                Some(moegate_wire::resume::FIELD),
                "`moegate_resume` is between the gateway and its own servers: leave it out",
            ));
        }
        let facts = facts(body, &members)?;
        Ok(Self { body, endpoint, facts, members })
    }

    pub(super) fn messages(&self) -> Option<&'a RawValue> {
        self.members.known[MESSAGES]
    }

    pub(super) fn prompt(&self) -> Option<&'a RawValue> {
        self.members.known[PROMPT]
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = &'a RawValue> {
        [self.members.known[MAX_TOKENS], self.members.known[MAX_COMPLETION_TOKENS]].into_iter().flatten()
    }

    /// A member that the gateway does not look at; null is none.
    pub(super) fn other(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.members.others.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.others.iter().any(|(own, _)| own == name)
    }

    /// A member in front of all others. The object is not empty (it has a model), so a comma after it is right.
    pub(super) fn new_member(&self, member: &str) -> Edit {
        let brace = self.body.iter().position(|&b| b == b'{').unwrap_or(0) + 1;
        Edit { span: brace..brace, text: format!("{member},") }
    }

    fn usage_edit(&self) -> Edit {
        const ASKED: &str = r#""include_usage":true"#;
        let Some(raw) = self.members.known[STREAM_OPTIONS] else {
            return self.new_member(&format!(r#""stream_options":{{{ASKED}}}"#));
        };
        let whole = span(self.body, raw);
        match serde_json::from_str::<RawStreamOptions<'_>>(raw.get()) {
            Ok(RawStreamOptions { include_usage: Some(old) }) => {
                Edit { span: span(self.body, old), text: "true".to_owned() }
            }
            Ok(RawStreamOptions { include_usage: None }) if raw.get().starts_with('{') => {
                let empty = raw.get()[1..].trim_start().starts_with('}');
                let at = whole.start + 1;
                Edit { span: at..at, text: format!("{ASKED}{}", if empty { "" } else { "," }) }
            }
            // An explicit null.
            _ => Edit { span: whole, text: format!("{{{ASKED}}}") },
        }
    }

    /// The request in another API's words. `parse`: reads the body. `own`: a member that is between client and gateway.
    pub(super) fn encode_through(
        &self,
        changes: &Changes<'_>,
        format: &dyn OriginFormat,
        parse: fn(&str) -> Result<Canonical<'_>, ApiError>,
        own: &str,
    ) -> Result<Encoded, CannotEncode> {
        let mut edits = Vec::new();
        self.denied(changes, own, &mut edits)?;
        self.put_in_order(&mut edits);
        let body = if edits.is_empty() { Cow::Borrowed(self.body) } else { edited(self.body, edits).into() };
        let text = String::from_utf8_lossy(&body);
        let text = text.strip_prefix(MARK).unwrap_or(&text);
        let mut request = parse(text).map_err(CannotEncode::Invalid)?;
        request.stream = self.facts.stream;
        through::encode(request, changes, format)
    }

    /// What every origin of OpenAI's API gets differently: the model's name, and without what it is not to get.
    ///
    /// # Errors
    /// A member that its configuration refuses.
    pub(super) fn usual_edits(&self, changes: &Changes<'_>) -> Result<Vec<Edit>, CannotEncode> {
        let mut edits = Vec::new();
        if self.body.starts_with(MARK.as_bytes()) {
            // Many parsers refuse it.
            edits.push(Edit { span: 0..MARK.len(), text: String::new() });
        }
        self.denied(changes, "", &mut edits)?;
        if self.facts.model != changes.model.name
            && let Some(model) = self.members.known[MODEL]
        {
            let text = serde_json::Value::from(changes.model.name.as_str()).to_string();
            edits.push(Edit { span: span(self.body, model), text });
        }
        Ok(edits)
    }

    /// The body with these changes, for the endpoint of the same name.
    pub(super) fn with_edits(&self, mut edits: Vec<Edit>) -> Encoded {
        self.put_in_order(&mut edits);
        Encoded { path: self.endpoint.into(), body: EncodedBody::Edited(edits), dropped: Vec::new() }
    }

    fn put_in_order(&self, edits: &mut Vec<Edit>) {
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        merge(self.body, edits);
    }

    /// Takes out the members that the origin is not to get.
    ///
    /// # Errors
    /// The first one that its configuration refuses.
    fn denied(&self, changes: &Changes<'_>, own: &str, edits: &mut Vec<Edit>) -> Result<(), CannotEncode> {
        for (name, value) in &self.members.others {
            if !changes.origin.denies(name) || is_harmless(name, value.get()) || name == own {
                continue;
            }
            match changes.origin.denied_action() {
                DeniedAction::Refuse => return Err(CannotEncode::Field(name.clone().into_owned())),
                DeniedAction::Drop => {
                    if let Some(span) = member(self.body, span(self.body, value)) {
                        edits.push(Edit { span, text: String::new() });
                    }
                }
            }
        }
        Ok(())
    }
}

impl ClientRequest for Request<'_> {
    fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        match registry::api_of(changes.origin, &changes.model.name) {
            registry::Api::Chat => {}
            api if self.endpoint == super::CHAT => {
                return self.encode_through(changes, registry::origin_format(api), super::parse::parse, "");
            }
            _ => return Err(CannotEncode::Dialect),
        }
        let mut edits = self.usual_edits(changes)?;
        if changes.ask_usage && self.facts.stream && !self.facts.include_usage {
            edits.push(self.usage_edit());
        }
        if let Some(resume) = changes.resume {
            self.resume_edits(resume, &mut edits)?;
        }
        Ok(self.with_edits(edits))
    }
}

/// Members that stand together may share a comma when they go: the second begins within the first. What goes from the
/// object's beginning takes the comma behind it along.
fn merge(body: &[u8], edits: &mut Vec<Edit>) {
    edits.dedup_by(|later, earlier| {
        let overlaps = later.span.start < earlier.span.end;
        if overlaps {
            earlier.span.end = earlier.span.end.max(later.span.end);
            earlier.text.push_str(&later.text);
        }
        overlaps
    });
    for edit in edits.iter_mut().filter(|edit| edit.text.is_empty()) {
        let rest = body[edit.span.end..].trim_ascii_start();
        if body[..edit.span.start].trim_ascii_end().ends_with(b"{") && rest.starts_with(b",") {
            edit.span.end = body.len() - rest.len() + 1;
        }
    }
}

fn facts(body: &[u8], members: &Members<'_>) -> Result<RequestFacts, ApiError> {
    let known = &members.known;
    let model = known[MODEL].ok_or_else(|| {
        ApiError::invalid(
            "missing_field",
            Some("model"),
            "`model` is missing: name the model to use; GET /v1/models lists them",
        )
    })?;
    let Text(model) = serde_json::from_str(model.get()).map_err(|_| wrong("model", "must be a string"))?;
    let stream = optional(known[STREAM], "stream", "must be true or false")?.unwrap_or(false);
    let options = optional::<StreamOptions>(
        known[STREAM_OPTIONS],
        "stream_options",
        "must be an object such as {\"include_usage\": true}",
    )?;
    let count = |at: usize| known[at].and_then(whole_number);
    let size = RequestSize {
        body_bytes: body.len(),
        max_tokens: [MAX_TOKENS, MAX_COMPLETION_TOKENS, MAX_OUTPUT_TOKENS]
            .into_iter()
            .filter_map(count)
            .min(),
        choices: count(N).unwrap_or(1),
    };
    let conversation = known[MESSAGES].or(known[INPUT]).or(known[PROMPT]).map_or(0..0, |raw| span(body, raw));
    Ok(RequestFacts {
        model: model.into_owned(),
        stream,
        stream_form: StreamForm::Events,
        include_usage: options.and_then(|options| options.include_usage).unwrap_or(false),
        size,
        conversation,
    })
}

#[derive(Deserialize)]
struct RawStreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

fn optional<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    field: &'static str,
    must: &str,
) -> Result<Option<T>, ApiError> {
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get()).map_err(|_| wrong(field, must)))
}

fn wrong(field: &'static str, must: &str) -> ApiError {
    ApiError::invalid("wrong_type", Some(field), format!("`{field}` {must}"))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

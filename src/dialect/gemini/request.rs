//! A request of a client of Google's API, read only as far as routing and metering need. The model and whether it is a
//! stream stand in the path.

use super::parse::{camel, parse, schema_edits};
use super::signature::MARK;
use super::{COUNT, GROWING, STREAM};
use crate::config::Prefill;
use crate::dialect::canonical::fields::client_list;
use crate::dialect::canonical::fields::{Fields, missing};
use crate::dialect::format::OriginFormat;
use crate::dialect::json::{pick, string, whole_number};
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::members::Members;
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, Resume, StreamForm,
};
use crate::dialect::{Call, ClientRequest, media, registry, through};
use crate::error::ApiError;
use crate::payload::{Edit, edited};
use crate::routing::decode_name;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The members that the gateway looks at, in both spellings.
const KNOWN: [&str; 6] = [
    "model",
    "contents",
    "generationConfig",
    "generation_config",
    "generateContentRequest",
    "generate_content_request",
];

/// The members that hold what is no text.
const MEDIA: [&str; 4] = ["\"inlineData\"", "\"inline_data\"", "\"fileData\"", "\"file_data\""];

pub(super) struct Request<'a> {
    endpoint: &'static str,
    facts: RequestFacts,
    members: Members<'a>,
}

impl<'a> Request<'a> {
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(call: &Call, body: &'a [u8]) -> Result<Self, ApiError> {
        let members = Members::read(body, &KNOWN)?;
        let model = call.model.as_deref().and_then(decode_name).ok_or_else(ApiError::not_found)?;
        let [most, choices] = limits(&members)?;
        let contents = members.get(1);
        if contents.is_none() && call.endpoint != COUNT {
            return Err(missing("contents"));
        }
        let facts = RequestFacts {
            model,
            stream: matches!(call.endpoint, STREAM | GROWING),
            // Every event of Google's has the counts.
            include_usage: true,
            size: RequestSize {
                body_bytes: body.len(),
                max_tokens: most.and_then(whole_number),
                // Google's JSON has numbers in quotes too.
                choices: choices
                    .and_then(|raw| {
                        whole_number(raw).or_else(|| raw.get().trim_matches('"').trim().parse().ok())
                    })
                    .unwrap_or(1),
                media: media::count(body, &MEDIA, true),
                images: 0,
            },
            user: None,
            conversation: members.span(contents),
            stream_form: match call.endpoint {
                GROWING => StreamForm::JsonArray,
                _ => StreamForm::Events,
            },
        };
        Ok(Self { endpoint: call.endpoint, facts, members })
    }

    /// The request in another API's words.
    fn encode_through(
        &self,
        changes: &Changes<'_>,
        format: &dyn OriginFormat,
    ) -> Result<Encoded, CannotEncode> {
        if self.endpoint == COUNT {
            return Err(CannotEncode::Dialect);
        }
        let text = self.members.allowed(changes)?;
        let text = text.trim_start_matches('\u{feff}');
        let edits = schema_edits(text).map_err(CannotEncode::Invalid)?;
        let text = match edits.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(String::from_utf8_lossy(&edited(text.as_bytes(), edits)).into_owned()),
        };
        let mut request = parse(&text).map_err(CannotEncode::Invalid)?;
        request.stream = self.facts.stream;
        through::encode(request, changes, format)
    }

    /// What has to change for an origin of Google's own.
    fn edits(&self, changes: &Changes<'_>) -> Result<Vec<Edit>, CannotEncode> {
        let mut edits = Vec::new();
        self.members.denied(changes, &mut edits)?;
        let name = &changes.model.name;
        // Some clients say the model here too.
        let inner = self.members.get(4).or(self.members.get(5)).and_then(|raw| pick(raw.get(), &["model"]));
        for own in [self.members.get(0), inner.and_then(|[own]| own)].into_iter().flatten() {
            if string(own).is_none_or(|own| own.trim_start_matches("models/") != name) {
                let text = serde_json::Value::from(format!("models/{name}")).to_string();
                edits.push(self.members.replaced(own, text));
            }
        }
        if let Some(contents) = self.members.get(1) {
            self.foreign_signatures(contents, &mut edits);
            if let Some(resume) = changes.resume {
                self.resume(resume, contents, &mut edits)?;
            }
        }
        Ok(self.members.merged(edits))
    }

    /// Google refuses signatures that are not its own.
    fn foreign_signatures(&self, contents: &'a RawValue, edits: &mut Vec<Edit>) {
        if memchr::memmem::find(contents.get().as_bytes(), MARK.as_bytes()).is_none() {
            return;
        }
        for turn in client_list(contents, "contents", "must be an array").unwrap_or_default() {
            let parts = pick(turn.get(), &["parts"])
                .and_then(|[parts]| client_list(parts?, "parts", "must be an array").ok());
            for part in parts.unwrap_or_default() {
                let signatures = pick(part.get(), &["thoughtSignature", "thought_signature"]);
                for signature in signatures.into_iter().flatten().flatten() {
                    if string(signature).is_some_and(|text| text.starts_with(MARK)) {
                        edits.extend(self.members.removed(signature));
                    }
                }
            }
        }
    }

    /// The answer so far is the model's last turn, which it goes on with.
    fn resume(
        &self,
        resume: Resume<'_>,
        contents: &'a RawValue,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotEncode> {
        let partial = match resume {
            Resume::Text(partial, _) | Resume::Tokens(partial) if partial.text.is_empty() => partial,
            Resume::Text(_, Prefill::None) | Resume::Tokens(_) => return Err(CannotEncode::Resume),
            Resume::Text(partial, _) => partial,
        };
        if partial.text.is_empty() {
            return Ok(());
        }
        // JSON would begin anew.
        if memchr::memmem::find(self.members.bytes(), b"application/json").is_some() {
            return Err(CannotEncode::Resume);
        }
        let mut json = JsonWriter::default();
        json.object(|json| {
            json.member("role", "model");
            json.key("parts").array(|json| json.object(|json| json.member("text", &partial.text)));
        });
        let edit = self.members.appended(contents, &json.into_string()).ok_or(CannotEncode::Resume)?;
        edits.push(edit);
        if let Ok([Some(most), _]) = limits(&self.members)
            && let Some(tokens) = whole_number(most)
        {
            let rest = tokens.saturating_sub(partial.events).max(1);
            edits.push(self.members.replaced(most, rest.to_string()));
        }
        Ok(())
    }
}

/// The most tokens of the answer, and how many answers.
fn limits<'a>(members: &Members<'a>) -> Result<[Option<&'a RawValue>; 2], ApiError> {
    let Some(raw) = members.get(2).or(members.get(3)).filter(|raw| raw.get() != "null") else {
        return Ok([None; 2]);
    };
    let mut config = Fields::of(raw, "generationConfig")?.renamed(camel);
    Ok(["maxOutputTokens", "candidateCount"].map(|name| config.take(name)))
}

impl ClientRequest for Request<'_> {
    fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        match registry::api_of(changes.origin, &changes.model.name) {
            registry::Api::Gemini => {}
            api => return self.encode_through(changes, registry::origin_format(api)),
        }
        let edits = self.edits(changes)?;
        let path = super::path(changes.origin, &changes.model.name, self.endpoint).into();
        Ok(Encoded { path, body: EncodedBody::Edited(edits), dropped: Vec::new() })
    }
}

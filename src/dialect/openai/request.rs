//! Requests of OpenAI's API, read only as far as routing and metering need.

use super::foreign;
use super::quirks::{Quirks, refuses_max_tokens};
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::format::OriginFormat;
use crate::dialect::json::{present, span, whole_number};
use crate::dialect::members::{Members, wrong};
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, StreamForm, user_of,
};
use crate::dialect::{ClientRequest, media, registry, through};
use crate::error::ApiError;
use crate::payload::Edit;
use serde::Deserialize;
use serde_json::value::RawValue;

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

/// The types of parts that are no text, in chat completions and in Responses.
const MEDIA: [&str; 7] = [
    "\"image_url\"",
    "\"input_audio\"",
    "\"file\"",
    "\"video_url\"",
    "\"input_image\"",
    "\"input_file\"",
    "\"computer_screenshot\"",
];

/// What the gateway needs of a request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) body: &'a [u8],
    endpoint: &'static str,
    pub(super) facts: RequestFacts,
    members: Members<'a>,
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
        let members = Members::read(body, &KNOWN)?;
        if members.get(RESUME).is_some() {
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
        self.members.get(MESSAGES)
    }

    pub(super) fn prompt(&self) -> Option<&'a RawValue> {
        self.members.get(PROMPT)
    }

    /// Of the Responses API.
    pub(super) fn input(&self) -> Option<&'a RawValue> {
        self.members.get(INPUT)
    }

    pub(super) fn without_elements(&self, all: &[&RawValue], gone: &[&RawValue], edits: &mut Vec<Edit>) {
        self.members.without(all, gone, edits);
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = &'a RawValue> {
        [self.members.get(MAX_TOKENS), self.members.get(MAX_COMPLETION_TOKENS)].into_iter().flatten()
    }

    /// A member that the gateway does not look at; null is none.
    pub(super) fn other(&self, name: &str) -> Option<&'a RawValue> {
        self.members.other(name).filter(|value| value.get() != "null")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.other(name).is_some()
    }

    pub(super) fn new_member(&self, member: &str) -> Edit {
        self.members.added(member)
    }

    /// Without this value's member.
    pub(super) fn without(&self, value: &RawValue) -> Option<Edit> {
        self.members.removed(value)
    }

    pub(super) fn replaced(&self, old: &RawValue, text: String) -> Edit {
        self.members.replaced(old, text)
    }

    pub(super) fn appended(&self, array: &RawValue, element: &str) -> Option<Edit> {
        self.members.appended(array, element)
    }

    fn usage_edit(&self) -> Edit {
        const ASKED: &str = r#""include_usage":true"#;
        let Some(raw) = self.members.get(STREAM_OPTIONS) else {
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
        let text = self.members.allowed_but(changes, own)?;
        let text = text.trim_start_matches('\u{feff}');
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
        self.members.denied(changes, &mut edits)?;
        if self.facts.model != changes.model.name
            && let Some(model) = self.members.get(MODEL)
        {
            let text = serde_json::Value::from(changes.model.name.as_str()).to_string();
            edits.push(self.members.replaced(model, text));
        }
        Ok(edits)
    }

    /// The body with these changes, for the endpoint of the same name.
    pub(super) fn with_edits(&self, edits: Vec<Edit>, changes: &Changes<'_>) -> Encoded {
        let edits = self.members.merged(edits);
        let path = super::path(self.endpoint, changes.origin, &changes.model.name);
        Encoded { path, body: EncodedBody::Edited(edits), dropped: Vec::new() }
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
        if self.endpoint == super::CHAT
            && self.members.get(MAX_COMPLETION_TOKENS).is_none()
            && let Some(limit) = self.members.get(MAX_TOKENS)
            && refuses_max_tokens(changes.origin, &changes.model.name)
        {
            edits.extend(self.members.renamed(limit, "max_completion_tokens"));
        }
        if foreign::may_be_in(self.body) && Quirks::is_openai(changes.origin, &changes.model.name) {
            foreign::edits(self, &mut edits);
        }
        if changes.ask_usage && self.facts.stream && !self.facts.include_usage {
            edits.push(self.usage_edit());
        }
        if let Some(resume) = changes.resume {
            self.resume_edits(resume, &mut edits)?;
        }
        Ok(self.with_edits(edits, changes))
    }
}

fn facts(body: &[u8], members: &Members<'_>) -> Result<RequestFacts, ApiError> {
    let model = members.model(MODEL)?;
    let stream = optional(members.get(STREAM), "stream", "must be true or false")?.unwrap_or(false);
    let options = optional::<StreamOptions>(
        members.get(STREAM_OPTIONS),
        "stream_options",
        "must be an object such as {\"include_usage\": true}",
    )?;
    let size = RequestSize {
        body_bytes: body.len(),
        max_tokens: max_tokens(members),
        choices: choices(members),
        media: media::count(body, &MEDIA, false),
        images: 0,
    };
    let user = user_of(members.other("safety_identifier").or(members.other("user")));
    let conversation = members.span(members.get(MESSAGES).or(members.get(INPUT)).or(members.get(PROMPT)));
    Ok(RequestFacts {
        model,
        stream,
        stream_form: StreamForm::Events,
        include_usage: options.and_then(|options| options.include_usage).unwrap_or(false),
        size,
        user,
        conversation,
    })
}

/// The most tokens of an answer, whichever of its limits the origin obeys; `None` where one of them is not known.
fn max_tokens(members: &Members<'_>) -> Option<u64> {
    let given = |at: usize| members.get(at).filter(|raw| raw.get() != "null");
    let is_chat = given(MESSAGES).or(given(PROMPT)).is_some();
    // A limit of the other API's says nothing: origins ignore what they do not know.
    let limits = match (is_chat, given(INPUT).is_some()) {
        (_, false) => [given(MAX_TOKENS), given(MAX_COMPLETION_TOKENS)],
        (false, true) => [given(MAX_OUTPUT_TOKENS), None],
        (true, true) => return None,
    };
    let mut most = None;
    for limit in limits.into_iter().flatten() {
        most = most.max(Some(whole_number(limit)?));
    }
    most
}

/// How many answers are generated at most: `n` or `best_of` (as numbers or, as some origins take them, in quotes) for each
/// prompt.
fn choices(members: &Members<'_>) -> u64 {
    let count = |raw: Option<&RawValue>| {
        raw.and_then(|raw| whole_number(raw).or_else(|| raw.get().trim_matches('"').trim().parse().ok()))
    };
    let each = count(members.get(N)).max(count(members.other("best_of"))).unwrap_or(1).max(1);
    let prompts = members.get(PROMPT).map_or(1, |prompt| {
        let several: Option<Vec<&RawValue>> = serde_json::from_str(prompt.get()).ok();
        match several {
            // A prompt may also be one list of tokens.
            Some(all) if all.first().is_some_and(|first| first.get().starts_with(['"', '['])) => {
                all.len() as u64
            }
            _ => 1,
        }
    });
    each.saturating_mul(prompts)
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

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

//! OpenAI's chat completions and completions, read only as far as routing and metering need.
//!
//! Everything else in a body passes untouched, byte for byte: only the spans that must differ are replaced.

mod resume;

use crate::core::config::Prefill;
use crate::core::error::ApiError;
use crate::core::route::Size;
use crate::core::stream::Partial;
use crate::core::usage::{present, span};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// What the gateway needs of a request.
#[derive(Debug)]
pub struct Request<'a> {
    body: &'a [u8],
    pub model: Cow<'a, str>,
    model_span: Range<usize>,
    pub stream: bool,
    /// Whether the client asked for the usage event (`stream_options.include_usage`).
    pub include_usage: bool,
    stream_options: Option<&'a RawValue>,
    messages: Option<&'a RawValue>,
    prompt: Option<&'a RawValue>,
    limits: [Option<&'a RawValue>; 2],
}

/// What to replace by what.
type Edit = (Range<usize>, String);

/// The request is of a form that the origin cannot go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoResume;

/// What must be different for an origin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// The name by which it knows the model.
    pub served: &'a str,
    /// The usage event is wanted, whether the client asked for it or not.
    pub ask_usage: bool,
    /// It is to go on with this answer.
    pub resume: Option<Resume<'a>>,
}

/// How an origin is told to go on.
#[derive(Debug, Clone, Copy)]
pub enum Resume<'a> {
    /// By the partial answer's text.
    Text(&'a Partial, Prefill),
    /// By our own server's token ids.
    Tokens(&'a Partial),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_completion_tokens: Option<&'a RawValue>,
    /// [`moegate_wire::resume::FIELD`], which is the gateway's own.
    #[serde(default)]
    moegate_resume: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Request<'a> {
    /// Reads the envelope. Fields given twice are refused: gateway and origin might read different ones.
    ///
    /// # Errors
    /// 400 that names the field and what it must be.
    pub fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|e| {
            ApiError::invalid("invalid_json", None, format!("the request body is not UTF-8: {e}"))
        })?;
        if text.trim_start().as_bytes().first() != Some(&b'{') {
            return Err(ApiError::invalid("invalid_json", None, "the request body must be a JSON object"));
        }
        let envelope: Envelope<'a> = serde_json::from_str(text).map_err(|e| {
            ApiError::invalid("invalid_json", None, format!("the request body is not valid JSON: {e}"))
        })?;
        if envelope.moegate_resume.is_some() {
            return Err(ApiError::invalid(
                "reserved_field",
                Some(moegate_wire::resume::FIELD),
                "`moegate_resume` is between the gateway and its own servers: leave it out",
            ));
        }
        let model = envelope.model.ok_or_else(|| {
            ApiError::invalid(
                "missing_field",
                Some("model"),
                "`model` is missing: name the model to use; GET /v1/models lists them",
            )
        })?;
        let stream = optional::<bool>(envelope.stream, "stream", "must be true or false")?.unwrap_or(false);
        let options = optional::<StreamOptions>(
            envelope.stream_options,
            "stream_options",
            "must be an object such as {\"include_usage\": true}",
        )?;
        let name =
            serde_json::from_str::<Text<'a>>(model.get()).map_err(|_| wrong("model", "must be a string"))?;
        Ok(Self {
            body,
            model: name.0,
            model_span: span(body, model),
            stream,
            include_usage: options.and_then(|options| options.include_usage).unwrap_or(false),
            stream_options: envelope.stream_options,
            messages: envelope.messages,
            prompt: envelope.prompt,
            limits: [envelope.max_tokens, envelope.max_completion_tokens],
        })
    }

    /// All of it, as the client sent it.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The raw JSON of `messages` or `prompt`.
    #[must_use]
    pub fn conversation(&self) -> &'a [u8] {
        self.messages.or(self.prompt).map_or(&[], |raw| raw.get().as_bytes())
    }

    #[must_use]
    pub fn size(&self) -> Size {
        let limits = self.limits.iter().flatten().filter_map(|raw| raw.get().parse().ok());
        Size { body_bytes: self.body.len(), max_tokens: limits.min() }
    }

    /// The body with these changes. `None`: the client's own bytes will do.
    ///
    /// # Errors
    /// [`NoResume`] where the origin cannot go on with such a request.
    pub fn rewritten(&self, changes: Changes<'_>) -> Result<Option<Vec<u8>>, NoResume> {
        let mut edits: Vec<Edit> = Vec::new();
        if self.model != changes.served {
            edits.push((self.model_span.clone(), serde_json::Value::from(changes.served).to_string()));
        }
        if changes.ask_usage && self.stream && !self.include_usage {
            edits.push(self.usage_edit());
        }
        if let Some(resume) = changes.resume {
            self.resume_edits(resume, &mut edits)?;
        }
        if edits.is_empty() {
            return Ok(None);
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut out =
            Vec::with_capacity(self.body.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>());
        let mut from = 0;
        for (range, text) in edits {
            out.extend_from_slice(&self.body[from..range.start]);
            out.extend_from_slice(text.as_bytes());
            from = range.end;
        }
        out.extend_from_slice(&self.body[from..]);
        Ok(Some(out))
    }

    /// A member in front of all others. The object is not empty (it has a model), so a comma after it is right.
    fn new_member(&self, member: &str) -> Edit {
        let brace = self.body.iter().position(|&b| b == b'{').unwrap_or(0) + 1;
        (brace..brace, format!("{member},"))
    }

    fn usage_edit(&self) -> Edit {
        const ASKED: &str = r#""include_usage":true"#;
        let Some(raw) = self.stream_options else {
            return self.new_member(&format!(r#""stream_options":{{{ASKED}}}"#));
        };
        let whole = span(self.body, raw);
        match serde_json::from_str::<RawStreamOptions<'_>>(raw.get()) {
            Ok(RawStreamOptions { include_usage: Some(old) }) => (span(self.body, old), "true".to_owned()),
            Ok(RawStreamOptions { include_usage: None }) if raw.get().starts_with('{') => {
                let empty = raw.get()[1..].trim_start().starts_with('}');
                let at = whole.start + 1;
                (at..at, format!("{ASKED}{}", if empty { "" } else { "," }))
            }
            // An explicit null.
            _ => (whole, format!("{{{ASKED}}}")),
        }
    }
}

#[derive(Deserialize)]
struct RawStreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

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

/// The list that `GET /v1/models` answers.
#[must_use]
pub fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    to_json(&ModelList { object: "list", data: names.map(ModelEntry::new).collect() })
}

/// One entry of it.
#[must_use]
pub fn model_entry(name: &str) -> String {
    to_json(&ModelEntry::new(name))
}

fn to_json(value: &impl Serialize) -> String {
    // Plain strings and numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
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
    /// OpenAI clients want it; a route has no such date.
    created: u64,
    owned_by: &'static str,
}

impl<'a> ModelEntry<'a> {
    fn new(id: &'a str) -> Self {
        Self { id, object: "model", created: 0, owned_by: "moegate" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        for (body, expected) in [
            (r#"{"model":"m"}"#, ("m", false, false)),
            (r#" {"messages":[{"model":"no"}],"model":"a\u0062","stream":true}"#, ("ab", true, false)),
            (
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
                ("m", true, true),
            ),
            (r#"{"model":"m","stream":null,"stream_options":null}"#, ("m", false, false)),
        ] {
            let request = Request::parse(body.as_bytes()).unwrap();
            assert_eq!((&*request.model, request.stream, request.include_usage), expected, "{body}");
        }
    }

    #[test]
    fn bad_ones_name_the_field() {
        for (body, code, param) in [
            (&b""[..], "invalid_json", None),
            (b"[1]", "invalid_json", None),
            (b"\"model\"", "invalid_json", None),
            (b"{\"model\":\"m\"", "invalid_json", None),
            (b"{\"model\":\"m\"} x", "invalid_json", None),
            (b"{\"model\":\"\xff\"}", "invalid_json", None),
            (b"{}", "missing_field", Some("model")),
            (b"{\"model\":null}", "wrong_type", Some("model")),
            (b"{\"model\":7}", "wrong_type", Some("model")),
            (b"{\"model\":\"m\",\"stream\":\"yes\"}", "wrong_type", Some("stream")),
            (b"{\"model\":\"m\",\"stream_options\":true}", "wrong_type", Some("stream_options")),
            (
                b"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}",
                "wrong_type",
                Some("stream_options"),
            ),
            (b"{\"model\":\"m\",\"mod\\u0065l\":\"n\"}", "invalid_json", None),
        ] {
            let error = Request::parse(body).unwrap_err();
            assert_eq!((error.status, error.code, error.param), (400, code, param), "{error:?}");
        }
    }

    #[test]
    fn only_what_must_differ_is_rewritten() {
        let rewritten = |body: &str, served: &str, ask| {
            let out = Request::parse(body.as_bytes()).unwrap().rewritten(Changes {
                served,
                ask_usage: ask,
                resume: None,
            });
            out.unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let plain = r#"{"seed": 1.0e0,"model":"m", "x":"é"}"#;
        assert_eq!(rewritten(plain, "m", true), None);
        assert_eq!(rewritten(plain, "a\"b", true).unwrap(), r#"{"seed": 1.0e0,"model":"a\"b", "x":"é"}"#);
        let stream = r#"{ "model":"m","stream":true}"#;
        assert_eq!(rewritten(stream, "m", false), None);
        assert_eq!(
            rewritten(stream, "n", true).unwrap(),
            r#"{"stream_options":{"include_usage":true}, "model":"n","stream":true}"#
        );
        let options = r#"{"model":"m","stream_options":{"include_usage":false,"k":[1]},"stream":true}"#;
        assert_eq!(
            rewritten(options, "m", true).unwrap(),
            r#"{"model":"m","stream_options":{"include_usage":true,"k":[1]},"stream":true}"#
        );
        let other = r#"{"model":"m","stream":true,"stream_options": { "z":1,"a":2}}"#;
        assert_eq!(
            rewritten(other, "m", true).unwrap(),
            r#"{"model":"m","stream":true,"stream_options": {"include_usage":true, "z":1,"a":2}}"#
        );
        let empty = r#"{"model":"m","stream":true,"stream_options":{ }}"#;
        assert_eq!(
            rewritten(empty, "m", true).unwrap(),
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true }}"#
        );
        let null = r#"{"stream_options":null,"model":"m","stream":true}"#;
        assert_eq!(
            rewritten(null, "m", true).unwrap(),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
        );
        let asked = r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;
        assert_eq!(rewritten(asked, "m", true), None);
    }
}

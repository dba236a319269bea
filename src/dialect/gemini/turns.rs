//! `contents` of a client's request: turns of parts (<https://ai.google.dev/api/caching#Content>).

use super::parse::{inner, object};
use super::signature::{SKIP, unmarked};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{
    Content, Media, MediaKind, Message, Part, ReasoningPart, Role, Source, ToolCall, ToolResult,
};
use crate::dialect::json::string;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The system prompt: a `Content` without a role; some send a text.
///
/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn instructions<'a>(
    raw: &'a RawValue,
    others: &mut Vec<String>,
) -> Result<Vec<Part<'a>>, ApiError> {
    if let Some(text) = string(raw) {
        return Ok(vec![Content::Text(text).into()]);
    }
    let mut turn = object(raw, "systemInstruction")?;
    turn.skip(&["role"]);
    let mut reader = Reader::default();
    reader.parts(&mut turn, others)?;
    turn.rest(others);
    Ok(reader.parts)
}

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn messages<'a>(
    contents: &'a RawValue,
    others: &mut Vec<String>,
) -> Result<Vec<Message<'a>>, ApiError> {
    let elements = if contents.get().starts_with('{') {
        vec![contents]
    } else {
        client_list(contents, "contents", "must be an array")?
    };
    let mut reader = Reader::default();
    let mut messages: Vec<Message<'a>> = Vec::new();
    for (at, raw) in elements.into_iter().enumerate() {
        let mut turn = object(raw, format!("contents[{at}]"))?;
        let role = turn.text("role")?.unwrap_or_default();
        let role = match &*role {
            // The functions' own role is of the API's first version.
            "user" | "function" | "" => Role::User,
            "model" => Role::Assistant,
            other => return Err(unknown(&turn.path("role"), other, "user, model")),
        };
        // Clients keep a stream's pieces as turns of their own.
        reader.joins = role == Role::Assistant && messages.last().is_some_and(|last| last.role == role);
        if reader.joins {
            reader.parts = messages.pop().map(|last| last.parts).unwrap_or_default();
        }
        reader.parts(&mut turn, others)?;
        turn.rest(others);
        let parts = std::mem::take(&mut reader.parts);
        if !parts.is_empty() {
            messages.push(Message { role, parts });
        }
    }
    Ok(messages)
}

#[derive(Default)]
struct Reader<'a> {
    parts: Vec<Part<'a>>,
    /// The turn goes on with the one before.
    joins: bool,
    /// Calls so far: name, id, and whether a result has come.
    calls: Vec<(Cow<'a, str>, Cow<'a, str>, bool)>,
}

impl<'a> Reader<'a> {
    fn parts(&mut self, turn: &mut Fields<'a>, others: &mut Vec<String>) -> Result<(), ApiError> {
        for (path, raw) in turn.elements("parts")? {
            self.part(object(raw, path)?, others)?;
        }
        Ok(())
    }

    fn part(&mut self, mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<(), ApiError> {
        let thought = fields.flag("thought")? == Some(true);
        let signature = fields.text("thoughtSignature")?.filter(|text| !text.is_empty());
        // How finely it is looked at is a hint; the client's own notes are not for the model.
        fields.skip(&["mediaResolution", "partMetadata"]);
        if let Some(text) = fields.text("text")? {
            self.text(text, thought, signature);
        } else if let Some(mut call) = inner(&mut fields, "functionCall")? {
            self.call(&mut call, signature)?;
            call.rest(others);
        } else if let Some(mut result) = inner(&mut fields, "functionResponse")? {
            self.result(&mut result, others)?;
            result.rest(others);
        } else if let Some(media) = media(&mut fields, others)? {
            // A thought's picture means nothing to others.
            if !thought {
                self.parts.push(Content::Media(media).into());
            }
            self.signature(signature);
        }
        // Code that was run and server tools' own calls are among what is left.
        fields.rest_of_switches(others);
        Ok(())
    }

    fn text(&mut self, text: Cow<'a, str>, thought: bool, signature: Option<Cow<'a, str>>) {
        if !thought {
            match self.parts.last_mut() {
                _ if text.is_empty() => {}
                // A stream's pieces.
                Some(Part { content: Content::Text(own), .. }) if self.joins => own.to_mut().push_str(&text),
                _ => self.parts.push(Content::Text(text).into()),
            }
            return self.signature(signature);
        }
        let (signer, signature, redacted) = match signature.map(unmarked) {
            Some((signer, signature, redacted)) => (Some(signer), Some(signature), redacted),
            None => (None, None, false),
        };
        // A signature that came after its thought, and pieces of one thought. Google's own parts stay as they are.
        if !redacted
            && signer != Some(Signer::Google)
            && let Some(Part { content: Content::Reasoning(own), .. }) = self.parts.last_mut()
            && own.signature.is_none()
        {
            own.text.to_mut().push_str(&text);
            own.signature = signer.zip(signature);
            return;
        }
        let signature = signer.zip(signature);
        if !text.is_empty() || signature.is_some() {
            let part = ReasoningPart { text, signature, redacted, id: Cow::Borrowed("") };
            self.parts.push(Content::Reasoning(part).into());
        }
    }

    /// Of a part that is no thought: one of its own behind it.
    fn signature(&mut self, signature: Option<Cow<'a, str>>) {
        if let Some(signature) = signature.filter(|text| text != SKIP) {
            let (signer, signature, redacted) = unmarked(signature);
            let signature = Some((signer, signature));
            let part = ReasoningPart { text: Cow::Borrowed(""), signature, redacted, id: Cow::Borrowed("") };
            self.parts.push(Content::Reasoning(part).into());
        }
    }

    fn call(&mut self, call: &mut Fields<'a>, signature: Option<Cow<'a, str>>) -> Result<(), ApiError> {
        let name = call.needed_text("name")?;
        let id = match call.text("id")?.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => Cow::Owned(format!("call_{}", self.calls.len())),
        };
        let arguments = match call.take("args") {
            Some(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw.get()),
            Some(_) => return Err(wrong(&call.path("args"), "must be an object")),
            None => Cow::Borrowed(""),
        };
        self.calls.push((name.clone(), id.clone(), false));
        let signature = signature.filter(|text| text != SKIP);
        self.parts.push(Content::ToolCall(ToolCall { id, name, arguments, signature }).into());
        Ok(())
    }

    /// A result without an id answers the first call of that name that has none yet.
    fn result(&mut self, result: &mut Fields<'a>, others: &mut Vec<String>) -> Result<(), ApiError> {
        let name = result.needed_text("name")?;
        let id = result.text("id")?.filter(|id| !id.is_empty());
        let answers = |(own, own_id, done): &&mut (Cow<'a, str>, Cow<'a, str>, bool)| match &id {
            Some(id) => own_id == id,
            None => *own == name && !*done,
        };
        let id = match self.calls.iter_mut().find(answers) {
            Some((_, own, done)) => {
                *done = true;
                own.clone()
            }
            None => id.unwrap_or_else(|| Cow::Owned(format!("call_{name}"))),
        };
        let path = result.path("response");
        let response = result.take("response").ok_or_else(|| missing(&path))?;
        let (text, is_error) = said(response, &path)?;
        let mut parts = Vec::new();
        if !text.is_empty() {
            parts.push(Content::Text(text).into());
        }
        for (path, raw) in result.elements("parts")? {
            let mut fields = object(raw, path)?;
            parts.extend(media(&mut fields, others)?.map(|media| Content::Media(media).into()));
            fields.skip(&["mediaResolution"]);
            fields.rest(others);
        }
        self.parts.push(Content::ToolResult(ToolResult { id, name, parts, is_error }).into());
        Ok(())
    }
}

/// What a tool said, and whether it failed. By the reference `output` and `error` are what was said; `result` is what SDKs
/// write, `content` beside the tool's `name` what the AI SDK writes. Anything else is the object itself.
fn said<'a>(response: &'a RawValue, path: &str) -> Result<(Cow<'a, str>, bool), ApiError> {
    let members = Fields::of(response, path)?.into_members();
    let is_name = |name: &str| name == "name";
    let named: Vec<_> = members.iter().filter(|(name, _)| !is_name(name)).collect();
    let (name, value) = match named[..] {
        [(name, value)] if members.len() == 1 || matches!(&**name, "content" | "error") => (&**name, *value),
        _ => return Ok((Cow::Borrowed(response.get()), false)),
    };
    let is_error = match name {
        "error" => true,
        "output" | "result" | "content" => false,
        _ => return Ok((Cow::Borrowed(response.get()), false)),
    };
    Ok((string(value).unwrap_or(Cow::Borrowed(value.get())), is_error))
}

fn media<'a>(fields: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Media<'a>>, ApiError> {
    let (mut data, source) = if let Some(mut data) = inner(fields, "inlineData")? {
        let base64 = data.needed_text("data")?;
        (data, Source::Base64(usual_alphabet(base64)))
    } else if let Some(mut data) = inner(fields, "fileData")? {
        let uri = data.needed_text("fileUri")?;
        (data, if is_googles(&uri) { Source::Id(uri) } else { Source::Url(uri) })
    } else {
        return Ok(None);
    };
    let media_type = data.text("mimeType")?.unwrap_or_default();
    let name = data.text("displayName")?.unwrap_or_default();
    data.rest(others);
    let kind = match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::File,
    };
    Ok(Some(Media { kind, source, media_type, name, detail: None }))
}

/// Base64 as others take it: Python's client writes the alphabet for URLs, which protobuf's JSON takes too.
fn usual_alphabet(base64: Cow<'_, str>) -> Cow<'_, str> {
    if !base64.contains(['-', '_']) {
        return base64;
    }
    Cow::Owned(base64.replace('-', "+").replace('_', "/"))
}

/// What only Google can open: uploads, its storage, YouTube.
fn is_googles(uri: &str) -> bool {
    const HOSTS: [&str; 4] = [
        "https://generativelanguage.googleapis.com/",
        "gs://",
        "https://www.youtube.com/",
        "https://youtu.be/",
    ];
    HOSTS.iter().any(|host| uri.starts_with(host))
}

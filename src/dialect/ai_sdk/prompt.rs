//! `prompt`: the conversation.

use super::options::{cache, look};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::arguments::as_object;
use crate::dialect::canonical::call_id;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{
    Content, Media, MediaKind, Message, Part, ReasoningPart, Request, Role, Source, ToolCall, ToolResult,
};
use crate::dialect::json::string;
use crate::dialect::openai::parse::of_url;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn messages<'a>(
    body: &mut Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (path, raw) in body.elements("prompt")? {
        message(Fields::of(raw, path)?, request, others)?;
    }
    // What nobody can be told is said by itself.
    if request.messages.is_empty() && request.instructions.is_empty() && others.is_empty() {
        return Err(missing("prompt"));
    }
    Ok(())
}

fn message<'a>(
    mut fields: Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let role = fields.needed_text("role")?;
    let cached = cache(fields.take("providerOptions"));
    let mut parts = Vec::new();
    match fields.take("content") {
        Some(raw) if raw.get().starts_with('"') => {
            parts.push(Content::Text(string(raw).unwrap_or_default()).into());
        }
        Some(raw) => {
            let path = fields.path("content");
            let must = "must be a text or an array of parts";
            let of_assistant = role == "assistant";
            for (at, raw) in client_list(raw, &path, must)?.into_iter().enumerate() {
                parts.extend(part(raw, format!("{path}[{at}]"), !of_assistant, others)?);
            }
        }
        None => return Err(missing(&fields.path("content"))),
    }
    // What stands at a message is of its last part.
    if let (Some(cached), Some(last)) = (cached, parts.last_mut()) {
        last.cache.get_or_insert(cached);
    }
    let role = match &*role {
        "system" if request.messages.is_empty() => {
            request.instructions.extend(parts);
            return Ok(());
        }
        "system" => Role::System,
        "user" | "tool" => Role::User,
        "assistant" => Role::Assistant,
        other => return Err(unknown(&fields.path("role"), other, "system, user, assistant, tool")),
    };
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    match request.messages.last_mut() {
        // Results of one turn's calls belong together.
        Some(last) if last.role == role && parts.iter().chain(&last.parts).all(is_result) => {
            last.parts.extend(parts);
        }
        _ if parts.is_empty() => {}
        _ => request.messages.push(Message { role, parts }),
    }
    Ok(())
}

/// The texts that parts have.
const TEXTS: [&str; 7] = ["type", "text", "mediaType", "filename", "url", "toolCallId", "toolName"];
// Places in `TEXTS`.
const TYPE: usize = 0;
const TEXT: usize = 1;
const MEDIA_TYPE: usize = 2;
const FILENAME: usize = 3;
const URL: usize = 4;
const ID: usize = 5;
const NAME: usize = 6;

/// A part's members.
struct Reader<'a> {
    fields: Fields<'a>,
    texts: [Option<Cow<'a, str>>; 7],
}

impl<'a> Reader<'a> {
    fn of(raw: &'a RawValue, path: String) -> Result<Self, ApiError> {
        let mut fields = Fields::of(raw, path)?;
        let mut texts = [const { None }; 7];
        for (place, name) in texts.iter_mut().zip(TEXTS) {
            *place = fields.text(name)?;
        }
        Ok(Self { fields, texts })
    }

    fn needed(&mut self, at: usize) -> Result<Cow<'a, str>, ApiError> {
        self.texts[at].take().ok_or_else(|| missing(&self.fields.path(TEXTS[at])))
    }

    fn taken(&mut self, at: usize) -> Cow<'a, str> {
        self.texts[at].take().unwrap_or_default()
    }
}

/// A part of a message, or of what a tool answered. `results`: whether it may be a tool's result. `None`: it means nothing
/// to a model, or is among `others`.
fn part<'a>(
    raw: &'a RawValue,
    path: String,
    results: bool,
    others: &mut Vec<String>,
) -> Result<Option<Part<'a>>, ApiError> {
    let mut own = Reader::of(raw, path)?;
    let kind = own.needed(TYPE)?;
    let options = own.fields.take("providerOptions");
    let is_executed = own.fields.take("providerExecuted").is_some_and(|raw| raw.get() == "true");
    let content = match &*kind {
        "text" => match own.needed(TEXT)? {
            // Some APIs refuse an empty one.
            text if text.is_empty() => return Ok(None),
            text => Content::Text(text),
        },
        "reasoning" => Content::Reasoning(reasoning(own.taken(TEXT), options)),
        // `media`, `file-…` and `image-…` are what tools answered with in earlier versions.
        "file" | "media" | "file-data" | "image-data" | "file-url" | "image-url" => {
            match file(&mut own, kind.starts_with("image"), others)? {
                Some(media) => Content::Media(media),
                None => return Ok(None),
            }
        }
        // One that a provider ran is known to that provider alone.
        "tool-call" if !is_executed => {
            let (id, signed) = call_id::split(own.needed(ID)?);
            let arguments = match own.fields.take("input") {
                Some(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw.get()),
                // A model's arguments that could not be read are a text here.
                Some(raw) => Cow::Owned(as_object(&string(raw).unwrap_or(raw.get().into())).into_owned()),
                None => Cow::Borrowed(""),
            };
            let signature = look(options, "google", "thoughtSignature").and_then(string);
            let signature = signature.or(signed.map(Cow::Owned));
            Content::ToolCall(ToolCall { id, name: own.needed(NAME)?, arguments, signature })
        }
        "tool-result" if results => result(&mut own, others)?,
        // Whether a call was allowed shows in what follows it.
        "tool-approval-request" | "tool-approval-response" => return Ok(None),
        "tool-call"
        | "tool-result"
        | "reasoning-file"
        | "custom"
        | "file-id"
        | "image-file-id"
        | "image-file-reference"
        | "file-reference" => {
            others.push(own.fields.path(&kind));
            return Ok(None);
        }
        other => {
            let known = "text, file, reasoning, tool-call, tool-result";
            return Err(unknown(&own.fields.path("type"), other, known));
        }
    };
    Ok(Some(Part { content, cache: cache(options) }))
}

/// A thought; its signature stands where the package of the provider that made it keeps it.
fn reasoning<'a>(text: Cow<'a, str>, options: Option<&'a RawValue>) -> ReasoningPart<'a> {
    let found = [
        (Signer::Anthropic, "anthropic", "signature", false),
        (Signer::Anthropic, "anthropic", "redactedData", true),
        (Signer::Anthropic, "bedrock", "signature", false),
        (Signer::Anthropic, "bedrock", "redactedData", true),
        (Signer::Google, "google", "thoughtSignature", false),
        (Signer::Google, "vertex", "thoughtSignature", false),
        (Signer::OpenAi, "openai", "reasoningEncryptedContent", true),
    ]
    .into_iter()
    .find_map(|(signer, provider, name, redacted)| {
        Some((signer, look(options, provider, name).and_then(string)?, redacted))
    });
    let id = look(options, "openai", "itemId").and_then(string).unwrap_or_default();
    match found {
        Some((signer, data, redacted)) => {
            ReasoningPart { text, signature: Some((signer, data)), redacted, id }
        }
        None => ReasoningPart { text, signature: None, redacted: false, id },
    }
}

/// A file: tagged data (ai 7), or a text that is a URL, a `data:` URL or base64.
fn file<'a>(
    own: &mut Reader<'a>,
    is_image: bool,
    others: &mut Vec<String>,
) -> Result<Option<Media<'a>>, ApiError> {
    let (media_type, name) = (own.taken(MEDIA_TYPE), own.taken(FILENAME));
    let path = own.fields.path("data");
    let (source, told) = match (own.fields.take("data"), own.texts[URL].take()) {
        (Some(raw), _) if raw.get().starts_with('{') => {
            let mut data = Fields::of(raw, path)?;
            let kind = data.needed_text("type")?;
            match &*kind {
                "data" | "url" | "text" => {
                    let said = data.needed_text(&kind)?;
                    match &*kind {
                        "data" => (Source::Base64(said), Cow::Borrowed("")),
                        "url" => of_url(said),
                        _ => (Source::Text(said), Cow::Borrowed("")),
                    }
                }
                // Names what was uploaded to one provider.
                "reference" => {
                    others.push(data.path("reference"));
                    return Ok(None);
                }
                other => return Err(unknown(&data.path("type"), other, "data, url, text")),
            }
        }
        (Some(raw), _) => of_url(string(raw).ok_or_else(|| wrong(&path, "must be a string or an object"))?),
        (None, Some(url)) => of_url(url),
        (None, None) => return Err(missing(&path)),
    };
    // `image/*` is what an app says that does not know more.
    let is_whole = |own: &Cow<'_, str>| !own.is_empty() && !own.ends_with("/*");
    let kind = match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ if is_image => MediaKind::Image,
        _ => MediaKind::File,
    };
    let media_type = if is_whole(&media_type) { media_type } else { told };
    Ok(Some(Media { kind, source, media_type, name, detail: None }))
}

fn result<'a>(own: &mut Reader<'a>, others: &mut Vec<String>) -> Result<Content<'a>, ApiError> {
    let (id, _) = call_id::split(own.needed(ID)?);
    let name = own.taken(NAME);
    let path = own.fields.path("output");
    let mut output = own.fields.object("output")?.ok_or_else(|| missing(&path))?;
    let kind = output.needed_text("type")?;
    let mut parts = Vec::new();
    match &*kind {
        "content" => {
            for (path, raw) in output.elements("value")? {
                parts.extend(part(raw, path, false, others)?);
            }
        }
        "execution-denied" => {
            let reason = output.take("reason").and_then(string);
            let reason = reason.unwrap_or(Cow::Borrowed("the call was not allowed"));
            parts.push(Content::Text(reason).into());
        }
        "text" | "error-text" | "json" | "error-json" => {
            let value = output.take("value").map_or(Cow::Borrowed("null"), |raw| {
                let text = if kind.ends_with("text") { string(raw) } else { None };
                text.unwrap_or(Cow::Borrowed(raw.get()))
            });
            parts.push(Content::Text(value).into());
        }
        other => {
            let known = "text, json, error-text, error-json, execution-denied, content";
            return Err(unknown(&output.path("type"), other, known));
        }
    }
    let is_error = kind.starts_with("error") || kind == "execution-denied";
    Ok(Content::ToolResult(ToolResult { id, name, parts, is_error }))
}

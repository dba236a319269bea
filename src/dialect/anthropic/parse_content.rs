//! The blocks of a request's messages in the canonical form (API reference, "Messages" > "Create a Message" > `messages`).

use super::SIGNERS;
use crate::dialect::canonical::fields::{Fields, client_list, missing};
use crate::dialect::canonical::request::{
    Content, Media, MediaKind, Part, ReasoningPart, Source, ToolCall, ToolResult,
};
use crate::dialect::canonical::{Signer, call_id};
use crate::dialect::json::string;
use crate::error::{ApiError, shown_name};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The place to cache that an object is marked as: its `ttl`, empty where none is said.
pub(super) fn cache<'a>(fields: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, ApiError> {
    let Some(mut cache) = fields.object("cache_control")? else { return Ok(None) };
    Ok(Some(cache.text("ttl")?.unwrap_or_default()))
}

/// Where a block stands. Results and documents hold few kinds, so that nothing a client sends nests deeper than this.
#[derive(Clone, Copy)]
enum Place {
    Message,
    ToolResult,
    Document,
}

impl Place {
    fn may_hold(self, kind: &str) -> bool {
        match self {
            Self::Message => true,
            Self::ToolResult => matches!(kind, "text" | "image" | "document"),
            Self::Document => matches!(kind, "text" | "image"),
        }
    }
}

/// A text, or a list of blocks.
pub(super) fn texts<'a>(
    raw: &'a RawValue,
    path: &str,
    others: &mut Vec<String>,
) -> Result<Vec<Part<'a>>, ApiError> {
    texts_in(Place::Message, raw, path, others)
}

fn texts_in<'a>(
    place: Place,
    raw: &'a RawValue,
    path: &str,
    others: &mut Vec<String>,
) -> Result<Vec<Part<'a>>, ApiError> {
    if let Some(text) = string(raw) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Content::Text(text).into()] });
    }
    let elements = client_list(raw, path, "must be a string or an array of blocks")?;
    let mut parts = Vec::new();
    for (at, raw) in elements.into_iter().enumerate() {
        parts.extend(block_in(place, Fields::of(raw, format!("{path}[{at}]"))?, others)?);
    }
    Ok(parts)
}

/// One block; `None` for one that no other API has words for, whose path is among the others.
pub(super) fn block<'a>(fields: Fields<'a>, others: &mut Vec<String>) -> Result<Option<Part<'a>>, ApiError> {
    block_in(Place::Message, fields, others)
}

fn block_in<'a>(
    place: Place,
    mut fields: Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<Part<'a>>, ApiError> {
    let kind = fields.needed_text("type")?;
    if !place.may_hold(&kind) {
        others.push(format!("{} ({})", fields.path("type"), shown_name(&kind)));
        return Ok(None);
    }
    let content = match &*kind {
        "text" => {
            // Of answers that come back as they were given.
            fields.skip(&["citations"]);
            Content::Text(fields.needed_text("text")?)
        }
        "image" => media(&mut fields, MediaKind::Image, others)?,
        "document" => {
            let content = media(&mut fields, MediaKind::File, others)?;
            if let Some(citations) = fields.object("citations")? {
                citations.rest(others);
            }
            content
        }
        "tool_use" => {
            let (id, signature) = call_id::split(fields.needed_text("id")?);
            let arguments = Cow::Borrowed(fields.take("input").map_or("", RawValue::get));
            let name = fields.needed_text("name")?;
            // Who called: an answer has it, that comes back as it was given.
            if let Some(mut caller) = fields.object("caller")?
                && caller.text("type")?.is_some_and(|caller| caller != "direct")
            {
                others.push(fields.path("caller"));
            }
            Content::ToolCall(ToolCall { id, name, arguments, signature: signature.map(Cow::Owned) })
        }
        "tool_result" => {
            let (id, _) = call_id::split(fields.needed_text("tool_use_id")?);
            let path = fields.path("content");
            let parts = match fields.take("content") {
                Some(raw) => texts_in(Place::ToolResult, raw, &path, others)?,
                None => Vec::new(),
            };
            let is_error = fields.flag("is_error")? == Some(true);
            Content::ToolResult(ToolResult { id, name: Cow::Borrowed(""), parts, is_error })
        }
        "thinking" => {
            let signature = signed(fields.text("signature")?.unwrap_or_default());
            let text = fields.text("thinking")?.unwrap_or_default();
            Content::Reasoning(ReasoningPart { text, signature, redacted: false, id: Cow::Borrowed("") })
        }
        "redacted_thinking" => {
            let (text, id) = (Cow::Borrowed(""), Cow::Borrowed(""));
            let signature = signed(fields.needed_text("data")?);
            Content::Reasoning(ReasoningPart { text, signature, redacted: true, id })
        }
        other => {
            others.push(format!("{} ({other})", fields.path("type")));
            return Ok(None);
        }
    };
    let cache = cache(&mut fields)?;
    fields.rest(others);
    Ok(Some(Part { content, cache }))
}

/// A signature and whose it is; none for an empty one.
fn signed(signature: Cow<'_, str>) -> Option<(Signer, Cow<'_, str>)> {
    if signature.is_empty() {
        return None;
    }
    for signer in SIGNERS {
        let rest = signature.strip_prefix(signer.name()).and_then(|rest| rest.strip_prefix(':'));
        if let Some(rest) = rest {
            return Some((signer, Cow::Owned(rest.to_owned())));
        }
    }
    Some((Signer::Anthropic, signature))
}

fn media<'a>(
    fields: &mut Fields<'a>,
    kind: MediaKind,
    others: &mut Vec<String>,
) -> Result<Content<'a>, ApiError> {
    let path = fields.path("source");
    let mut own = fields.object("source")?.ok_or_else(|| missing(&path))?;
    let media_type = own.text("media_type")?.unwrap_or_default();
    let source = match &*own.needed_text("type")? {
        "base64" => Source::Base64(own.needed_text("data")?),
        "url" => Source::Url(own.needed_text("url")?),
        "file" => Source::Id(own.needed_text("file_id")?),
        "text" => Source::Text(own.needed_text("data")?),
        "content" => {
            let path = own.path("content");
            let raw = own.take("content").ok_or_else(|| missing(&path))?;
            let mut text = String::new();
            for part in texts_in(Place::Document, raw, &path, others)? {
                match part.content {
                    Content::Text(more) => {
                        if !text.is_empty() {
                            text.push('\n');
                        }
                        text.push_str(&more);
                    }
                    _ => others.push(format!("{path} (a block that is no text)")),
                }
            }
            Source::Text(Cow::Owned(text))
        }
        other => {
            others.push(format!("{path} ({other})"));
            Source::Text(Cow::Borrowed(""))
        }
    };
    own.rest(others);
    let name = fields.text("title")?.unwrap_or_default();
    Ok(Content::Media(Media { kind, source, media_type, name, detail: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_documents_do_not_nest() {
        const LEVELS: usize = 10_000;
        for open in [
            r#"[{"type":"tool_result","tool_use_id":"a","content":"#,
            r#"[{"type":"document","source":{"type":"content","content":"#,
        ] {
            let close = if open.contains("source") { "}}]" } else { "}]" };
            let body = format!("{}[]{}", open.repeat(LEVELS), close.repeat(LEVELS));
            let raw: &RawValue = serde_json::from_str(&body).unwrap();
            let mut others = Vec::new();
            texts(raw, "content", &mut others).unwrap();
            assert!(others[0].contains(".content[0].type ("), "{others:?}");
        }
    }
}

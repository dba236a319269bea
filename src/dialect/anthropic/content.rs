//! What messages are made of, as Anthropic's blocks (API reference, "Messages" > "Create a Message" > `messages`).

use crate::dialect::canonical::Signer;
pub(super) use crate::dialect::canonical::arguments::as_object as input;
use crate::dialect::canonical::request::{
    Content, Media, MediaKind, Part, ReasoningPart, Source, ToolCall, ToolResult,
};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::json_writer::JsonWriter;
use std::borrow::Cow;

/// Anthropic takes no more places to cache.
const MOST_MARKS: u8 = 4;

/// The places to cache that were written.
#[derive(Debug, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// A hint: those beyond what Anthropic takes are left out.
    pub(super) fn write(&mut self, json: &mut JsonWriter, cache: Option<&str>) {
        let Some(ttl) = cache.filter(|_| self.0 < MOST_MARKS) else { return };
        self.0 += 1;
        json.key("cache_control").object(|json| {
            json.member("type", "ephemeral");
            if !ttl.is_empty() {
                json.member("ttl", ttl);
            }
        });
    }
}

/// A thought that Anthropic takes back: one that it has signed itself.
pub(super) fn is_thought(content: &Content<'_>) -> bool {
    let Content::Reasoning(thought) = content else { return false };
    matches!(&thought.signature, Some((Signer::Anthropic, signature)) if !signature.is_empty())
}

/// Whether a part is written at all: Anthropic refuses blank texts and others' thoughts.
pub(in crate::dialect) fn is_said(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => !text.trim().is_empty(),
        Content::Reasoning(_) => is_thought(&part.content),
        Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) => true,
    }
}

pub(super) fn text(json: &mut JsonWriter, text: &str) {
    json.object(|json| {
        json.member("type", "text");
        json.member("text", text);
    });
}

/// A part that [`is_said`].
pub(super) fn block(
    json: &mut JsonWriter,
    part: &Part<'_>,
    marks: &mut Marks,
    unsupported: &mut Unsupported,
) {
    if let Content::Media(media) = &part.content {
        let Some(source) = source(media, unsupported) else { return };
        json.object(|json| {
            json.member("type", if media.kind == MediaKind::Image { "image" } else { "document" });
            json.key("source").object(|json| {
                for (name, value) in source {
                    json.member(name, &value);
                }
            });
            if media.kind == MediaKind::File && !media.name.is_empty() {
                json.member("title", &media.name);
            }
            marks.write(json, part.cache.as_deref());
        });
        return;
    }
    json.object(|json| {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => {
                json.member("type", "text");
                json.member("text", text);
            }
            Content::ToolCall(call) => tool_use(json, call),
            Content::ToolResult(result) => tool_result(json, result, marks, unsupported),
            Content::Reasoning(thought) => return reasoning(json, thought),
            Content::Media(_) => {}
        }
        marks.write(json, part.cache.as_deref());
    });
}

/// The members of a source; `None` where Anthropic has none of that kind.
fn source<'m>(
    media: &'m Media<'_>,
    unsupported: &mut Unsupported,
) -> Option<Vec<(&'static str, Cow<'m, str>)>> {
    let is_image = media.kind == MediaKind::Image;
    let is_pdf = matches!(&*media.media_type, "" | "application/pdf");
    let fixed = Cow::Borrowed;
    let refused = match (&media.kind, &media.source) {
        (MediaKind::Audio, _) => "messages (sound)",
        (_, Source::Url(url)) if !url.starts_with("http") => "messages (a file in a cloud's storage)",
        // OpenAI's.
        (_, Source::Id(id)) if id.starts_with("file-") => "messages (a file that another provider keeps)",
        (MediaKind::File, Source::Base64(_) | Source::Url(_)) if !is_pdf => {
            "messages (a file other than PDF or plain text)"
        }
        _ => "",
    };
    if !refused.is_empty() {
        unsupported.add(refused);
        return None;
    }
    Some(match &media.source {
        Source::Url(url) => vec![("type", fixed("url")), ("url", fixed(url))],
        Source::Id(id) => vec![("type", fixed("file")), ("file_id", fixed(id))],
        Source::Text(text) => {
            vec![("type", fixed("text")), ("media_type", fixed("text/plain")), ("data", fixed(text))]
        }
        Source::Base64(data) => {
            let media_type = match &*media.media_type {
                "" if is_image => image_type(data),
                "" => "application/pdf",
                "image/jpg" => "image/jpeg",
                own => own,
            };
            vec![("type", fixed("base64")), ("media_type", fixed(media_type)), ("data", fixed(data))]
        }
    })
}

/// By the first bytes, in base64.
fn image_type(data: &str) -> &'static str {
    match data.get(..4) {
        Some("/9j/") => "image/jpeg",
        Some("R0lG") => "image/gif",
        Some("UklG") => "image/webp",
        _ => "image/png",
    }
}

fn tool_use(json: &mut JsonWriter, call: &ToolCall<'_>) {
    json.member("type", "tool_use");
    json.member("id", &id(&call.id));
    json.member("name", &call.name);
    json.key("input").raw(&input(&call.arguments));
}

fn tool_result(
    json: &mut JsonWriter,
    result: &ToolResult<'_>,
    marks: &mut Marks,
    unsupported: &mut Unsupported,
) {
    json.member("type", "tool_result");
    json.member("tool_use_id", &id(&result.id));
    let parts: Vec<_> = result.parts.iter().filter(|part| is_said(part)).collect();
    if !parts.is_empty() {
        json.key("content").array(|json| {
            parts.iter().for_each(|part| block(json, part, marks, unsupported));
        });
    }
    if result.is_error {
        json.key("is_error").bool(true);
    }
}

fn reasoning(json: &mut JsonWriter, thought: &ReasoningPart<'_>) {
    let signature = thought.signature.as_ref().map_or("", |(_, signature)| signature);
    if thought.redacted {
        json.member("type", "redacted_thinking");
        json.member("data", signature);
    } else {
        json.member("type", "thinking");
        json.member("thinking", &thought.text);
        json.member("signature", signature);
    }
}

/// A call's id in the characters that Anthropic takes: `[A-Za-z0-9_-]`.
pub(in crate::dialect) fn id<'i>(id: &'i str) -> Cow<'i, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.chars().map(|c| if fits(c) { c } else { '_' }).collect())
}

//! The conversation as `contents`: turns of `user` and `model`, each of parts.

use super::family::Family;
use super::signature::SKIP;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::arguments::as_object;
use crate::dialect::canonical::request::{
    Content, Media, MediaKind, Message, Part, ReasoningPart, Request, Role, Source, ToolCall, ToolResult,
};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

struct Writer<'r, 'u> {
    /// Of tools, by the ids of their calls.
    names: BTreeMap<&'r str, &'r str>,
    family: Family,
    unsupported: &'u mut Unsupported,
}

pub(super) fn write(
    json: &mut JsonWriter,
    request: &Request<'_>,
    family: Family,
    unsupported: &mut Unsupported,
) {
    let mut writer = Writer { names: request.tool_names(), family, unsupported };
    // A system message within the conversation has no place of its own, so it stands with the others.
    let is_system = |message: &&Message<'_>| message.role == Role::System;
    let within = request.messages.iter().filter(is_system).flat_map(|message| &message.parts);
    let system: Vec<_> = request.instructions.iter().chain(within).collect();
    // A turn without parts is refused.
    let says = |message: &&Message<'_>| !is_system(message) && message.parts.iter().any(says_something);
    let turns: Vec<_> = request.messages.iter().filter(says).collect();
    // There has to be a turn.
    let as_system = family.has_system && !turns.is_empty();
    if as_system && !system.is_empty() {
        json.key("systemInstruction").object(|json| {
            json.key("parts").array(|json| {
                system.iter().for_each(|part| writer.part(json, part));
            });
        });
    }
    let mut first = if as_system { Vec::new() } else { system };
    // Signatures are checked from the last words of the user on.
    let current = turns.iter().rposition(|message| begins_turn(message)).unwrap_or(0);
    json.key("contents").array(|json| {
        let mut at = 0;
        let is_model = |message: &&Message<'_>| message.role == Role::Assistant;
        for group in turns.chunk_by(|a, b| is_model(a) == is_model(b)) {
            let model = is_model(&group[0]);
            let begin = at;
            at += group.len();
            if model && !first.is_empty() {
                content(json, "user", |json| first.drain(..).for_each(|part| writer.part(json, part)));
            }
            content(json, if model { "model" } else { "user" }, |json| {
                let parts = || group.iter().flat_map(|message| &message.parts);
                if model {
                    writer.model(json, parts(), begin >= current);
                } else {
                    let before = std::mem::take(&mut first);
                    writer.user(json, before.into_iter(), parts());
                }
            });
        }
        if !first.is_empty() {
            content(json, "user", |json| first.drain(..).for_each(|part| writer.part(json, part)));
        }
    });
}

/// Whether Google gets anything of it: no empty texts, and no thoughts that it has not signed.
fn says_something(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => !text.is_empty(),
        Content::Reasoning(thought) => matches!(thought.signature, Some((Signer::Google, _))),
        Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) => true,
    }
}

/// The user says something that answers no call.
fn begins_turn(message: &Message<'_>) -> bool {
    message.role == Role::User
        && message.parts.iter().any(|part| !matches!(part.content, Content::ToolResult(_)))
}

fn content(json: &mut JsonWriter, role: &str, parts: impl FnOnce(&mut JsonWriter)) {
    json.object(|json| {
        json.member("role", role);
        json.key("parts").array(parts);
    });
}

impl<'r> Writer<'r, '_> {
    /// Results answer the calls before anything else is said; files that a result cannot hold follow it.
    fn user<'p: 'r>(
        &mut self,
        json: &mut JsonWriter,
        before: impl Iterator<Item = &'p Part<'p>>,
        parts: impl Iterator<Item = &'r Part<'r>>,
    ) {
        let (results, others): (Vec<_>, Vec<_>) =
            parts.partition(|part| matches!(part.content, Content::ToolResult(_)));
        let mut files = Vec::new();
        for part in results {
            if let Content::ToolResult(result) = &part.content {
                self.result(json, result, &mut files);
            }
        }
        before.for_each(|part| self.part(json, part));
        files.into_iter().chain(others).for_each(|part| self.part(json, part));
    }

    fn model(&mut self, json: &mut JsonWriter, parts: impl Iterator<Item = &'r Part<'r>>, is_current: bool) {
        let mut signed = false;
        for part in parts {
            match &part.content {
                Content::ToolCall(call) => {
                    self.call(json, call, is_current && !signed);
                    signed = true;
                }
                Content::Reasoning(thought) => reasoning(json, thought),
                _ => self.part(json, part),
            }
        }
    }

    fn part(&mut self, json: &mut JsonWriter, part: &Part<'_>) {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) if !text.is_empty() => {
                json.object(|json| json.member("text", text));
            }
            Content::Media(media) => self.media(json, media),
            _ => {}
        }
    }

    fn media(&mut self, json: &mut JsonWriter, media: &Media<'_>) {
        match &media.source {
            Source::Text(text) => json.object(|json| json.member("text", text)),
            Source::Base64(data) => json.object(|json| inline(json, media, data)),
            Source::Url(url) if self.takes(url) => json.object(|json| self.file(json, media, url)),
            // Google's own.
            Source::Id(id) if id.starts_with("https://") || id.starts_with("gs://") => {
                json.object(|json| self.file(json, media, id));
            }
            Source::Url(_) | Source::Id(_) => self.unsupported.add("a file by its URL or id"),
        }
    }

    /// Public and signed URLs are fetched by models since 2.5; files of Google's Cloud Storage by all at Vertex AI.
    fn takes(&self, url: &str) -> bool {
        url.starts_with("gs://") || url.starts_with("https://") && self.family.fetches
    }

    fn file(&self, json: &mut JsonWriter, media: &Media<'_>, uri: &str) {
        let guess = || type_of_name(uri);
        let usual = || self.family.is_vertex.then_some(usual_type(media.kind));
        let media_type = Some(&*media.media_type).filter(|own| !own.is_empty());
        json.key("fileData").object(|json| {
            // Vertex AI wants one; the Gemini API looks for itself.
            if let Some(media_type) = media_type.or_else(guess).or_else(usual) {
                json.member("mimeType", media_type);
            }
            json.member("fileUri", uri);
        });
    }

    /// `is_first`: of a step of the turn under way, where a signature is needed.
    fn call(&self, json: &mut JsonWriter, call: &ToolCall<'_>, is_first: bool) {
        json.object(|json| {
            json.key("functionCall").object(|json| {
                self.id(json, &call.id);
                json.member("name", &call.name);
                json.key("args").raw(&as_object(&call.arguments));
            });
            match &call.signature {
                Some(signature) => json.member("thoughtSignature", signature),
                // For calls that no model of Google's made
                // (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs).
                None if is_first && self.family.is_three => json.member("thoughtSignature", SKIP),
                None => {}
            }
        });
    }

    /// Vertex AI's calls have none.
    fn id(&self, json: &mut JsonWriter, id: &str) {
        if !self.family.is_vertex && !id.is_empty() {
            json.member("id", id);
        }
    }

    fn result(&mut self, json: &mut JsonWriter, result: &'r ToolResult<'r>, files: &mut Vec<&'r Part<'r>>) {
        let mut text = String::new();
        let mut within = Vec::new();
        for part in &result.parts {
            match &part.content {
                Content::Text(more) | Content::Media(Media { source: Source::Text(more), .. }) => {
                    text.push_str(more);
                }
                Content::Media(media) => match &media.source {
                    Source::Base64(data) if self.family.is_three && is_within(media) => {
                        within.push((media, data));
                    }
                    _ => files.push(part),
                },
                _ => {}
            }
        }
        if text.is_empty() && within.is_empty() && !files.is_empty() {
            text.push_str("(the result follows)");
        }
        let called = || self.names.get(&*result.id).copied().unwrap_or_default();
        let name = if result.name.is_empty() { called() } else { &result.name };
        json.object(|json| {
            json.key("functionResponse").object(|json| {
                self.id(json, &result.id);
                json.member("name", name);
                json.key("response");
                response(json, &text, result.is_error);
                if !within.is_empty() {
                    json.key("parts").array(|json| {
                        within.iter().for_each(|(media, data)| json.object(|json| inline(json, media, data)));
                    });
                }
            });
        });
    }
}

/// An object, whatever the tool said. Google takes `{"$ref": …}` within one for the name of a file, so such a result is
/// said as a text.
fn response(json: &mut JsonWriter, text: &str, is_error: bool) {
    let trimmed = text.trim();
    let is_object = trimmed.starts_with('{') && serde_json::from_str::<&RawValue>(trimmed).is_ok();
    if is_object && !is_error && !trimmed.contains("\"$ref\"") {
        json.raw(trimmed);
    } else {
        json.object(|json| json.member(if is_error { "error" } else { "result" }, text));
    }
}

/// Own signatures go back where they came from; a thought without one is not taken back.
fn reasoning(json: &mut JsonWriter, thought: &ReasoningPart<'_>) {
    let Some((Signer::Google, signature)) = &thought.signature else { return };
    json.object(|json| {
        json.member("text", &thought.text);
        if !thought.text.is_empty() {
            json.key("thought").bool(true);
        }
        json.member("thoughtSignature", signature);
    });
}

fn inline(json: &mut JsonWriter, media: &Media<'_>, data: &str) {
    json.key("inlineData").object(|json| {
        let own = if media.media_type.is_empty() { usual_type(media.kind) } else { &media.media_type };
        json.member("mimeType", own);
        json.member("data", data);
    });
}

fn usual_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/png",
        MediaKind::Audio => "audio/wav",
        MediaKind::File => "application/pdf",
    }
}

/// What a tool's result may hold (<https://ai.google.dev/gemini-api/docs/function-calling#multimodal>).
fn is_within(media: &Media<'_>) -> bool {
    matches!(&*media.media_type, "image/png" | "image/jpeg" | "image/webp" | "application/pdf" | "text/plain")
}

/// By what a URL's path ends in.
fn type_of_name(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        _ => return None,
    })
}

//! The canonical form as a request for a chat completion, with what is known of each kind of server.

use super::quirks::Quirks;
use crate::config::Prefill;
use crate::dialect::canonical::request::{
    Content, Format, Media, MediaKind, Message, Part, Reasoning, ReasoningPart, Request, Role, Source,
    ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::Destination;
use crate::dialect::json_writer::JsonWriter;
use std::borrow::Cow;

pub(super) fn encode(request: &Request<'_>, to: &Destination<'_>, unsupported: &mut Unsupported) -> Vec<u8> {
    let quirks = Quirks::of(to.origin, &to.model.name);
    let mut json = JsonWriter::with_capacity(1024);
    json.object(|json| {
        json.member("model", &to.model.name);
        json.key("messages").array(|json| {
            if !request.instructions.is_empty() {
                let parts: Vec<_> = request.instructions.iter().collect();
                message(json, "system", &parts, &quirks, unsupported);
            }
            let last = request.messages.len().saturating_sub(1);
            for (at, message) in request.messages.iter().enumerate() {
                let prefix = at == last && request.resume == Some(Prefill::Prefix);
                messages(json, message, prefix, &quirks, unsupported);
            }
        });
        if request.resume == Some(Prefill::ContinueFinalMessage) {
            json.key("continue_final_message").bool(true);
            json.key("add_generation_prompt").bool(false);
        }
        tools(json, request);
        format(json, request.format.as_ref());
        reasoning(json, request.reasoning.as_ref(), &quirks);
        sampling(json, request, &quirks, unsupported);
        if let Some(user) = &request.user {
            json.member("user", user);
        }
        if request.stream {
            json.key("stream").bool(true);
            if to.ask_usage {
                json.key("stream_options").raw(r#"{"include_usage":true}"#);
            }
        }
    });
    json.into_bytes()
}

fn sampling(json: &mut JsonWriter, request: &Request<'_>, quirks: &Quirks, unsupported: &mut Unsupported) {
    let sampling = &request.sampling;
    if let Some(most) = sampling.max_tokens {
        json.key(if quirks.is_openai { "max_completion_tokens" } else { "max_tokens" }).number(most);
    }
    json.optional("temperature", sampling.temperature);
    json.optional("top_p", sampling.top_p);
    if quirks.is_openai {
        unsupported.add_if(sampling.top_k.is_some(), "top_k");
    } else {
        json.optional("top_k", sampling.top_k);
    }
    json.optional("seed", sampling.seed);
    json.optional("presence_penalty", sampling.presence_penalty);
    json.optional("frequency_penalty", sampling.frequency_penalty);
    if !sampling.stop.is_empty() {
        json.key("stop").array(|json| sampling.stop.iter().for_each(|text| json.string(text)));
    }
    if let Some(top) = sampling.logprobs {
        json.key("logprobs").bool(true);
        if top > 0 {
            json.key("top_logprobs").number(top);
        }
    }
}

fn reasoning(json: &mut JsonWriter, reasoning: Option<&Reasoning<'_>>, quirks: &Quirks) {
    let Some(reasoning) = reasoning else { return };
    if quirks.is_openrouter {
        json.key("reasoning").object(|json| {
            match (reasoning.budget, &reasoning.effort) {
                (Some(0), _) => json.key("enabled").bool(false),
                (Some(tokens), _) => json.key("max_tokens").number(tokens),
                (None, Some(effort)) => json.member("effort", effort),
                (None, None) => json.key("enabled").bool(true),
            }
            if reasoning.shown == Some(false) {
                json.key("exclude").bool(true);
            }
        });
        return;
    }
    if quirks.has_template_switch {
        let on = if reasoning.is_off() { "false" } else { "true" };
        json.key("chat_template_kwargs").raw(&format!(r#"{{"enable_thinking":{on}}}"#));
    }
    if let Some(level) = reasoning.level().filter(|_| !quirks.has_template_switch || !reasoning.is_off()) {
        json.member("reasoning_effort", level);
    }
}

fn format(json: &mut JsonWriter, format: Option<&Format<'_>>) {
    match format {
        None => {}
        Some(Format::Json) => json.key("response_format").raw(r#"{"type":"json_object"}"#),
        Some(Format::Schema { name, description, schema, strict }) => {
            json.key("response_format").object(|json| {
                json.member("type", "json_schema");
                json.key("json_schema").object(|json| {
                    json.member("name", if name.is_empty() { "answer" } else { name });
                    if let Some(text) = description {
                        json.member("description", text);
                    }
                    json.key("schema").raw(schema.get());
                    if let Some(strict) = strict {
                        json.key("strict").bool(*strict);
                    }
                });
            });
        }
    }
}

fn tools(json: &mut JsonWriter, request: &Request<'_>) {
    // Of a list that allows some, those are sent.
    let is_allowed = |name: &str| match &request.tool_choice {
        Some(ToolChoice::Allowed(names, _)) => names.iter().any(|own| own == name),
        _ => true,
    };
    if request.tools.is_empty() {
        return;
    }
    json.key("tools").array(|json| {
        for tool in request.tools.iter().filter(|tool| is_allowed(&tool.name)) {
            json.object(|json| {
                json.member("type", "function");
                json.key("function").object(|json| {
                    json.member("name", &tool.name);
                    if let Some(text) = &tool.description {
                        json.member("description", text);
                    }
                    json.optional("parameters", tool.parameters);
                    if let Some(strict) = tool.strict {
                        json.key("strict").bool(strict);
                    }
                });
            });
        }
    });
    let word = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto | ToolChoice::Allowed(_, false)) => Some("auto"),
        Some(ToolChoice::None) => Some("none"),
        Some(ToolChoice::Required | ToolChoice::Allowed(_, true)) => Some("required"),
        Some(ToolChoice::Named(name)) => {
            json.key("tool_choice").object(|json| {
                json.member("type", "function");
                json.key("function").object(|json| json.member("name", name));
            });
            None
        }
    };
    if let Some(word) = word {
        json.member("tool_choice", word);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        json.key("parallel_tool_calls").bool(parallel);
    }
}

/// A message, or the several that OpenAI's form has for it.
fn messages(
    json: &mut JsonWriter,
    own: &Message<'_>,
    prefix: bool,
    quirks: &Quirks,
    unsupported: &mut Unsupported,
) {
    let (results, others): (Vec<_>, Vec<_>) =
        own.parts.iter().partition(|part| matches!(part.content, Content::ToolResult(_)));
    let mut media = Vec::new();
    for part in results {
        if let Content::ToolResult(result) = &part.content {
            tool_message(json, result, &mut media);
        }
    }
    // A tool's message is of text alone: its images follow as the user's.
    if !media.is_empty() {
        message(json, "user", &media, quirks, unsupported);
    }
    match own.role {
        Role::Assistant => assistant(json, &others, prefix, quirks, unsupported),
        _ if others.is_empty() => {}
        Role::System => message(json, "system", &others, quirks, unsupported),
        Role::User => message(json, "user", &others, quirks, unsupported),
    }
}

fn tool_message<'p, 'a>(json: &mut JsonWriter, result: &'p ToolResult<'a>, media: &mut Vec<&'p Part<'a>>) {
    let mut text = String::new();
    for part in &result.parts {
        match &part.content {
            Content::Text(more) => text.push_str(more),
            Content::Media(Media { source: Source::Text(more), .. }) => text.push_str(more),
            _ => media.push(part),
        }
    }
    if text.is_empty() && !media.is_empty() {
        text.push_str("(the result is in the next message)");
    }
    // There is no member for it.
    if result.is_error && !text.starts_with("Error") {
        text.insert_str(0, "Error: ");
    }
    json.object(|json| {
        json.member("role", "tool");
        json.member("tool_call_id", &result.id);
        json.member("content", &text);
    });
}

fn message(
    json: &mut JsonWriter,
    role: &str,
    parts: &[&Part<'_>],
    quirks: &Quirks,
    unsupported: &mut Unsupported,
) {
    json.object(|json| {
        json.member("role", role);
        let keeps_cache = |part: &Part<'_>| quirks.is_openrouter && part.cache.is_some();
        // Not every server takes a list of parts where a text would do.
        if let [part @ Part { content: Content::Text(text), .. }] = parts
            && !keeps_cache(part)
        {
            json.member("content", text);
            return;
        }
        json.key("content").array(|json| {
            for part in parts {
                let cache = part.cache.as_deref().filter(|_| quirks.is_openrouter);
                content(json, &part.content, cache, unsupported);
            }
        });
    });
}

fn content(json: &mut JsonWriter, content: &Content<'_>, cache: Option<&str>, unsupported: &mut Unsupported) {
    let mut put = |kind: &str, fill: &dyn Fn(&mut JsonWriter)| {
        json.object(|json| {
            json.member("type", kind);
            fill(json);
            if let Some(ttl) = cache {
                json.key("cache_control").object(|json| {
                    json.member("type", "ephemeral");
                    if !ttl.is_empty() {
                        json.member("ttl", ttl);
                    }
                });
            }
        });
    };
    match content {
        Content::Text(text) | Content::Media(Media { source: Source::Text(text), .. }) => {
            put("text", &|json| json.member("text", text));
        }
        Content::Media(media) => match (media.kind, &media.source) {
            (MediaKind::Image, Source::Url(_) | Source::Base64(_)) => put("image_url", &|json| {
                json.key("image_url").object(|json| {
                    json.member("url", &url(media));
                    if let Some(detail) = &media.detail {
                        json.member("detail", detail);
                    }
                });
            }),
            (MediaKind::Audio, Source::Base64(data)) => put("input_audio", &|json| {
                let format = media.media_type.rsplit('/').next().unwrap_or("wav");
                json.key("input_audio").object(|json| {
                    json.member("data", data);
                    json.member("format", if format == "mpeg" { "mp3" } else { format });
                });
            }),
            (MediaKind::File, Source::Base64(_)) => put("file", &|json| {
                json.key("file").object(|json| {
                    json.member("filename", if media.name.is_empty() { "file" } else { &media.name });
                    json.member("file_data", &url(media));
                });
            }),
            _ => unsupported.add("a file by its URL or id"),
        },
        _ => {}
    }
}

/// Where it is, or its data within a URL.
fn url<'m>(media: &'m Media<'_>) -> Cow<'m, str> {
    match &media.source {
        Source::Base64(data) => {
            let usual = if media.kind == MediaKind::Image { "image/png" } else { "application/pdf" };
            let media_type = if media.media_type.is_empty() { usual } else { &media.media_type };
            Cow::Owned(format!("data:{media_type};base64,{data}"))
        }
        Source::Url(text) | Source::Text(text) | Source::Id(text) => Cow::Borrowed(text),
    }
}

fn assistant(
    json: &mut JsonWriter,
    parts: &[&Part<'_>],
    prefix: bool,
    quirks: &Quirks,
    unsupported: &mut Unsupported,
) {
    let mut text = String::new();
    let mut refusal = String::new();
    let mut calls = Vec::new();
    let mut thoughts = Vec::new();
    for part in parts {
        match &part.content {
            Content::Text(more) => text.push_str(more),
            Content::Refusal(more) => refusal.push_str(more),
            Content::ToolCall(call) => calls.push(call),
            Content::Reasoning(thought) => thoughts.push(thought),
            Content::Media(_) => unsupported.add("messages (an image or a file of the assistant's)"),
            Content::ToolResult(_) => {}
        }
    }
    json.object(|json| {
        json.member("role", "assistant");
        if text.is_empty() {
            json.key("content").raw(if calls.is_empty() { "\"\"" } else { "null" });
        } else {
            json.member("content", &text);
        }
        if prefix {
            json.key("prefix").bool(true);
        }
        if !refusal.is_empty() {
            json.member("refusal", &refusal);
        }
        if !calls.is_empty() {
            json.key("tool_calls").array(|json| calls.iter().for_each(|call| tool_call(json, call)));
        }
        // Nobody else has a place for them in a conversation.
        if quirks.is_openrouter && !thoughts.is_empty() {
            json.key("reasoning_details").array(|json| thoughts.iter().for_each(|own| detail(json, own)));
        }
    });
}

fn tool_call(json: &mut JsonWriter, call: &ToolCall<'_>) {
    json.object(|json| {
        json.member("id", &call.id);
        json.member("type", "function");
        json.key("function").object(|json| {
            json.member("name", &call.name);
            json.member("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
        });
    });
}

/// An element of OpenRouter's `reasoning_details`.
fn detail(json: &mut JsonWriter, thought: &ReasoningPart<'_>) {
    let signature = thought.signature.as_ref();
    json.object(|json| {
        if thought.redacted {
            json.member("type", "reasoning.encrypted");
        } else {
            json.member("type", "reasoning.text");
            json.member("text", &thought.text);
        }
        if let Some((signer, text)) = signature {
            json.member(if thought.redacted { "data" } else { "signature" }, text);
            json.member("format", signer.name());
        }
        if !thought.id.is_empty() {
            json.member("id", &thought.id);
        }
    });
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;

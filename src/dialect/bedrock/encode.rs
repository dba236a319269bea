//! The canonical form as a request to Converse.

use crate::dialect::anthropic::content::{id, is_said};
use crate::dialect::anthropic::encode::{CLOSING, OPENING, turns};
use crate::dialect::anthropic::models::Abilities;
use crate::dialect::anthropic::thinking::{self, Thinking};
use crate::dialect::anthropic::tools::called;
use crate::dialect::canonical::arguments::as_object;
use crate::dialect::canonical::request::{
    Content, Format, Media, MediaKind, Part, Request, Role, Source, Tool, ToolChoice, ToolResult,
};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::canonical::{ANSWER_TOOL, Signer};
use crate::dialect::format::Destination;
use crate::dialect::json_writer::JsonWriter;

/// Instead of no content, which Converse refuses as it does blank texts.
const NOTHING: &str = ".";

pub(super) fn encode(request: &Request<'_>, to: &Destination<'_>, unsupported: &mut Unsupported) -> Vec<u8> {
    let is_claude = to.model.name.contains("anthropic") || to.model.name.contains("claude");
    let (thinking, most) =
        if is_claude { thinking::elsewhere(request, to.model, unsupported) } else { (Thinking::Off, 0) };
    let thinks = thinking != Thinking::Off;
    // Thoughts count within it.
    let own = request.sampling.max_tokens.or(to.model.max_output_tokens.map(u64::from));
    let most = if thinks { Some(most) } else { own };
    let mut json = JsonWriter::with_capacity(1024);
    json.object(|json| {
        system(json, request, unsupported);
        messages(json, request, Abilities::of(&to.model.name), unsupported);
        inference(json, request, most, unsupported);
        tools(json, request, thinks, unsupported);
        additional(json, request, thinking, is_claude, unsupported);
    });
    json.into_bytes()
}

/// A system message in mid-conversation goes there too: nowhere else has it the same authority.
fn system(json: &mut JsonWriter, request: &Request<'_>, unsupported: &mut Unsupported) {
    let later = request.messages.iter().filter(|message| message.role == Role::System);
    let parts = request.instructions.iter().chain(later.flat_map(|message| &message.parts));
    let (texts, others): (Vec<_>, Vec<_>) =
        parts.filter(|part| is_said(part)).partition(|part| matches!(part.content, Content::Text(_)));
    unsupported.add_if(!others.is_empty(), "messages (a system message that is more than text)");
    if !texts.is_empty() {
        json.key("system").array(|json| texts.iter().for_each(|part| content(json, part, unsupported)));
    }
}

/// User and assistant take turns, the user first, and no turn is empty.
fn messages(
    json: &mut JsonWriter,
    request: &Request<'_>,
    abilities: Abilities,
    unsupported: &mut Unsupported,
) {
    let turns = turns(&request.messages);
    json.key("messages").array(|json| {
        if turns.first().is_none_or(|turn| turn.is_assistant) {
            user(json, OPENING);
        }
        let last = turns.len().saturating_sub(1);
        for (at, turn) in turns.iter().enumerate() {
            let mut parts = turn.parts.clone();
            parts.retain(|part| is_sayable(part, turn.is_assistant, unsupported));
            json.object(|json| {
                json.member("role", if turn.is_assistant { "assistant" } else { "user" });
                json.key("content").array(|json| {
                    if parts.is_empty() {
                        text(json, NOTHING);
                    }
                    let end = parts.len().saturating_sub(1);
                    for (place, part) in parts.iter().enumerate() {
                        match &part.content {
                            // Claude refuses white space at the end of a prefill.
                            Content::Text(own) if turn.is_assistant && at == last && place == end => {
                                text(json, own.trim_end());
                            }
                            _ => content(json, part, unsupported),
                        }
                    }
                });
            });
        }
        if turns.last().is_some_and(|turn| turn.is_assistant) && !abilities.prefill {
            unsupported.add("messages (one of the assistant's at the end)");
            user(json, CLOSING);
        }
    });
}

fn user(json: &mut JsonWriter, own: &str) {
    json.object(|json| {
        json.member("role", "user");
        json.key("content").array(|json| text(json, own));
    });
}

fn text(json: &mut JsonWriter, text: &str) {
    json.object(|json| json.member("text", text));
}

/// Whether Converse has a block for it. What it has none for is told.
fn is_sayable(part: &Part<'_>, is_assistant: bool, unsupported: &mut Unsupported) -> bool {
    let Content::Media(media) = &part.content else { return is_said(part) };
    let refused = match &media.source {
        _ if is_assistant => "messages (an image or a file of the assistant's)",
        Source::Url(url) | Source::Id(url) if !url.starts_with("s3://") => "a file by its URL or id",
        _ if media.kind == MediaKind::Audio => "input_audio",
        _ => return true,
    };
    unsupported.add(refused);
    false
}

/// A part that [`is_sayable`].
fn content(json: &mut JsonWriter, part: &Part<'_>, unsupported: &mut Unsupported) {
    match &part.content {
        Content::Text(own) | Content::Refusal(own) => text(json, own),
        Content::Media(own) => media(json, own),
        Content::ToolCall(call) => json.object(|json| {
            json.key("toolUse").object(|json| {
                json.member("toolUseId", &id(&call.id));
                json.member("name", &call.name);
                json.key("input").raw(&as_object(&call.arguments));
            });
        }),
        Content::ToolResult(result) => tool_result(json, result, unsupported),
        Content::Reasoning(thought) => {
            // Others' thoughts, and those without a signature, are refused.
            let Some((Signer::Anthropic, signature)) = &thought.signature else { return };
            json.object(|json| {
                json.key("reasoningContent").object(|json| {
                    if thought.redacted {
                        json.member("redactedContent", signature);
                    } else {
                        json.key("reasoningText").object(|json| {
                            json.member("text", &thought.text);
                            json.member("signature", signature);
                        });
                    }
                });
            });
        }
    }
    if part.cache.is_some() {
        cache_point(json);
    }
}

fn cache_point(json: &mut JsonWriter) {
    json.object(|json| json.key("cachePoint").raw(r#"{"type":"default"}"#));
}

fn tool_result(json: &mut JsonWriter, result: &ToolResult<'_>, unsupported: &mut Unsupported) {
    json.object(|json| {
        json.key("toolResult").object(|json| {
            json.member("toolUseId", &id(&result.id));
            json.key("content").array(|json| {
                let mut parts: Vec<_> = result.parts.iter().collect();
                parts.retain(|part| is_sayable(part, false, unsupported));
                if parts.is_empty() {
                    text(json, NOTHING);
                }
                parts.iter().for_each(|part| content(json, part, unsupported));
            });
            if result.is_error {
                json.member("status", "error");
            }
        });
    });
}

fn media(json: &mut JsonWriter, media: &Media<'_>) {
    let source = |json: &mut JsonWriter| {
        json.key("source").object(|json| match &media.source {
            Source::Text(text) => json.member("text", text),
            Source::Base64(data) => json.member("bytes", data),
            Source::Url(url) | Source::Id(url) => {
                json.key("s3Location").object(|json| json.member("uri", url));
            }
        });
    };
    let subtype = media.media_type.split(';').next().unwrap_or("").rsplit('/').next().unwrap_or("");
    match media.kind {
        MediaKind::Image => json.object(|json| {
            json.key("image").object(|json| {
                json.member(
                    "format",
                    match subtype {
                        "" => "png",
                        "jpg" => "jpeg",
                        subtype => subtype,
                    },
                );
                source(json);
            });
        }),
        MediaKind::File if media.media_type.starts_with("video/") => json.object(|json| {
            json.key("video").object(|json| {
                json.member("format", subtype);
                source(json);
            });
        }),
        MediaKind::File => json.object(|json| {
            json.key("document").object(|json| {
                json.member(
                    "format",
                    match (subtype, &media.source) {
                        ("plain", _) | ("", Source::Text(_)) => "txt",
                        ("markdown", _) => "md",
                        ("", _) => "pdf",
                        ("msword", _) => "doc",
                        ("vnd.openxmlformats-officedocument.wordprocessingml.document", _) => "docx",
                        ("vnd.openxmlformats-officedocument.spreadsheetml.sheet", _) => "xlsx",
                        (subtype, _) => subtype,
                    },
                );
                json.member("name", &document_name(&media.name));
                source(json);
            });
        }),
        MediaKind::Audio => {}
    }
}

/// Names of documents are of letters, digits, blanks, hyphens, parentheses and brackets.
fn document_name(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
    let name: String = stem.chars().map(|c| if good(c) { c } else { '-' }).take(100).collect();
    if name.is_empty() { "document".to_owned() } else { name }
}

fn inference(json: &mut JsonWriter, request: &Request<'_>, most: Option<u64>, unsupported: &mut Unsupported) {
    let sampling = &request.sampling;
    json.key("inferenceConfig").object(|json| {
        if let Some(most) = most {
            json.key("maxTokens").number(most);
        }
        json.optional("temperature", sampling.temperature);
        json.optional("topP", sampling.top_p);
        if !sampling.stop.is_empty() {
            json.key("stopSequences").array(|json| sampling.stop.iter().for_each(|text| json.string(text)));
        }
    });
    for (said, name) in [
        (sampling.seed.is_some(), "seed"),
        (sampling.presence_penalty.is_some(), "presence_penalty"),
        (sampling.frequency_penalty.is_some(), "frequency_penalty"),
        (sampling.logprobs.is_some(), "logprobs"),
        (request.forbids_parallel_calls(), "parallel_tool_calls"),
    ] {
        unsupported.add_if(said, name);
    }
}

fn tools(json: &mut JsonWriter, request: &Request<'_>, thinks: bool, unsupported: &mut Unsupported) {
    let is_tool = |part: &Part<'_>| matches!(part.content, Content::ToolCall(_) | Content::ToolResult(_));
    let has_history = request.messages.iter().flat_map(|message| &message.parts).any(is_tool);
    let schema = match &request.format {
        None => None,
        Some(_) if thinks || request.tools.iter().any(|tool| tool.name == ANSWER_TOOL) => {
            unsupported.add("response_format");
            None
        }
        Some(Format::Json) => Some(r#"{"type":"object"}"#),
        Some(Format::Schema { schema, .. }) => Some(schema.get()),
    };
    let is_none = request.tool_choice == Some(ToolChoice::None);
    // There is no word for it but to leave the tools out, which a conversation with calls does not allow.
    unsupported.add_if(is_none && has_history && !request.tools.is_empty(), "tool_choice");
    let is_sent = |tool: &&Tool<'_>| match &request.tool_choice {
        Some(ToolChoice::Allowed(names, _)) => names.contains(&tool.name),
        Some(ToolChoice::None) => has_history,
        _ => true,
    };
    let own: Vec<_> = request.tools.iter().filter(is_sent).collect();
    // Calls in the conversation want tools, also where none can be called any more.
    let called = if own.is_empty() { called(request) } else { Vec::new() };
    if own.is_empty() && called.is_empty() && schema.is_none() {
        return;
    }
    json.key("toolConfig").object(|json| {
        json.key("tools").array(|json| {
            for tool in &own {
                let parameters = tool.parameters.map_or(r#"{"type":"object"}"#, |own| own.get());
                tool_spec(json, &tool.name, tool.description.as_deref(), parameters);
                if tool.cache.is_some() {
                    cache_point(json);
                }
            }
            for name in called {
                tool_spec(json, name, None, r#"{"type":"object"}"#);
            }
            if let Some(schema) = schema {
                tool_spec(json, ANSWER_TOOL, Some("Give the answer as this JSON."), schema);
            }
        });
        let named = |json: &mut JsonWriter, name: &str| {
            json.key("toolChoice").object(|json| {
                json.key("tool").object(|json| json.member("name", name));
            });
        };
        match &request.tool_choice {
            // One of the tools, the answer's own among them.
            _ if schema.is_some() && !own.is_empty() => json.key("toolChoice").raw(r#"{"any":{}}"#),
            _ if schema.is_some() => named(json, ANSWER_TOOL),
            _ if own.is_empty() => {}
            Some(ToolChoice::Required | ToolChoice::Allowed(_, true)) => {
                json.key("toolChoice").raw(r#"{"any":{}}"#);
            }
            Some(ToolChoice::Named(name)) => named(json, name),
            Some(ToolChoice::Auto | ToolChoice::Allowed(_, false)) => {
                json.key("toolChoice").raw(r#"{"auto":{}}"#);
            }
            Some(ToolChoice::None) | None => {}
        }
    });
}

fn tool_spec(json: &mut JsonWriter, name: &str, description: Option<&str>, schema: &str) {
    json.object(|json| {
        json.key("toolSpec").object(|json| {
            json.member("name", name);
            if let Some(text) = description.filter(|text| !text.is_empty()) {
                json.member("description", text);
            }
            json.key("inputSchema").object(|json| json.key("json").raw(schema));
        });
    });
}

/// What only some models know.
fn additional(
    json: &mut JsonWriter,
    request: &Request<'_>,
    thinking: Thinking,
    is_claude: bool,
    unsupported: &mut Unsupported,
) {
    if !is_claude {
        unsupported.add_if(request.sampling.top_k.is_some(), "top_k");
        let wanted = request.reasoning.as_ref().is_some_and(|own| !own.is_off());
        unsupported.add_if(wanted, "reasoning_effort");
        return;
    }
    if request.sampling.top_k.is_none() && thinking == Thinking::Off {
        return;
    }
    json.key("additionalModelRequestFields").object(|json| {
        json.optional("top_k", request.sampling.top_k);
        thinking::thinking(json, request, &thinking);
    });
}

//! The canonical form as a request to Converse.

use crate::dialect::anthropic::thinking::{self, Thinking};
use crate::dialect::canonical::arguments::as_object;
use crate::dialect::canonical::request::{
    Content, Format, Media, MediaKind, Message, Part, Request, Role, Source, Tool, ToolChoice, ToolResult,
};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::canonical::{ANSWER_TOOL, Signer};
use crate::dialect::format::Destination;
use crate::dialect::json_writer::JsonWriter;

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
        if !request.instructions.is_empty() {
            json.key("system").array(|json| {
                for part in &request.instructions {
                    content(json, part, unsupported);
                }
            });
        }
        messages(json, request, unsupported);
        inference(json, request, most, unsupported);
        tools(json, request, thinks, unsupported);
        additional(json, request, thinking, is_claude, unsupported);
    });
    json.into_bytes()
}

/// Turns alternate: neighbours of one role are one message.
fn messages(json: &mut JsonWriter, request: &Request<'_>, unsupported: &mut Unsupported) {
    let is_assistant = |message: &Message<'_>| message.role == Role::Assistant;
    json.key("messages").array(|json| {
        for group in request.messages.chunk_by(|a, b| is_assistant(a) == is_assistant(b)) {
            json.object(|json| {
                json.member("role", if is_assistant(&group[0]) { "assistant" } else { "user" });
                json.key("content").array(|json| {
                    let parts = || group.iter().flat_map(|message| &message.parts);
                    let is_result = |part: &&Part<'_>| matches!(part.content, Content::ToolResult(_));
                    // Results have to answer the calls before anything else is said.
                    parts().filter(is_result).for_each(|part| content(json, part, unsupported));
                    parts().filter(|part| !is_result(part)).for_each(|part| content(json, part, unsupported));
                });
            });
        }
    });
}

fn content(json: &mut JsonWriter, part: &Part<'_>, unsupported: &mut Unsupported) {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            // An empty text is refused.
            if !text.is_empty() {
                json.object(|json| json.member("text", text));
            }
        }
        Content::Media(own) => media(json, own, unsupported),
        Content::ToolCall(call) => json.object(|json| {
            json.key("toolUse").object(|json| {
                json.member("toolUseId", &call.id);
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
            json.member("toolUseId", &result.id);
            json.key("content").array(|json| {
                if result.parts.is_empty() {
                    json.raw(r#"{"text":" "}"#);
                }
                for part in &result.parts {
                    content(json, part, unsupported);
                }
            });
            if result.is_error {
                json.member("status", "error");
            }
        });
    });
}

fn media(json: &mut JsonWriter, media: &Media<'_>, unsupported: &mut Unsupported) {
    let source = |json: &mut JsonWriter| {
        json.key("source").object(|json| match &media.source {
            Source::Text(text) => json.member("text", text),
            Source::Base64(data) => json.member("bytes", data),
            Source::Url(url) | Source::Id(url) => {
                json.key("s3Location").object(|json| json.member("uri", url));
            }
        });
    };
    let is_elsewhere =
        matches!(&media.source, Source::Url(url) | Source::Id(url) if !url.starts_with("s3://"));
    let subtype = media.media_type.split(';').next().unwrap_or("").rsplit('/').next().unwrap_or("");
    match media.kind {
        _ if is_elsewhere => unsupported.add("a file by its URL or id"),
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
        MediaKind::Audio => unsupported.add("input_audio"),
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
    unsupported.add_if(is_none && has_history, "tool_choice");
    if (request.tools.is_empty() || is_none && !has_history) && schema.is_none() {
        return;
    }
    let is_sent = |tool: &&Tool<'_>| match &request.tool_choice {
        Some(ToolChoice::Allowed(names, _)) => names.contains(&tool.name),
        Some(ToolChoice::None) => has_history,
        _ => true,
    };
    json.key("toolConfig").object(|json| {
        json.key("tools").array(|json| {
            for tool in request.tools.iter().filter(is_sent) {
                let parameters = tool.parameters.map_or(r#"{"type":"object"}"#, |own| own.get());
                tool_spec(json, &tool.name, tool.description.as_deref(), parameters);
                if tool.cache.is_some() {
                    cache_point(json);
                }
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
            _ if schema.is_some() && !request.tools.is_empty() => json.key("toolChoice").raw(r#"{"any":{}}"#),
            _ if schema.is_some() => named(json, ANSWER_TOOL),
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

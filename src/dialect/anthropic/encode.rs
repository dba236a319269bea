//! The canonical form as a request for a message
//! (API reference, "Messages" > "Create a Message"; on Vertex AI: "Claude on Vertex AI").
//!
//! A system message in mid-conversation goes to the system prompt: only there it has the same authority.

use super::content::{self, Marks};
use super::models::Abilities;
use super::thinking::{self, Thinking};
use super::tools;
use crate::config::Kind;
use crate::dialect::canonical::request::{Content, Format, Message, Part, Request, Role};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::Destination;
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;

/// The API's version as Vertex AI has it.
pub(super) const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// A conversation has to begin with the user.
pub(in crate::dialect) const OPENING: &str = "(The conversation begins.)";
/// It has to end with the user, where the model takes no prefill.
pub(in crate::dialect) const CLOSING: &str = "(Go on.)";

pub(super) fn encode(request: &Request<'_>, to: &Destination<'_>, unsupported: &mut Unsupported) -> Vec<u8> {
    let abilities = Abilities::of(&to.model.name);
    let turns = turns(&request.messages);
    let (thinking, max_tokens) = thinking::plan(request, &turns, to.model, abilities, unsupported);
    let output = tools::output(request, &thinking, abilities, unsupported);
    let mut marks = Marks::default();
    let mut json = JsonWriter::with_capacity(1024);
    json.object(|json| {
        if to.origin.kind == Kind::Vertex {
            json.member("anthropic_version", VERTEX_VERSION);
        } else {
            json.member("model", &to.model.name);
        }
        json.key("max_tokens").number(max_tokens);
        system(json, request, &mut marks, unsupported);
        json.key("messages").array(|json| messages(json, &turns, abilities, &mut marks, unsupported));
        let is_on = !matches!(thinking, Thinking::Off);
        tools::tools(json, request, &output, is_on, abilities, &mut marks, unsupported);
        thinking::thinking(json, request, &thinking);
        output_config(json, request, &thinking, &output, abilities);
        sampling(json, request, is_on, abilities, unsupported);
        if let Some(user) = &request.user {
            json.key("metadata").object(|json| json.member("user_id", user));
        }
        if request.stream {
            json.key("stream").bool(true);
        }
    });
    json.into_bytes()
}

/// The parts of neighbouring messages of one role: Anthropic wants user and assistant to take turns.
pub(in crate::dialect) struct Turn<'r, 'a> {
    pub(in crate::dialect) is_assistant: bool,
    pub(in crate::dialect) parts: Vec<&'r Part<'a>>,
}

pub(in crate::dialect) fn turns<'r, 'a>(messages: &'r [Message<'a>]) -> Vec<Turn<'r, 'a>> {
    let mut turns: Vec<Turn<'r, 'a>> = Vec::new();
    for message in messages.iter().filter(|message| message.role != Role::System) {
        let is_assistant = message.role == Role::Assistant;
        let parts = message.parts.iter().filter(|part| content::is_said(part));
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            continue;
        }
        match turns.last_mut().filter(|last| last.is_assistant == is_assistant) {
            Some(last) => last.parts.extend(parts),
            None => turns.push(Turn { is_assistant, parts }),
        }
    }
    // The results of tools come before what the user says.
    for turn in turns.iter_mut().filter(|turn| !turn.is_assistant) {
        let all = std::mem::take(&mut turn.parts);
        let (results, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|part| matches!(part.content, Content::ToolResult(_)));
        turn.parts = results;
        turn.parts.extend(others);
    }
    turns
}

fn system(json: &mut JsonWriter, request: &Request<'_>, marks: &mut Marks, unsupported: &mut Unsupported) {
    let later = request.messages.iter().filter(|message| message.role == Role::System);
    let parts = request.instructions.iter().chain(later.flat_map(|message| &message.parts));
    let parts: Vec<_> = parts.filter(|part| content::is_said(part)).collect();
    if parts.is_empty() {
        return;
    }
    json.key("system").array(|json| {
        for part in parts {
            match &part.content {
                Content::Text(_) => content::block(json, part, marks, unsupported),
                _ => unsupported.add("messages (a system message that is more than text)"),
            }
        }
    });
}

fn messages(
    json: &mut JsonWriter,
    turns: &[Turn<'_, '_>],
    abilities: Abilities,
    marks: &mut Marks,
    unsupported: &mut Unsupported,
) {
    if turns.first().is_none_or(|turn| turn.is_assistant) {
        user(json, OPENING);
    }
    let last = turns.len().saturating_sub(1);
    for (at, turn) in turns.iter().enumerate() {
        json.object(|json| {
            json.member("role", if turn.is_assistant { "assistant" } else { "user" });
            json.key("content").array(|json| {
                let end = turn.parts.len().saturating_sub(1);
                for (place, part) in turn.parts.iter().enumerate() {
                    let is_prefill = turn.is_assistant && at == last && place == end;
                    match &part.content {
                        // Anthropic refuses white space at the end of it.
                        Content::Text(text) if is_prefill => content::text(json, text.trim_end()),
                        Content::Media(_) if turn.is_assistant => {
                            unsupported.add("messages (an image or a file of the assistant's)");
                        }
                        _ => content::block(json, part, marks, unsupported),
                    }
                }
            });
        });
    }
    if turns.last().is_some_and(|turn| turn.is_assistant) && !abilities.prefill {
        unsupported.add("messages (one of the assistant's at the end)");
        user(json, CLOSING);
    }
}

fn user(json: &mut JsonWriter, text: &str) {
    json.object(|json| {
        json.member("role", "user");
        json.member("content", text);
    });
}

fn output_config(
    json: &mut JsonWriter,
    request: &Request<'_>,
    thinking: &Thinking,
    output: &tools::Output,
    abilities: Abilities,
) {
    let effort = thinking::effort(request, thinking, abilities);
    let schema = match (&request.format, output) {
        (Some(Format::Schema { schema, .. }), tools::Output::Native) => Some(schema),
        _ => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    json.key("output_config").object(|json| {
        if let Some(effort) = effort {
            json.member("effort", effort);
        }
        if let Some(schema) = schema {
            json.key("format").object(|json| {
                json.member("type", "json_schema");
                json.key("schema").raw(schema.get());
            });
        }
    });
}

/// Anthropic's temperatures end at 1; with thinking there is but the usual one.
fn sampling(
    json: &mut JsonWriter,
    request: &Request<'_>,
    thinking: bool,
    abilities: Abilities,
    unsupported: &mut Unsupported,
) {
    let own = &request.sampling;
    let number = |raw: &RawValue| raw.get().parse::<f64>().unwrap_or(f64::NAN);
    let is_fixed = thinking || !abilities.sampling;
    let temperature = own.temperature.filter(|raw| number(raw) != 1.0);
    let top_p = own.top_p.filter(|raw| number(raw) != 1.0);
    let fits = |raw: &RawValue| !is_fixed && (0.0..=1.0).contains(&number(raw));
    match temperature {
        Some(raw) if fits(raw) => json.key("temperature").raw(raw.get()),
        said => unsupported.add_if(said.is_some(), "temperature"),
    }
    let is_alone = abilities.both || temperature.is_none();
    match top_p {
        Some(raw) if is_alone && (fits(raw) || abilities.sampling && number(raw) >= 0.95) => {
            json.key("top_p").raw(raw.get());
        }
        said => unsupported.add_if(said.is_some(), "top_p"),
    }
    if is_fixed {
        unsupported.add_if(own.top_k.is_some(), "top_k");
    } else {
        json.optional("top_k", own.top_k);
    }
    for (said, name) in [
        (own.seed.is_some(), "seed"),
        (own.presence_penalty.is_some(), "presence_penalty"),
        (own.frequency_penalty.is_some(), "frequency_penalty"),
        (own.logprobs.is_some(), "logprobs"),
        // Anthropic refuses sequences of white space alone.
        (own.stop.iter().any(|text| text.trim().is_empty()), "stop"),
    ] {
        unsupported.add_if(said, name);
    }
    let stop: Vec<_> = own.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if !stop.is_empty() {
        json.key("stop_sequences").array(|json| stop.iter().for_each(|text| json.string(text)));
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;

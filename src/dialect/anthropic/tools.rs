//! Tools, which of them is to be called, and the form of the answer, in Anthropic's words (guides "Tool use" and "Structured
//! outputs").

use super::ANSWER_TOOL;
use super::content::Marks;
use super::models::Abilities;
use super::thinking::Thinking;
use crate::dialect::canonical::request::{Content, Format, Request, Tool, ToolChoice};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::json::{pick, string};
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;

/// How the answer gets the form that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    /// It is the input of a tool that has to be called.
    Tool,
    /// `output_config.format`.
    Native,
}

pub(super) fn output(
    request: &Request<'_>,
    thinking: &Thinking,
    abilities: Abilities,
    unsupported: &mut Unsupported,
) -> Output {
    let Some(format) = &request.format else { return Output::Text };
    let is_forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed(_, true))
    ) && !request.tools.is_empty();
    let can_force = abilities.forced_tools && *thinking == Thinking::Off && !is_forced;
    // The tool's input would begin anew.
    if request.resume.is_none() {
        if can_force {
            return Output::Tool;
        }
        if abilities.native_format && matches!(format, Format::Schema { .. }) {
            return Output::Native;
        }
    }
    unsupported.add("response_format");
    Output::Text
}

/// The members `tools` and `tool_choice`.
pub(super) fn tools(
    json: &mut JsonWriter,
    request: &Request<'_>,
    output: &Output,
    thinking: bool,
    abilities: Abilities,
    marks: &mut Marks,
    unsupported: &mut Unsupported,
) {
    // Of a list that allows some, those are sent.
    let is_allowed = |tool: &&Tool<'_>| match &request.tool_choice {
        Some(ToolChoice::Allowed(names, _)) => names.contains(&tool.name),
        _ => true,
    };
    let own: Vec<_> = request.tools.iter().filter(is_allowed).collect();
    // Calls in the conversation want tools, also where none can be called any more.
    let called = if own.is_empty() { called(request) } else { Vec::new() };
    if own.is_empty() && called.is_empty() && *output != Output::Tool {
        return;
    }
    json.key("tools").array(|json| {
        for tool in &own {
            json.object(|json| {
                json.member("name", &tool.name);
                if let Some(text) = tool.description.as_deref().filter(|text| !text.is_empty()) {
                    json.member("description", text);
                }
                json.key("input_schema").raw(&schema(tool.parameters));
                if tool.strict == Some(true) && abilities.native_format {
                    json.key("strict").bool(true);
                }
                marks.write(json, tool.cache.as_deref());
            });
        }
        for name in &called {
            json.object(|json| {
                json.member("name", name);
                json.key("input_schema").raw(r#"{"type":"object"}"#);
            });
        }
        if *output == Output::Tool {
            json.object(|json| answer_tool(json, request.format.as_ref()));
        }
    });
    let alone = request.parallel_tool_calls == Some(false);
    let forbidden = request.tool_choice == Some(ToolChoice::None) || own.is_empty();
    let (word, name) = match (&request.tool_choice, output) {
        (_, Output::Tool) if forbidden => ("tool", Some(ANSWER_TOOL)),
        (_, Output::Tool) => ("any", None),
        _ if own.is_empty() => ("none", None),
        (Some(ToolChoice::None), _) => ("none", None),
        (Some(ToolChoice::Required | ToolChoice::Allowed(_, true)), _) => ("any", None),
        (Some(ToolChoice::Named(name)), _) => ("tool", Some(&**name)),
        (None, _) if !alone => return,
        (None | Some(ToolChoice::Auto | ToolChoice::Allowed(_, false)), _) => ("auto", None),
    };
    // With thinking nothing can be forced, and newer models cannot be forced at all.
    let is_forced = matches!(word, "any" | "tool");
    let refused = is_forced && (thinking || !abilities.forced_tools);
    unsupported.add_if(refused, "tool_choice");
    json.key("tool_choice").object(|json| {
        json.member("type", if refused { "auto" } else { word });
        if let Some(name) = name.filter(|_| !refused) {
            json.member("name", name);
        }
        if word != "none" && (alone || *output == Output::Tool) {
            json.key("disable_parallel_tool_use").bool(true);
        }
    });
}

/// The names of the tools that were called.
pub(in crate::dialect) fn called<'r>(request: &'r Request<'_>) -> Vec<&'r str> {
    let mut names: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Content::ToolCall(call) = &part.content
            && !names.contains(&&*call.name)
        {
            names.push(&call.name);
        }
    }
    names
}

fn answer_tool(json: &mut JsonWriter, format: Option<&Format<'_>>) {
    let (text, parameters) = match format {
        Some(Format::Schema { description, schema, .. }) => (description.as_deref(), Some(*schema)),
        _ => (None, None),
    };
    json.member("name", ANSWER_TOOL);
    json.member("description", text.unwrap_or("The answer: its whole content is this tool's input."));
    json.key("input_schema").raw(&schema(parameters));
}

/// A JSON Schema as Anthropic takes it: one of an object, which it says.
fn schema(parameters: Option<&RawValue>) -> String {
    let Some(text) = parameters.map(RawValue::get).filter(|text| text.starts_with('{')) else {
        return r#"{"type":"object"}"#.to_owned();
    };
    let inner = text[1..].trim_start();
    let kind = pick(text, &["type"]).and_then(|[kind]| kind).and_then(string);
    match kind {
        Some(_) => text.to_owned(),
        None if inner.starts_with('}') => r#"{"type":"object"}"#.to_owned(),
        None => format!(r#"{{"type":"object",{inner}"#),
    }
}

//! A request for a message in the canonical form (API reference, "Messages" > "Create a Message").

use super::parse_content::{block, cache, texts};
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown};
use crate::dialect::canonical::request::{Format, Message, Reasoning, Request, Role, Tool, ToolChoice};
use crate::dialect::json::string;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Members that change nothing about the answer. `anthropic_version` is in bodies that were meant for Vertex AI or Bedrock,
/// `cache_control` leaves the places to cache to Anthropic.
const HINTS: [&str; 4] = ["model", "stream", "anthropic_version", "cache_control"];

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn parse(text: &str) -> Result<Request<'_>, ApiError> {
    let mut body = Fields::of_text(text, "")?;
    let mut request = Request::default();
    let mut others = Vec::new();
    body.skip(&HINTS);
    if let Some(raw) = body.take("system") {
        request.instructions = texts(raw, "system", &mut others)?;
    }
    for (path, raw) in body.elements("messages")? {
        request.messages.push(message(Fields::of(raw, path)?, &mut others)?);
    }
    if request.messages.is_empty() {
        return Err(missing("messages"));
    }
    for (path, raw) in body.elements("tools")? {
        request.tools.extend(tool(Fields::of(raw, path)?, &mut others)?);
    }
    tool_choice(&mut body, &mut request, &mut others)?;
    output(&mut body, &mut request, &mut others)?;
    if let Some(mut metadata) = body.object("metadata")? {
        request.user = metadata.text("user_id")?;
        metadata.rest(&mut others);
    }
    let sampling = &mut request.sampling;
    sampling.max_tokens = body.count("max_tokens")?;
    sampling.temperature = body.number("temperature", &[])?;
    sampling.top_p = body.number("top_p", &[])?;
    sampling.top_k = body.number("top_k", &[])?;
    for (path, raw) in body.elements("stop_sequences")? {
        let text = string(raw);
        sampling.stop.push(text.ok_or_else(|| unknown(&path, raw.get(), "strings"))?);
    }
    for (name, usual) in [("service_tier", "auto"), ("speed", "standard")] {
        if body.text(name)?.is_some_and(|value| value != usual) {
            others.push(name.to_owned());
        }
    }
    body.rest(&mut others);
    request.others = others;
    Ok(request)
}

fn message<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Message<'a>, ApiError> {
    let role_path = fields.path("role");
    let role = match &*fields.needed_text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => return Err(unknown(&role_path, other, "user, assistant, system")),
    };
    let path = fields.path("content");
    let content = fields.take("content").ok_or_else(|| missing(&path))?;
    let mut parts = Vec::new();
    if content.get().starts_with('[') {
        let elements = client_list(content, &path, "must be a string or an array of blocks")?;
        for (at, raw) in elements.into_iter().enumerate() {
            parts.extend(block(Fields::of(raw, format!("{path}[{at}]"))?, others)?);
        }
    } else {
        parts = texts(content, &path, others)?;
    }
    fields.rest(others);
    Ok(Message { role, parts })
}

fn tool<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Option<Tool<'a>>, ApiError> {
    let kind = fields.text("type")?.unwrap_or(Cow::Borrowed("custom"));
    // Anthropic's own.
    if kind != "custom" {
        others.push(format!("{} ({kind})", fields.path("type")));
        return Ok(None);
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?,
        parameters: fields.take("input_schema"),
        strict: fields.flag("strict")?,
        cache: cache(&mut fields)?,
    };
    // How the input is streamed, and examples of it: hints.
    fields.skip(&["eager_input_streaming", "input_examples"]);
    if let Some(callers) = fields.take("allowed_callers")
        && callers.get().replace([' ', '\n'], "") != "[\"direct\"]"
    {
        others.push(fields.path("allowed_callers"));
    }
    fields.rest(others);
    Ok(Some(tool))
}

fn tool_choice<'a>(
    body: &mut Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let Some(mut choice) = body.object("tool_choice")? else { return Ok(()) };
    request.tool_choice = Some(match &*choice.needed_text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.needed_text("name")?),
        other => return Err(unknown("tool_choice.type", other, "auto, any, tool, none")),
    });
    request.parallel_tool_calls = choice.flag("disable_parallel_tool_use")?.map(|alone| !alone);
    choice.rest(others);
    Ok(())
}

/// `thinking`, `output_config`, and `output_format`, as the latter's format was called in beta.
fn output<'a>(
    body: &mut Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let mut reasoning = Reasoning::default();
    let mut is_said = false;
    if let Some(mut thinking) = body.object("thinking")? {
        is_said = true;
        let path = thinking.path("type");
        match &*thinking.needed_text("type")? {
            "enabled" => reasoning.budget = thinking.count("budget_tokens")?,
            "disabled" => reasoning.budget = Some(0),
            "adaptive" => reasoning.adaptive = true,
            other => others.push(format!("{path} ({other})")),
        }
        reasoning.shown = thinking.text("display")?.map(|display| display != "omitted");
        thinking.rest(others);
    }
    if let Some(mut config) = body.object("output_config")? {
        if let Some(effort) = config.text("effort")? {
            is_said = true;
            // Without thoughts it is about the answer alone.
            if reasoning.budget != Some(0) {
                reasoning.effort = Some(effort);
            }
        }
        request.format = config.object("format")?.map(|own| format(own, others)).transpose()?.flatten();
        config.rest(others);
    }
    if let Some(own) = body.object("output_format")? {
        request.format = format(own, others)?;
    }
    request.reasoning = is_said.then_some(reasoning);
    Ok(())
}

fn format<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Option<Format<'a>>, ApiError> {
    let kind = fields.needed_text("type")?;
    if kind != "json_schema" {
        others.push(format!("{} ({kind})", fields.path("type")));
        return Ok(None);
    }
    let path = fields.path("schema");
    let schema: &'a RawValue = fields.take("schema").ok_or_else(|| missing(&path))?;
    fields.rest(others);
    // Anthropic holds to the schema always.
    let nothing = Cow::Borrowed("");
    Ok(Some(Format::Schema { name: nothing, description: None, schema, strict: Some(true) }))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

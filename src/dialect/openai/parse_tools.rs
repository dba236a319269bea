//! The tools of a chat completion's request, and which of them are to be called.

use crate::dialect::canonical::fields::{Fields, missing, unknown};
use crate::dialect::canonical::request::{Tool, ToolChoice};
use crate::dialect::json::string;
use crate::error::ApiError;
use std::borrow::Cow;

pub(super) fn tool<'a>(
    mut fields: Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<Tool<'a>>, ApiError> {
    let kind = fields.text("type")?.unwrap_or(Cow::Borrowed("function"));
    if kind != "function" {
        others.push(format!("{} ({kind})", fields.path("type")));
        return Ok(None);
    }
    let path = fields.path("function");
    let mut function = fields.object("function")?.ok_or_else(|| missing(&path))?;
    let tool = Tool {
        name: function.needed_text("name")?,
        description: function.text("description")?,
        parameters: function.take("parameters"),
        strict: function.flag("strict")?,
        cache: match fields.object("cache_control")? {
            Some(mut cache) => Some(cache.text("ttl")?.unwrap_or_default()),
            None => None,
        },
    };
    function.rest(others);
    fields.rest(others);
    Ok(Some(tool))
}

pub(super) fn tool_choice<'a>(
    body: &mut Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<ToolChoice<'a>>, ApiError> {
    const KNOWN: &str = "\"none\", \"auto\", \"required\", {\"type\": \"function\", …}";
    let Some(raw) = body.take("tool_choice") else { return Ok(None) };
    if let Some(word) = string(raw) {
        return Ok(Some(match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            other => return Err(unknown("tool_choice", other, KNOWN)),
        }));
    }
    let mut choice = Fields::of(raw, "tool_choice")?;
    match &*choice.needed_text("type")? {
        "function" => {
            let path = choice.path("function");
            let mut function = choice.object("function")?.ok_or_else(|| missing(&path))?;
            Ok(Some(ToolChoice::Named(function.needed_text("name")?)))
        }
        "allowed_tools" => {
            let path = choice.path("allowed_tools");
            let mut allowed = choice.object("allowed_tools")?.ok_or_else(|| missing(&path))?;
            let required = allowed.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for (path, raw) in allowed.elements("tools")? {
                let mut tool = Fields::of(raw, path)?;
                if let Some(mut function) = tool.object("function")? {
                    names.push(function.needed_text("name")?);
                }
            }
            Ok(Some(ToolChoice::Allowed(names, required)))
        }
        other => {
            others.push(format!("tool_choice ({other})"));
            Ok(None)
        }
    }
}

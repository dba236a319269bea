//! Checks the messages of a request and puts them into the form that templates expect.

use serde_json::{Map, Value};

use super::TemplateError;
use crate::json_kind;

/// The messages with each `content` a string (text parts are joined as they stand), each tool call's arguments an
/// object where they are one in JSON, and the role `developer`, which no open model knows, made `system`.
pub(super) fn normalise(messages: &Value) -> Result<Value, TemplateError> {
    let messages = match messages {
        Value::Array(messages) if !messages.is_empty() => messages,
        Value::Array(_) => {
            return Err(TemplateError::field("messages", "is empty; send at least one message"));
        }
        other => return Err(TemplateError::field("messages", wrong("an array", other))),
    };
    let normalised = messages.iter().enumerate().map(|(index, message)| {
        let path = format!("messages[{index}]");
        match message {
            Value::Object(message) => self::message(&path, message).map(Value::Object),
            other => Err(TemplateError::field(path, wrong("an object", other))),
        }
    });
    normalised.collect::<Result<_, _>>().map(Value::Array)
}

/// Where templates look for what an assistant thought before it answered.
pub(super) const THOUGHT_FIELD: &str = "reasoning_content";
const THOUGHT_START: &str = "<think>";
pub(super) const THOUGHT_END: &str = "</think>";

/// Does what templates of thinking models do with an assistant's content that holds its thoughts, because they would not
/// find the special text in it (`prompt`): the thoughts become a field of their own.
pub(super) fn set_thoughts_apart(messages: &mut Value) {
    let messages = messages.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
    for message in messages.filter(|message| message.get("role").is_some_and(|role| role == "assistant")) {
        let Some(Value::String(content)) = message.get("content") else { continue };
        let Some((before, _)) = content.split_once(THOUGHT_END) else { continue };
        if message.get(THOUGHT_FIELD).is_some_and(Value::is_string) {
            continue;
        }
        let thought = before.trim_end_matches('\n').rsplit(THOUGHT_START).next().unwrap_or_default();
        let thought = thought.trim_start_matches('\n').to_owned();
        let answer = content.rsplit(THOUGHT_END).next().unwrap_or_default();
        let answer = answer.trim_start_matches('\n').to_owned();
        message.insert(THOUGHT_FIELD.to_owned(), thought.into());
        message.insert("content".to_owned(), answer.into());
    }
}

/// Checks `tools`: an array of objects.
pub(super) fn check_tools(tools: &Value) -> Result<(), TemplateError> {
    let Value::Array(tools) = tools else {
        return Err(TemplateError::field("tools", wrong("an array", tools)));
    };
    match tools.iter().enumerate().find(|(_, tool)| !tool.is_object()) {
        Some((index, tool)) => Err(TemplateError::field(format!("tools[{index}]"), wrong("an object", tool))),
        None => Ok(()),
    }
}

fn message(path: &str, message: &Map<String, Value>) -> Result<Map<String, Value>, TemplateError> {
    let mut message = message.clone();
    let role = match message.get("role") {
        Some(Value::String(role)) if !role.is_empty() => role,
        Some(other) => {
            return Err(TemplateError::field(format!("{path}.role"), wrong("a role's name", other)));
        }
        None => return Err(TemplateError::field(format!("{path}.role"), "is missing")),
    };
    if role == "developer" {
        message.insert("role".to_owned(), "system".into());
    }
    let has_calls = message.get("tool_calls").is_some_and(|calls| !calls.is_null());
    let content = match message.get("content") {
        Some(Value::String(_)) => None,
        Some(Value::Array(parts)) => Some(join(path, parts)?),
        None | Some(Value::Null) if has_calls => Some(String::new()),
        None | Some(Value::Null) => {
            return Err(TemplateError::field(format!("{path}.content"), "is missing"));
        }
        Some(other) => {
            let why = wrong("a string or an array of text parts", other);
            return Err(TemplateError::field(format!("{path}.content"), why));
        }
    };
    if let Some(content) = content {
        message.insert("content".to_owned(), content.into());
    }
    match message.get_mut("tool_calls") {
        // Templates ask whether the key is there.
        Some(Value::Null) => drop(message.shift_remove("tool_calls")),
        Some(Value::Array(calls)) if calls.is_empty() => drop(message.shift_remove("tool_calls")),
        Some(Value::Array(calls)) => parse_arguments(path, calls)?,
        Some(other) => {
            return Err(TemplateError::field(format!("{path}.tool_calls"), wrong("an array", other)));
        }
        None => {}
    }
    Ok(message)
}

/// Parts follow each other without a separator, as in Meta's `chat_format.py`.
fn join(path: &str, parts: &[Value]) -> Result<String, TemplateError> {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        let path = || format!("{path}.content[{index}]");
        match (part.get("type"), part.get("text")) {
            (Some(Value::String(kind)), Some(Value::String(part))) if kind == "text" => text.push_str(part),
            (Some(Value::String(kind)), _) if kind == "text" => {
                return Err(TemplateError::field(format!("{}.text", path()), "is missing or not a string"));
            }
            (Some(Value::String(kind)), _) => {
                let why = format!("is {kind:?}; this model takes only parts of type \"text\"");
                return Err(TemplateError::field(format!("{}.type", path()), why));
            }
            _ => return Err(TemplateError::field(path(), "is not a part with a \"type\"")),
        }
    }
    Ok(text)
}

fn parse_arguments(path: &str, calls: &mut [Value]) -> Result<(), TemplateError> {
    for (index, call) in calls.iter_mut().enumerate() {
        let path = || format!("{path}.tool_calls[{index}]");
        if !call.is_object() {
            return Err(TemplateError::field(path(), wrong("an object", call)));
        }
        let Some(function) = call.get_mut("function") else {
            return Err(TemplateError::field(format!("{}.function", path()), "is missing"));
        };
        if !function.get("name").is_some_and(Value::is_string) {
            return Err(TemplateError::field(
                format!("{}.function.name", path()),
                "is missing or not a string",
            ));
        }
        // Arguments that a model botched stay the string that they are: the conversation can go on.
        if let Some(Value::String(text)) = function.get("arguments")
            && let Ok(arguments @ Value::Object(_)) = serde_json::from_str(text)
        {
            function["arguments"] = arguments;
        }
    }
    Ok(())
}

fn wrong(expected: &str, found: &Value) -> String {
    format!("must be {expected} and is {}", json_kind::of(found))
}

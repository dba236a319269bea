//! A request of the Responses API in the canonical form
//! (<https://platform.openai.com/docs/api-reference/responses/create>).

use super::super::parse::of_url;
use super::items::signature_of;
use crate::dialect::canonical::call_id;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{
    Content, Format, Media, MediaKind, Message, Part, Reasoning, ReasoningPart, Request, Role, Source, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::json::string;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Members that change nothing about the answer: who asks, where a provider may keep its cache, and what concerns tools that
/// only OpenAI runs (those are told by their own names).
const HINTS: [&str; 11] = [
    "model",
    "stream",
    "stream_options",
    "store",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "max_tool_calls",
    "background",
];

/// What refers to something that OpenAI keeps.
const KEPT: [(&str, &str); 3] = [
    ("previous_response_id", "names an earlier answer"),
    ("conversation", "names a conversation"),
    ("prompt", "names a prompt template"),
];

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn parse(text: &str) -> Result<Request<'_>, ApiError> {
    let mut body = Fields::of_text(text, "")?;
    let mut request = Request::default();
    let mut others = Vec::new();
    body.skip(&HINTS);
    for (name, what) in KEPT {
        if body.take(name).is_some() {
            return Err(refused(
                name,
                format!(
                    "`{name}` {what} that OpenAI keeps, and nothing is kept for this model: send the whole conversation in `input`"
                ),
            ));
        }
    }
    if let Some(text) = body.text("instructions")?.filter(|text| !text.is_empty()) {
        request.instructions.push(Content::Text(text).into());
    }
    input(&mut body, &mut request, &mut others)?;
    for (path, raw) in body.elements("tools")? {
        request.tools.extend(tool(Fields::of(raw, path)?, &mut others)?);
    }
    request.tool_choice = tool_choice(&mut body, &mut others)?;
    request.parallel_tool_calls = body.flag("parallel_tool_calls")?;
    if let Some(mut text) = body.object("text")? {
        request.format = format(&mut text, &mut others)?;
        if text.text("verbosity")?.is_some_and(|value| value != "medium") {
            others.push("text.verbosity".to_owned());
        }
        text.rest(&mut others);
    }
    request.reasoning = reasoning(&mut body, &mut others)?;
    request.user = body.text("user")?;
    let sampling = &mut request.sampling;
    sampling.max_tokens = body.count("max_output_tokens")?;
    sampling.temperature = body.number("temperature", &[])?;
    sampling.top_p = body.number("top_p", &[])?;
    sampling.logprobs = body.count("top_logprobs")?.filter(|top| *top > 0);
    for (path, raw) in body.elements("include")? {
        match string(raw).as_deref() {
            Some("message.output_text.logprobs") => {
                sampling.logprobs.get_or_insert(0);
            }
            // It always is.
            Some("reasoning.encrypted_content") => {}
            Some(other) => others.push(format!("{path} ({other})")),
            None => return Err(wrong(&path, "must be a string")),
        }
    }
    for (name, usual) in [("service_tier", &["auto", "default"][..]), ("truncation", &["disabled"])] {
        if body.text(name)?.is_some_and(|value| !usual.contains(&&*value)) {
            others.push(name.to_owned());
        }
    }
    body.rest(&mut others);
    request.others = others;
    Ok(request)
}

fn refused(path: &str, message: String) -> ApiError {
    let error = ApiError::invalid("unsupported_parameter", None, message);
    ApiError { param: Some(Cow::Owned(path.to_owned())), ..error }
}

fn input<'a>(
    body: &mut Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let raw = body.take("input").ok_or_else(|| missing("input"))?;
    if let Some(text) = string(raw) {
        let parts = vec![Content::Text(text).into()];
        request.messages.push(Message { role: Role::User, parts });
        return Ok(());
    }
    let items = client_list(raw, "input", "must be a string or an array of items")?;
    if items.is_empty() && request.instructions.is_empty() {
        return Err(wrong("input", "must not be empty"));
    }
    for (at, raw) in items.into_iter().enumerate() {
        item(Fields::of(raw, format!("input[{at}]"))?, request, others)?;
    }
    Ok(())
}

fn item<'a>(
    mut fields: Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let kind = fields.text("type")?.unwrap_or(Cow::Borrowed("message"));
    let id = fields.text("id")?.unwrap_or_default();
    // Of items of an answer that come back as they were given.
    fields.skip(&["status"]);
    match &*kind {
        "message" => message(&mut fields, request, others)?,
        "function_call" => {
            let (id, signature) = call_id::split(fields.needed_text("call_id")?);
            let name = fields.needed_text("name")?;
            let arguments = fields.text("arguments")?.unwrap_or_default();
            let signature = signature.map(Cow::Owned);
            of_assistant(request, Content::ToolCall(ToolCall { id, name, arguments, signature }));
        }
        "function_call_output" => {
            let (id, _) = call_id::split(fields.needed_text("call_id")?);
            let path = fields.path("output");
            let output = fields.take("output").ok_or_else(|| missing(&path))?;
            let parts = parts(output, &path, others)?;
            let result = ToolResult { id, name: Cow::Borrowed(""), parts, is_error: false };
            of_tool(request, Content::ToolResult(result).into());
        }
        "reasoning" => {
            let mut text = thought(&mut fields, "summary")?;
            // Open models' thoughts stand there whole.
            let whole = thought(&mut fields, "content")?;
            if text.is_empty() {
                text = whole;
            }
            let encrypted = fields.text("encrypted_content")?.filter(|data| !data.is_empty());
            let (signature, redacted) = match encrypted.map(signature_of) {
                Some((signer, data, redacted)) => (Some((signer, data)), redacted),
                None => (None, false),
            };
            if signature.is_some() || !text.is_empty() {
                let text = Cow::Owned(text);
                of_assistant(request, Content::Reasoning(ReasoningPart { text, signature, redacted, id }));
            }
        }
        "image_generation_call" => {
            let format = fields.text("output_format")?.unwrap_or(Cow::Borrowed("png"));
            if let Some(data) = fields.text("result")? {
                let media = Media {
                    kind: MediaKind::Image,
                    source: Source::Base64(data),
                    media_type: Cow::Owned(format!("image/{format}")),
                    name: Cow::Borrowed(""),
                    detail: None,
                };
                of_assistant(request, Content::Media(media));
            }
        }
        "item_reference" => {
            let path = fields.path("id");
            let message = format!(
                "`{path}` refers to an item of an earlier answer, and nothing is kept for this model: send `store: false` with every request, so that items are sent whole (AI SDK: providerOptions.openai.store = false)"
            );
            return Err(refused(&path, message));
        }
        other => {
            others.push(format!("{} ({other})", fields.path("type")));
            return Ok(());
        }
    }
    fields.rest(others);
    Ok(())
}

/// The texts of a thought's parts.
fn thought(fields: &mut Fields<'_>, name: &str) -> Result<String, ApiError> {
    let mut text = String::new();
    for (path, raw) in fields.elements(name)? {
        text.push_str(&Fields::of(raw, path)?.needed_text("text")?);
    }
    Ok(text)
}

fn message<'a>(
    fields: &mut Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let role = fields.needed_text("role")?;
    let path = fields.path("content");
    let content = fields.take("content").ok_or_else(|| missing(&path))?;
    let parts = parts(content, &path, others)?;
    fields.skip(&["phase"]);
    match &*role {
        "system" | "developer" if request.messages.is_empty() => request.instructions.extend(parts),
        "system" | "developer" => request.messages.push(Message { role: Role::System, parts }),
        "user" => request.messages.push(Message { role: Role::User, parts }),
        "assistant" => parts.into_iter().for_each(|part| of_assistant(request, part.content)),
        other => return Err(unknown(&fields.path("role"), other, "user, assistant, system, developer")),
    }
    Ok(())
}

/// The items of one answer are one message.
fn of_assistant<'a>(request: &mut Request<'a>, content: Content<'a>) {
    match request.messages.last_mut() {
        Some(Message { role: Role::Assistant, parts }) => parts.push(content.into()),
        _ => request.messages.push(Message { role: Role::Assistant, parts: vec![content.into()] }),
    }
}

/// Results of one turn's calls belong together.
fn of_tool<'a>(request: &mut Request<'a>, part: Part<'a>) {
    match request.messages.last_mut() {
        Some(Message { role: Role::User, parts })
            if parts.iter().all(|part| matches!(part.content, Content::ToolResult(_))) =>
        {
            parts.push(part);
        }
        _ => request.messages.push(Message { role: Role::User, parts: vec![part] }),
    }
}

/// A text, or a list of parts.
fn parts<'a>(content: &'a RawValue, path: &str, others: &mut Vec<String>) -> Result<Vec<Part<'a>>, ApiError> {
    if let Some(text) = string(content) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Content::Text(text).into()] });
    }
    let elements = client_list(content, path, "must be a string or an array of parts")?;
    let element = |(at, raw)| part(Fields::of(raw, format!("{path}[{at}]"))?, others);
    elements.into_iter().enumerate().map(element).collect()
}

fn part<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Part<'a>, ApiError> {
    let kind = fields.needed_text("type")?;
    let content = match &*kind {
        "input_text" | "output_text" | "text" => {
            // Of answers that come back as they were given.
            fields.skip(&["annotations", "logprobs"]);
            Content::Text(fields.needed_text("text")?)
        }
        "refusal" => Content::Refusal(fields.needed_text("refusal")?),
        "input_image" => {
            let detail = fields.text("detail")?.filter(|detail| detail != "auto");
            media(&mut fields, MediaKind::Image, ["image_url", "image_url"], detail)?
        }
        "input_file" => media(&mut fields, MediaKind::File, ["file_data", "file_url"], None)?,
        other => {
            let known = "input_text, input_image, input_file, output_text, refusal";
            return Err(unknown(&fields.path("type"), other, known));
        }
    };
    // How long OpenAI keeps it is not a time that others have.
    let cache = fields.take("prompt_cache_breakpoint").map(|_| Cow::Borrowed(""));
    fields.rest(others);
    Ok(Part { content, cache })
}

/// `names`: of the members that may hold the data or its URL.
fn media<'a>(
    fields: &mut Fields<'a>,
    kind: MediaKind,
    names: [&str; 2],
    detail: Option<Cow<'a, str>>,
) -> Result<Content<'a>, ApiError> {
    let [data, url] = names;
    let found = match fields.text(data)? {
        None => fields.text(url)?,
        found => found,
    };
    let (source, media_type) = match (found, fields.text("file_id")?) {
        (Some(url), _) => of_url(url),
        (None, Some(id)) => (Source::Id(id), Cow::Borrowed("")),
        (None, None) => return Err(missing(&fields.path(data))),
    };
    let name = fields.text("filename")?.unwrap_or_default();
    Ok(Content::Media(Media { kind, source, media_type, name, detail }))
}

fn tool<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Option<Tool<'a>>, ApiError> {
    let kind = fields.needed_text("type")?;
    if kind != "function" {
        others.push(format!("{} ({kind})", fields.path("type")));
        return Ok(None);
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?,
        parameters: fields.take("parameters"),
        strict: fields.flag("strict")?,
        cache: None,
    };
    fields.rest(others);
    Ok(Some(tool))
}

fn tool_choice<'a>(
    body: &mut Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<ToolChoice<'a>>, ApiError> {
    const KNOWN: &str = "\"none\", \"auto\", \"required\", {\"type\": \"function\", \"name\": …}";
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
        "function" => Ok(Some(ToolChoice::Named(choice.needed_text("name")?))),
        "allowed_tools" => {
            let required = choice.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for (path, raw) in choice.elements("tools")? {
                let mut tool = Fields::of(raw, path)?;
                match tool.needed_text("type")? {
                    kind if kind == "function" => names.push(tool.needed_text("name")?),
                    kind => others.push(format!("{} ({kind})", tool.path("type"))),
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

fn format<'a>(text: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Format<'a>>, ApiError> {
    let Some(mut format) = text.object("format")? else { return Ok(None) };
    match &*format.needed_text("type")? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let path = format.path("schema");
            let found = Format::Schema {
                name: format.text("name")?.unwrap_or_default(),
                description: format.text("description")?,
                strict: format.flag("strict")?,
                schema: format.take("schema").ok_or_else(|| missing(&path))?,
            };
            format.rest(others);
            Ok(Some(found))
        }
        other => {
            others.push(format!("text.format ({other})"));
            Ok(None)
        }
    }
}

fn reasoning<'a>(body: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Reasoning<'a>>, ApiError> {
    let Some(mut fields) = body.object("reasoning")? else { return Ok(None) };
    let effort = fields.text("effort")?;
    // The older name of the same.
    let summary = fields.text("summary")?.or(fields.text("generate_summary")?);
    fields.rest(others);
    let shown = summary.map(|_| true);
    Ok((effort.is_some() || shown.is_some()).then(|| Reasoning { effort, shown, ..Reasoning::default() }))
}

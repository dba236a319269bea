//! A request for a chat completion in the canonical form
//! (<https://platform.openai.com/docs/api-reference/chat/create>), with the members that OpenRouter, vLLM and others have.

use super::parse_tools::{tool, tool_choice};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::call_id;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{
    Content, Format, Media, MediaKind, Message, Part, Reasoning, ReasoningPart, Request, Role, Source,
    ToolCall, ToolResult,
};
use crate::dialect::json::string;
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Members that change nothing about the answer: who asks, and where a provider may keep its cache.
const HINTS: [&str; 8] = [
    "model",
    "stream",
    "stream_options",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "usage",
];

/// LiteLLM keeps here what it found in an answer beside OpenAI's members, and sends it back.
const LITELLM: &str = "provider_specific_fields";

/// # Errors
/// 400 that names the field and what it must be.
pub(in crate::dialect) fn parse(text: &str) -> Result<Request<'_>, ApiError> {
    let mut body = Fields::of_text(text, "")?;
    let mut request = Request::default();
    let mut others = Vec::new();
    body.skip(&HINTS);
    for (path, raw) in body.elements("messages")? {
        message(Fields::of(raw, path)?, &mut request, &mut others)?;
    }
    if request.messages.is_empty() && request.instructions.is_empty() {
        return Err(missing("messages"));
    }
    for (path, raw) in body.elements("tools")? {
        request.tools.extend(tool(Fields::of(raw, path)?, &mut others)?);
    }
    request.tool_choice = tool_choice(&mut body, &mut others)?;
    request.parallel_tool_calls = body.flag("parallel_tool_calls")?;
    request.format = format(&mut body, &mut others)?;
    request.reasoning = reasoning(&mut body, &mut others)?;
    request.user = body.text("user")?;
    let sampling = &mut request.sampling;
    sampling.max_tokens =
        body.count("max_completion_tokens")?.into_iter().chain(body.count("max_tokens")?).min();
    sampling.temperature = body.number("temperature", &[])?;
    sampling.top_p = body.number("top_p", &[])?;
    sampling.top_k = body.number("top_k", &["-1", "0"])?;
    sampling.seed = body.number("seed", &[])?;
    sampling.presence_penalty = body.number("presence_penalty", &["0", "0.0"])?;
    sampling.frequency_penalty = body.number("frequency_penalty", &["0", "0.0"])?;
    sampling.stop = stop(&mut body)?;
    let top = body.count("top_logprobs")?;
    if body.flag("logprobs")? == Some(true) {
        sampling.logprobs = Some(top.unwrap_or(0));
    }
    // One answer is what everybody gives.
    if body.count("n")?.is_some_and(|n| n != 1) {
        others.push("n".to_owned());
    }
    for (name, usual) in [("service_tier", &["auto", "default"][..]), ("verbosity", &["medium"])] {
        if body.text(name)?.is_some_and(|value| !usual.contains(&&*value)) {
            others.push(name.to_owned());
        }
    }
    if let Some(raw) = body.take("modalities")
        && !matches!(raw.get().replace([' ', '\n'], "").as_str(), "[\"text\"]")
    {
        others.push("modalities".to_owned());
    }
    body.rest(&mut others);
    request.others = others;
    Ok(request)
}

fn stop<'a>(body: &mut Fields<'a>) -> Result<Vec<Cow<'a, str>>, ApiError> {
    let Some(raw) = body.take("stop") else { return Ok(Vec::new()) };
    if let Some(text) = string(raw) {
        return Ok(vec![text]);
    }
    let all = client_list(raw, "stop", "must be a string or an array of strings")?;
    let texts = all.into_iter().map(string).collect::<Option<Vec<_>>>();
    texts.ok_or_else(|| wrong("stop", "must be a string or an array of strings"))
}

fn message<'a>(
    mut fields: Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    let role = fields.needed_text("role")?;
    let path = fields.path("role");
    let content = fields.take("content");
    let content_path = fields.path("content");
    match &*role {
        "system" | "developer" => {
            let parts = parts(content, &content_path, others)?;
            if request.messages.is_empty() {
                request.instructions.extend(parts);
            } else {
                request.messages.push(Message { role: Role::System, parts });
            }
        }
        "user" => {
            let parts = parts(content, &content_path, others)?;
            request.messages.push(Message { role: Role::User, parts });
        }
        "assistant" => {
            let parts = assistant(&mut fields, content, &content_path, others)?;
            request.messages.push(Message { role: Role::Assistant, parts });
        }
        "tool" => {
            let (id, _) = call_id::split(fields.needed_text("tool_call_id")?);
            let parts = parts(content, &content_path, others)?;
            fields.skip(&["name"]);
            let result = ToolResult { id, name: Cow::Borrowed(""), parts, is_error: false };
            let part = Content::ToolResult(result).into();
            match request.messages.last_mut() {
                // Results of one turn's calls belong together.
                Some(Message { role: Role::User, parts })
                    if parts.iter().all(|part| matches!(part.content, Content::ToolResult(_))) =>
                {
                    parts.push(part);
                }
                _ => request.messages.push(Message { role: Role::User, parts: vec![part] }),
            }
        }
        other => return Err(unknown(&path, other, "system, developer, user, assistant, tool")),
    }
    fields.rest(others);
    Ok(())
}

fn assistant<'a>(
    fields: &mut Fields<'a>,
    content: Option<&'a RawValue>,
    content_path: &str,
    others: &mut Vec<String>,
) -> Result<Vec<Part<'a>>, ApiError> {
    let mut all = reasoning_of(fields, others)?;
    all.extend(parts(content, content_path, others)?);
    if let Some(text) = fields.text("refusal")? {
        all.push(Content::Refusal(text).into());
    }
    for (path, raw) in fields.elements("tool_calls")? {
        let mut call = Fields::of(raw, path)?;
        let (id, mut signature) = call_id::split(call.needed_text("id")?);
        let function_path = call.path("function");
        let mut function = call.object("function")?.ok_or_else(|| missing(&function_path))?;
        let name = function.needed_text("name")?;
        let arguments = function.text("arguments")?.unwrap_or_default();
        // As Google's own endpoint for OpenAI's clients has it.
        if let Some(mut extra) = call.object("extra_content")?
            && let Some(mut google) = extra.object("google")?
            && let Some(text) = google.text("thought_signature")?
        {
            signature = Some(text.into_owned());
        }
        call.skip(&["type", "index", LITELLM]);
        function.skip(&[LITELLM]);
        function.rest(others);
        call.rest(others);
        let signature = signature.map(Cow::Owned);
        all.push(Content::ToolCall(ToolCall { id, name, arguments, signature }).into());
    }
    // Of answers that come back as they were given.
    fields.skip(&["audio", "annotations", "name", LITELLM]);
    Ok(all)
}

/// The thoughts of an answer that comes back: OpenRouter's details, otherwise the plain text, which no signature stands for.
fn reasoning_of<'a>(fields: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Vec<Part<'a>>, ApiError> {
    let mut parts = Vec::new();
    let plain = fields.text("reasoning_content")?.or(fields.text("reasoning")?);
    for (path, raw) in fields.elements("reasoning_details")? {
        let mut detail = Fields::of(raw, path)?;
        let signer = detail.text("format")?.and_then(|name| Signer::of_name(&name));
        let kind = detail.text("type")?.unwrap_or_default();
        let redacted = kind == "reasoning.encrypted";
        let text = detail.text("text")?.or(detail.text("summary")?).unwrap_or_default();
        let signature = if redacted { detail.text("data")? } else { detail.text("signature")? };
        let id = detail.text("id")?.unwrap_or_default();
        detail.skip(&["index"]);
        detail.rest(others);
        let signature = signer.zip(signature);
        parts.push(Content::Reasoning(ReasoningPart { text, signature, redacted, id }).into());
    }
    if parts.is_empty()
        && let Some(text) = plain.filter(|text| !text.is_empty())
    {
        let part = ReasoningPart { text, signature: None, redacted: false, id: Cow::Borrowed("") };
        parts.push(Content::Reasoning(part).into());
    }
    Ok(parts)
}

/// A text, or a list of parts.
fn parts<'a>(
    content: Option<&'a RawValue>,
    path: &str,
    others: &mut Vec<String>,
) -> Result<Vec<Part<'a>>, ApiError> {
    let Some(content) = content else { return Ok(Vec::new()) };
    if let Some(text) = string(content) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Content::Text(text).into()] });
    }
    let elements = client_list(content, path, "must be a string or an array of parts")?;
    let element = |(at, raw)| part(Fields::of(raw, format!("{path}[{at}]"))?, others);
    elements.into_iter().enumerate().map(element).collect()
}

fn part<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Part<'a>, ApiError> {
    let kind = fields.needed_text("type")?;
    let path = fields.path(&kind);
    let needed = |inner: Option<Fields<'a>>| inner.ok_or_else(|| missing(&path));
    let media = |kind, source, media_type, name, detail| {
        Content::Media(Media { kind, source, media_type, name, detail })
    };
    let nothing = || Cow::Borrowed("");
    let content = match &*kind {
        "text" => Content::Text(fields.needed_text("text")?),
        "refusal" => Content::Refusal(fields.needed_text("refusal")?),
        "image_url" => {
            let mut image = needed(fields.object("image_url")?)?;
            let url = image.needed_text("url")?;
            let detail = image.text("detail")?.filter(|detail| detail != "auto");
            image.rest(others);
            let (source, media_type) = of_url(url);
            media(MediaKind::Image, source, media_type, nothing(), detail)
        }
        "input_audio" => {
            let mut audio = needed(fields.object("input_audio")?)?;
            let source = Source::Base64(audio.needed_text("data")?);
            let media_type = Cow::Owned(format!("audio/{}", audio.needed_text("format")?));
            audio.rest(others);
            media(MediaKind::Audio, source, media_type, nothing(), None)
        }
        "file" => {
            let mut file = needed(fields.object("file")?)?;
            let name = file.text("filename")?.unwrap_or_default();
            let (source, media_type) = match (file.text("file_data")?, file.text("file_id")?) {
                (Some(data), _) => of_url(data),
                (None, Some(id)) => (Source::Id(id), nothing()),
                (None, None) => return Err(missing(&file.path("file_data"))),
            };
            file.rest(others);
            media(MediaKind::File, source, media_type, name, None)
        }
        other => {
            return Err(unknown(&fields.path("type"), other, "text, image_url, input_audio, file, refusal"));
        }
    };
    // OpenRouter and LiteLLM take Anthropic's.
    let cache = match fields.object("cache_control")? {
        Some(mut cache) => Some(cache.text("ttl")?.unwrap_or_default()),
        None => None,
    };
    fields.rest(others);
    Ok(Part { content, cache })
}

/// A URL, or the data within a `data:` URL, with its media type. What is neither is base64 alone.
pub(in crate::dialect) fn of_url(url: Cow<'_, str>) -> (Source<'_>, Cow<'_, str>) {
    if url.starts_with("http://") || url.starts_with("https://") || url.starts_with("gs://") {
        return (Source::Url(url), Cow::Borrowed(""));
    }
    let split = |url: &str| {
        let head = url.strip_prefix("data:")?.split_once(',')?.0;
        Some(("data:".len(), head.len()))
    };
    let Some((from, length)) = split(&url) else { return (Source::Base64(url), Cow::Borrowed("")) };
    let media_type_of = |head: &str| head.split(';').next().unwrap_or("").to_owned();
    let media_type = media_type_of(&url[from..from + length]);
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(&url[from + length + 1..]),
        Cow::Owned(mut url) => {
            url.drain(..=from + length);
            Cow::Owned(url)
        }
    };
    (Source::Base64(data), Cow::Owned(media_type))
}

fn format<'a>(body: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Format<'a>>, ApiError> {
    let Some(mut format) = body.object("response_format")? else { return Ok(None) };
    match &*format.needed_text("type")? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let path = format.path("json_schema");
            let mut schema = format.object("json_schema")?.ok_or_else(|| missing(&path))?;
            let found = Format::Schema {
                name: schema.text("name")?.unwrap_or_default(),
                description: schema.text("description")?,
                strict: schema.flag("strict")?,
                schema: match schema.take("schema") {
                    Some(schema) => schema,
                    None => return Ok(Some(Format::Json)),
                },
            };
            schema.rest(others);
            Ok(Some(found))
        }
        other => {
            others.push(format!("response_format ({other})"));
            Ok(None)
        }
    }
}

fn reasoning<'a>(body: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Reasoning<'a>>, ApiError> {
    let effort = body.text("reasoning_effort")?;
    let shown = body.flag("include_reasoning")?;
    let Some(mut fields) = body.object("reasoning")? else {
        return Ok((effort.is_some() || shown.is_some()).then(|| Reasoning {
            effort,
            shown,
            ..Reasoning::default()
        }));
    };
    // OpenRouter's: docs/use-cases/reasoning-tokens.
    let enabled = fields.flag("enabled")?;
    let hidden = fields.flag("exclude")?;
    let said = fields.text("effort")?;
    let reasoning = Reasoning {
        effort: said.or(effort).or((enabled == Some(false)).then_some(Cow::Borrowed("none"))),
        budget: fields.count("max_tokens")?,
        adaptive: enabled == Some(true),
        shown: hidden.map(|hidden| !hidden).or(shown),
    };
    fields.rest(others);
    Ok(Some(reasoning))
}

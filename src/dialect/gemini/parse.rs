//! A request to `generateContent` in the canonical form
//! (<https://ai.google.dev/api/generate-content#method:-models.generatecontent>). Names may be in camel case or with
//! underscores: protobuf's JSON takes both.

use super::turns;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{Format, Reasoning, Request, Sampling, Tool, ToolChoice};
use crate::dialect::json::{span, string, whole_number};
use crate::error::ApiError;
use crate::payload::{Edit, sort_edits};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A name in camel case.
pub(super) fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') || name.starts_with('_') {
        return name;
    }
    let mut parts = name.split('_');
    let mut own = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        own.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        own.push_str(chars.as_str());
    }
    Cow::Owned(own)
}

/// An object's members, by their names in camel case.
pub(super) fn object<'a>(raw: &'a RawValue, path: impl Into<String>) -> Result<Fields<'a>, ApiError> {
    Ok(Fields::of(raw, path)?.renamed(camel))
}

/// An object within another.
pub(super) fn inner<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Option<Fields<'a>>, ApiError> {
    Ok(fields.object(name)?.map(|own| own.renamed(camel)))
}

/// What makes JSON Schemas of Google's own ones, in a body.
///
/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn schema_edits(text: &str) -> Result<Vec<Edit>, ApiError> {
    let mut edits = Vec::new();
    let mut change = |schema: Option<&RawValue>| {
        if let Some(schema) = schema {
            let text_of = super::schema::of_google(schema);
            edits.push(Edit { span: span(text.as_bytes(), schema), text: text_of });
        }
    };
    let mut body = Fields::of_text(text, "")?.renamed(camel);
    for (path, raw) in body.elements("tools")? {
        for (path, raw) in object(raw, path)?.elements("functionDeclarations")? {
            change(object(raw, path)?.take("parameters"));
        }
    }
    if let Some(mut config) = inner(&mut body, "generationConfig")? {
        change(config.take("responseSchema"));
    }
    sort_edits(&mut edits);
    Ok(edits)
}

/// A body whose schemas are JSON Schemas.
///
/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn parse(text: &str) -> Result<Request<'_>, ApiError> {
    let mut body = Fields::of_text(text, "")?.renamed(camel);
    let mut request = Request::default();
    let mut others = Vec::new();
    // `labels` are for the bill.
    body.skip(&["model", "labels"]);
    if let Some(raw) = body.take("systemInstruction") {
        request.instructions = turns::instructions(raw, &mut others)?;
    }
    let contents = body.take("contents").ok_or_else(|| missing("contents"))?;
    request.messages = turns::messages(contents, &mut others)?;
    if request.messages.is_empty() {
        return Err(missing("contents"));
    }
    for (path, raw) in body.elements("tools")? {
        tools(object(raw, path)?, &mut request.tools, &mut others)?;
    }
    if let Some(config) = inner(&mut body, "toolConfig")? {
        request.tool_choice = tool_choice(config, &mut others)?;
    }
    safety(&mut body, &mut others)?;
    if body.text("serviceTier")?.is_some_and(|tier| !matches!(&*tier, "standard" | "unspecified")) {
        others.push("serviceTier".to_owned());
    }
    if let Some(config) = inner(&mut body, "generationConfig")? {
        generation(config, &mut request, &mut others)?;
    }
    body.rest(&mut others);
    request.others = others;
    Ok(request)
}

/// Thresholds that filter less than is usual ask other providers for nothing, since they have no such filters; those that
/// filter ask for what nobody else can do.
fn safety(body: &mut Fields<'_>, others: &mut Vec<String>) -> Result<(), ApiError> {
    for (path, raw) in body.elements("safetySettings")? {
        let mut setting = object(raw, path)?;
        let path = setting.path("threshold");
        let threshold = setting.text("threshold")?.unwrap_or_default();
        if !matches!(&*threshold, "" | "BLOCK_NONE" | "OFF" | "HARM_BLOCK_THRESHOLD_UNSPECIFIED") {
            others.push(path);
        }
    }
    Ok(())
}

fn tools<'a>(
    mut fields: Fields<'a>,
    tools: &mut Vec<Tool<'a>>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (path, raw) in fields.elements("functionDeclarations")? {
        let mut own = object(raw, path)?;
        // What it answers is a hint; that it need not block is the usual.
        own.skip(&["response", "responseJsonSchema"]);
        if own.text("behavior")?.is_some_and(|own| !matches!(&*own, "BLOCKING" | "UNSPECIFIED")) {
            others.push(own.path("behavior"));
        }
        let parameters = own.take("parametersJsonSchema");
        tools.push(Tool {
            name: own.needed_text("name")?,
            description: own.text("description")?.filter(|text| !text.is_empty()),
            parameters: parameters.or_else(|| own.take("parameters")),
            strict: None,
            cache: None,
        });
        own.rest(others);
    }
    // `googleSearch`, `codeExecution` and the like, most of them empty objects.
    fields.rest_of_switches(others);
    Ok(())
}

fn tool_choice<'a>(
    mut config: Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<ToolChoice<'a>>, ApiError> {
    let Some(mut calling) = inner(&mut config, "functionCallingConfig")? else {
        config.rest(others);
        return Ok(None);
    };
    let path = calling.path("mode");
    let mode = calling.text("mode")?.unwrap_or(Cow::Borrowed("AUTO")).to_ascii_uppercase();
    let mut names = texts(&mut calling, "allowedFunctionNames")?;
    calling.rest(others);
    config.rest(others);
    Ok(match mode.as_str() {
        "MODE_UNSPECIFIED" => None,
        "NONE" => Some(ToolChoice::None),
        "AUTO" | "VALIDATED" if names.is_empty() => Some(ToolChoice::Auto),
        "AUTO" | "VALIDATED" => Some(ToolChoice::Allowed(names, false)),
        "ANY" => Some(match names.len() {
            0 => ToolChoice::Required,
            1 => ToolChoice::Named(names.remove(0)),
            _ => ToolChoice::Allowed(names, true),
        }),
        other => return Err(unknown(&path, other, "AUTO, ANY, NONE, VALIDATED")),
    })
}

fn texts<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, ApiError> {
    let path = fields.path(name);
    let Some(raw) = fields.take(name) else { return Ok(Vec::new()) };
    let all = client_list(raw, &path, "must be an array of strings")?;
    let texts = all.into_iter().map(string).collect::<Option<_>>();
    texts.ok_or_else(|| wrong(&path, "must be an array of strings"))
}

fn generation<'a>(
    mut config: Fields<'a>,
    request: &mut Request<'a>,
    others: &mut Vec<String>,
) -> Result<(), ApiError> {
    request.sampling = Sampling {
        max_tokens: config.count("maxOutputTokens")?,
        temperature: config.number("temperature", &[])?,
        top_p: config.number("topP", &[])?,
        top_k: config.number("topK", &[])?,
        seed: config.number("seed", &[])?,
        presence_penalty: config.number("presencePenalty", &["0", "0.0"])?,
        frequency_penalty: config.number("frequencyPenalty", &["0", "0.0"])?,
        stop: texts(&mut config, "stopSequences")?,
        logprobs: None,
    };
    let top = config.count("logprobs")?;
    if config.flag("responseLogprobs")? == Some(true) {
        request.sampling.logprobs = Some(top.unwrap_or(0));
    }
    // One answer is what everybody gives.
    if config.count("candidateCount")?.is_some_and(|count| count > 1) {
        others.push(config.path("candidateCount"));
    }
    // How finely images are looked at is a hint.
    config.skip(&["mediaResolution"]);
    if texts(&mut config, "responseModalities")?.iter().any(|own| !own.eq_ignore_ascii_case("TEXT")) {
        others.push(config.path("responseModalities"));
    }
    request.format = format(&mut config, others)?;
    if let Some(thinking) = inner(&mut config, "thinkingConfig")? {
        request.reasoning = reasoning(thinking, others)?;
    }
    config.rest(others);
    Ok(())
}

fn format<'a>(config: &mut Fields<'a>, others: &mut Vec<String>) -> Result<Option<Format<'a>>, ApiError> {
    let media_type = config.text("responseMimeType")?.unwrap_or_default();
    let schema = config.take("responseJsonSchema").or(config.take("_responseJsonSchema"));
    let schema = config.take("responseSchema").or(schema);
    Ok(match (&*media_type, schema) {
        ("application/json", Some(schema)) => {
            Some(Format::Schema { name: Cow::Borrowed(""), description: None, schema, strict: None })
        }
        ("application/json", None) => Some(Format::Json),
        ("" | "text/plain", None) => None,
        // A schema needs a media type that has one; the other is of a list of words.
        _ => {
            others.push(config.path("responseMimeType"));
            None
        }
    })
}

fn reasoning<'a>(
    mut config: Fields<'a>,
    others: &mut Vec<String>,
) -> Result<Option<Reasoning<'a>>, ApiError> {
    let path = config.path("thinkingBudget");
    let tokens = config.number("thinkingBudget", &[])?;
    let adaptive = tokens.is_some_and(|raw| raw.get() == "-1");
    let budget = match tokens.filter(|_| !adaptive) {
        Some(raw) => Some(whole_number(raw).ok_or_else(|| wrong(&path, "must be a whole number, or -1"))?),
        None => None,
    };
    let level = config.text("thinkingLevel")?.map(|level| level.to_ascii_lowercase());
    let shown = config.flag("includeThoughts")?;
    config.rest(others);
    let effort = level.filter(|level| level != "thinking_level_unspecified").map(Cow::Owned);
    Ok(Some(Reasoning { effort, budget, adaptive, shown: Some(shown == Some(true)) }))
}

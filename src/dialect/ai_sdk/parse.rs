//! A request to `/language-model` in the canonical form: call options of the specification, versions 2 to 4.

use super::options::cache;
use super::prompt;
use crate::dialect::canonical::fields::{Fields, client_list, missing, unknown, wrong};
use crate::dialect::canonical::request::{Format, Reasoning, Request, Tool, ToolChoice};
use crate::dialect::json::string;
use crate::error::ApiError;
use std::borrow::Cow;

/// # Errors
/// 400 that names the field and what it must be.
pub(super) fn parse(text: &str) -> Result<Request<'_>, ApiError> {
    let mut body = Fields::of_text(text, "")?;
    let mut request = Request::default();
    let mut others = Vec::new();
    // The caller's headers again; the stream's own kind of events; what is read by itself.
    body.skip(&["headers", "includeRawChunks", "providerOptions"]);
    prompt::messages(&mut body, &mut request, &mut others)?;
    for (path, raw) in body.elements("tools")? {
        request.tools.extend(tool(Fields::of(raw, path)?, &mut others)?);
    }
    let choice = tool_choice(&mut body)?;
    // The SDK sends `auto` without any tool too.
    request.tool_choice = choice.filter(|_| !request.tools.is_empty());
    request.format = format(&mut body)?;
    let effort = body.text("reasoning")?.filter(|effort| effort != "provider-default");
    request.reasoning = effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() });
    let sampling = &mut request.sampling;
    sampling.max_tokens = body.count("maxOutputTokens")?;
    for (name, usual, place) in [
        ("temperature", &[][..], &mut sampling.temperature),
        ("topP", &[], &mut sampling.top_p),
        ("topK", &[], &mut sampling.top_k),
        ("seed", &[], &mut sampling.seed),
        ("presencePenalty", &["0"], &mut sampling.presence_penalty),
        ("frequencyPenalty", &["0"], &mut sampling.frequency_penalty),
    ] {
        *place = body.number(name, usual)?;
    }
    if let Some(raw) = body.take("stopSequences") {
        let must = "must be an array of strings";
        let all = client_list(raw, "stopSequences", must)?.into_iter().map(string);
        sampling.stop = all.collect::<Option<_>>().ok_or_else(|| wrong("stopSequences", must))?;
    }
    body.rest(&mut others);
    request.others = others;
    Ok(request)
}

/// `None`: a tool that the gateway itself or a provider would have to run.
fn tool<'a>(mut fields: Fields<'a>, others: &mut Vec<String>) -> Result<Option<Tool<'a>>, ApiError> {
    let kind = fields.text("type")?;
    match kind.as_deref() {
        None | Some("function") => {}
        Some("provider" | "provider-defined") => {
            let id = fields.text("id")?.unwrap_or_default();
            others.push(format!("{} ({id})", fields.path("id")));
            return Ok(None);
        }
        Some(other) => return Err(unknown(&fields.path("type"), other, "function, provider")),
    }
    // Examples are a hint.
    fields.skip(&["inputExamples"]);
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?.filter(|text| !text.is_empty()),
        parameters: fields.take("inputSchema"),
        strict: fields.flag("strict")?,
        cache: cache(fields.take("providerOptions")),
    };
    fields.rest(others);
    Ok(Some(tool))
}

fn tool_choice<'a>(body: &mut Fields<'a>) -> Result<Option<ToolChoice<'a>>, ApiError> {
    let Some(mut choice) = body.object("toolChoice")? else { return Ok(None) };
    Ok(Some(match &*choice.needed_text("type")? {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        "tool" => ToolChoice::Named(choice.needed_text("toolName")?),
        other => return Err(unknown(&choice.path("type"), other, "auto, none, required, tool")),
    }))
}

fn format<'a>(body: &mut Fields<'a>) -> Result<Option<Format<'a>>, ApiError> {
    let Some(mut format) = body.object("responseFormat")? else { return Ok(None) };
    match &*format.text("type")?.ok_or_else(|| missing("responseFormat.type"))? {
        "text" => Ok(None),
        "json" => Ok(Some(match format.take("schema") {
            None => Format::Json,
            Some(schema) => Format::Schema {
                name: format.text("name")?.unwrap_or(Cow::Borrowed("response")),
                description: format.text("description")?,
                schema,
                strict: None,
            },
        })),
        other => Err(unknown("responseFormat.type", other, "text, json")),
    }
}

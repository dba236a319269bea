//! The canonical form as a request to `generateContent`
//! (<https://ai.google.dev/api/generate-content#method:-models.generatecontent>).

use super::contents;
use super::family::{Family, Thinking};
use super::schema;
use crate::dialect::canonical::request::{Format, Reasoning, Request, ToolChoice};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::Destination;
use crate::dialect::json_writer::JsonWriter;

pub(super) fn encode(request: &Request<'_>, to: &Destination<'_>, unsupported: &mut Unsupported) -> Vec<u8> {
    let family = Family::of(to);
    let mut json = JsonWriter::with_capacity(1024);
    json.object(|json| {
        contents::write(json, request, family, unsupported);
        tools(json, request, unsupported);
        json.key("generationConfig").object(|json| {
            sampling(json, request, family, unsupported);
            format(json, request, family, unsupported);
            if let Some(reasoning) = &request.reasoning {
                thinking(json, reasoning, family, unsupported);
            }
        });
    });
    json.into_bytes()
}

fn sampling(json: &mut JsonWriter, request: &Request<'_>, family: Family, unsupported: &mut Unsupported) {
    /// Its stop sequences at most.
    const MOST_STOPS: usize = 5;
    let sampling = &request.sampling;
    if let Some(most) = sampling.max_tokens {
        json.key("maxOutputTokens").number(most);
    }
    json.optional("temperature", sampling.temperature);
    json.optional("topP", sampling.top_p);
    json.optional("topK", sampling.top_k);
    json.optional("seed", sampling.seed);
    if family.has_penalties {
        json.optional("presencePenalty", sampling.presence_penalty);
        json.optional("frequencyPenalty", sampling.frequency_penalty);
    } else {
        unsupported.add_if(sampling.presence_penalty.is_some(), "presence_penalty");
        unsupported.add_if(sampling.frequency_penalty.is_some(), "frequency_penalty");
    }
    unsupported.add_if(sampling.stop.len() > MOST_STOPS, "stop");
    if !sampling.stop.is_empty() {
        json.key("stopSequences")
            .array(|json| sampling.stop.iter().take(MOST_STOPS).for_each(|text| json.string(text)));
    }
    if let Some(top) = sampling.logprobs {
        json.key("responseLogprobs").bool(true);
        if top > 0 {
            json.key("logprobs").number(top);
        }
    }
}

fn format(json: &mut JsonWriter, request: &Request<'_>, family: Family, unsupported: &mut Unsupported) {
    let Some(format) = &request.format else { return };
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed(_, true))
    );
    // Before Gemini 3 tools exclude it, and a forced call always does.
    if !request.tools.is_empty() && (!family.is_three || forced) {
        unsupported.add("response_format");
        return;
    }
    json.member("responseMimeType", "application/json");
    if let Format::Schema { schema, .. } = format {
        schema::to_google(json.key("responseJsonSchema"), schema);
    }
}

fn thinking(json: &mut JsonWriter, reasoning: &Reasoning<'_>, family: Family, unsupported: &mut Unsupported) {
    if family.thinking == Thinking::Never {
        unsupported.add_if(!reasoning.is_off() && !reasoning.adaptive, "reasoning_effort");
        return;
    }
    let (most, least) = family.budget;
    json.key("thinkingConfig").object(|json| {
        match (family.thinking, reasoning.level()) {
            (Thinking::Level, Some(level)) => json.member(
                "thinkingLevel",
                match level {
                    "none" | "minimal" if family.has_minimal => "MINIMAL",
                    "none" | "minimal" | "low" => "LOW",
                    "medium" => "MEDIUM",
                    _ => "HIGH",
                },
            ),
            (Thinking::Budget, Some(level)) => {
                // The budgets are those of Google's own endpoint for OpenAI's clients
                // (https://ai.google.dev/gemini-api/docs/openai#thinking).
                let tokens = reasoning.budget.unwrap_or(match level {
                    "none" => 0,
                    "minimal" | "low" => 1024,
                    "medium" => 8192,
                    _ => 24_576,
                });
                json.key("thinkingBudget").number(tokens.clamp(least, most));
            }
            (Thinking::Budget, None) if reasoning.adaptive => json.key("thinkingBudget").raw("-1"),
            _ => {}
        }
        if reasoning.shown.unwrap_or(!reasoning.is_off()) {
            json.key("includeThoughts").bool(true);
        }
    });
}

fn tools(json: &mut JsonWriter, request: &Request<'_>, unsupported: &mut Unsupported) {
    if request.tools.is_empty() {
        return;
    }
    unsupported.add_if(request.forbids_parallel_calls(), "parallel_tool_calls");
    json.key("tools").array(|json| {
        json.object(|json| {
            json.key("functionDeclarations").array(|json| {
                for tool in &request.tools {
                    json.object(|json| {
                        json.member("name", &tool.name);
                        if let Some(text) = &tool.description {
                            json.member("description", text);
                        }
                        // A JSON Schema as it is; `parameters` takes a subset of OpenAPI's.
                        json.optional("parametersJsonSchema", tool.parameters);
                    });
                }
            });
        });
    });
    let is_strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let (mode, names) = match &request.tool_choice {
        // Calls have to follow the schema.
        None | Some(ToolChoice::Auto) if is_strict => ("VALIDATED", &[][..]),
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", &[][..]),
        Some(ToolChoice::None) => ("NONE", &[][..]),
        Some(ToolChoice::Required) => ("ANY", &[][..]),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed(names, true)) => ("ANY", names.as_slice()),
        Some(ToolChoice::Allowed(names, false)) => ("VALIDATED", names.as_slice()),
    };
    json.key("toolConfig").object(|json| {
        json.key("functionCallingConfig").object(|json| {
            json.member("mode", mode);
            if !names.is_empty() {
                json.key("allowedFunctionNames")
                    .array(|json| names.iter().for_each(|name| json.string(name)));
            }
        });
    });
}

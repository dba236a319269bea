//! How much is thought, in Anthropic's words (guides "Extended thinking", "Adaptive thinking" and "Effort").

use super::content::is_thought;
use super::encode::{Turn, turns};
use super::models::Abilities;
use crate::config::Model;
use crate::dialect::canonical::request::{Content, Reasoning, Request};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::json_writer::JsonWriter;

/// The most completion tokens where nobody says how many.
const USUAL_MAX_TOKENS: u64 = 8192;
/// The least budget that Anthropic takes.
const LEAST_BUDGET: u64 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Thinking {
    Off,
    /// So many tokens.
    Budget(u64),
    Adaptive,
}

/// As [`plan`], for Claude behind an API of somebody else's.
pub(in crate::dialect) fn elsewhere(
    request: &Request<'_>,
    model: &Model,
    unsupported: &mut Unsupported,
) -> (Thinking, u64) {
    plan(request, &turns(&request.messages), model, Abilities::of(&model.name), unsupported)
}

/// How much is thought, and `max_tokens`, which the thoughts are a part of.
pub(super) fn plan(
    request: &Request<'_>,
    turns: &[Turn<'_, '_>],
    model: &Model,
    abilities: Abilities,
    unsupported: &mut Unsupported,
) -> (Thinking, u64) {
    let said = request.sampling.max_tokens;
    let own = model.max_output_tokens.map(u64::from);
    let most = said.or(own).unwrap_or(USUAL_MAX_TOKENS);
    let Some(reasoning) = request.reasoning.as_ref().filter(|own| is_wanted(own)) else {
        return (Thinking::Off, most);
    };
    // An answer that goes on has been thought about; Anthropic takes no prefill with thinking.
    if request.resume.is_some() {
        return (Thinking::Off, most);
    }
    if abilities.adaptive && (reasoning.budget.is_none() || !abilities.budget) {
        return (Thinking::Adaptive, most);
    }
    // Within a loop of tools Anthropic wants the thought that led to the call, which other providers' answers have not.
    if is_in_loop_without_thought(turns) {
        return (Thinking::Off, most);
    }
    let wanted = reasoning.tokens(most).unwrap_or(most / 2).max(LEAST_BUDGET);
    let most = if said.or(own).is_none() && wanted >= most { wanted + USUAL_MAX_TOKENS } else { most };
    let budget = wanted.min(most.saturating_sub(1));
    if budget < LEAST_BUDGET {
        unsupported.add("reasoning (with so small a limit of tokens)");
        return (Thinking::Off, most);
    }
    (Thinking::Budget(budget), most)
}

fn is_wanted(reasoning: &Reasoning<'_>) -> bool {
    // Who wants to see thoughts (Gemini's `includeThoughts`, OpenAI's `reasoning.summary`) wants some: there models think
    // without being told to.
    let is_shown = reasoning.shown == Some(true);
    let is_said = reasoning.adaptive || is_shown || reasoning.budget.is_some() || reasoning.effort.is_some();
    is_said && !reasoning.is_off()
}

fn is_in_loop_without_thought(turns: &[Turn<'_, '_>]) -> bool {
    let Some(last) = turns.iter().rfind(|turn| turn.is_assistant) else { return false };
    let calls = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let thought = last.parts.first().is_some_and(|part| is_thought(&part.content));
    calls && !thought
}

/// The member `thinking`.
pub(in crate::dialect) fn thinking(json: &mut JsonWriter, request: &Request<'_>, thinking: &Thinking) {
    let shown = request.reasoning.as_ref().and_then(|own| own.shown);
    match thinking {
        Thinking::Off => {}
        Thinking::Budget(tokens) => json.key("thinking").object(|json| {
            json.member("type", "enabled");
            json.key("budget_tokens").number(*tokens);
        }),
        Thinking::Adaptive => json.key("thinking").object(|json| {
            json.member("type", "adaptive");
            if let Some(shown) = shown {
                json.member("display", if shown { "summarized" } else { "omitted" });
            }
        }),
    }
}

/// `output_config.effort`.
pub(super) fn effort<'r>(
    request: &'r Request<'_>,
    thinking: &Thinking,
    abilities: Abilities,
) -> Option<&'r str> {
    if *thinking != Thinking::Adaptive {
        return None;
    }
    Some(match request.reasoning.as_ref()?.level()? {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "xhigh" if abilities.xhigh => "xhigh",
        "max" => "max",
        _ => "high",
    })
}

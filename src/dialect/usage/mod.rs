//! Token counts as OpenAI-compatible origins report them.
//!
//! - [`places`]: where in an answer or event they stand. [`told`]: what one object says, under whatever names. Here: how its
//!   numbers relate, and what the client sees of the cost. [`free`]: the same of an answer that is given again.

mod free;
mod places;
mod told;

pub use free::without_cost;
pub(super) use places::{Found, OTHERS, find};

use crate::dialect::counts::Counts;
use crate::dialect::json::span;
use crate::payload::{Edit, sort_edits};
use moegate_wire::{Nanodollars, Usage};
use serde_json::Value;
use serde_json::value::RawValue;
use told::Told;

/// More tokens than any request has. Sums of such counts stay exact in JavaScript's numbers too.
const MAX_TOKENS: u64 = 1 << 40;

/// What one object with counts says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) counts: Counts,
    object: &'a RawValue,
    cost: Option<&'a RawValue>,
    upstream_cost: Option<&'a RawValue>,
}

/// Reads an object. `None` where it holds no counts but zeros, or absurd ones: then nothing is known, which is not zero.
#[must_use]
pub(super) fn read(object: &RawValue) -> Option<Reading<'_>> {
    let told = Told::read(object)?;
    let (usage, inferred) = relate(&told)?;
    let counts = Counts { usage, inferred, upstream_cost: told.upstream_cost() };
    Some(Reading { counts, object, cost: told.cost, upstream_cost: told.cost_of_upstream })
}

/// How the numbers relate. The total decides where it is told and consistent; otherwise what is larger holds, and is marked
/// as inferred.
fn relate(told: &Told<'_>) -> Option<(Usage, bool)> {
    let total = told.total.filter(|total| (1..=2 * MAX_TOKENS).contains(total));
    let answer = told.completion.unwrap_or(0);
    let (prompt, cached) = prompt(told, total, answer);
    let reasoning = told.reasoning.unwrap_or(0);
    let cache_write = told.cache_write.unwrap_or(0);
    let mut usage = Usage {
        prompt: prompt.unwrap_or(0),
        cached,
        cache_write,
        completion: answer,
        reasoning,
        cache_write_1h: told.cache_write_1h.unwrap_or(0),
        audio_prompt: told.audio_prompt.unwrap_or(0).saturating_sub(told.audio_cached.unwrap_or(0)),
        audio_completion: told.audio_completion.unwrap_or(0),
        images: 0,
    };
    let sum = usage.prompt.saturating_add(answer);
    let mut inferred = false;
    match total {
        Some(total) if total == sum => {}
        // xAI and Gemini count thoughts beside the answer.
        Some(total) if reasoning > 0 && total == sum.saturating_add(reasoning) => {
            usage.completion += reasoning;
        }
        Some(total) => {
            inferred = true;
            // The missing part is the one that is not told, or what was thought.
            if total > sum && usage.prompt == 0 && (answer > 0 || prompt.is_none()) {
                usage.prompt = total - answer;
            } else if total > sum {
                usage.completion = total - usage.prompt;
            }
        }
        None if reasoning > answer => {
            inferred = true;
            usage.completion = answer.saturating_add(reasoning);
        }
        None => inferred = prompt.is_none() || told.completion.is_none(),
    }
    inferred |= usage.cached > usage.prompt || usage.reasoning > usage.completion;
    let usage = usage.cut();
    let sane = usage.prompt <= MAX_TOKENS && usage.completion <= MAX_TOKENS;
    (sane && usage.prompt + usage.completion > 0).then_some((usage, inferred))
}

/// The whole prompt, and how much of it was cached.
fn prompt(told: &Told<'_>, total: Option<u64>, answer: u64) -> (Option<u64>, u64) {
    let beside = told.cache_read.unwrap_or(0).saturating_add(told.cache_write.unwrap_or(0));
    let cached = told.cached.unwrap_or(0).max(told.cache_read.unwrap_or(0));
    let is_whole = |prompt: u64| total == Some(prompt.saturating_add(answer));
    let prompt = told.prompt.map(|prompt| prompt.saturating_add(told.tool_use.unwrap_or(0)));
    let whole = match (prompt, told.input) {
        (Some(prompt), _) if beside > 0 && is_whole(prompt.saturating_add(beside)) => prompt + beside,
        (Some(prompt), _) if cached > prompt && is_whole(prompt.saturating_add(cached)) => prompt + cached,
        (Some(prompt), _) => prompt,
        // Anthropic's names: the parts are disjoint, unless the total says otherwise.
        (None, Some(input)) if beside <= input && is_whole(input) => input,
        (None, Some(input)) => input.saturating_add(beside),
        // DeepSeek's hits and misses.
        (None, None) => return (told.cache_miss.map(|miss| miss.saturating_add(cached)), cached),
    };
    (Some(whole), cached)
}

/// What the body is to say of the cost: ours, with the origin's own kept beside it as `upstream_cost`.
#[must_use]
pub(super) fn cost_edits(body: &[u8], reading: &Reading<'_>, cost: Nanodollars) -> Vec<Edit> {
    let ours = cost.to_dollars();
    let Some(theirs) = reading.cost else {
        let at = span(body, reading.object).end - 1;
        return vec![Edit { span: at..at, text: format!(",\"cost\":{ours}") }];
    };
    if told::nanodollars(theirs) == Some(cost) {
        return Vec::new();
    }
    match reading.upstream_cost {
        None if theirs.get() == "null" => vec![Edit { span: span(body, theirs), text: ours }],
        None => {
            let text = format!("{ours},\"upstream_cost\":{}", theirs.get());
            vec![Edit { span: span(body, theirs), text }]
        }
        // It is a gateway itself; its own price is what it costs here.
        Some(older) => {
            let mut edits = vec![
                Edit { span: span(body, theirs), text: ours },
                Edit { span: span(body, older), text: theirs.get().to_owned() },
            ];
            sort_edits(&mut edits);
            edits
        }
    }
}

/// The counts as OpenAI's object.
#[must_use]
pub(super) fn object(usage: &Usage) -> Value {
    serde_json::from_str(&format!("{{{}}}", members(usage))).unwrap_or_default()
}

/// The member `usage` in OpenAI's form.
#[must_use]
pub(super) fn member(usage: &Usage, cost: Nanodollars) -> String {
    format!("\"usage\":{{{},\"cost\":{}}}", members(usage), cost.to_dollars())
}

/// What was written to a cache as OpenRouter tells it.
fn members(usage: &Usage) -> String {
    let Usage { prompt, cached, cache_write, completion, reasoning, audio_prompt, audio_completion, .. } =
        usage;
    let some = |name: &str, count: u64| match count {
        0 => String::new(),
        _ => format!(",\"{name}\":{count}"),
    };
    format!(
        "\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{},\"prompt_tokens_details\":{{\"cached_tokens\":{cached}{}{}}},\"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}{}}}",
        prompt + completion,
        some("cache_write_tokens", *cache_write),
        some("audio_tokens", *audio_prompt),
        some("audio_tokens", *audio_completion),
    )
}

#[cfg(test)]
mod tests;

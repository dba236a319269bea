//! Token counts as OpenAI-compatible origins report them.

use crate::dialect::json::{present, span};
use crate::payload::Edit;
use moegate_wire::{Nanodollars, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Fields {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached prompt tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// More tokens than any request has. Sums of such counts stay exact in JavaScript's numbers too.
const MAX_TOKENS: u64 = 1 << 40;

/// Reads a `usage` object. `None` where it is null, holds no counts, or absurd ones: then nothing is known, which is
/// not zero.
#[must_use]
pub(super) fn parse(usage: &RawValue) -> Option<Usage> {
    let fields: Fields = serde_json::from_str(usage.get()).ok()?;
    let cached = fields.prompt_tokens_details.and_then(|details| details.cached_tokens);
    let usage = Usage {
        prompt: fields.prompt_tokens?,
        completion: fields.completion_tokens.unwrap_or(0),
        cached: cached.or(fields.prompt_cache_hit_tokens).unwrap_or(0),
        reasoning: fields.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0),
    };
    let Usage { prompt, completion, cached, reasoning } = usage;
    [prompt, completion, cached, reasoning].iter().all(|&count| count <= MAX_TOKENS).then_some(usage)
}

/// The text to insert, and where, so that the usage object says what it cost. `None` where it already does: an origin
/// that reports its own cost keeps its word.
#[must_use]
pub(super) fn cost_insertion(body: &[u8], usage: &RawValue, cost: Nanodollars) -> Option<Edit> {
    #[derive(Deserialize)]
    struct Cost<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        cost: Option<&'a RawValue>,
    }
    let present: Cost<'_> = serde_json::from_str(usage.get()).ok()?;
    if present.cost.is_some() {
        return None;
    }
    let at = span(body, usage).end - 1;
    Some(Edit { span: at..at, text: format!(",\"cost\":{}", cost.to_dollars()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Option<(u64, u64, u64, u64)> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        parse(raw).map(|u| (u.prompt, u.cached, u.completion, u.reasoning))
    }

    #[test]
    fn shapes_seen_in_the_field() {
        for (text, expected) in [
            (r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#, Some((3, 0, 5, 0))),
            (
                r#"{"prompt_tokens":30,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}"#,
                Some((30, 20, 5, 4)),
            ),
            (r#"{"prompt_tokens":9,"completion_tokens":0,"prompt_tokens_details":null}"#, Some((9, 0, 0, 0))),
            (r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":8}"#, Some((9, 8, 1, 0))),
            (r#"{"prompt_tokens":9}"#, Some((9, 0, 0, 0))),
            ("null", None),
            ("{}", None),
            (r#"{"prompt_tokens":-1,"completion_tokens":1}"#, None),
            (r#"{"prompt_tokens":"many"}"#, None),
            (r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1}"#, None),
            ("7", None),
        ] {
            assert_eq!(usage(text), expected, "{text}");
        }
    }
}

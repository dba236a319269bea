//! The blocks of an answer as they begin, and its counts.

use crate::dialect::counts::Counts;
use crate::dialect::exchange::AnswerContext;
use crate::dialect::json_writer::JsonWriter;
use std::borrow::Cow;

/// A block that begins.
pub(super) enum Kind<'k> {
    Text,
    Thinking,
    Redacted(Cow<'k, str>),
    /// Id and name.
    Call(&'k str, &'k str),
}

pub(super) fn start(json: &mut JsonWriter, kind: &Kind<'_>) {
    json.object(|json| match kind {
        Kind::Text => {
            json.member("type", "text");
            json.member("text", "");
        }
        Kind::Thinking => {
            json.member("type", "thinking");
            json.member("thinking", "");
            json.member("signature", "");
        }
        Kind::Redacted(data) => {
            json.member("type", "redacted_thinking");
            json.member("data", data);
        }
        Kind::Call(id, name) => {
            json.member("type", "tool_use");
            json.member("id", id);
            json.member("name", name);
            json.key("input").object(|_| {});
        }
    });
}

/// The members of `usage`. Clients want the numbers, known or not.
pub(super) fn usage(json: &mut JsonWriter, counts: Option<&Counts>, context: &AnswerContext) {
    let usage = counts.map(|counts| counts.usage).unwrap_or_default();
    let fresh = usage.prompt.saturating_sub(usage.cached).saturating_sub(usage.cache_write);
    json.key("input_tokens").number(fresh);
    json.key("cache_creation_input_tokens").number(usage.cache_write);
    json.key("cache_read_input_tokens").number(usage.cached);
    json.key("output_tokens").number(usage.completion);
    if usage.reasoning > 0 {
        json.key("output_tokens_details").object(|json| json.key("thinking_tokens").number(usage.reasoning));
    }
    if counts.is_some() {
        json.key("cost").raw(&context.price.cost(&usage).to_dollars());
    }
}

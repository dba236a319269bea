//! What an answer is made of, whole and as a stream: blocks as they begin, their sources, why it ended, its counts.

use crate::dialect::canonical::delta::Citation;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::canonical::{Signer, call_id};
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
    if let Some(counts) = counts {
        json.key("cost").raw(&counts.cost(&context.price).to_dollars());
    }
}

fn reason(stop: Option<&Stop>, refused: bool) -> &'static str {
    match stop {
        _ if refused => "refusal",
        None | Some(Stop::End | Stop::Failed(_)) => "end_turn",
        Some(Stop::Sequence(_)) => "stop_sequence",
        Some(Stop::Length) => "max_tokens",
        Some(Stop::ToolCalls) => "tool_use",
        Some(Stop::Filter) => "refusal",
        Some(Stop::Pause) => "pause_turn",
    }
}

/// The members that tell why it ended.
pub(super) fn stopped(json: &mut JsonWriter, stop: Option<&Stop>, refused: bool) {
    json.member("stop_reason", reason(stop, refused));
    match stop {
        Some(Stop::Sequence(Some(text))) => json.member("stop_sequence", text),
        _ => json.key("stop_sequence").raw("null"),
    }
    json.key("stop_details").raw("null");
}

/// A signature with its signer, where that is not Anthropic.
pub(super) fn signed(signer: Signer, signature: &str) -> Cow<'_, str> {
    match signer {
        Signer::Anthropic => Cow::Borrowed(signature),
        other => Cow::Owned(format!("{}:{signature}", other.name())),
    }
}

/// The id of a call, with the signature of the thought before it; a new one where the origin gives none.
pub(super) fn call_id_of<'i>(
    id: &'i str,
    signature: Option<&str>,
    context: &AnswerContext,
    at: u64,
) -> Cow<'i, str> {
    if id.is_empty() {
        let own = format!("toolu_{}_{at}", context.request_id);
        return Cow::Owned(call_id::join(&own, signature).into_owned());
    }
    call_id::join(id, signature)
}

/// A source of the text. Where in a document it stands is not known.
pub(super) fn citation(json: &mut JsonWriter, own: &Citation<'_>) {
    json.object(|json| {
        match own.document.filter(|_| own.url.is_empty()) {
            Some(document) => {
                json.member("type", "char_location");
                json.key("document_index").number(document);
                json.member("document_title", &own.title);
                json.key("file_id").raw("null");
                json.key("start_char_index").number(0);
                json.key("end_char_index").number(0);
            }
            None => {
                json.member("type", "web_search_result_location");
                json.member("url", &own.url);
                json.member("title", &own.title);
                json.member("encrypted_index", "");
            }
        }
        json.member("cited_text", &own.text);
    });
}

pub(super) fn is_cited(own: &Citation<'_>) -> bool {
    !own.url.is_empty() || own.document.is_some()
}

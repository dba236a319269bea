//! Pieces of answers: signatures, counts, finish reasons, and what the gateway tells of itself.

use crate::dialect::canonical::Signer;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::counts::Counts;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::{AnswerContext, AttemptEntry, AttemptNote};

/// A thought's or a call's signature, where the provider's own package for the SDK keeps it: it comes back there.
pub(super) fn signature(json: &mut JsonWriter, signer: Signer, text: &str, redacted: bool) {
    let (provider, name) = match signer {
        Signer::Anthropic if redacted => ("anthropic", "redactedData"),
        Signer::Anthropic => ("anthropic", "signature"),
        Signer::Google => ("google", "thoughtSignature"),
        Signer::OpenAi => ("openai", "reasoningEncryptedContent"),
    };
    json.key("providerMetadata").object(|json| {
        json.key(provider).object(|json| json.member(name, text));
    });
}

/// The words of the specification. `called`: tools are.
pub(super) fn reason(stop: Option<&Stop>, called: bool) -> &'static str {
    match stop {
        Some(Stop::End | Stop::ToolCalls) if called => "tool-calls",
        Some(Stop::End | Stop::Sequence(_)) => "stop",
        Some(Stop::ToolCalls) => "tool-calls",
        Some(Stop::Length) => "length",
        Some(Stop::Filter) => "content-filter",
        Some(Stop::Failed(_)) => "error",
        Some(Stop::Pause) | None => "other",
    }
}

/// What ends an answer: `finishReason`, `usage` and `providerMetadata`. The SDK fails where the first two are missing.
pub(super) fn ending(
    json: &mut JsonWriter,
    version: usize,
    reason: &str,
    counts: Option<&Counts>,
    context: &AnswerContext,
    note: Option<&AttemptNote>,
) {
    json.key("finishReason");
    if version == 0 {
        json.string(reason);
    } else {
        json.object(|json| {
            json.member("unified", reason);
            json.member("raw", reason);
        });
    }
    json.key("usage").object(|json| usage(json, version, counts, context));
    json.key("providerMetadata").object(|json| gateway(json, counts, context, note));
}

fn dollars(counts: Option<&Counts>, context: &AnswerContext) -> Option<String> {
    counts.map(|counts| counts.cost(&context.price).to_dollars())
}

/// The member `gateway` of `providerMetadata`: the cost, the id that `/v1/generation` knows, and the attempts.
pub(super) fn gateway(
    json: &mut JsonWriter,
    counts: Option<&Counts>,
    context: &AnswerContext,
    note: Option<&AttemptNote>,
) {
    json.key("gateway").object(|json| {
        if let Some(cost) = dollars(counts, context) {
            json.member("cost", &cost);
        }
        // Not known for an error behind a mere head.
        if !context.request_id.is_empty() {
            json.member("generationId", &generation_id(&context.request_id));
        }
        if let Some(note) = note {
            json.key("routing").object(|json| routing(json, note));
        }
    });
}

pub(super) fn generation_id(request_id: &str) -> String {
    format!("gen_{request_id}")
}

fn usage(json: &mut JsonWriter, version: usize, counts: Option<&Counts>, context: &AnswerContext) {
    let used = counts.map(|counts| counts.usage);
    let number = |json: &mut JsonWriter, name: &str, count: u64| {
        if used.is_some() {
            json.key(name).number(count);
        }
    };
    let own = used.unwrap_or_default();
    if version == 0 {
        number(json, "inputTokens", own.prompt);
        number(json, "outputTokens", own.completion);
        number(json, "totalTokens", own.prompt.saturating_add(own.completion));
        number(json, "reasoningTokens", own.reasoning);
        number(json, "cachedInputTokens", own.cached);
        return;
    }
    json.key("inputTokens").object(|json| {
        number(json, "total", own.prompt);
        number(json, "noCache", own.prompt.saturating_sub(own.cached).saturating_sub(own.cache_write));
        number(json, "cacheRead", own.cached);
        number(json, "cacheWrite", own.cache_write);
    });
    json.key("outputTokens").object(|json| {
        number(json, "total", own.completion);
        number(json, "text", own.completion.saturating_sub(own.reasoning));
        number(json, "reasoning", own.reasoning);
    });
    // It reaches the app as `usage.raw`.
    if let Some(cost) = dollars(counts, context) {
        json.key("raw").object(|json| json.key("cost").raw(&cost));
    }
}

/// Who answered, and who was asked before.
fn routing(json: &mut JsonWriter, note: &AttemptNote) {
    json.member("originalModelId", &note.asked_model);
    json.member("resolvedProvider", &note.origin);
    json.member("resolvedProviderApiModelId", &note.model);
    json.member("finalProvider", &note.origin);
    json.key("attempts").array(|json| note.attempts.iter().for_each(|own| attempt(json, own)));
    json.key("totalProviderAttemptCount").number(note.attempts.len() as u64);
}

fn attempt(json: &mut JsonWriter, own: &AttemptEntry) {
    json.object(|json| {
        json.member("provider", &own.origin);
        json.member("providerApiModelId", &own.model);
        json.member("credentialType", "system");
        let success = own.reason == "ok";
        json.key("success").bool(success);
        if !success {
            json.member("error", own.reason);
            json.key("statusCode").number(own.status.into());
        }
        json.key("startTime").number(own.began_ms);
        json.key("endTime").number(own.began_ms.saturating_add(own.ms));
    });
}

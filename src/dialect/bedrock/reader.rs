//! Converse's answers, whole and as events
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>), in the canonical form.

use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::canonical::{ANSWER_TOOL, Signer};
use crate::dialect::format::{EventKind, EventReader};
use crate::dialect::json::{list, pick, string, whole_number};
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::usage;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a whole answer says; `None` where it is none.
pub(super) fn answer(body: &str) -> Option<Vec<Delta<'_>>> {
    let [output, reason, counts] = pick(body, &["output", "stopReason", "usage"])?;
    let [message] = pick(output?.get(), &["message"])?;
    let [content] = pick(message?.get(), &["content"])?;
    let mut deltas = vec![Delta::Start { id: "".into(), model: "".into() }];
    let mut as_text = false;
    for (slot, block) in content.and_then(list)?.into_iter().enumerate() {
        let [text, call, reasoning] = pick(block.get(), &["text", "toolUse", "reasoningContent"])?;
        deltas.extend(text.and_then(string).map(Delta::Text));
        if let Some([id, name, input]) = call.and_then(|raw| pick(raw.get(), &["toolUseId", "name", "input"]))
        {
            let json = input.map_or("{}", RawValue::get).into();
            let name = name.and_then(string).unwrap_or_default();
            if name == ANSWER_TOOL {
                as_text = true;
                deltas.push(Delta::Text(json));
            } else {
                let (slot, id) = (slot as u64, id.and_then(string).unwrap_or_default());
                deltas.push(Delta::ToolCall { slot, id, name, signature: None });
                deltas.push(Delta::Arguments { slot, json });
            }
        }
        if let Some([text, redacted]) =
            reasoning.and_then(|raw| pick(raw.get(), &["reasoningText", "redactedContent"]))
        {
            if let Some([text, signature]) = text.and_then(|raw| pick(raw.get(), &["text", "signature"])) {
                deltas.extend(text.and_then(string).map(Delta::Reasoning));
                let signature = signature.and_then(string);
                deltas.extend(signature.map(|own| Delta::Signature(Signer::Anthropic, own)));
            }
            let redacted = redacted.and_then(string);
            deltas.extend(redacted.map(|data| Delta::Redacted(Signer::Anthropic, data)));
        }
        deltas.push(Delta::PartEnd);
    }
    deltas.push(Delta::Stop(stop(&reason.and_then(string).unwrap_or_default(), as_text)));
    deltas.extend(counts.and_then(usage::read).map(|reading| Delta::Usage(reading.counts)));
    Some(deltas)
}

fn stop(reason: &str, as_text: bool) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" if as_text => Stop::End,
        "tool_use" => Stop::ToolCalls,
        "stop_sequence" => Stop::Sequence(None),
        "guardrail_intervened" | "content_filtered" => Stop::Filter,
        "malformed_model_output" | "malformed_tool_use" => Stop::Failed(Cow::Owned(reason.to_owned())),
        _ => Stop::End,
    }
}

#[derive(Default)]
pub(super) struct Reader {
    /// The block under way is the answer itself, as a tool's input.
    as_text: bool,
    /// One was.
    was_text: bool,
}

impl EventReader for Reader {
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        if name.to_ascii_lowercase().ends_with("exception") || name == "error" {
            return EventKind::Error(wrapped(name, data).into());
        }
        let names = ["contentBlockIndex", "start", "delta", "stopReason", "usage"];
        let Some([index, start, delta, reason, counts]) = pick(data, &names) else {
            return EventKind::Malformed;
        };
        let slot = index.and_then(whole_number).unwrap_or(0);
        match name {
            "messageStart" => deltas.push(Delta::Start { id: "".into(), model: "".into() }),
            "contentBlockStart" => {
                let call = start.and_then(|raw| pick(raw.get(), &["toolUse"])).and_then(|[call]| call);
                if let Some([id, name]) = call.and_then(|raw| pick(raw.get(), &["toolUseId", "name"])) {
                    let (id, name) =
                        (id.and_then(string).unwrap_or_default(), name.and_then(string).unwrap_or_default());
                    self.as_text = name == ANSWER_TOOL;
                    self.was_text |= self.as_text;
                    if !self.as_text {
                        deltas.push(Delta::ToolCall { slot, id, name, signature: None });
                    }
                }
            }
            "contentBlockDelta" => self.delta(slot, delta, deltas),
            "contentBlockStop" => {
                self.as_text = false;
                deltas.push(Delta::PartEnd);
            }
            "messageStop" => {
                let reason = reason.and_then(string).unwrap_or_default();
                deltas.push(Delta::Stop(stop(&reason, self.was_text)));
            }
            // It is the last.
            "metadata" => {
                deltas.extend(counts.and_then(usage::read).map(|reading| Delta::Usage(reading.counts)));
                return EventKind::End;
            }
            _ => {}
        }
        EventKind::Data
    }
}

impl Reader {
    fn delta<'e>(&self, slot: u64, delta: Option<&'e RawValue>, deltas: &mut Vec<Delta<'e>>) {
        let found = delta.and_then(|raw| pick(raw.get(), &["text", "toolUse", "reasoningContent"]));
        let Some([text, call, reasoning]) = found else { return };
        deltas.extend(text.and_then(string).map(Delta::Text));
        if let Some([input]) = call.and_then(|raw| pick(raw.get(), &["input"])) {
            let json = input.and_then(string).unwrap_or_default();
            deltas.push(if self.as_text { Delta::Text(json) } else { Delta::Arguments { slot, json } });
        }
        let names = ["text", "signature", "redactedContent"];
        if let Some([text, signature, redacted]) = reasoning.and_then(|raw| pick(raw.get(), &names)) {
            deltas.extend(text.and_then(string).map(Delta::Reasoning));
            deltas.extend(signature.and_then(string).map(|own| Delta::Signature(Signer::Anthropic, own)));
            deltas.extend(redacted.and_then(string).map(|data| Delta::Redacted(Signer::Anthropic, data)));
        }
    }
}

/// An exception in the form of an error that every reader of errors knows.
fn wrapped(name: &str, data: &str) -> String {
    let message = pick(data, &["message"]).and_then(|[message]| message.and_then(string)).unwrap_or_default();
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.key("error").object(|json| {
            json.member("message", &message);
            json.member("code", name);
        });
    });
    json.into_string()
}

//! What `generateContent` answers, whole and as events, in the canonical form
//! (<https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>). Every event is a whole response of which
//! the parts are new. A stream has no end mark: after a finish reason the connection closes.

use super::grounding::Sources;
use crate::config::Failure;
use crate::dialect::answer::OriginError;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::format::{EventKind, EventReader};
use crate::dialect::json::{list, on_one_line, pick, says_something, string, whole_number};
use crate::dialect::usage;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a whole answer says; `None` where it is none.
pub(super) fn answer(body: &str) -> Option<Vec<Delta<'_>>> {
    let mut deltas = Vec::new();
    let kind = Reader::default().event("", body.trim_start_matches('\u{feff}'), &mut deltas);
    let stopped = deltas.iter().any(|delta| matches!(delta, Delta::Stop(_)) || delta.is_content());
    (kind == EventKind::Data && stopped).then_some(deltas)
}

/// The error that a refused prompt is, under a status of success.
pub(super) fn blocked(status: u16, body: &[u8]) -> Option<OriginError> {
    if !(200..300).contains(&status) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let [candidates, feedback] = pick(text, &["candidates", "promptFeedback"])?;
    if candidates.is_some_and(says_something) {
        return None;
    }
    let [reason, message] = pick(feedback?.get(), &["blockReason", "blockReasonMessage"])?;
    let reason = string(reason?)?;
    let message = message.and_then(string).map(|text| format!(": {text}")).unwrap_or_default();
    Some(OriginError {
        failure: Failure::ContentFilter,
        status: 400,
        readable: false,
        known: true,
        spent: false,
        message: Some(format!("the prompt was blocked ({reason}){message}")),
        param: None,
    })
}

#[derive(Default)]
pub(super) struct Reader {
    started: bool,
    /// The response's id, of which the ids of calls are made that come without one.
    id: String,
    calls: u64,
    thinks: bool,
    sources: Sources,
}

impl EventReader for Reader {
    fn event<'e>(&mut self, _name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        let names = ["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "error"];
        let Some([candidates, feedback, usage, model, id, error]) = pick(data, &names) else {
            // An error may come as a list of one.
            let failed = crate::dialect::errors::error_of(200, data.as_bytes()).is_some();
            return if failed { EventKind::Error(data.into()) } else { EventKind::Malformed };
        };
        let candidates = candidates.and_then(list).unwrap_or_default();
        let is_blocked = candidates.is_empty()
            && feedback
                .is_some_and(|raw| pick(raw.get(), &["blockReason"]).is_some_and(|[own]| own.is_some()));
        if error.is_some_and(says_something) || is_blocked {
            return EventKind::Error(data.into());
        }
        if candidates.is_empty() && usage.is_none() && model.is_none() {
            return EventKind::Malformed;
        }
        let text = |raw: Option<&'e RawValue>| raw.and_then(string).unwrap_or_default();
        if !std::mem::replace(&mut self.started, true) {
            let id = text(id);
            self.id = id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
            deltas.push(Delta::Start { id, model: text(model) });
        }
        for candidate in candidates {
            self.candidate(candidate, deltas);
        }
        deltas.extend(usage.and_then(usage::read).map(|reading| Delta::Usage(reading.counts)));
        EventKind::Data
    }
}

impl Reader {
    fn candidate<'e>(&mut self, candidate: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let names =
            ["index", "content", "finishReason", "groundingMetadata", "citationMetadata", "logprobsResult"];
        let Some([index, content, reason, grounding, citations, logprobs]) = pick(candidate.get(), &names)
        else {
            return;
        };
        // One answer is asked for.
        if index.and_then(whole_number).unwrap_or(0) > 0 {
            return;
        }
        let parts = content.and_then(|raw| pick(raw.get(), &["parts"])).and_then(|[parts]| parts);
        for part in parts.and_then(list).unwrap_or_default() {
            self.part(part, deltas);
        }
        self.sources.read(grounding, citations, deltas);
        deltas.extend(logprobs.and_then(super::grounding::logprobs).map(|own| Delta::Logprobs(own.into())));
        deltas.extend(reason.and_then(string).and_then(|reason| self.stop(&reason)).map(Delta::Stop));
    }

    fn part<'e>(&mut self, part: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let names = [
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "inlineData",
            "executableCode",
            "codeExecutionResult",
        ];
        let Some([text, thought, signature, call, data, code, output]) = pick(part.get(), &names) else {
            return;
        };
        let thought = thought.is_some_and(|raw| raw.get() == "true");
        let signature = signature.and_then(string).filter(|text| !text.is_empty());
        if let Some(call) = call {
            return self.call(call, signature, deltas);
        }
        if let Some(text) = text.and_then(string) {
            // The last event has an empty one.
            if !text.is_empty() && thought != std::mem::replace(&mut self.thinks, thought) {
                deltas.push(Delta::PartEnd);
            }
            match (text.is_empty(), thought) {
                (true, _) => {}
                (false, true) => deltas.push(Delta::Reasoning(text)),
                (false, false) => {
                    self.sources.take(&text);
                    deltas.push(Delta::Text(text));
                }
            }
        } else if let Some([media_type, base64]) =
            data.filter(|_| !thought).and_then(|raw| pick(raw.get(), &["mimeType", "data"]))
        {
            let media_type = media_type.and_then(string).unwrap_or_default();
            deltas.extend(base64.and_then(string).map(|base64| Delta::Media { media_type, base64 }));
        } else if let Some(text) = code.and_then(ran).or_else(|| output.and_then(came_out)) {
            self.thinks = false;
            self.sources.take(&text);
            deltas.push(Delta::Text(text.into()));
        }
        if let Some(signature) = signature {
            // Of a part that is no thought: it stands behind it by itself.
            if !thought {
                deltas.push(Delta::PartEnd);
            }
            deltas.push(Delta::Signature(Signer::Google, signature));
            deltas.push(Delta::PartEnd);
        }
    }

    fn call<'e>(&mut self, call: &'e RawValue, signature: Option<Cow<'e, str>>, deltas: &mut Vec<Delta<'e>>) {
        let Some([id, name, args]) = pick(call.get(), &["id", "name", "args"]) else { return };
        let Some(name) = name.and_then(string) else { return };
        let slot = self.calls;
        self.calls += 1;
        let id = id.and_then(string).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| Cow::Owned(format!("call_{}_{slot}", self.id)));
        deltas.push(Delta::ToolCall { slot, id, name, signature });
        deltas.push(Delta::Arguments { slot, json: on_one_line(args.map_or("{}", RawValue::get)) });
        deltas.push(Delta::PartEnd);
    }

    /// `None`: it goes on.
    fn stop(&self, reason: &str) -> Option<Stop> {
        Some(match reason {
            "" | "FINISH_REASON_UNSPECIFIED" => return None,
            // `CONTINUATION`: of an answer longer than one request may give.
            "MAX_TOKENS" | "CONTINUATION" => Stop::Length,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "ESCALATION"
            | "MODEL_ARMOR" => Stop::Filter,
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE"
            | "NO_IMAGE"
            | "IMAGE_OTHER"
            | "OTHER"
            | "PUP_LIMITED_DISABLED" => Stop::Failed(Cow::Owned(reason.to_owned())),
            // `STOP` comes after calls too.
            _ if self.calls > 0 => Stop::ToolCalls,
            _ => Stop::End,
        })
    }
}

/// Code that Google ran, as people read it.
fn ran(code: &RawValue) -> Option<String> {
    let [language, code] = pick(code.get(), &["language", "code"])?;
    let language = language.and_then(string).unwrap_or_default().to_ascii_lowercase();
    Some(format!("\n```{language}\n{}\n```\n", string(code?)?.trim_end()))
}

fn came_out(result: &RawValue) -> Option<String> {
    let [output] = pick(result.get(), &["output"])?;
    Some(format!("\n```\n{}\n```\n", string(output?)?.trim_end()))
}

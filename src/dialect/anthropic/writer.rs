//! Messages for clients, whole and as events (API reference, "Messages" > "Create a Message" > "Returns"; guide "Streaming
//! Messages").
//!
//! Anthropic's clients send thoughts back as they got them, with a signature that is opaque to them. One of another provider
//! has that provider's name before it; a thought that nobody signed has an empty one.

mod passed;

use super::blocks::{Kind, call_id_of, citation, is_cited, signed, start, stopped, usage};
use super::{content, form};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::answer::{Answer, AnswerPart};
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::counts::Counts;
use crate::dialect::exchange::{AnswerContext, AttemptNote};
use crate::dialect::format::EventWriter;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::openai::form::{note as note_json, to_json};
use crate::dialect::partial::Partial;
use crate::error::ApiError;
use std::collections::VecDeque;

/// A whole answer.
pub(super) fn answer(answer: &Answer, context: &AnswerContext) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(512);
    let model = if answer.model.is_empty() { &context.model } else { &answer.model };
    let refused = answer.parts.iter().any(|part| matches!(part, AnswerPart::Refusal(_)));
    json.object(|json| {
        json.member("id", &format!("msg_{}", context.request_id));
        json.member("type", "message");
        json.member("role", "assistant");
        json.member("model", model);
        json.key("content").array(|json| {
            for (at, part) in answer.parts.iter().enumerate() {
                block(json, part, context, at as u64);
            }
        });
        stopped(json, answer.stop.as_ref(), refused);
        json.key("usage").object(|json| usage(json, answer.counts.as_ref(), context));
    });
    json.into_bytes()
}

fn block(json: &mut JsonWriter, part: &AnswerPart, context: &AnswerContext, at: u64) {
    match part {
        // Clients could not send it back.
        AnswerPart::Text { text, .. } | AnswerPart::Refusal(text) if text.is_empty() => {}
        AnswerPart::Text { text, citations } => json.object(|json| {
            json.member("type", "text");
            json.member("text", text);
            if citations.iter().any(is_cited) {
                json.key("citations").array(|json| {
                    citations.iter().filter(|own| is_cited(own)).for_each(|own| citation(json, own));
                });
            }
        }),
        AnswerPart::Refusal(text) => content::text(json, text),
        AnswerPart::Reasoning { signature: Some((signer, data)), redacted: true, .. } => {
            start(json, &Kind::Redacted(signed(*signer, data)));
        }
        AnswerPart::Reasoning { text, signature, .. } => json.object(|json| {
            json.member("type", "thinking");
            json.member("thinking", text);
            let signature = signature.as_ref().map(|(signer, text)| signed(*signer, text));
            json.member("signature", &signature.unwrap_or_default());
        }),
        AnswerPart::ToolCall { id, name, arguments, signature, .. } => json.object(|json| {
            json.member("type", "tool_use");
            json.member("id", &call_id_of(id, signature.as_deref(), context, at));
            json.member("name", name);
            json.key("input").raw(&content::input(arguments));
        }),
        // There is no block for what a model draws or says aloud.
        AnswerPart::Media { .. } => {}
    }
}

/// The block under way.
#[derive(Debug, Clone)]
enum Open {
    None,
    Text,
    /// Its signature so far, which goes out whole: clients keep the last one they get.
    Thinking(Option<(Signer, String)>),
    Call(Call),
}

/// A tool call: its slot, id, name and arguments so far.
#[derive(Debug, Clone)]
struct Call {
    slot: u64,
    id: String,
    name: String,
    arguments: String,
}

impl Call {
    /// Its arguments are whole.
    fn is_whole(&self) -> bool {
        let text = self.arguments.trim_ascii();
        text.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }
}

/// Writes events.
#[derive(Clone)]
pub(super) struct Writer {
    id: String,
    model: String,
    context: AnswerContext,
    /// `message_start` is out.
    begun: bool,
    /// How many blocks there were.
    blocks: u64,
    open: Open,
    /// Calls that began while another one was under way: Anthropic's blocks follow each other.
    waiting: VecDeque<Call>,
    calls: u64,
    refused: bool,
    stop: Option<Stop>,
    counts: Option<Counts>,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            id: format!("msg_{}", context.request_id),
            model: context.model.clone(),
            context: context.clone(),
            begun: false,
            blocks: 0,
            open: Open::None,
            waiting: VecDeque::new(),
            calls: 0,
            refused: false,
            stop: None,
            counts: None,
        }
    }

    /// `message_start`, as soon as there is something to say: by then the prompt's counts are known, where they come first.
    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        form::event(out, "message_start", |json| {
            json.key("message").object(|json| {
                json.member("id", &self.id);
                json.member("type", "message");
                json.member("role", "assistant");
                json.member("model", &self.model);
                json.key("content").array(|_| {});
                for name in ["stop_reason", "stop_sequence", "stop_details"] {
                    json.key(name).raw("null");
                }
                json.key("usage").object(|json| usage(json, self.counts.as_ref(), &self.context));
            });
        });
    }

    /// Another block begins.
    fn open(&mut self, open: Open, kind: &Kind<'_>, out: &mut String) {
        self.close(out);
        self.begin(out);
        form::event(out, "content_block_start", |json| {
            json.key("index").number(self.blocks);
            start(json.key("content_block"), kind);
        });
        self.open = open;
    }

    fn within(&self, out: &mut String, kind: &str, name: &str, text: &str) {
        form::event(out, "content_block_delta", |json| {
            json.key("index").number(self.blocks);
            json.key("delta").object(|json| {
                json.member("type", kind);
                json.member(name, text);
            });
        });
    }

    /// The block under way ends.
    fn close(&mut self, out: &mut String) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => return,
            Open::Thinking(Some((signer, text))) => {
                self.within(out, "signature_delta", "signature", &signed(signer, &text));
            }
            Open::Text | Open::Thinking(None) | Open::Call(_) => {}
        }
        form::event(out, "content_block_stop", |json| json.key("index").number(self.blocks));
        self.blocks += 1;
    }

    /// The part under way has ended, and no call waits any more.
    fn end_part(&mut self, out: &mut String) {
        self.close(out);
        while self.next_call(out) {
            self.close(out);
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Text) {
            self.end_part(out);
            self.open(Open::Text, &Kind::Text, out);
        }
        self.within(out, "text_delta", "text", text);
    }

    fn thinking(&mut self, out: &mut String) {
        if !matches!(self.open, Open::Thinking(_)) {
            self.end_part(out);
            self.open(Open::Thinking(None), &Kind::Thinking, out);
        }
    }

    fn call(&mut self, call: Call, out: &mut String) {
        let kind = Kind::Call(&call.id, &call.name);
        let arguments = call.arguments.clone();
        self.open(Open::None, &kind, out);
        self.open = Open::Call(call);
        if !arguments.is_empty() {
            self.within(out, "input_json_delta", "partial_json", &arguments);
        }
    }

    /// The next call that waits begins.
    fn next_call(&mut self, out: &mut String) -> bool {
        let Some(call) = self.waiting.pop_front() else { return false };
        self.call(call, out);
        true
    }

    fn arguments(&mut self, slot: u64, text: &str, out: &mut String) {
        match &mut self.open {
            Open::Call(call) if call.slot == slot => {
                call.arguments.push_str(text);
                self.within(out, "input_json_delta", "partial_json", text);
            }
            _ => {
                if let Some(call) = self.waiting.iter_mut().find(|call| call.slot == slot) {
                    call.arguments.push_str(text);
                }
            }
        }
        while !self.waiting.is_empty() && matches!(&self.open, Open::Call(call) if call.is_whole()) {
            self.close(out);
            self.next_call(out);
        }
    }
}

impl EventWriter for Writer {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String) {
        match delta {
            Delta::Start { model, .. } if !self.begun => {
                if !model.is_empty() {
                    self.model = model.clone().into_owned();
                }
            }
            // Another origin goes on: its thoughts are not those of the first.
            Delta::Start { .. } => {
                if !matches!(self.open, Open::Text) {
                    self.end_part(out);
                }
            }
            Delta::Text(text) => self.text(text, out),
            Delta::Refusal(text) => {
                self.refused = true;
                self.text(text, out);
            }
            Delta::Reasoning(text) if text.is_empty() => {}
            Delta::Reasoning(text) => {
                self.thinking(out);
                self.within(out, "thinking_delta", "thinking", text);
            }
            Delta::Signature(signer, text) => {
                self.thinking(out);
                if let Open::Thinking(signature) = &mut self.open {
                    signature.get_or_insert_with(|| (*signer, String::new())).1.push_str(text);
                }
            }
            Delta::Redacted(signer, data) => {
                self.end_part(out);
                self.open(Open::Text, &Kind::Redacted(signed(*signer, data)), out);
                self.close(out);
            }
            Delta::ToolCall { slot, id, name, signature } => {
                let id = call_id_of(id, signature.as_deref(), &self.context, self.calls).into_owned();
                self.calls += 1;
                let name = name.clone().into_owned();
                let call = Call { slot: *slot, id, name, arguments: String::new() };
                match &self.open {
                    Open::Call(other) if !other.is_whole() => self.waiting.push_back(call),
                    _ => self.call(call, out),
                }
            }
            Delta::Arguments { json, .. } if json.is_empty() => {}
            Delta::Arguments { slot, json } => self.arguments(*slot, json, out),
            Delta::Citation(own) => {
                if matches!(self.open, Open::Text) && is_cited(own) {
                    form::event(out, "content_block_delta", |json| {
                        json.key("index").number(self.blocks);
                        json.key("delta").object(|json| {
                            json.member("type", "citations_delta");
                            citation(json.key("citation"), own);
                        });
                    });
                }
            }
            Delta::PartEnd => {
                self.close(out);
                self.next_call(out);
            }
            // There are no words for them.
            Delta::Logprobs(_) | Delta::Media { .. } => {}
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Usage(counts) => self.counts.get_or_insert_default().grow(*counts),
        }
    }

    fn passed(&mut self, name: &str, data: &str, deltas: &[Delta<'_>]) -> bool {
        self.take_passed(name, data, deltas)
    }

    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String) {
        self.end_part(out);
        self.begin(out);
        form::event(out, "message_delta", |json| {
            json.key("delta").object(|json| stopped(json, self.stop.as_ref(), self.refused));
            json.key("usage").object(|json| usage(json, self.counts.as_ref(), &self.context));
            if let Some(note) = note {
                json.key("moegate").raw(&note_json(note));
            }
        });
        form::event(out, "message_stop", |_| {});
    }

    fn error(&self, error: &ApiError) -> String {
        form::error_event(error)
    }

    fn keep_alive(&self) -> &'static str {
        "event: ping\ndata: {\"type\":\"ping\"}\n\n"
    }

    fn resume(&mut self, partial: &Partial) {
        if let Some(id) = partial.id.as_deref().and_then(|id| serde_json::from_str(id).ok()) {
            self.id = id;
        }
    }

    fn fork(&self) -> Box<dyn EventWriter> {
        Box::new(self.clone())
    }

    fn id(&self) -> String {
        to_json(&self.id)
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;

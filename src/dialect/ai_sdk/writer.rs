//! Answers, whole and as a stream of parts, one in each event.
//!
//! A stream never ends without a `finish`: the SDK would take half an answer for a whole one. What breaks off ends in an
//! `error` and a `finish` whose reason is `error`.

use super::parts::{self, ending, generation_id, reason, signature};
use super::{form, warnings};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::answer::{Answer, AnswerPart};
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::open_call::OpenCall;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::counts::Counts;
use crate::dialect::exchange::{AnswerContext, AttemptNote};
use crate::dialect::format::EventWriter;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::openai::form::to_json;
use crate::dialect::partial::Partial;
use crate::error::ApiError;
use crate::metering::record::moment;

/// The first version whose files are tagged objects.
const TAGGED_FILES: usize = 2;

fn file(json: &mut JsonWriter, version: usize, media_type: &str, base64: &str) {
    json.member("mediaType", media_type);
    json.key("data");
    if version < TAGGED_FILES {
        return json.string(base64);
    }
    json.object(|json| {
        json.member("type", "data");
        json.member("data", base64);
    });
}

/// The client's own documents have no URL, which a source must have.
fn source(json: &mut JsonWriter, citation: &Citation<'_>, at: u64) {
    json.member("sourceType", "url");
    json.member("id", &format!("source-{at}"));
    json.member("url", &citation.url);
    if !citation.title.is_empty() {
        json.member("title", &citation.title);
    }
}

/// The id of a call that came without one (Gemini): one that no other answer of the conversation has.
fn call_id(id: &str, context: &AnswerContext, at: usize) -> String {
    if id.is_empty() { format!("call_{}_{at}", context.request_id) } else { id.to_owned() }
}

/// A tool is called with a JSON text.
fn call(json: &mut JsonWriter, id: &str, name: &str, input: &str, signed: Option<&str>) {
    json.member("toolCallId", id);
    json.member("toolName", name);
    json.member("input", if input.trim().is_empty() { "{}" } else { input });
    if let Some(text) = signed {
        signature(json, Signer::Google, text, false);
    }
}

/// A whole answer.
pub(super) fn answer(answer: &Answer, context: &AnswerContext, version: usize) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(512);
    json.object(|json| {
        let (mut calls, mut sources) = (0, 0);
        json.key("content").array(|json| {
            let mut part = |kind: &str, fill: &mut dyn FnMut(&mut JsonWriter)| {
                json.object(|json| {
                    json.member("type", kind);
                    fill(json);
                });
            };
            for own in &answer.parts {
                match own {
                    AnswerPart::Text { text, citations } => {
                        if !text.is_empty() {
                            part("text", &mut |json| json.member("text", text));
                        }
                        for citation in citations.iter().filter(|own| !own.url.is_empty()) {
                            part("source", &mut |json| source(json, citation, sources));
                            sources += 1;
                        }
                    }
                    AnswerPart::Refusal(text) => part("text", &mut |json| json.member("text", text)),
                    AnswerPart::Reasoning { text, signature: signed, redacted } => {
                        part("reasoning", &mut |json| {
                            json.member("text", text);
                            if let Some((signer, text)) = signed {
                                signature(json, *signer, text, *redacted);
                            }
                        });
                    }
                    AnswerPart::ToolCall { id, name, arguments, signature, .. } => {
                        let id = call_id(id, context, calls);
                        part("tool-call", &mut |json| call(json, &id, name, arguments, signature.as_deref()));
                        calls += 1;
                    }
                    AnswerPart::Media { media_type, base64 } => {
                        part("file", &mut |json| file(json, version, media_type, base64));
                    }
                }
            }
        });
        let reason = reason(answer.stop.as_ref(), answer.has_tool_calls());
        ending(json, version, reason, answer.counts.as_ref(), context, context.note.as_deref());
        warnings::write(json, context, version);
    });
    json.into_bytes()
}

/// An error of which the client has got nothing but a head.
pub(super) fn error(error: &ApiError, version: usize) -> String {
    Writer::new(&AnswerContext::default(), version).error(error)
}

/// What is under way.
#[derive(Clone)]
enum Open {
    Nothing,
    Text,
    Thought(Option<(Signer, String)>),
}

/// Writes events.
#[derive(Clone)]
pub(super) struct Writer {
    version: usize,
    context: AnswerContext,
    begun: bool,
    open: Open,
    /// Texts and thoughts so far: the last one's number is its id.
    blocks: usize,
    calls: Vec<OpenCall>,
    called: usize,
    sources: u64,
    stop: Option<Stop>,
    counts: Option<Counts>,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext, version: usize) -> Self {
        Self {
            version,
            context: context.clone(),
            begun: false,
            open: Open::Nothing,
            blocks: 0,
            calls: Vec::new(),
            called: 0,
            sources: 0,
            stop: None,
            counts: None,
        }
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        event(out, "stream-start", &mut |json| warnings::write(json, &self.context, self.version));
        // Otherwise it is an error behind a mere head.
        if self.context.request_id.is_empty() {
            return;
        }
        event(out, "response-metadata", &mut |json| {
            json.member("id", &generation_id(&self.context.request_id));
            json.member("modelId", &self.context.model);
            json.member("timestamp", &moment(self.context.created_s.saturating_mul(1000)));
        });
    }

    /// An event about the text or thought under way.
    fn block(&self, out: &mut String, end: &str, fill: &mut dyn FnMut(&mut JsonWriter)) {
        let prefix = if matches!(self.open, Open::Text) { "text" } else { "reasoning" };
        event(out, &[prefix, end].concat(), &mut |json| {
            json.member("id", &self.blocks.to_string());
            fill(json);
        });
    }

    fn start(&mut self, open: Open, out: &mut String) {
        self.part_end(out);
        (self.open, self.blocks) = (open, self.blocks + 1);
        let is_first = self.blocks == 1 && self.called == 0;
        self.block(out, "-start", &mut |json| {
            // So that an app that stops in the midst knows what to ask for at `/v1/generation`.
            if is_first {
                json.key("providerMetadata").object(|json| {
                    json.key("gateway").object(|json| {
                        json.member("generationId", &generation_id(&self.context.request_id));
                    });
                });
            }
        });
    }

    fn text(&mut self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Text) {
            self.start(Open::Text, out);
        }
        self.block(out, "-delta", &mut |json| json.member("delta", text));
    }

    fn thought(&mut self, text: &str, out: &mut String) {
        // What follows a signature is another thought.
        if !matches!(self.open, Open::Thought(None)) {
            self.start(Open::Thought(None), out);
        }
        if !text.is_empty() {
            self.block(out, "-delta", &mut |json| json.member("delta", text));
        }
    }

    /// What is under way is whole.
    fn part_end(&mut self, out: &mut String) {
        if !matches!(self.open, Open::Nothing) {
            self.block(out, "-end", &mut |json| {
                if let Open::Thought(Some((signer, text))) = &self.open {
                    signature(json, *signer, text, false);
                }
            });
            self.open = Open::Nothing;
        }
        for own in std::mem::take(&mut self.calls) {
            event(out, "tool-input-end", &mut |json| json.member("id", &own.id));
            event(out, "tool-call", &mut |json| {
                call(json, &own.id, &own.name, &own.arguments, own.signature.as_deref());
            });
        }
    }

    fn finish(&self, reason: &str, note: Option<&AttemptNote>, out: &mut String) {
        event(out, "finish", &mut |json| {
            ending(json, self.version, reason, self.counts.as_ref(), &self.context, note);
        });
    }
}

/// As one server-sent event.
fn event(out: &mut String, kind: &str, fill: &mut dyn FnMut(&mut JsonWriter)) {
    let mut json = JsonWriter::with_capacity(128);
    json.object(|json| {
        json.member("type", kind);
        fill(json);
    });
    for piece in ["data: ", &json.into_string(), "\n\n"] {
        out.push_str(piece);
    }
}

impl EventWriter for Writer {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String) {
        match delta {
            Delta::Start { model, .. } if !model.is_empty() && !self.begun => {
                self.context.model = model.clone().into_owned();
            }
            Delta::Stop(stop) => return self.stop = Some(stop.clone()),
            Delta::Usage(counts) => return self.counts.get_or_insert_default().grow(*counts),
            _ => {}
        }
        self.begin(out);
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.text(text, out),
            Delta::Reasoning(text) if !text.is_empty() => self.thought(text, out),
            Delta::Signature(signer, more) => {
                if !matches!(self.open, Open::Thought(_)) {
                    self.thought("", out);
                }
                if let Open::Thought(signed) = &mut self.open {
                    signed.get_or_insert_with(|| (*signer, String::new())).1.push_str(more);
                }
            }
            Delta::Redacted(signer, data) => {
                self.thought("", out);
                self.block(out, "-end", &mut |json| signature(json, *signer, data, true));
                self.open = Open::Nothing;
            }
            Delta::ToolCall { slot, id, name, signature } => {
                if self.calls.is_empty() {
                    self.part_end(out);
                }
                let id = call_id(id, &self.context, self.called);
                self.called += 1;
                event(out, "tool-input-start", &mut |json| {
                    json.member("id", &id);
                    json.member("toolName", name);
                });
                self.calls.push(OpenCall::new(*slot, id, name, signature.as_ref()));
            }
            Delta::Arguments { slot, json: more } if !more.is_empty() => {
                let Some(own) = OpenCall::add(&mut self.calls, *slot, more) else { return };
                event(out, "tool-input-delta", &mut |json| {
                    json.member("id", &own.id);
                    json.member("delta", more);
                });
            }
            Delta::Citation(citation) if !citation.url.is_empty() => {
                event(out, "source", &mut |json| source(json, citation, self.sources));
                self.sources += 1;
            }
            Delta::Media { media_type, base64 } => {
                self.part_end(out);
                event(out, "file", &mut |json| file(json, self.version, media_type, base64));
            }
            Delta::PartEnd => self.part_end(out),
            _ => {}
        }
    }

    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String) {
        self.begin(out);
        self.part_end(out);
        self.finish(parts::reason(self.stop.as_ref(), self.called > 0), note, out);
        out.push_str("data: [DONE]\n\n");
    }

    fn error(&self, error: &ApiError) -> String {
        let (mut writer, mut out) = (self.clone(), String::new());
        writer.begin(&mut out);
        // Nobody is to call a tool with half of its arguments.
        writer.calls.clear();
        writer.part_end(&mut out);
        event(&mut out, "error", &mut |json| {
            json.key("error").object(|json| form::error_members(json, error));
        });
        writer.finish("error", None, &mut out);
        out
    }

    fn resume(&mut self, _partial: &Partial) {
        self.begun = true;
    }

    fn fork(&self) -> Box<dyn EventWriter> {
        Box::new(self.clone())
    }

    fn id(&self) -> String {
        to_json(&generation_id(&self.context.request_id))
    }
}

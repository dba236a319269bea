//! Answers for clients of the Responses API, whole and as events
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! A whole answer is written by the same steps as a stream, whose events nobody gets. Items stand in the order in which they
//! began; a message's parts (texts, refusals) follow each other in one item, each thought and each call is one of its own.

mod calls;
mod members;
mod text;

use super::super::form;
use super::items;
use crate::dialect::canonical::answer::Answer;
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::stop::Stop;
use crate::dialect::canonical::{Signer, call_id};
use crate::dialect::counts::Counts;
use crate::dialect::exchange::{AnswerContext, AttemptNote};
use crate::dialect::format::EventWriter;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::partial::Partial;
use crate::error::ApiError;
use members::{failure, usage};

const COMPLETED: &str = "completed";
const INCOMPLETE: &str = "incomplete";
const IN_PROGRESS: &str = "in_progress";

/// A whole answer.
pub(super) fn answer(answer: &Answer, context: &AnswerContext) -> Vec<u8> {
    let mut writer = Writer::new(context);
    writer.is_whole = true;
    writer.logprobs.clone_from(&answer.logprobs);
    let mut nothing = String::new();
    for delta in answer.deltas() {
        writer.delta(&delta, &mut nothing);
    }
    writer.close(&mut nothing);
    let mut json = JsonWriter::with_capacity(1024);
    writer.response(&mut json, writer.status(), None, None);
    json.into_bytes()
}

/// An error as an event. Official clients read it at the top, as it is documented, or within `error`, as it is sent.
pub(super) fn error_event(error: &ApiError, sequence_number: u64) -> String {
    let ApiError { kind, code, param, message, .. } = error;
    let mut json = JsonWriter::with_capacity(256);
    let told = |json: &mut JsonWriter| {
        json.member("code", code);
        json.member("message", message);
        match param {
            Some(param) => json.member("param", param),
            None => json.key("param").raw("null"),
        }
    };
    json.object(|json| {
        json.member("type", "error");
        json.key("sequence_number").number(sequence_number);
        told(json);
        json.key("error").object(|json| {
            json.member("type", kind);
            told(json);
        });
    });
    format!("event: error\ndata: {}\n\n", json.into_string())
}

/// What is under way.
#[derive(Clone)]
enum Open {
    Nothing,
    /// Its parts that are whole, as JSON, and the one that is not.
    Message {
        parts: Vec<String>,
        part: Option<TextPart>,
    },
    Thought {
        text: String,
        signature: Option<(Signer, String)>,
        redacted: bool,
    },
    /// Calls whose arguments may still come.
    Calls(Vec<Call>),
}

#[derive(Clone, Default)]
struct TextPart {
    is_refusal: bool,
    text: String,
    citations: Vec<Citation<'static>>,
    logprobs: String,
}

#[derive(Clone)]
struct Call {
    slot: u64,
    /// Its place in the output.
    at: usize,
    id: String,
    name: String,
    arguments: String,
}

/// Writes events.
#[derive(Clone)]
pub(super) struct Writer {
    id: String,
    model: String,
    context: AnswerContext,
    sequence_number: u64,
    /// The first events are out.
    begun: bool,
    /// Nobody gets the events.
    is_whole: bool,
    /// As JSON; empty while it is under way.
    items: Vec<String>,
    open: Open,
    /// The part under way is whole, though something may still belong to it.
    ended: bool,
    /// A whole answer's, for its first text.
    logprobs: String,
    stop: Option<Stop>,
    counts: Option<Counts>,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            id: format!("resp_{}", context.request_id),
            model: context.model.clone(),
            context: context.clone(),
            sequence_number: 0,
            begun: false,
            is_whole: false,
            items: Vec::new(),
            open: Open::Nothing,
            ended: false,
            logprobs: String::new(),
            stop: None,
            counts: None,
        }
    }

    fn event(&mut self, out: &mut String, kind: &str, fill: &dyn Fn(&mut JsonWriter, &Self)) {
        if self.is_whole {
            return;
        }
        let mut json = JsonWriter::with_capacity(256);
        json.object(|json| {
            json.member("type", kind);
            json.key("sequence_number").number(self.sequence_number);
            fill(json, self);
        });
        self.sequence_number += 1;
        for piece in ["event: ", kind, "\ndata: ", &json.into_string(), "\n\n"] {
            out.push_str(piece);
        }
    }

    /// An event about the item at that place, and within it about the part at that index of a list of that name.
    fn of_item(
        &mut self,
        out: &mut String,
        kind: &str,
        (at, prefix): (usize, &str),
        index: Option<(&str, usize)>,
        fill: &dyn Fn(&mut JsonWriter),
    ) {
        let id = self.item_id(prefix, at);
        self.event(out, kind, &|json, _| {
            json.member("item_id", &id);
            json.key("output_index").number(at as u64);
            if let Some((name, index)) = index {
                json.key(name).number(index as u64);
            }
            fill(json);
        });
    }

    fn item_id(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}_{}_{at}", self.context.request_id)
    }

    /// The item at that place begins, or is whole.
    fn item(&mut self, out: &mut String, at: usize, item: String, is_whole: bool) {
        let kind = if is_whole { "response.output_item.done" } else { "response.output_item.added" };
        self.event(out, kind, &|json, _| {
            json.key("output_index").number(at as u64);
            json.key("item").raw(&item);
        });
        if is_whole {
            self.items[at] = item;
        }
    }

    /// A new item's place.
    fn place(&mut self) -> usize {
        self.items.push(String::new());
        self.items.len() - 1
    }

    /// That of the item under way, which is the last one.
    fn last(&self) -> usize {
        self.items.len().saturating_sub(1)
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            self.event(out, kind, &|json, own| {
                json.key("response");
                own.response(json, IN_PROGRESS, None, None);
            });
        }
    }

    fn status(&self) -> &'static str {
        match self.stop {
            Some(Stop::Length | Stop::Filter) => INCOMPLETE,
            Some(Stop::Failed(_)) => "failed",
            _ => COMPLETED,
        }
    }

    /// The response object.
    fn response(
        &self,
        json: &mut JsonWriter,
        status: &str,
        error: Option<&ApiError>,
        note: Option<&AttemptNote>,
    ) {
        json.object(|json| {
            json.member("id", &self.id);
            json.member("object", "response");
            json.key("created_at").number(self.context.created_s);
            json.member("status", status);
            json.key("error");
            match (error, &self.stop) {
                (Some(ApiError { code, message, .. }), _) => failure(json, code, message),
                (None, Some(Stop::Failed(reason))) => {
                    failure(json, "server_error", &format!("the model's answer failed ({reason})"));
                }
                _ => json.raw("null"),
            }
            let reason = match self.stop {
                Some(Stop::Length) => r#"{"reason":"max_output_tokens"}"#,
                Some(Stop::Filter) => r#"{"reason":"content_filter"}"#,
                _ => "null",
            };
            json.key("incomplete_details").raw(if status == INCOMPLETE { reason } else { "null" });
            json.member("model", &self.model);
            json.key("output").array(|json| {
                self.items.iter().filter(|item| !item.is_empty()).for_each(|item| json.raw(item));
            });
            if let Some(echo) = &self.context.echo {
                json.raw(echo);
            }
            json.key("usage");
            match self.counts.filter(|_| status != IN_PROGRESS) {
                Some(counts) => usage(json, &counts, &self.context),
                None => json.raw("null"),
            }
            if let Some(note) = note {
                json.key("moegate").raw(&form::note(note));
            }
        });
    }

    /// What is under way is whole.
    fn close(&mut self, out: &mut String) {
        self.close_part(out);
        self.ended = false;
        let at = self.last();
        // Of what was cut only the last item is.
        let status = if self.status() == INCOMPLETE { INCOMPLETE } else { COMPLETED };
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { parts, .. } => {
                let item = items::message(&self.item_id("msg", at), status, &parts);
                self.item(out, at, item, true);
            }
            Open::Thought { text, signature, redacted } => {
                let place = ((at, "rs"), Some(("summary_index", 0)));
                let summary = Some(text.as_str()).filter(|text| !text.is_empty());
                if let Some(text) = summary {
                    self.of_item(out, "response.reasoning_summary_text.done", place.0, place.1, &|json| {
                        json.member("text", text);
                    });
                    let part = items::summary(text);
                    self.of_item(out, "response.reasoning_summary_part.done", place.0, place.1, &|json| {
                        json.key("part").raw(&part);
                    });
                }
                let encrypted =
                    signature.as_ref().map(|(signer, data)| items::encrypted(*signer, data, redacted));
                let item = items::reasoning(&self.item_id("rs", at), summary, encrypted.as_deref(), status);
                self.item(out, at, item, true);
            }
            Open::Calls(calls) => calls.into_iter().for_each(|call| self.close_call(call, out)),
        }
    }
}

impl EventWriter for Writer {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String) {
        if let Delta::Start { model, .. } = delta
            && !model.is_empty()
            && !self.begun
        {
            self.model = model.clone().into_owned();
        }
        match delta {
            Delta::Stop(stop) => return self.stop = Some(stop.clone()),
            Delta::Usage(counts) => return self.counts.get_or_insert_default().grow(*counts),
            _ => self.begin(out),
        }
        match delta {
            Delta::Text(text) | Delta::Refusal(text) if !text.is_empty() => {
                self.text(text, matches!(delta, Delta::Refusal(_)), out);
            }
            Delta::Reasoning(text) if !text.is_empty() => self.summary(text, out),
            Delta::Signature(signer, text) => self.signature(*signer, text, false, out),
            Delta::Redacted(signer, data) => self.signature(*signer, data, true, out),
            Delta::ToolCall { slot, id, name, signature } => {
                let id = if id.is_empty() { id.clone() } else { call_id::join(id, signature.as_deref()) };
                self.call(*slot, &id, name, out);
            }
            Delta::Arguments { slot, json } if !json.is_empty() => self.arguments(*slot, json, out),
            Delta::Citation(citation) => self.citation(citation, out),
            Delta::Logprobs(elements) => self.logprobs(elements, out),
            Delta::Media { media_type, base64 } => self.media(media_type, base64, out),
            // What still belongs to a text or a thought may follow; to a call nothing does.
            Delta::PartEnd if matches!(self.open, Open::Calls(_)) => self.close(out),
            Delta::PartEnd => self.ended = true,
            _ => {}
        }
    }

    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String) {
        self.begin(out);
        self.close(out);
        let status = self.status();
        let kind = if status == INCOMPLETE { "response.incomplete" } else { "response.completed" };
        self.event(out, kind, &|json, own| {
            json.key("response");
            own.response(json, status, None, note);
        });
    }

    fn error(&self, error: &ApiError) -> String {
        let mut out = error_event(error, self.sequence_number);
        if self.begun {
            // As OpenAI's own streams end; some clients wait for it.
            let mut writer = self.clone();
            writer.sequence_number += 1;
            writer.event(&mut out, "response.failed", &|json, own| {
                json.key("response");
                own.response(json, "failed", Some(error), None);
            });
        }
        out
    }

    fn resume(&mut self, partial: &Partial) {
        self.begun = true;
        if let Some(id) = partial.id.as_deref().and_then(|id| serde_json::from_str(id).ok()) {
            self.id = id;
        }
    }

    fn fork(&self) -> Box<dyn EventWriter> {
        let mut fork = self.clone();
        // Another origin thinks anew; it goes on with a text.
        fork.ended |= matches!(fork.open, Open::Thought { .. });
        Box::new(fork)
    }

    fn id(&self) -> String {
        form::to_json(&self.id)
    }
}

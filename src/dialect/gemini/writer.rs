//! Answers for Google's clients, whole and as events: each a response of which the parts are new.

mod passed;

use super::form;
use super::parts;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::answer::{Answer, AnswerPart};
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::open_call::OpenCall;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::counts::Counts;
use crate::dialect::exchange::{AnswerContext, AttemptNote};
use crate::dialect::format::EventWriter;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::openai;
use crate::dialect::partial::Partial;
use crate::error::ApiError;
use parts::Call;

fn reason(stop: Option<&Stop>) -> &'static str {
    match stop {
        None | Some(Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::ToolCalls) => "STOP",
        Some(Stop::Length) => "MAX_TOKENS",
        Some(Stop::Filter) => "SAFETY",
        Some(Stop::Failed(_)) => "OTHER",
    }
}

/// What is the same in all of an answer's events.
#[derive(Debug, Clone)]
struct Head {
    id: String,
    model: String,
    created: String,
}

impl Head {
    fn of(context: &AnswerContext) -> Self {
        let seconds = context.created_s % 86_400;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let day = crate::metering::record::day(context.created_s * 1000);
        Self {
            id: format!("resp_{}", context.request_id),
            model: context.model.clone(),
            created: format!("{day}T{hour:02}:{minute:02}:{second:02}Z"),
        }
    }

    /// A response with one candidate.
    fn write(
        &self,
        json: &mut JsonWriter,
        candidate: impl FnOnce(&mut JsonWriter),
        counts: Option<&str>,
        note: Option<&AttemptNote>,
    ) {
        json.object(|json| {
            json.key("candidates").array(|json| {
                json.object(|json| {
                    candidate(json);
                    json.key("index").number(0);
                });
            });
            if let Some(counts) = counts {
                json.key("usageMetadata").raw(counts);
            }
            json.member("modelVersion", &self.model);
            json.member("createTime", &self.created);
            json.member("responseId", &self.id);
            if let Some(note) = note {
                json.key("moegate").raw(&openai::form::note(note));
            }
        });
    }
}

/// `usageMetadata`: thoughts are counted beside the answer.
fn usage(counts: &Counts, context: &AnswerContext) -> String {
    let usage = &counts.usage;
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.key("promptTokenCount").number(usage.prompt);
        if usage.cached > 0 {
            json.key("cachedContentTokenCount").number(usage.cached);
        }
        json.key("candidatesTokenCount").number(usage.completion.saturating_sub(usage.reasoning));
        if usage.reasoning > 0 {
            json.key("thoughtsTokenCount").number(usage.reasoning);
        }
        json.key("totalTokenCount").number(usage.prompt.saturating_add(usage.completion));
        json.key("cost").raw(&counts.cost(&context.price).to_dollars());
    });
    json.into_string()
}

/// A candidate's `content`.
fn content(json: &mut JsonWriter, fill: impl FnOnce(&mut JsonWriter)) {
    json.key("content").object(|json| {
        json.key("parts").array(fill);
        json.member("role", "model");
    });
}

/// Google's word for arguments that are no object.
const BROKEN_CALL: &str = "MALFORMED_FUNCTION_CALL";

/// What a candidate ends with.
fn ending(json: &mut JsonWriter, stop: Option<&Stop>, broken: bool, cited: &[Citation<'_>], said: &str) {
    let reason = reason(stop);
    json.member("finishReason", if broken && reason == "STOP" { BROKEN_CALL } else { reason });
    parts::grounding(json, cited, said);
}

/// A whole answer.
pub(super) fn answer(answer: &Answer, context: &AnswerContext) -> Vec<u8> {
    let mut head = Head::of(context);
    if !answer.model.is_empty() {
        head.model.clone_from(&answer.model);
    }
    let mut cited = Vec::new();
    let counts = answer.counts.as_ref().map(|counts| usage(counts, context));
    let mut json = JsonWriter::with_capacity(512);
    let candidate = |json: &mut JsonWriter| {
        let (mut broken, mut is_first) = (false, true);
        content(json, |json| {
            for part in &answer.parts {
                match part {
                    AnswerPart::Text { text, citations } => {
                        cited.extend_from_slice(citations);
                        parts::text(json, text);
                    }
                    AnswerPart::Refusal(text) => parts::text(json, text),
                    AnswerPart::Reasoning { text, signature, redacted } => {
                        let signature = signature.as_ref().map(|(signer, own)| (*signer, own.as_str()));
                        parts::thought(json, text, signature, *redacted);
                    }
                    AnswerPart::ToolCall { id, name, arguments, signature, .. } => {
                        let call = Call { id, name, arguments, signature: signature.as_deref() };
                        broken |= !parts::call(json, &call, std::mem::take(&mut is_first));
                    }
                    AnswerPart::Media { media_type, base64 } => parts::media(json, media_type, base64),
                }
            }
            // A turn without parts is not kept by clients' chats.
            if answer.parts.is_empty() {
                parts::text(json, "");
            }
        });
        ending(json, answer.stop.as_ref(), broken, &cited, &answer.text());
        if !answer.logprobs.is_empty() {
            parts::logprobs(json, &answer.logprobs);
        }
    };
    head.write(&mut json, candidate, counts.as_deref(), None);
    json.into_bytes()
}

/// Writes events.
#[derive(Clone)]
pub(super) struct Writer {
    head: Head,
    context: AnswerContext,
    begun: bool,
    /// A thought is under way.
    thinks: bool,
    signature: Option<(Signer, String)>,
    calls: Vec<OpenCall>,
    /// No call is out yet.
    is_first: bool,
    broken: bool,
    /// The answer's text, in which sources are found by bytes.
    said: String,
    cited: Vec<Citation<'static>>,
    stop: Option<Stop>,
    counts: Option<Counts>,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            head: Head::of(context),
            context: context.clone(),
            begun: false,
            thinks: false,
            signature: None,
            calls: Vec::new(),
            is_first: true,
            broken: false,
            said: String::new(),
            cited: Vec::new(),
            stop: None,
            counts: None,
        }
    }

    fn event(&mut self, out: &mut String, fill: impl FnOnce(&mut JsonWriter)) {
        self.begun = true;
        let mut json = JsonWriter::with_capacity(256);
        self.head.write(&mut json, |json| content(json, fill), None, None);
        frame(out, &json.into_string());
    }

    /// What was kept of the part before goes out.
    fn part_end(&mut self, out: &mut String) {
        if let Some((signer, text)) = self.signature.take() {
            let signature = Some((signer, text.as_str()));
            // Google's own may be of a text.
            if self.thinks || signer != Signer::Google {
                self.event(out, |json| parts::thought_end(json, signature));
            } else {
                self.event(out, |json| parts::thought(json, "", signature, false));
            }
        }
        let calls = std::mem::take(&mut self.calls);
        if !calls.is_empty() {
            let (mut is_first, mut broken) = (self.is_first, false);
            self.event(out, |json| {
                for OpenCall { id, name, arguments, signature, .. } in &calls {
                    let call = Call { id, name, arguments, signature: signature.as_deref() };
                    broken |= !parts::call(json, &call, std::mem::take(&mut is_first));
                }
                if calls.len() == 1 && broken {
                    parts::text(json, "");
                }
            });
            self.is_first = false;
            self.broken |= broken;
        }
        self.thinks = false;
    }
}

/// As one server-sent event.
fn frame(out: &mut String, json: &str) {
    out.push_str("data: ");
    out.push_str(json);
    out.push_str("\n\n");
}

impl EventWriter for Writer {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String) {
        // More text than this is not looked through for sources.
        const MOST_TEXT: usize = 1024 * 1024;
        match delta {
            Delta::Text(_)
            | Delta::Refusal(_)
            | Delta::Redacted(..)
            | Delta::Media { .. }
            | Delta::PartEnd => {
                self.part_end(out);
            }
            Delta::Reasoning(_) if !self.thinks || self.signature.is_some() => self.part_end(out),
            Delta::ToolCall { .. } if self.calls.is_empty() => self.part_end(out),
            _ => {}
        }
        match delta {
            Delta::Start { model, .. } => {
                if !model.is_empty() && !self.begun {
                    self.head.model = model.clone().into_owned();
                }
            }
            Delta::Text(text) | Delta::Refusal(text) => {
                if self.said.len() + text.len() <= MOST_TEXT && matches!(delta, Delta::Text(_)) {
                    self.said.push_str(text);
                }
                if !text.is_empty() {
                    self.event(out, |json| parts::text(json, text));
                }
            }
            Delta::Reasoning(text) => {
                self.thinks = true;
                if !text.is_empty() {
                    self.event(out, |json| parts::thought(json, text, None, false));
                }
            }
            Delta::Signature(signer, text) => {
                self.signature.get_or_insert_with(|| (*signer, String::new())).1.push_str(text);
            }
            Delta::Redacted(signer, data) => {
                self.event(out, |json| parts::thought(json, "", Some((*signer, data)), true));
            }
            Delta::ToolCall { slot, id, name, signature } => {
                let id = id.clone().into_owned();
                self.calls.push(OpenCall::new(*slot, id, name, signature.as_ref()));
            }
            Delta::Arguments { slot, json } => {
                OpenCall::add(&mut self.calls, *slot, json);
            }
            Delta::Citation(citation) => {
                if let Delta::Citation(own) = Delta::Citation(citation.clone()).into_owned() {
                    self.cited.push(own);
                }
            }
            Delta::Logprobs(elements) => {
                self.begun = true;
                let mut json = JsonWriter::with_capacity(256);
                let candidate = |json: &mut JsonWriter| {
                    content(json, |json| parts::text(json, ""));
                    parts::logprobs(json, elements);
                };
                self.head.write(&mut json, candidate, None, None);
                frame(out, &json.into_string());
            }
            Delta::Media { media_type, base64 } => {
                self.event(out, |json| parts::media(json, media_type, base64));
            }
            Delta::PartEnd => {}
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Usage(counts) => self.counts.get_or_insert_default().grow(*counts),
        }
    }

    fn passed(&mut self, _name: &str, data: &str, deltas: &[Delta<'_>]) -> bool {
        self.take_passed(data, deltas)
    }

    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String) {
        self.part_end(out);
        let counts = self.counts.as_ref().map(|counts| usage(counts, &self.context));
        let mut json = JsonWriter::with_capacity(256);
        let candidate = |json: &mut JsonWriter| {
            // Clients' chats keep no answer of which an event has no parts.
            content(json, |json| parts::text(json, ""));
            ending(json, self.stop.as_ref(), self.broken, &self.cited, &self.said);
        };
        self.head.write(&mut json, candidate, counts.as_deref(), note);
        frame(out, &json.into_string());
    }

    fn error(&self, error: &ApiError) -> String {
        form::error_event(error)
    }

    /// Python's client takes a comment for JSON.
    fn keep_alive(&self) -> &'static str {
        "\n"
    }

    fn resume(&mut self, partial: &Partial) {
        self.begun = true;
        if let Some(id) = partial.id.as_ref().and_then(|id| serde_json::from_str(id).ok()) {
            self.head.id = id;
        }
    }

    fn fork(&self) -> Box<dyn EventWriter> {
        Box::new(self.clone())
    }

    fn id(&self) -> String {
        openai::form::to_json(&self.head.id)
    }
}

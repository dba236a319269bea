//! Answers for clients of chat completions, whole and as chunks
//! (<https://platform.openai.com/docs/api-reference/chat/streaming>). Thoughts stand in `reasoning_content`, their signatures
//! in OpenRouter's `reasoning_details`, images that the model made in OpenRouter's `images`.

use super::form;
use crate::dialect::canonical::answer::{Answer, AnswerPart};
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::stop::Stop;
use crate::dialect::canonical::{Signer, call_id};
use crate::dialect::counts::Counts;
use crate::dialect::exchange::{AnswerContext, AttemptNote};
use crate::dialect::format::EventWriter;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::partial::Partial;
use crate::dialect::usage;
use crate::error::ApiError;

fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Pause => "stop",
        Stop::Length => "length",
        Stop::ToolCalls => "tool_calls",
        Stop::Filter => "content_filter",
        Stop::Failed(_) => "error",
    }
}

fn detail(json: &mut JsonWriter, text: &str, signature: Option<(Signer, &str)>, redacted: bool) {
    json.object(|json| {
        json.member("type", if redacted { "reasoning.encrypted" } else { "reasoning.text" });
        if !redacted {
            json.member("text", text);
        }
        if let Some((signer, signature)) = signature {
            json.member(if redacted { "data" } else { "signature" }, signature);
            json.member("format", signer.name());
        }
        json.key("index").number(0);
    });
}

fn annotation(json: &mut JsonWriter, citation: &Citation<'_>) {
    json.object(|json| {
        json.member("type", "url_citation");
        json.key("url_citation").object(|json| {
            json.member("url", &citation.url);
            json.member("title", &citation.title);
            if !citation.text.is_empty() {
                json.member("content", &citation.text);
            }
            if let Some((start, end)) = citation.range {
                json.key("start_index").number(start);
                json.key("end_index").number(end);
            }
        });
    });
}

fn image(json: &mut JsonWriter, media_type: &str, base64: &str) {
    json.object(|json| {
        json.member("type", "image_url");
        json.key("image_url")
            .object(|json| json.member("url", &format!("data:{media_type};base64,{base64}")));
    });
}

/// A whole answer.
pub(super) fn answer(answer: &Answer, context: &AnswerContext) -> Vec<u8> {
    let mut json = JsonWriter::with_capacity(512);
    let model = if answer.model.is_empty() { &context.model } else { &answer.model };
    json.object(|json| {
        json.member("id", &format!("chatcmpl-{}", context.request_id));
        json.member("object", "chat.completion");
        json.key("created").number(context.created_s);
        json.member("model", model);
        json.key("choices").array(|json| {
            json.object(|json| {
                json.key("index").number(0);
                json.key("message").object(|json| message(json, answer));
                if !answer.logprobs.is_empty() {
                    let logprobs = format!("{{\"content\":[{}],\"refusal\":null}}", answer.logprobs);
                    json.key("logprobs").raw(&logprobs);
                }
                json.member("finish_reason", answer.stop.as_ref().map_or("stop", reason));
            });
        });
        if let Some(counts) = &answer.counts {
            json.raw(&usage::member(&counts.usage, counts.cost(&context.price)));
        }
    });
    json.into_bytes()
}

fn message(json: &mut JsonWriter, answer: &Answer) {
    json.member("role", "assistant");
    let text = answer.text();
    if text.is_empty() && answer.has_tool_calls() {
        json.key("content").raw("null");
    } else {
        json.member("content", &text);
    }
    let mut refusal = String::new();
    let mut thoughts = String::new();
    let mut signed = false;
    let mut calls = Vec::new();
    let mut citations = Vec::new();
    let mut images = Vec::new();
    for part in &answer.parts {
        match part {
            AnswerPart::Refusal(text) => refusal.push_str(text),
            AnswerPart::Reasoning { text, signature, .. } => {
                thoughts.push_str(text);
                signed |= signature.is_some();
            }
            AnswerPart::ToolCall { id, name, arguments, signature, .. } => {
                calls.push((id, name, arguments, signature));
            }
            AnswerPart::Text { citations: own, .. } => {
                citations.extend(own.iter().filter(|own| !own.url.is_empty()));
            }
            AnswerPart::Media { media_type, base64 } => images.push((media_type, base64)),
        }
    }
    if !refusal.is_empty() {
        json.member("refusal", &refusal);
    }
    if !thoughts.is_empty() {
        json.member("reasoning_content", &thoughts);
    }
    if signed {
        json.key("reasoning_details").array(|json| {
            for part in &answer.parts {
                if let AnswerPart::Reasoning { text, signature, redacted } = part {
                    let signature = signature.as_ref().map(|(signer, text)| (*signer, text.as_str()));
                    detail(json, text, signature, *redacted);
                }
            }
        });
    }
    if !calls.is_empty() {
        json.key("tool_calls").array(|json| {
            for (id, name, arguments, signature) in calls {
                json.object(|json| {
                    json.member("id", &call_id::join(id, signature.as_deref()));
                    json.member("type", "function");
                    json.key("function").object(|json| {
                        json.member("name", name);
                        json.member("arguments", if arguments.is_empty() { "{}" } else { arguments });
                    });
                });
            }
        });
    }
    if !citations.is_empty() {
        json.key("annotations").array(|json| citations.iter().for_each(|own| annotation(json, own)));
    }
    if !images.is_empty() {
        json.key("images").array(|json| images.iter().for_each(|(kind, data)| image(json, kind, data)));
    }
}

/// Writes chunks.
#[derive(Clone)]
pub(super) struct Writer {
    /// As JSON.
    id: String,
    created_s: u64,
    model: String,
    context: AnswerContext,
    include_usage: bool,
    /// The role is out.
    begun: bool,
    /// The thought under way, which goes out once more with its signature.
    thought: String,
    signature: Option<(Signer, String)>,
    /// The calls' slots; their place is their index.
    calls: Vec<u64>,
    /// The last call has no arguments yet.
    bare: bool,
    stop: Option<Stop>,
    counts: Option<Counts>,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext, include_usage: bool) -> Self {
        Self {
            id: form::to_json(&format!("chatcmpl-{}", context.request_id)),
            created_s: context.created_s,
            model: context.model.clone(),
            context: context.clone(),
            include_usage,
            begun: false,
            thought: String::new(),
            signature: None,
            calls: Vec::new(),
            bare: false,
            stop: None,
            counts: None,
        }
    }

    fn chunk(&self, out: &mut String, fill: impl FnOnce(&mut JsonWriter)) {
        let mut json = JsonWriter::with_capacity(256);
        json.object(|json| {
            json.key("id").raw(&self.id);
            json.member("object", "chat.completion.chunk");
            json.key("created").number(self.created_s);
            json.member("model", &self.model);
            fill(json);
        });
        out.push_str("data: ");
        out.push_str(&json.into_string());
        out.push_str("\n\n");
    }

    fn delta_chunk(&mut self, out: &mut String, fill: impl FnOnce(&mut JsonWriter)) {
        let begun = std::mem::replace(&mut self.begun, true);
        self.chunk(out, |json| {
            json.key("choices").array(|json| {
                json.object(|json| {
                    json.key("index").number(0);
                    json.key("delta").object(|json| {
                        if !begun {
                            json.member("role", "assistant");
                        }
                        fill(json);
                    });
                    json.key("finish_reason").raw("null");
                });
            });
        });
    }

    /// What was kept of the part before goes out.
    fn part_end(&mut self, out: &mut String) {
        let thought = std::mem::take(&mut self.thought);
        if let Some((signer, signature)) = self.signature.take() {
            self.delta_chunk(out, |json| {
                json.key("reasoning_details").array(|json| {
                    detail(json, &thought, Some((signer, &signature)), false);
                });
            });
        }
        if std::mem::take(&mut self.bare) {
            let index = self.calls.len() as u64 - 1;
            self.arguments(index, "{}", out);
        }
    }

    fn arguments(&mut self, index: u64, text: &str, out: &mut String) {
        self.delta_chunk(out, |json| {
            json.key("tool_calls").array(|json| {
                json.object(|json| {
                    json.key("index").number(index);
                    json.key("function").object(|json| json.member("arguments", text));
                });
            });
        });
    }
}

impl EventWriter for Writer {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String) {
        let is_thought = matches!(delta, Delta::Reasoning(_) | Delta::Signature(..));
        let is_call = matches!(delta, Delta::Arguments { .. });
        if !is_thought
            && !is_call
            && !matches!(delta, Delta::Usage(_) | Delta::Logprobs(_) | Delta::Start { .. })
        {
            self.part_end(out);
        }
        match delta {
            Delta::Start { model, .. } => {
                if !model.is_empty() && !self.begun {
                    self.model = model.clone().into_owned();
                }
            }
            Delta::Text(text) => self.delta_chunk(out, |json| json.member("content", text)),
            Delta::Refusal(text) => self.delta_chunk(out, |json| json.member("refusal", text)),
            Delta::Reasoning(text) => {
                self.thought.push_str(text);
                self.delta_chunk(out, |json| json.member("reasoning_content", text));
            }
            Delta::Signature(signer, text) => {
                self.signature.get_or_insert_with(|| (*signer, String::new())).1.push_str(text);
            }
            Delta::Redacted(signer, data) => self.delta_chunk(out, |json| {
                json.key("reasoning_details").array(|json| detail(json, "", Some((*signer, data)), true));
            }),
            Delta::ToolCall { slot, id, name, signature } => {
                let index = self.calls.len() as u64;
                self.calls.push(*slot);
                self.bare = true;
                self.delta_chunk(out, |json| {
                    json.key("tool_calls").array(|json| {
                        json.object(|json| {
                            json.key("index").number(index);
                            json.member("id", &call_id::join(id, signature.as_deref()));
                            json.member("type", "function");
                            json.key("function").object(|json| {
                                json.member("name", name);
                                json.member("arguments", "");
                            });
                        });
                    });
                });
            }
            Delta::Arguments { slot, json } => {
                if let Some(index) = self.calls.iter().rposition(|own| own == slot)
                    && !json.is_empty()
                {
                    self.bare &= index + 1 != self.calls.len();
                    self.arguments(index as u64, json, out);
                }
            }
            Delta::Citation(citation) if !citation.url.is_empty() => self.delta_chunk(out, |json| {
                json.key("annotations").array(|json| annotation(json, citation));
            }),
            Delta::Logprobs(elements) => {
                let logprobs = format!("{{\"content\":[{elements}],\"refusal\":null}}");
                self.chunk(out, |json| {
                    json.key("choices").array(|json| {
                        json.object(|json| {
                            json.key("index").number(0);
                            json.key("delta").object(|_| {});
                            json.key("logprobs").raw(&logprobs);
                            json.key("finish_reason").raw("null");
                        });
                    });
                });
            }
            Delta::Media { media_type, base64 } => self.delta_chunk(out, |json| {
                json.key("images").array(|json| image(json, media_type, base64));
            }),
            Delta::Citation(_) | Delta::PartEnd => {}
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Usage(counts) => self.counts.get_or_insert_default().grow(*counts),
        }
    }

    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String) {
        self.part_end(out);
        let begun = std::mem::replace(&mut self.begun, true);
        let reason = self.stop.as_ref().map_or("stop", reason);
        self.chunk(out, |json| {
            json.key("choices").array(|json| {
                json.object(|json| {
                    json.key("index").number(0);
                    json.key("delta").raw(if begun { "{}" } else { r#"{"role":"assistant","content":""}"# });
                    json.member("finish_reason", reason);
                });
            });
            if let Some(note) = note {
                json.key("moegate").raw(&form::note(note));
            }
        });
        if let Some(counts) = self.counts.filter(|_| self.include_usage) {
            let member = usage::member(&counts.usage, counts.cost(&self.context.price));
            self.chunk(out, |json| {
                json.key("choices").array(|_| {});
                json.raw(&member);
            });
        }
        out.push_str("data: [DONE]\n\n");
    }

    fn error(&self, error: &ApiError) -> String {
        form::error_event(error)
    }

    fn resume(&mut self, partial: &Partial) {
        self.begun = true;
        if let Some(id) = &partial.id {
            self.id.clone_from(id);
        }
    }

    fn fork(&self) -> Box<dyn EventWriter> {
        Box::new(self.clone())
    }

    fn id(&self) -> String {
        self.id.clone()
    }
}

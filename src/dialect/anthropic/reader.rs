//! Messages as origins answer them, whole and as events (API reference, "Messages" > "Create a Message" > "Returns"; guide
//! "Streaming Messages"), in the canonical form.
//!
//! What Anthropic's own tools do (`server_tool_use`, `web_search_tool_result` and the like) can be said in no other API, and
//! is left out; what the model writes of it is text with citations.

use super::ANSWER_TOOL;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::stop::Stop;
use crate::dialect::counts::Counts;
use crate::dialect::format::{EventKind, EventReader};
use crate::dialect::json::{list, pick, string, whole_number};
use crate::dialect::usage;
use serde_json::value::RawValue;
use std::borrow::Cow;

fn text_of(raw: Option<&RawValue>) -> Cow<'_, str> {
    raw.and_then(string).unwrap_or_default()
}

/// What a whole answer says; `None` where it is none.
pub(super) fn answer(body: &str) -> Option<Vec<Delta<'_>>> {
    let names = ["type", "id", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"];
    let [kind, id, model, content, reason, sequence, details, counts] = pick(body, &names)?;
    if text_of(kind) != "message" {
        return None;
    }
    let mut deltas = vec![Delta::Start { id: text_of(id), model: text_of(model) }];
    let mut reader = Reader::default();
    for (at, block) in list(content?)?.into_iter().enumerate() {
        let at = at as u64;
        reader.begin(at, block, &mut deltas);
        reader.end(at, &mut deltas);
    }
    reader.stop(reason, sequence, details, &mut deltas);
    reader.counts(counts, &mut deltas);
    Some(deltas)
}

/// A block that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Of the answer: what comes in its deltas is said by their types.
    Plain,
    /// A tool call: its slot.
    Call(u64),
    /// The answer, as a tool's input; whether some of it has come.
    Answer(bool),
    /// Of Anthropic's own tools.
    Foreign,
}

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The blocks under way, by their index.
    blocks: Vec<(u64, Block)>,
    calls: u64,
    /// The answer came as a tool's input.
    answered: bool,
    counts: Option<Counts>,
}

impl EventReader for Reader {
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        let names = ["type", "index", "message", "content_block", "delta", "usage"];
        let Some([kind, index, message, block, delta, counts]) = pick(data, &names) else {
            return EventKind::Malformed;
        };
        let kind = kind.and_then(string).unwrap_or(Cow::Borrowed(name));
        let index = index.and_then(whole_number).unwrap_or(0);
        match &*kind {
            "message_start" => {
                let Some([id, model, counts]) =
                    message.and_then(|raw| pick(raw.get(), &["id", "model", "usage"]))
                else {
                    return EventKind::Malformed;
                };
                deltas.push(Delta::Start { id: text_of(id), model: text_of(model) });
                self.counts(counts, deltas);
            }
            "content_block_start" => {
                if let Some(block) = block {
                    self.begin(index, block, deltas);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = delta {
                    self.delta(index, delta, deltas);
                }
            }
            "content_block_stop" => self.end(index, deltas),
            "message_delta" => {
                let names = ["stop_reason", "stop_sequence", "stop_details"];
                if let Some([reason, sequence, details]) = delta.and_then(|raw| pick(raw.get(), &names)) {
                    self.stop(reason, sequence, details, deltas);
                }
                self.counts(counts, deltas);
            }
            "message_stop" => return EventKind::End,
            "error" => return EventKind::Error(data.into()),
            // Pings, and events of later versions.
            "ping" => {}
            _ if name.is_empty() && data.contains("\"error\"") => return EventKind::Error(data.into()),
            "" => return EventKind::Malformed,
            _ => {}
        }
        EventKind::Data
    }
}

impl Reader {
    fn begin<'e>(&mut self, index: u64, block: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let names = ["type", "text", "thinking", "signature", "data", "id", "name", "input", "citations"];
        let Some([kind, text, thinking, signature, data, id, name, input, citations]) =
            pick(block.get(), &names)
        else {
            return;
        };
        let kind = text_of(kind);
        let mut own = Block::Plain;
        match &*kind {
            "text" => {
                push(text, deltas, Delta::Text);
                for raw in citations.and_then(list).unwrap_or_default() {
                    deltas.extend(citation(raw).map(Delta::Citation));
                }
            }
            "thinking" => {
                push(thinking, deltas, Delta::Reasoning);
                push(signature, deltas, |text| Delta::Signature(Signer::Anthropic, text));
            }
            "redacted_thinking" => push(data, deltas, |data| Delta::Redacted(Signer::Anthropic, data)),
            "tool_use" => {
                // A stream begins with an empty one.
                let input = input.map(RawValue::get).filter(|input| !is_empty(input));
                let name = text_of(name);
                if name == ANSWER_TOOL {
                    own = Block::Answer(input.is_some());
                    self.answered = true;
                    deltas.extend(input.map(|input| Delta::Text(input.into())));
                } else {
                    let slot = self.calls;
                    self.calls += 1;
                    own = Block::Call(slot);
                    deltas.push(Delta::ToolCall { slot, id: text_of(id), name, signature: None });
                    deltas.extend(input.map(|input| Delta::Arguments { slot, json: input.into() }));
                }
            }
            _ => own = Block::Foreign,
        }
        self.blocks.retain(|(at, _)| *at != index);
        self.blocks.push((index, own));
    }

    fn delta<'e>(&mut self, index: u64, delta: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let names = ["type", "text", "thinking", "signature", "partial_json", "citation"];
        let Some([kind, text, thinking, signature, json, source]) = pick(delta.get(), &names) else {
            return;
        };
        let block = self.blocks.iter_mut().find(|(at, _)| *at == index).map(|(_, block)| block);
        match (&*text_of(kind), block) {
            (_, Some(Block::Foreign)) => {}
            ("text_delta", _) => push(text, deltas, Delta::Text),
            ("thinking_delta", _) => push(thinking, deltas, Delta::Reasoning),
            ("signature_delta", _) => {
                push(signature, deltas, |text| Delta::Signature(Signer::Anthropic, text));
            }
            ("citations_delta", _) => {
                deltas.extend(source.and_then(citation).map(Delta::Citation));
            }
            ("input_json_delta", Some(Block::Call(slot))) => {
                let slot = *slot;
                push(json, deltas, |json| Delta::Arguments { slot, json });
            }
            ("input_json_delta", Some(Block::Answer(begun))) => {
                let before = deltas.len();
                push(json, deltas, Delta::Text);
                *begun |= deltas.len() > before;
            }
            _ => {}
        }
    }

    fn end(&mut self, index: u64, deltas: &mut Vec<Delta<'_>>) {
        let Some(at) = self.blocks.iter().position(|(own, _)| *own == index) else { return };
        match self.blocks.swap_remove(at).1 {
            Block::Foreign => return,
            Block::Answer(false) => deltas.push(Delta::Text("{}".into())),
            Block::Plain | Block::Call(_) | Block::Answer(true) => {}
        }
        deltas.push(Delta::PartEnd);
    }

    fn stop<'e>(
        &self,
        reason: Option<&'e RawValue>,
        sequence: Option<&'e RawValue>,
        details: Option<&'e RawValue>,
        deltas: &mut Vec<Delta<'e>>,
    ) {
        let Some(reason) = reason.and_then(string) else { return };
        let stop = match &*reason {
            "max_tokens" | "model_context_window_exceeded" => Stop::Length,
            "stop_sequence" => Stop::Sequence(sequence.and_then(string).map(Cow::into_owned)),
            "tool_use" if self.answered && self.calls == 0 => Stop::End,
            "tool_use" => Stop::ToolCalls,
            "pause_turn" => Stop::Pause,
            "refusal" => {
                let words = details.and_then(|raw| pick(raw.get(), &["explanation"]));
                push(words.and_then(|[words]| words), deltas, Delta::Refusal);
                Stop::Filter
            }
            _ => Stop::End,
        };
        deltas.push(Delta::Stop(stop));
    }

    /// Counts of a stream are those of the whole message so far; some are only told at its beginning.
    fn counts(&mut self, raw: Option<&RawValue>, deltas: &mut Vec<Delta<'_>>) {
        let Some(mut counts) = raw.and_then(usage::read).map(|reading| reading.counts) else { return };
        if let Some(before) = self.counts.filter(|_| counts.usage.prompt == 0) {
            let usage = before.usage;
            (counts.usage.prompt, counts.usage.cached) = (usage.prompt, usage.cached);
            counts.usage.cache_write = usage.cache_write;
            counts.inferred = before.inferred;
        }
        // Of these only the beginning tells.
        let long = self.counts.map_or(0, |before| before.usage.cache_write_1h);
        counts.usage.cache_write_1h = counts.usage.cache_write_1h.max(long).min(counts.usage.cache_write);
        self.counts = Some(counts);
        deltas.push(Delta::Usage(counts));
    }
}

fn is_empty(input: &str) -> bool {
    input.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|rest| rest.trim().is_empty())
}

/// A delta of a text that is not empty.
fn push<'e>(
    raw: Option<&'e RawValue>,
    deltas: &mut Vec<Delta<'e>>,
    make: impl FnOnce(Cow<'e, str>) -> Delta<'e>,
) {
    let text = raw.and_then(string).filter(|text| !text.is_empty());
    deltas.extend(text.map(make));
}

/// Of a document of the request, of a search of Anthropic's, or of a search result that the app gave.
fn citation(raw: &RawValue) -> Option<Citation<'_>> {
    let names = ["cited_text", "url", "source", "title", "document_title", "document_index"];
    let [cited, url, source, title, document_title, document] = pick(raw.get(), &names)?;
    Some(Citation {
        url: text_of(url.or(source)),
        title: text_of(title.or(document_title)),
        text: text_of(cited),
        range: None,
        document: document.and_then(whole_number),
    })
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;

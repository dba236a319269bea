//! Chat completions as origins answer them, whole and as chunks, in the canonical form. What servers add is known by its
//! shape: `reasoning_content` (DeepSeek, vLLM), `reasoning` and `reasoning_details` (OpenRouter), content as a list of parts
//! (Mistral), whole tool calls under one index (Ollama).

use super::chunk::Chunk;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::stop::Stop;
use crate::dialect::format::{EventKind, EventReader};
use crate::dialect::json::{list, pick, says_something, string, whole_number};
use crate::dialect::{errors, usage};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a whole answer says; `None` where it is none.
pub(super) fn answer(body: &str) -> Option<Vec<Delta<'_>>> {
    let body = body.trim_start_matches('\u{feff}');
    let [id, model, choices, error] = pick(body, &["id", "model", "choices", "error"])?;
    let choices = choices.and_then(list).filter(|choices| !choices.is_empty())?;
    if error.is_some_and(says_something) {
        return None;
    }
    let mut deltas = vec![start(id, model)];
    let mut reader = Reader::default();
    if let Some(choice) = choices.first() {
        let [message, reason, logprobs] = pick(choice.get(), &["message", "finish_reason", "logprobs"])?;
        reader.message(message?, &mut deltas);
        logprobs_of(logprobs, &mut deltas);
        reader.reason(reason, &mut deltas);
    }
    counts(body, &choices, &mut deltas);
    Some(deltas)
}

fn start<'b>(id: Option<&'b RawValue>, model: Option<&'b RawValue>) -> Delta<'b> {
    let text = |raw: Option<&'b RawValue>| raw.and_then(string).unwrap_or_default();
    Delta::Start { id: text(id), model: text(model) }
}

fn counts<'b>(body: &'b str, choices: &[&RawValue], deltas: &mut Vec<Delta<'b>>) {
    if let Some(chunk) = Chunk::read(body.as_bytes())
        && let Some(found) = usage::find(chunk.usage, chunk.counts, choices)
    {
        deltas.push(Delta::Usage(found.reading.counts));
    }
}

#[derive(Default)]
pub(super) struct Reader {
    started: bool,
    calls: Vec<Call>,
}

/// A call under way.
struct Call {
    index: u64,
    /// Empty where the origin says none.
    id: String,
    has_arguments: bool,
}

impl EventReader for Reader {
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        let data = data.trim_ascii();
        if data == "[DONE]" {
            return EventKind::End;
        }
        let found = pick(data, &["id", "model", "choices", "error"]);
        let is_error = |error: Option<&RawValue>| error.is_some_and(says_something);
        let Some([id, model, choices, error]) = found else {
            let failed =
                name == "error" || data.starts_with('[') && errors::error_of(200, data.as_bytes()).is_some();
            return if failed { EventKind::Error(data.into()) } else { EventKind::Malformed };
        };
        if name == "error" || is_error(error) {
            return EventKind::Error(data.into());
        }
        let choices = choices.and_then(list).unwrap_or_default();
        if !std::mem::replace(&mut self.started, true) {
            deltas.push(start(id, model));
        }
        for choice in &choices {
            let names = ["index", "delta", "finish_reason", "error", "logprobs", "message"];
            let Some([index, delta, reason, error, logprobs, message]) = pick(choice.get(), &names) else {
                return EventKind::Malformed;
            };
            if is_error(error) || reason.is_some_and(|reason| reason.get() == "\"error\"") {
                return EventKind::Error(data.into());
            }
            // One answer is asked for.
            if index.and_then(whole_number).unwrap_or(0) > 0 {
                continue;
            }
            if let Some(delta) = delta.or(message) {
                self.message(delta, deltas);
            }
            logprobs_of(logprobs, deltas);
            self.reason(reason, deltas);
        }
        counts(data, &choices, deltas);
        EventKind::Data
    }
}

impl Reader {
    /// A whole message or a chunk of one.
    fn message<'e>(&mut self, message: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let names = [
            "content",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "refusal",
            "tool_calls",
            "annotations",
            "images",
        ];
        let Some(found) = pick(message.get(), &names) else { return };
        let [content, reasoning_content, reasoning, details, refusal, calls, annotations, images] = found;
        let text = |raw: Option<&'e RawValue>| raw.and_then(string).filter(|text| !text.is_empty());
        deltas.extend(text(reasoning_content).or_else(|| text(reasoning)).map(Delta::Reasoning));
        for detail in details.and_then(list).unwrap_or_default() {
            signature(detail, deltas);
        }
        match content {
            Some(raw) if raw.get().starts_with('[') => parts(raw, deltas),
            content => deltas.extend(text(content).map(Delta::Text)),
        }
        deltas.extend(text(refusal).map(Delta::Refusal));
        for annotation in annotations.and_then(list).unwrap_or_default() {
            deltas.extend(citation(annotation).map(Delta::Citation));
        }
        for image in images.and_then(list).unwrap_or_default() {
            deltas.extend(media(image));
        }
        for (at, call) in calls.and_then(list).unwrap_or_default().into_iter().enumerate() {
            self.call(at as u64, call, deltas);
        }
    }

    fn call<'e>(&mut self, at: u64, call: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
        let Some([index, id, function, extra]) =
            pick(call.get(), &["index", "id", "function", "extra_content"])
        else {
            return;
        };
        let function = function.and_then(|raw| pick(raw.get(), &["name", "arguments"]));
        let [name, arguments] = function.unwrap_or_default();
        let id = id.and_then(string).unwrap_or_default();
        let name = name.and_then(string).unwrap_or_default();
        let index = index.and_then(whole_number).unwrap_or(at);
        let known = self.calls.iter().rposition(|call| call.index == index);
        // Ollama sends whole calls, all of index 0, and older servers like it send them without ids.
        let is_new = |known: usize| {
            let call = &self.calls[known];
            let is_other =
                if id.is_empty() { call.id.is_empty() && call.has_arguments } else { call.id != *id };
            !name.is_empty() && is_other
        };
        let slot = match known {
            Some(known) if !is_new(known) => known,
            _ if name.is_empty() => return,
            _ => {
                let slot = self.calls.len();
                self.calls.push(Call { index, id: id.clone().into_owned(), has_arguments: false });
                let id = if id.is_empty() { Cow::Owned(format!("call_{slot}")) } else { id };
                deltas.push(Delta::ToolCall { slot: slot as u64, id, name, signature: google(extra) });
                slot
            }
        };
        let json = match arguments {
            // Some send the object itself.
            Some(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw.get()),
            arguments => arguments.and_then(string).unwrap_or_default(),
        };
        if !json.is_empty() {
            self.calls[slot].has_arguments = true;
            deltas.push(Delta::Arguments { slot: slot as u64, json });
        }
    }

    fn reason(&self, reason: Option<&RawValue>, deltas: &mut Vec<Delta<'_>>) {
        let Some(reason) = reason.and_then(string).filter(|text| !text.is_empty() && text != "null") else {
            return;
        };
        deltas.push(Delta::Stop(match &*reason {
            "length" | "max_tokens" | "model_length" => Stop::Length,
            "tool_calls" | "function_call" => Stop::ToolCalls,
            "content_filter" => Stop::Filter,
            "error" => Stop::Failed("error".into()),
            // Some say `stop` after tool calls too.
            _ if !self.calls.is_empty() => Stop::ToolCalls,
            _ => Stop::End,
        }));
    }
}

/// Google's signature of the thought before a call.
fn google(extra: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let [google] = pick(extra?.get(), &["google"])?;
    let [signature] = pick(google?.get(), &["thought_signature"])?;
    string(signature?)
}

/// Mistral's list of parts.
fn parts<'e>(raw: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
    for part in list(raw).unwrap_or_default() {
        let Some([kind, text, thinking]) = pick(part.get(), &["type", "text", "thinking"]) else { continue };
        match kind.and_then(string).as_deref() {
            Some("thinking") => {
                for inner in thinking.and_then(list).unwrap_or_default() {
                    let text = pick(inner.get(), &["text"]).and_then(|[text]| string(text?));
                    deltas.extend(text.map(Delta::Reasoning));
                }
            }
            _ => deltas.extend(text.and_then(string).filter(|text| !text.is_empty()).map(Delta::Text)),
        }
    }
}

/// What an element of OpenRouter's `reasoning_details` has beside the text, which stands in `reasoning` too.
fn signature<'e>(detail: &'e RawValue, deltas: &mut Vec<Delta<'e>>) {
    let Some([format, signature, data]) = pick(detail.get(), &["format", "signature", "data"]) else {
        return;
    };
    let Some(signer) = format.and_then(string).and_then(|name| Signer::of_name(&name)) else { return };
    let text = |raw: Option<&'e RawValue>| raw.and_then(string).filter(|text| !text.is_empty());
    deltas.extend(text(signature).map(|text| Delta::Signature(signer, text)));
    deltas.extend(text(data).map(|data| Delta::Redacted(signer, data)));
}

fn citation(annotation: &RawValue) -> Option<Citation<'_>> {
    let [own] = pick(annotation.get(), &["url_citation"])?;
    let [url, title, content, start, end] =
        pick(own?.get(), &["url", "title", "content", "start_index", "end_index"])?;
    let text = |raw: Option<_>| raw.and_then(string).unwrap_or_default();
    Some(Citation {
        url: string(url?)?,
        title: text(title),
        text: text(content),
        range: start.and_then(whole_number).zip(end.and_then(whole_number)),
        document: None,
    })
}

/// An element of OpenRouter's `images`.
fn media(image: &RawValue) -> Option<Delta<'_>> {
    use crate::dialect::canonical::request::Source;
    let [own] = pick(image.get(), &["image_url"])?;
    let [url] = pick(own?.get(), &["url"])?;
    match super::parse::of_url(string(url?)?) {
        (Source::Base64(base64), media_type) => Some(Delta::Media { media_type, base64 }),
        _ => None,
    }
}

fn logprobs_of<'e>(logprobs: Option<&'e RawValue>, deltas: &mut Vec<Delta<'e>>) {
    let content = logprobs.and_then(|raw| pick(raw.get(), &["content"])).and_then(|[content]| content);
    let inner = content.and_then(|raw| raw.get().strip_prefix('[')?.strip_suffix(']')).map(str::trim);
    deltas.extend(inner.filter(|inner| !inner.is_empty()).map(|inner| Delta::Logprobs(inner.into())));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and arguments of the calls, by slot.
    fn calls(functions: &[(&str, &str)]) -> Vec<String> {
        let mut reader = Reader::default();
        let mut calls: Vec<String> = Vec::new();
        for (id, function) in functions {
            let call = format!(r#"{{"index":0,"id":"{id}","function":{function}}}"#);
            let data = format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}"#);
            let mut deltas = Vec::new();
            assert_eq!(reader.event("", &data, &mut deltas), EventKind::Data);
            for delta in deltas {
                match delta {
                    Delta::ToolCall { slot, id, name, .. } => {
                        assert_eq!(slot, calls.len() as u64);
                        calls.push(format!("{id} {name} "));
                    }
                    Delta::Arguments { slot, json } => calls[slot as usize].push_str(&json),
                    _ => {}
                }
            }
        }
        calls
    }

    #[test]
    fn whole_calls_under_one_index_are_several_with_and_without_ids() {
        let (f, g) = (r#"{"name":"f","arguments":{}}"#, r#"{"name":"g","arguments":"{}"}"#);
        assert_eq!(calls(&[("", f), ("", g)]), ["call_0 f {}", "call_1 g {}"]);
        assert_eq!(calls(&[("a", f), ("b", g)]), ["a f {}", "b g {}"]);
        // Pieces of one call, the name said again before and after its arguments begin.
        let (begun, more) = (r#"{"name":"f","arguments":""}"#, r#"{"name":"f","arguments":"{}"}"#);
        assert_eq!(calls(&[("", begun), ("", more)]), ["call_0 f {}"]);
        assert_eq!(
            calls(&[("a", begun), ("", r#"{"arguments":"{"}"#), ("", r#"{"name":"f","arguments":"}"}"#)]),
            ["a f {}"]
        );
    }
}

//! Answers of origins that have the Responses API, whole and as events: what the gateway must know of them.

use super::super::form;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::canonical::stop::Stop;
use crate::dialect::format::{EventKind, EventReader};
use crate::dialect::json::{list, pick, string, whole_number};
use crate::dialect::usage;
use serde_json::value::RawValue;
use std::borrow::Cow;

fn text(raw: Option<&RawValue>) -> Cow<'_, str> {
    raw.and_then(string).unwrap_or_default()
}

/// What a response object says; `None` where it is none.
pub(super) fn answer(body: &str) -> Option<Vec<Delta<'_>>> {
    let names = ["id", "model", "output", "object"];
    let [id, model, output, object] = pick(body.trim_start_matches('\u{feff}'), &names)?;
    if text(object) != "response" && output.is_none() {
        return None;
    }
    let mut deltas = vec![Delta::Start { id: text(id), model: text(model) }];
    for (at, item) in output.and_then(list).unwrap_or_default().into_iter().enumerate() {
        whole_item(at as u64, item, &mut deltas);
    }
    end(body, &mut deltas);
    Some(deltas)
}

/// Why it ended, and its counts.
fn end<'b>(response: &'b str, deltas: &mut Vec<Delta<'b>>) {
    let names = ["status", "incomplete_details", "error", "usage"];
    let Some([status, details, error, counts]) = pick(response, &names) else { return };
    let reason = details.and_then(|raw| pick(raw.get(), &["reason"])).and_then(|[reason]| reason);
    let has_calls = deltas.iter().any(|delta| matches!(delta, Delta::ToolCall { .. }));
    deltas.push(Delta::Stop(match (&*text(status), &*text(reason)) {
        ("failed" | "cancelled", _) => Stop::Failed(Cow::Owned(text(status).into_owned())),
        _ if error.is_some() => Stop::Failed("error".into()),
        (_, "content_filter") => Stop::Filter,
        ("incomplete", _) => Stop::Length,
        _ if has_calls => Stop::ToolCalls,
        _ => Stop::End,
    }));
    deltas.extend(counts.and_then(usage::read).map(|reading| Delta::Usage(reading.counts)));
}

/// An item of the output, all of it.
fn whole_item<'b>(at: u64, item: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    let Some([kind, content, summary]) = pick(item.get(), &["type", "content", "summary"]) else { return };
    match &*text(kind) {
        "message" => {
            for part in content.and_then(list).unwrap_or_default() {
                content_part(part, deltas);
                deltas.push(Delta::PartEnd);
            }
        }
        "reasoning" => {
            for part in [summary, content].into_iter().flatten().filter_map(list).flatten() {
                let said = pick(part.get(), &["text"]).and_then(|[said]| said);
                deltas.push(Delta::Reasoning(text(said)));
            }
            encrypted(item, deltas);
            deltas.push(Delta::PartEnd);
        }
        "function_call" => {
            call(at, item, deltas);
            arguments(at, item, deltas);
            deltas.push(Delta::PartEnd);
        }
        "image_generation_call" => image(item, deltas),
        _ => {}
    }
}

fn content_part<'b>(part: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    let names = ["text", "refusal", "annotations", "logprobs"];
    let Some([said, refusal, annotations, logprobs]) = pick(part.get(), &names) else { return };
    deltas.extend(said.and_then(string).map(Delta::Text));
    deltas.extend(refusal.and_then(string).map(Delta::Refusal));
    for annotation in annotations.and_then(list).unwrap_or_default() {
        deltas.extend(citation(annotation).map(Delta::Citation));
    }
    logprobs_of(logprobs, deltas);
}

fn logprobs_of<'b>(logprobs: Option<&'b RawValue>, deltas: &mut Vec<Delta<'b>>) {
    let inner = logprobs.and_then(|raw| raw.get().strip_prefix('[')?.strip_suffix(']')).map(str::trim);
    deltas.extend(inner.filter(|inner| !inner.is_empty()).map(|inner| Delta::Logprobs(inner.into())));
}

fn citation(annotation: &RawValue) -> Option<Citation<'_>> {
    let [url, title, start, end] = pick(annotation.get(), &["url", "title", "start_index", "end_index"])?;
    Some(Citation {
        url: string(url?)?,
        title: text(title),
        text: Cow::Borrowed(""),
        range: start.and_then(whole_number).zip(end.and_then(whole_number)),
        document: None,
    })
}

fn encrypted<'b>(item: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    let data = pick(item.get(), &["encrypted_content"]).and_then(|[data]| string(data?));
    let data = data.filter(|data| !data.is_empty());
    deltas.extend(data.map(|data| Delta::Redacted(Signer::OpenAi, data)));
}

fn call<'b>(slot: u64, item: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    if let Some([id, name]) = pick(item.get(), &["call_id", "name"]) {
        deltas.push(Delta::ToolCall { slot, id: text(id), name: text(name), signature: None });
    }
}

fn arguments<'b>(slot: u64, item: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    if let Some([json]) = pick(item.get(), &["arguments"]) {
        deltas.push(Delta::Arguments { slot, json: text(json) });
    }
}

fn image<'b>(item: &'b RawValue, deltas: &mut Vec<Delta<'b>>) {
    if let Some([Some(result), format]) = pick(item.get(), &["result", "output_format"]) {
        let format = format.and_then(string).unwrap_or(Cow::Borrowed("png"));
        deltas.push(Delta::Media {
            media_type: Cow::Owned(format!("image/{format}")),
            base64: string(result).unwrap_or_default(),
        });
    }
}

#[derive(Default)]
pub(super) struct Reader {
    /// The calls so far: their place, and whether their arguments have come in pieces.
    calls: Vec<(u64, bool)>,
}

const NAMES: [&str; 8] =
    ["type", "response", "item", "output_index", "delta", "annotation", "logprobs", "error"];

impl EventReader for Reader {
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        let data = data.trim_ascii();
        // Chat's end mark, which some send in this API too.
        if data == "[DONE]" {
            return EventKind::Data;
        }
        let Some(found) = pick(data, &NAMES) else { return EventKind::Malformed };
        let [kind, response, item, at, delta, annotation, logprobs, error] = found;
        let kind = text(kind);
        // Servers of this API without `type` in the data name the event.
        let kind = if kind.is_empty() { Cow::Borrowed(name) } else { kind };
        let at = at.and_then(whole_number).unwrap_or(0);
        let more = || delta.and_then(string).unwrap_or_default();
        match &*kind {
            "response.created" => {
                let found = response.and_then(|raw| pick(raw.get(), &["id", "model"]));
                let [id, model] = found.unwrap_or_default();
                deltas.push(Delta::Start { id: text(id), model: text(model) });
            }
            "response.output_text.delta" => {
                deltas.push(Delta::Text(more()));
                logprobs_of(logprobs, deltas);
            }
            "response.refusal.delta" => deltas.push(Delta::Refusal(more())),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                deltas.push(Delta::Reasoning(more()));
            }
            "response.output_text.annotation.added" => {
                deltas.extend(annotation.and_then(citation).map(Delta::Citation));
            }
            "response.content_part.done" => deltas.push(Delta::PartEnd),
            "response.output_item.added" => {
                if let Some(item) = item.filter(|item| kind_of(item) == "function_call") {
                    self.calls.push((at, false));
                    call(at, item, deltas);
                }
            }
            "response.function_call_arguments.delta" => {
                if let Some((_, seen)) = self.calls.iter_mut().find(|(own, _)| *own == at) {
                    *seen = true;
                }
                deltas.push(Delta::Arguments { slot: at, json: more() });
            }
            "response.output_item.done" => self.item_done(at, item, deltas),
            "response.completed" | "response.incomplete" => {
                if let Some(response) = response {
                    end(response.get(), deltas);
                    self.mend_stop(deltas);
                }
                return EventKind::End;
            }
            "response.failed" => {
                let error = response.and_then(|raw| pick(raw.get(), &["error"])).and_then(|[error]| error);
                let told = error.map_or("{\"message\":\"the response failed\"}", RawValue::get);
                return EventKind::Error(Cow::Owned(format!("{{\"error\":{told}}}")));
            }
            "error" => {
                let told = error.map_or(data, RawValue::get);
                return EventKind::Error(Cow::Owned(format!("{{\"error\":{told}}}")));
            }
            // An error of something before the origin.
            _ if error.is_some() => return EventKind::Error(data.into()),
            _ if name == "error" => {
                let wrapped = String::from_utf8(form::wrapped_error(data.as_bytes()));
                return EventKind::Error(Cow::Owned(wrapped.unwrap_or_default()));
            }
            "" => return EventKind::Malformed,
            _ => {}
        }
        EventKind::Data
    }
}

fn kind_of(item: &RawValue) -> Cow<'_, str> {
    text(pick(item.get(), &["type"]).and_then(|[kind]| kind))
}

impl Reader {
    fn item_done<'e>(&self, at: u64, item: Option<&'e RawValue>, deltas: &mut Vec<Delta<'e>>) {
        let Some(item) = item else { return };
        match &*kind_of(item) {
            "reasoning" => {
                encrypted(item, deltas);
                deltas.push(Delta::PartEnd);
            }
            "function_call" => {
                match self.calls.iter().find(|(own, _)| *own == at) {
                    Some((_, true)) => {}
                    Some((_, false)) => arguments(at, item, deltas),
                    None => {
                        call(at, item, deltas);
                        arguments(at, item, deltas);
                    }
                }
                deltas.push(Delta::PartEnd);
            }
            "image_generation_call" => image(item, deltas),
            _ => {}
        }
    }

    /// The calls came in events before.
    fn mend_stop(&self, deltas: &mut [Delta<'_>]) {
        for delta in deltas {
            if let Delta::Stop(stop @ Stop::End) = delta
                && !self.calls.is_empty()
            {
                *stop = Stop::ToolCalls;
            }
        }
    }
}

//! A message's texts and refusals, with what belongs to them.

use super::super::items;
use super::{IN_PROGRESS, Open, TextPart, Writer};
use crate::dialect::canonical::delta::{Citation, Delta};

impl Writer {
    /// More of a message's text, or of its refusal. The message begins, where none is under way.
    pub(super) fn text(&mut self, text: &str, is_refusal: bool, out: &mut String) {
        let is_other = |part: &TextPart| self.ended || part.is_refusal != is_refusal;
        match &self.open {
            Open::Message { part: Some(part), .. } if is_other(part) => self.close_part(out),
            Open::Message { .. } => {}
            _ => {
                self.close(out);
                let at = self.place();
                let id = self.item_id("msg", at);
                self.item(out, at, items::message(&id, IN_PROGRESS, &[]), false);
                self.open = Open::Message { parts: Vec::new(), part: None };
            }
        }
        self.ended = false;
        let at = self.last();
        let Open::Message { parts, part } = &mut self.open else { return };
        let place = ((at, "msg"), Some(("content_index", parts.len())));
        if part.is_none() {
            let logprobs = if is_refusal { String::new() } else { std::mem::take(&mut self.logprobs) };
            *part = Some(TextPart { is_refusal, logprobs, ..TextPart::default() });
            let empty = if is_refusal { items::refusal("") } else { items::output_text("", &[], "") };
            self.of_item(out, "response.content_part.added", place.0, place.1, &|json| {
                json.key("part").raw(&empty);
            });
        }
        if let Open::Message { part: Some(part), .. } = &mut self.open
            && !text.is_empty()
        {
            part.text.push_str(text);
            self.text_event(text, "", is_refusal, place, out);
        }
    }

    pub(super) fn text_event(
        &mut self,
        text: &str,
        logprobs: &str,
        is_refusal: bool,
        place: ((usize, &str), Option<(&str, usize)>),
        out: &mut String,
    ) {
        let kind = if is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.of_item(out, kind, place.0, place.1, &|json| {
            json.member("delta", text);
            if !is_refusal {
                json.key("logprobs").raw(&format!("[{logprobs}]"));
            }
        });
    }

    pub(super) fn logprobs(&mut self, elements: &str, out: &mut String) {
        let at = self.last();
        let Open::Message { parts, part: Some(part) } = &mut self.open else { return };
        if part.is_refusal || self.is_whole || elements.is_empty() {
            return;
        }
        if !part.logprobs.is_empty() {
            part.logprobs.push(',');
        }
        part.logprobs.push_str(elements);
        let place = ((at, "msg"), Some(("content_index", parts.len())));
        self.text_event("", elements, false, place, out);
    }

    pub(super) fn citation(&mut self, citation: &Citation<'_>, out: &mut String) {
        let is_text = |part: &Option<TextPart>| part.as_ref().is_some_and(|part| !part.is_refusal);
        if !matches!(&self.open, Open::Message { part, .. } if is_text(part)) {
            self.text("", false, out);
        }
        if let (Open::Message { part: Some(part), .. }, Delta::Citation(own)) =
            (&mut self.open, Delta::Citation(citation.clone()).into_owned())
        {
            part.citations.push(own);
        }
    }

    /// The part of the message that is under way is whole.
    pub(super) fn close_part(&mut self, out: &mut String) {
        let at = self.last();
        let Open::Message { parts, part } = &mut self.open else { return };
        let Some(TextPart { is_refusal, text, citations, logprobs }) = part.take() else { return };
        let place = ((at, "msg"), Some(("content_index", parts.len())));
        let characters = text.chars().count() as u64;
        let annotations: Vec<_> = citations.iter().map(|own| items::annotation(own, characters)).collect();
        let whole = if is_refusal {
            items::refusal(&text)
        } else {
            items::output_text(&text, &annotations, &logprobs)
        };
        parts.push(whole.clone());
        for (index, annotation) in annotations.iter().enumerate() {
            self.of_item(out, "response.output_text.annotation.added", place.0, place.1, &|json| {
                json.key("annotation_index").number(index as u64);
                json.key("annotation").raw(annotation);
            });
        }
        let kind = if is_refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.of_item(out, kind, place.0, place.1, &|json| {
            json.member(if is_refusal { "refusal" } else { "text" }, &text);
            if !is_refusal {
                json.key("logprobs").raw(&format!("[{logprobs}]"));
            }
        });
        self.of_item(out, "response.content_part.done", place.0, place.1, &|json| {
            json.key("part").raw(&whole);
        });
    }
}

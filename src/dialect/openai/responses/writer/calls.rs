//! Thoughts, calls and images: an item each.

use super::super::items;
use super::{COMPLETED, Call, IN_PROGRESS, INCOMPLETE, Open, Writer};
use crate::dialect::canonical::Signer;
use serde_json::value::RawValue;

impl Writer {
    /// A thought is under way: one that this may belong to.
    pub(super) fn thought(&mut self, goes_on: bool, out: &mut String) {
        if goes_on && matches!(self.open, Open::Thought { .. }) {
            return;
        }
        self.close(out);
        let at = self.place();
        let id = self.item_id("rs", at);
        self.item(out, at, items::reasoning(&id, None, None, IN_PROGRESS), false);
        self.open = Open::Thought { text: String::new(), signature: None, redacted: false };
    }

    pub(super) fn summary(&mut self, more: &str, out: &mut String) {
        let is_unsigned = matches!(&self.open, Open::Thought { signature: None, .. });
        self.thought(is_unsigned && !self.ended, out);
        let place = ((self.last(), "rs"), Some(("summary_index", 0)));
        let Open::Thought { text, .. } = &mut self.open else { return };
        let is_first = text.is_empty();
        text.push_str(more);
        if is_first {
            let empty = items::summary("");
            self.of_item(out, "response.reasoning_summary_part.added", place.0, place.1, &|json| {
                json.key("part").raw(&empty);
            });
        }
        self.of_item(out, "response.reasoning_summary_text.delta", place.0, place.1, &|json| {
            json.member("delta", more);
        });
    }

    pub(super) fn signature(&mut self, signer: Signer, more: &str, is_redacted: bool, out: &mut String) {
        let goes_on = match &self.open {
            // OpenAI's own stands beside the summary.
            Open::Thought { signature: None, .. } if is_redacted => signer == Signer::OpenAi,
            Open::Thought { redacted, .. } => !is_redacted && !redacted && !self.ended,
            _ => false,
        };
        self.thought(goes_on, out);
        if let Open::Thought { signature, redacted, .. } = &mut self.open {
            signature.get_or_insert_with(|| (signer, String::new())).1.push_str(more);
            *redacted = is_redacted;
        }
        self.ended = is_redacted;
    }

    pub(super) fn call(&mut self, slot: u64, id: &str, name: &str, out: &mut String) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Calls(calls) => {
                // Arguments of several calls may come in turns; who has its own is done.
                let is_whole = |call: &Call| serde_json::from_str::<&RawValue>(&call.arguments).is_ok();
                let (whole, open): (Vec<_>, Vec<_>) = calls.into_iter().partition(is_whole);
                whole.into_iter().for_each(|call| self.close_call(call, out));
                self.open = Open::Calls(open);
            }
            open => {
                self.open = open;
                self.close(out);
                self.open = Open::Calls(Vec::new());
            }
        }
        let at = self.place();
        let own_id = self.item_id("fc", at);
        let call_id = if id.is_empty() { self.item_id("call", at) } else { id.to_owned() };
        self.item(out, at, items::function_call(&own_id, &call_id, name, "", IN_PROGRESS), false);
        if let Open::Calls(calls) = &mut self.open {
            let (name, arguments) = (name.to_owned(), String::new());
            calls.push(Call { slot, at, id: call_id, name, arguments });
        }
    }

    pub(super) fn arguments(&mut self, slot: u64, more: &str, out: &mut String) {
        let Open::Calls(calls) = &mut self.open else { return };
        let Some(call) = calls.iter_mut().rev().find(|call| call.slot == slot) else { return };
        call.arguments.push_str(more);
        let at = call.at;
        self.of_item(out, "response.function_call_arguments.delta", (at, "fc"), None, &|json| {
            json.member("delta", more);
        });
    }

    pub(super) fn close_call(&mut self, mut call: Call, out: &mut String) {
        let place = (call.at, "fc");
        if call.arguments.is_empty() {
            call.arguments.push_str("{}");
            self.of_item(out, "response.function_call_arguments.delta", place, None, &|json| {
                json.member("delta", "{}");
            });
        }
        self.of_item(out, "response.function_call_arguments.done", place, None, &|json| {
            json.member("name", &call.name);
            json.member("arguments", &call.arguments);
        });
        let is_whole = serde_json::from_str::<&RawValue>(&call.arguments).is_ok();
        let status = if is_whole { COMPLETED } else { INCOMPLETE };
        let id = self.item_id("fc", call.at);
        let item = items::function_call(&id, &call.id, &call.name, &call.arguments, status);
        self.item(out, call.at, item, true);
    }

    pub(super) fn media(&mut self, media_type: &str, base64: &str, out: &mut String) {
        // The API has no item for another medium.
        let Some(format) = media_type.strip_prefix("image/") else { return };
        self.close(out);
        let at = self.place();
        let id = self.item_id("ig", at);
        self.item(out, at, items::image(&id, format, None), false);
        self.item(out, at, items::image(&id, format, Some(base64)), true);
    }
}

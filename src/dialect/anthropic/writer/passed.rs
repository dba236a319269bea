//! Events of Anthropic's own that pass: the block and its index that the client has seen, so that another origin's follow.

use super::{Kind, Open, Writer};
use crate::dialect::canonical::delta::Delta;
use crate::dialect::format::EventWriter;
use crate::dialect::json::{pick, string, whole_number};
use serde_json::value::RawValue;
use std::borrow::Cow;

fn type_of(raw: Option<&RawValue>) -> Cow<'_, str> {
    let kind = raw.and_then(|raw| pick(raw.get(), &["type"])).and_then(|[kind]| kind);
    kind.and_then(string).unwrap_or_default()
}

impl Writer {
    /// See [`EventWriter::passed`].
    pub(super) fn take_passed(&mut self, name: &str, data: &str, deltas: &[Delta<'_>]) -> bool {
        let Some([kind, index, block, delta]) = pick(data, &["type", "index", "content_block", "delta"])
        else {
            return false;
        };
        let kind = kind.and_then(string).unwrap_or(Cow::Borrowed(name));
        let is_here = index.and_then(whole_number) == Some(self.blocks);
        let mut written = String::new();
        match &*kind {
            "message_start" | "message_delta" | "message_stop" | "ping" => {}
            "content_block_start" if is_here => match &*type_of(block) {
                "text" => self.open(Open::Text, &Kind::Text, &mut written),
                "thinking" => self.open(Open::Thinking(None), &Kind::Thinking, &mut written),
                "redacted_thinking" => {
                    // All of it is in this event, but its end follows.
                    self.open(Open::Thinking(None), &Kind::Thinking, &mut written);
                    return true;
                }
                _ => return false,
            },
            "content_block_delta" if is_here => match &*type_of(delta) {
                "text_delta" | "thinking_delta" | "signature_delta" | "citations_delta" => {}
                _ => return false,
            },
            "content_block_stop" if is_here => {}
            _ => return false,
        }
        deltas.iter().for_each(|delta| self.delta(delta, &mut written));
        self.begun |= kind == "message_start";
        // The client has it.
        if let Open::Thinking(signature) = &mut self.open {
            *signature = None;
        }
        true
    }
}

//! Events of Google's own that pass: the id that the client has seen, so that another origin's follow under it.

use super::Writer;
use crate::dialect::canonical::delta::Delta;
use crate::dialect::format::EventWriter;
use crate::dialect::json::{list, pick, string, whole_number};
use serde_json::value::RawValue;

/// Whether its parts are texts and thoughts. A part holds one thing only (API reference, "Part").
fn is_text(candidate: &RawValue) -> bool {
    let Some([index, content]) = pick(candidate.get(), &["index", "content"]) else { return false };
    let parts = content.and_then(|raw| pick(raw.get(), &["parts"])).and_then(|[parts]| parts);
    index.and_then(whole_number).unwrap_or(0) == 0
        && parts
            .and_then(list)
            .unwrap_or_default()
            .into_iter()
            .all(|part| pick(part.get(), &["text"]).and_then(|[text]| text).and_then(string).is_some())
}

impl Writer {
    /// See [`EventWriter::passed`].
    pub(super) fn take_passed(&mut self, data: &str, deltas: &[Delta<'_>]) -> bool {
        let Some([candidates, id]) = pick(data, &["candidates", "responseId"]) else { return false };
        if !candidates.and_then(list).unwrap_or_default().into_iter().all(is_text) {
            return false;
        }
        if let Some(id) = id.and_then(string).filter(|id| !id.is_empty()) {
            self.head.id = id.into_owned();
        }
        let mut written = String::new();
        deltas.iter().for_each(|delta| self.delta(delta, &mut written));
        self.begun = true;
        // The client has it.
        self.signature = None;
        true
    }
}

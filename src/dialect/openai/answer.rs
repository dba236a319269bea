//! Whole answers.

use super::usage;
use crate::dialect::answer::{AnswerFacts, ErrorForm};
use moegate_wire::Price;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// `None` where it is no JSON object.
pub(super) fn read(body: &[u8], price: &Price) -> Option<AnswerFacts> {
    let Answer { usage: raw, error } = serde_json::from_slice(body).ok()?;
    let usage = raw.and_then(usage::parse);
    let edit = raw.zip(usage).and_then(|(raw, usage)| usage::cost_insertion(body, raw, price.cost(&usage)));
    let error = match error.map(RawValue::get) {
        None | Some("null") => ErrorForm::None,
        Some(text) if text.starts_with('{') => ErrorForm::Readable,
        Some(_) => ErrorForm::Other,
    };
    Some(AnswerFacts { usage, error, edits: edit.into_iter().collect() })
}

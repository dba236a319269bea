//! What answers that the gateway wrote leave in a conversation, and OpenAI itself refuses: thoughts that it has not encrypted,
//! and calls' ids with a signature in them.

use super::super::request::Request;
use super::super::to_json;
use super::items::signature_of;
use crate::dialect::canonical::{Signer, call_id};
use crate::dialect::json::{list, pick, string};
use crate::payload::Edit;
use serde_json::value::RawValue;

/// Ids that OpenAI gives are longer; ours have the request's id in them.
const LONGEST_OWN_ID: usize = 36;

pub(super) fn edits(request: &Request<'_>, edits: &mut Vec<Edit>) {
    let items = request.input().and_then(list).unwrap_or_default();
    let gone: Vec<_> = items.iter().copied().filter(|item| is_foreign_thought(item)).collect();
    // An input of thoughts alone asks nothing; it is the client's mistake, and OpenAI's to tell.
    if !gone.is_empty() && gone.len() < items.len() {
        request.without_elements(&items, &gone, edits);
    }
    for item in items {
        let Some([Some(id)]) = pick(item.get(), &["call_id"]) else { continue };
        let Some(text) = string(id) else { continue };
        if let (own, Some(_)) = call_id::split(text) {
            edits.push(request.replaced(id, to_json(&own)));
        }
    }
}

fn is_foreign_thought(item: &RawValue) -> bool {
    let Some([kind, encrypted, id]) = pick(item.get(), &["type", "encrypted_content", "id"]) else {
        return false;
    };
    if kind.and_then(string).as_deref() != Some("reasoning") {
        return false;
    }
    match encrypted.and_then(string) {
        Some(data) => signature_of(data).0 != Signer::OpenAi,
        None => id.and_then(string).is_some_and(|id| id.len() <= LONGEST_OWN_ID),
    }
}

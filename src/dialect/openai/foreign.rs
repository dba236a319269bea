//! What other providers' answers leave in a conversation, and OpenAI's own models refuse.
//!
//! An answer that came from another provider has members that OpenAI does not know, and its calls' ids may have a signature in
//! them, beyond the 40 characters that OpenAI takes. The client sends all of it back, also where OpenAI is asked next.

use super::request::Request;
use crate::dialect::canonical::call_id;
use crate::dialect::json::{list, pick, pick_with_null, string};
use crate::payload::Edit;
use memchr::memmem;
use serde_json::value::RawValue;

/// What the gateway itself, vLLM, OpenRouter and LiteLLM put into an assistant's message.
const MEMBERS: [&str; 5] =
    ["reasoning_content", "reasoning", "reasoning_details", "images", "provider_specific_fields"];

/// Whether any of it stands in the body: a look that costs little.
pub(super) fn may_be_in(body: &[u8]) -> bool {
    let stands = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    stands(call_id::MARK)
        || stands("\"reasoning")
        || stands("\"images\"")
        || stands("\"provider_specific_fields\"")
}

pub(super) fn edits(request: &Request<'_>, edits: &mut Vec<Edit>) {
    for message in request.messages().and_then(list).unwrap_or_default() {
        if let Some([Some(role), rest @ ..]) = pick_with_null(
            message.get(),
            &["role", MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], MEMBERS[4]],
        ) && string(role).as_deref() == Some("assistant")
        {
            edits.extend(rest.into_iter().flatten().filter_map(|value| request.without(value)));
        }
        let Some([result, calls]) = pick(message.get(), &["tool_call_id", "tool_calls"]) else { continue };
        let calls = calls.and_then(list).unwrap_or_default();
        let ids = calls.into_iter().filter_map(|call| pick(call.get(), &["id"]).and_then(|[id]| id));
        edits.extend(ids.chain(result).filter_map(|id| unsigned(request, id)));
    }
}

fn unsigned(request: &Request<'_>, raw: &RawValue) -> Option<Edit> {
    let (id, signature) = call_id::split(string(raw)?);
    signature.map(|_| request.replaced(raw, super::to_json(&id)))
}

//! Signatures of thoughts within the ids of tool calls.
//!
//! Gemini 3 refuses a tool call in the conversation without the signature of the thought that led to it. A client of another
//! API has no place to keep one but the call's id, which every client sends back. `call_1` becomes
//! `call_1__thought__<signature>`, the signature in base64url, since Anthropic's ids are of `[A-Za-z0-9_-]`.

use std::borrow::Cow;

pub(in crate::dialect) const MARK: &str = "__thought__";

/// The id with the signature in it.
pub(in crate::dialect) fn join<'a>(id: &'a str, signature: Option<&str>) -> Cow<'a, str> {
    match signature {
        None | Some("") => Cow::Borrowed(id),
        Some(signature) => {
            let url_safe = signature.trim_end_matches('=').replace('+', "-").replace('/', "_");
            Cow::Owned(format!("{id}{MARK}{url_safe}"))
        }
    }
}

/// The id as the origin gave it, and the signature in base64.
pub(in crate::dialect) fn split(id: Cow<'_, str>) -> (Cow<'_, str>, Option<String>) {
    let Some(at) = id.find(MARK) else { return (id, None) };
    let mut signature = id[at + MARK.len()..].replace('-', "+").replace('_', "/");
    while !signature.len().is_multiple_of(4) {
        signature.push('=');
    }
    let id = match id {
        Cow::Borrowed(id) => Cow::Borrowed(&id[..at]),
        Cow::Owned(mut id) => {
            id.truncate(at);
            Cow::Owned(id)
        }
    };
    (id, (!signature.is_empty()).then_some(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_travel_in_ids() {
        for signature in ["CiQB+/8=", "QUJD", "QUI="] {
            let joined = join("call_1", Some(signature)).into_owned();
            assert!(joined.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{joined}");
            assert_eq!(split(joined.into()), ("call_1".into(), Some(signature.to_owned())));
        }
        assert_eq!(join("call_1", None), "call_1");
        assert_eq!(split("call_1".into()), ("call_1".into(), None));
    }
}

//! What a tool is called with, for APIs that want an object.

use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A call's arguments as a JSON object. What is none, since a model made it up, was cut short, or a client wrote something
/// else, becomes a member of one: nothing of it is ever JSON around it.
pub(in crate::dialect) fn as_object(arguments: &str) -> Cow<'_, str> {
    let text = arguments.trim();
    if text.is_empty() {
        return Cow::Borrowed("{}");
    }
    if text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut json = JsonWriter::default();
    json.object(|json| json.member("arguments", text));
    Cow::Owned(json.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_object_comes_out() {
        for (arguments, expected) in [
            ("", "{}"),
            (" {\"a\":1} ", "{\"a\":1}"),
            ("[1]", r#"{"arguments":"[1]"}"#),
            (r#"{"a":"#, r#"{"arguments":"{\"a\":"}"#),
            (r#"{}}}],"guardrailConfig":{"#, r#"{"arguments":"{}}}],\"guardrailConfig\":{"}"#),
        ] {
            assert_eq!(as_object(arguments), expected);
            assert!(
                serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&as_object(arguments)).is_ok()
            );
        }
    }
}

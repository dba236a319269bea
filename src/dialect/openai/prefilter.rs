//! Which events of a stream need a parse. Most hold a piece of text and nothing else, so this is one pass over their bytes.

/// Names of members that make an event worth a parse unless they are null.
const NAMES: [&[u8]; 3] = [b"\"usage\"", b"\"error\"", b"\"finish_reason\""];

/// Whether an event may hold counts, an error, a finish reason or the end mark. `"usage":null` and `"finish_reason":null`,
/// which OpenAI's every chunk has, are none.
pub(super) fn is_interesting(event: &[u8]) -> bool {
    let mut is_chunk = begins_as_chunk(event);
    let mut rest = event;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'[')) {
        let here = &rest[at..];
        rest = &here[1..];
        match rest.first() {
            Some(b'u' | b'e' | b'f')
                if NAMES.iter().any(|name| here.strip_prefix(*name).is_some_and(is_given)) =>
            {
                return true;
            }
            Some(b'D') if here.starts_with(b"[DONE]") => return true,
            Some(b'c') => is_chunk |= here.starts_with(b"\"choices\""),
            _ => {}
        }
    }
    !is_chunk
}

/// Whether the first member is one that chunks begin with: `id`, `object`, `choices`, `created`, `model`. Errors without the
/// member `error` begin otherwise, or with `"object":"error"`.
fn begins_as_chunk(event: &[u8]) -> bool {
    let name = event.strip_prefix(b"data: {\"").and_then(|rest| rest.first_chunk::<2>());
    matches!(name, Some(b"id" | b"ob" | b"ch" | b"cr" | b"mo"))
}

/// Whether what follows a name is a value other than null, or no value: then the name is one itself (`"object":"error"`).
fn is_given(after: &[u8]) -> bool {
    let Some(value) = after.trim_ascii_start().strip_prefix(b":") else { return true };
    !value.trim_ascii_start().starts_with(b"null")
}

#[cfg(test)]
mod tests {
    use super::is_interesting;

    #[test]
    fn pieces_of_text_are_not() {
        for event in [
            r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#,
            r#"data: {"choices":[{"delta":{"content":"e"},"finish_reason" : null}]}"#,
            r#"data: {"x":1,"choices":[{"delta":{"content":"[D"}}]}"#,
            r#"data:{"id":"c","choices":[]}"#,
        ] {
            assert!(!is_interesting(event.as_bytes()), "{event}");
        }
    }

    #[test]
    fn counts_errors_ends_and_unknown_shapes_are() {
        for event in [
            "data: [DONE]",
            "data:[DONE]",
            r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1}}"#,
            r#"data: {"id":"c","choices":[],"usage":null,"x":{"usage" : {}}}"#,
            r#"data: {"id":"c","choices":[{"finish_reason":"stop"}]}"#,
            r#"data: {"id":"c","error":{}}"#,
            r#"data: {"object":"error","message":"m"}"#,
            r#"data: {"message":"m"}"#,
            ": a comment",
            "",
        ] {
            assert!(is_interesting(event.as_bytes()), "{event}");
        }
    }
}

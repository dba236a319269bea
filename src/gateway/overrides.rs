//! Members by which a client would choose where its request goes, or with whose key.
//!
//! Proxies have honoured them at any depth, and sent their key to whoever asked (LiteLLM, CVE-2024-6587). No origin of a
//! configuration wants them from a client. What only describes data is not looked into: the schema of a tool may well have a
//! property of that name, and so may its arguments.

use crate::config::is_same_field;
use crate::error::{ApiError, shown_name};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

const FORBIDDEN: [&str; 3] = ["api_base", "base_url", "api_key"];

/// Values of these are data: JSON Schemas, and what tools are called with and answer (Gemini's `response`, the AI SDK's `value`). `input` is one where it is an object
/// (Anthropic's tool calls; OpenAI's Responses have the conversation there, a list).
const DATA: [&str; 14] = [
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "input_schema",
    "inputSchema",
    "schema",
    "response_schema",
    "responseSchema",
    "responseJsonSchema",
    "args",
    "arguments",
    "input",
    "response",
    "value",
];

/// The shortest and longest spelling of a forbidden name, escapes aside.
const LENGTHS: std::ops::RangeInclusive<usize> = 6..=12;

/// # Errors
/// 400 that names the member. What is no JSON is for others to refuse.
pub(super) fn refuse(body: &[u8]) -> Result<(), ApiError> {
    // What is no object is no JSON for an origin: files, forms.
    let start = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    if !start.starts_with(b"{") {
        return Ok(());
    }
    let mut at = 0;
    while let Some(found) = body.get(at..).and_then(|rest| memchr(b'"', rest)) {
        let start = at + found + 1;
        let Some(end) = end_of_string(body, start) else { return Ok(()) };
        at = end + 1;
        let rest = body[at..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":") else { continue };
        let name = &body[start..end];
        if LENGTHS.contains(&name.len()) || name.contains(&b'\\') || !name.is_ascii() {
            let name = decoded(name);
            if FORBIDDEN.iter().any(|forbidden| is_same_field(forbidden, &name)) {
                return Err(ApiError::endpoint_override(&shown_name(&name)));
            }
        }
        if DATA.iter().any(|data| data.as_bytes() == name) && value.trim_ascii_start().starts_with(b"{") {
            let open = body.len() - value.trim_ascii_start().len();
            match end_of_object(body, open) {
                Some(end) => at = end,
                None => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Where the string that begins at `start`, after its quote, ends: at its quote.
fn end_of_string(body: &[u8], mut start: usize) -> Option<usize> {
    loop {
        let at = start + memchr2(b'"', b'\\', body.get(start..)?)?;
        if body[at] == b'"' {
            return Some(at);
        }
        start = at + 2;
    }
}

/// Just past the object that begins at `open`.
fn end_of_object(body: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = open;
    loop {
        match body.get(at)? {
            b'"' => at = end_of_string(body, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// A name without JSON's escapes.
fn decoded(name: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(name);
    if !name.contains(&b'\\') {
        return text;
    }
    match serde_json::from_str(&format!("\"{text}\"")) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_choose_no_endpoints() {
        for body in [
            r#"{"model":"m","api_base":"https://evil.example"}"#,
            r#"{"model":"m","metadata":{"x":[{"base_url":"https://evil.example"}]}}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"x","api_key" : "k"}]}"#,
            r#"{"model":"m","extra_body":{"apiBase":1}}"#,
            r#"{"model":"m","extra_body":{"API-KEY":1}}"#,
            r#"{"model":"m","api\u005fbase":1}"#,
            r#"{"model":"m","input":[{"api_key":1}]}"#,
            r#"{"tools":[{"input_schema":{"a":"\"}"},"base_url":1}]}"#,
        ] {
            let error = refuse(body.as_bytes()).unwrap_err();
            assert_eq!((error.status, error.code), (400, "field_not_allowed"), "{body}");
        }
    }

    #[test]
    fn data_may_have_any_names() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"{\"api_key\": 1}, \"base_url\": 2"}]}"#,
            r#"{"tools":[{"function":{"parameters":{"type":"object","properties":{"api_key":{"type":"string"}}}}}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"base_url":"x"}}]}]}"#,
            r#"{"output":{"type":"json","value":{"api_key":"x"}}}"#,
            r#"{"a":["api_key"],"b":"api_base"}"#,
            r#"{"api_keys":1,"my_base_url":2}"#,
            r#"{"a":"unfinished"#,
            r#"{"input":{"api_key":"#,
        ] {
            assert_eq!(refuse(body.as_bytes()), Ok(()), "{body}");
        }
    }
}

//! What a response repeats of its request (*The response object*), with OpenAI's defaults for what was not said.

use crate::dialect::json::pick;
use crate::dialect::json_writer::JsonWriter;

/// Members and what they are where the request says nothing.
const MEMBERS: [(&str, &str); 16] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The same for every response: nothing is stored, and none refers to another.
const FIXED: &str =
    r#""background":false,"previous_response_id":null,"service_tier":"default","store":false"#;

const NAMES: [&str; MEMBERS.len()] = {
    let mut names = [""; MEMBERS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = MEMBERS[at].0;
        at += 1;
    }
    names
};

/// The members as JSON, without braces. `None` where the body is no object.
pub(super) fn of(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let found = pick(text.trim_start_matches('\u{feff}'), &NAMES)?;
    let mut json = JsonWriter::default();
    for ((name, usual), said) in MEMBERS.into_iter().zip(found) {
        // On one line: it becomes part of an event's data.
        let value = said.map_or_else(|| usual.to_owned(), |raw| raw.get().replace(['\r', '\n'], " "));
        json.key(name).raw(&value);
    }
    json.raw(FIXED);
    Some(json.into_string())
}

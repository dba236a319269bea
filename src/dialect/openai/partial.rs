//! Keeps a [`Partial`] from the events of a stream of OpenAI's, and takes out of them what is between servers.

use crate::dialect::json::{member, span};
use crate::dialect::partial::Partial;
use crate::json::from_bytes;
use crate::payload::{Edit, edited, sort_edits};
use crate::stream::sse;
use moegate_wire::resume::Handle;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    moegate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

/// What becomes of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    Same,
    /// It says nothing that the client does not know.
    Drop,
    /// Its data, instead.
    Data(Vec<u8>),
}

/// Takes in an event of the stream.
pub(super) fn take_in(partial: &mut Partial, data: &[u8]) -> Edited {
    let Ok(chunk) = from_bytes::<Chunk<'_>>(data) else {
        // Content of another form, such as a list of parts; anything but an object is none.
        if data.trim_ascii_start().starts_with(b"{") {
            partial.lose();
        }
        return Edited::Same;
    };
    let before = partial.events;
    let handle = chunk.moegate.and_then(|raw| serde_json::from_str::<Handle>(raw.get()).ok());
    let (tokens, exact) = (handle.as_ref().map_or(0, |handle| handle.tokens.len()), handle.is_some());
    if let Some(handle) = handle {
        partial.tokens.extend(handle.tokens);
        partial.vocabulary = handle.vocab;
    }
    let mut finished = false;
    for choice in chunk.choices.iter().flatten() {
        finished |= choice.finish_reason.is_some_and(|reason| reason.get() != "null");
        partial.blocked |= choice.index > 0;
        add_choice(partial, choice);
    }
    partial.beyond_tokens |= partial.events > before && !exact;
    let has_choices = chunk.choices.is_some_and(|choices| !choices.is_empty());
    let silent = partial.events == before && !finished && tokens == 0 && chunk.usage.is_none();
    if partial.resumed && has_choices && silent {
        // The role once more.
        return Edited::Drop;
    }
    partial.bound();
    edit(partial, data, chunk.id, chunk.moegate)
}

fn add_choice(partial: &mut Partial, choice: &Choice<'_>) {
    let says = |raw: Option<&RawValue>| raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]"));
    let content = choice.delta.as_ref().and_then(|delta| delta.content.as_deref());
    let text = content.or(choice.text.as_deref()).unwrap_or("");
    partial.text.push_str(text);
    let mut event = !text.is_empty();
    if let Some(delta) = &choice.delta {
        if says(delta.tool_calls) || says(delta.function_call) || says(delta.refusal) {
            partial.blocked = true;
            event = true;
        }
        event |= says(delta.reasoning_content) || says(delta.reasoning);
    }
    partial.events += u64::from(event);
}

/// The data with the first stream's id and without the handle, which is between servers.
fn edit(partial: &mut Partial, data: &[u8], id: Option<&RawValue>, handle: Option<&RawValue>) -> Edited {
    if partial.id.is_none() {
        partial.id = id.map(|id| id.get().to_owned());
    }
    let mut edits = Vec::new();
    if let (Some(own), Some(id)) = (&partial.id, id)
        && own != id.get()
    {
        edits.push(Edit { span: span(data, id), text: own.clone() });
    }
    if let Some(range) = handle.and_then(|raw| member(data, span(data, raw))) {
        edits.push(Edit { span: range, text: String::new() });
    }
    if edits.is_empty() {
        return Edited::Same;
    }
    sort_edits(&mut edits);
    Edited::Data(edited(data, edits))
}

/// The event with other data.
pub(super) fn with_data(event: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 16);
    for line in sse::other_lines(event) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::partial::MOST_BYTES;

    fn taken(partial: &mut Partial, data: &str) -> Option<String> {
        match take_in(partial, data.as_bytes()) {
            Edited::Same => Some(data.to_owned()),
            Edited::Drop => None,
            Edited::Data(data) => Some(String::from_utf8(data).unwrap()),
        }
    }

    #[test]
    fn text_tokens_and_id_are_kept_and_the_handle_is_taken_out() {
        let mut partial = Partial::default();
        for (data, expected) in [
            (
                r#"{"id":"a","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"id":"a","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            ),
            (
                r#"{"id":"a","choices":[{"delta":{"content":"H\u00e9 "}}],"moegate":{"tokens":[5,6],"vocab":"v"}}"#,
                r#"{"id":"a","choices":[{"delta":{"content":"H\u00e9 "}}]}"#,
            ),
            (
                r#"{"moegate":{"tokens":[7],"vocab":"v"},"id":"a","choices":[{"delta":{"content":"l"}}]}"#,
                r#"{"id":"a","choices":[{"delta":{"content":"l"}}]}"#,
            ),
            (r#"{ "moegate": {"tokens":[8],"vocab":"v"} }"#, "{ }"),
            ("not json", "not json"),
        ] {
            let got = taken(&mut partial, data).unwrap();
            assert_eq!(got.replace("{  }", "{ }"), expected, "{data}");
        }
        assert_eq!(
            (partial.text.as_str(), &partial.tokens[..], partial.vocabulary.as_str()),
            ("Hé l", &[5, 6, 7, 8][..], "v")
        );
        assert!(partial.has_all_tokens() && partial.has_text_only());
        assert_eq!(partial.events, 2);
    }

    #[test]
    fn the_second_stream_looks_like_the_first() {
        let mut partial = Partial::default();
        taken(&mut partial, r#"{"id":"a","choices":[{"delta":{"content":"One"}}]}"#);
        partial.resume();
        assert_eq!(taken(&mut partial, r#"{"id":"b","choices":[{"delta":{"role":"assistant"}}]}"#), None);
        assert_eq!(
            taken(&mut partial, r#"{"id":"b","choices":[{"delta":{"content":" two"}}]}"#).unwrap(),
            r#"{"id":"a","choices":[{"delta":{"content":" two"}}]}"#
        );
        let last = r#"{"id":"b","choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        assert_eq!(taken(&mut partial, last).unwrap(), last.replace("\"b\"", "\"a\""));
        let usage = r#"{"id":"b","choices":[],"usage":{}}"#;
        assert_eq!(taken(&mut partial, usage).unwrap(), usage.replace("\"b\"", "\"a\""));
        assert_eq!(partial.text, "One two");
        assert!(!partial.has_all_tokens());
    }

    #[test]
    fn tokens_count_only_while_they_are_all() {
        let mut partial = Partial::default();
        taken(
            &mut partial,
            r#"{"choices":[{"delta":{"content":"One"}}],"moegate":{"tokens":[5],"vocab":"v"}}"#,
        );
        // Text that was held back, whose tokens are known already.
        taken(&mut partial, r#"{"choices":[{"delta":{"content":"."}}],"moegate":{"tokens":[],"vocab":"v"}}"#);
        assert!(partial.has_all_tokens());
        partial.resume();
        taken(&mut partial, r#"{"choices":[{"delta":{"content":" two"}}]}"#);
        assert!(!partial.has_all_tokens(), "another origin's text has no tokens");
        assert!(partial.has_text_only());
    }

    #[test]
    fn a_repeated_role_is_dropped_but_not_its_counts() {
        let mut partial = Partial::default();
        taken(&mut partial, r#"{"choices":[{"delta":{"content":"One"}}]}"#);
        partial.resume();
        let counts = r#"{"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":1}}"#;
        assert_eq!(taken(&mut partial, counts).as_deref(), Some(counts));
    }

    #[test]
    fn what_is_without_end_is_not_kept() {
        let mut partial = Partial::default();
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1024 * 1024));
        for _ in 0..10 {
            taken(&mut partial, &chunk);
            assert!(partial.text.len() <= MOST_BYTES);
        }
        assert!(!partial.has_text_only() && !partial.has_all_tokens());
    }

    #[test]
    fn what_nobody_can_go_on_with() {
        for data in [
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"refusal":"no"}}]}"#,
        ] {
            let mut partial = Partial::default();
            taken(&mut partial, data);
            assert!(!partial.has_text_only(), "{data}");
            assert!(!partial.has_all_tokens(), "{data}");
        }
    }
}

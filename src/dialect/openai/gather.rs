//! A whole stream as the one answer that was asked for.

use super::form::to_json;
use super::{chunk::Chunk, classify};
use crate::dialect::Gathered;
use crate::stream::sse;
use serde_json::{Map, Value};

/// Puts the events together. Texts of a delta are joined, calls by their index; of anything else the last one holds.
pub(super) fn answer_of(stream: &[u8]) -> Gathered {
    let text = String::from_utf8_lossy(stream);
    let bytes = text.trim_start_matches('\u{feff}').as_bytes();
    let mut answer = Answer::default();
    let (mut start, mut done) = (0, false);
    while !done && start < bytes.len() {
        // The last event may have no blank line after it; half an event has no whole data.
        let end = sse::end(bytes, start).unwrap_or(bytes.len());
        let data = sse::data(&bytes[start..end]);
        start = end;
        let Some(data) = data.filter(|data| !data.trim_ascii().is_empty()) else { continue };
        done = data.trim_ascii() == b"[DONE]";
        if done {
            break;
        }
        if is_error(&data) {
            return Gathered::Error(data.into_owned());
        }
        match serde_json::from_slice(&data) {
            Ok(chunk) => answer.add(chunk),
            Err(_) if answer.is_empty() => return Gathered::Malformed,
            Err(_) => return Gathered::Truncated,
        }
    }
    if answer.is_empty() {
        return Gathered::Malformed;
    }
    if done || answer.is_finished() {
        Gathered::Answer(answer.text().into_bytes())
    } else {
        Gathered::Truncated
    }
}

fn is_error(data: &[u8]) -> bool {
    let is_chunk = Chunk::read(data).is_some_and(|chunk| chunk.choices.is_some() && chunk.error.is_none());
    // Most chunks hold no error, and then nothing is taken apart.
    let hints = is_chunk && memchr::memmem::find(data, b"\"error\"").is_none();
    !hints && classify::error_of(200, data).is_some()
}

#[derive(Default)]
struct Answer {
    members: Map<String, Value>,
    choices: Vec<Map<String, Value>>,
}

impl Answer {
    fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    fn is_finished(&self) -> bool {
        let reason = |choice: &Map<String, Value>| {
            choice
                .get("finish_reason")
                .and_then(Value::as_str)
                .is_some_and(|reason| !matches!(reason, "" | "null"))
        };
        self.choices.iter().all(reason)
    }

    fn add(&mut self, chunk: Map<String, Value>) {
        for (name, value) in chunk {
            match value {
                Value::Array(choices) if name == "choices" => {
                    for choice in choices {
                        self.add_choice(choice);
                    }
                }
                Value::Null => {}
                value => {
                    self.members.insert(name, value);
                }
            }
        }
    }

    fn add_choice(&mut self, choice: Value) {
        let Value::Object(choice) = choice else { return };
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
        let at = self.choices.iter().position(|own| own.get("index") == Some(&index));
        let at = at.unwrap_or_else(|| {
            self.choices.push(Map::from_iter([("index".to_owned(), index)]));
            self.choices.len() - 1
        });
        let own = &mut self.choices[at];
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("index", _) => {}
                ("delta", Value::Object(delta)) => {
                    let message = own.entry("message").or_insert_with(|| Map::new().into());
                    if let Value::Object(message) = message {
                        merge(message, delta);
                    }
                }
                ("finish_reason", Value::Null) if own.contains_key("finish_reason") => {}
                ("text" | "logprobs", value) => join(own, name, value),
                (_, value) => {
                    own.insert(name, value);
                }
            }
        }
    }

    fn text(self) -> String {
        let Self { mut members, mut choices } = self;
        let chunk = members.get("object").and_then(Value::as_str) == Some("chat.completion.chunk");
        if chunk {
            members.insert("object".to_owned(), "chat.completion".into());
        }
        for choice in &mut choices {
            let Some(Value::Object(message)) = choice.get_mut("message") else { continue };
            message.entry("role").or_insert_with(|| "assistant".into());
            message.entry("content").or_insert(Value::Null);
            for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::Object(call) = call {
                    call.remove("index");
                }
            }
        }
        choices.sort_by_key(|choice| choice.get("index").and_then(Value::as_u64));
        members.insert("choices".to_owned(), choices.into_iter().map(Value::Object).collect());
        to_json(&members)
    }
}

/// Adds a delta's members to a message's.
fn merge(message: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, value) in delta {
        match (name.as_str(), value) {
            // Said once, or again with every piece.
            ("role" | "id" | "type" | "name", value) => {
                if !value.is_null() {
                    message.insert(name, value);
                }
            }
            ("tool_calls", Value::Array(calls)) => {
                let own = message.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(own) = own {
                    calls.into_iter().for_each(|call| add_call(own, call));
                }
            }
            (_, value) => join(message, name, value),
        }
    }
}

/// A piece of a call goes to the one of its index; a call without one is new.
fn add_call(own: &mut Vec<Value>, call: Value) {
    let index = call.get("index").cloned();
    let known = own.iter_mut().find(|known| index.is_some() && known.get("index") == index.as_ref());
    match (known, call) {
        (Some(Value::Object(known)), Value::Object(call)) => merge(known, call),
        (_, call) => own.push(call),
    }
}

/// Joins texts and lists, and what is within objects; of other values the last one holds.
fn join(into: &mut Map<String, Value>, name: String, value: Value) {
    match (into.get_mut(&name), value) {
        (Some(Value::String(own)), Value::String(more)) => own.push_str(&more),
        (Some(Value::Array(own)), Value::Array(more)) => own.extend(more),
        (Some(Value::Object(own)), Value::Object(more)) => merge(own, more),
        (Some(_), Value::Null) => {}
        (_, value) => {
            into.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(events: &[&str]) -> Gathered {
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        answer_of(stream.as_bytes())
    }

    /// Compared as JSON: the order of members depends on features that others choose for serde_json.
    fn expect(events: &[&str], expected: &str) {
        let Gathered::Answer(answer) = gathered(events) else { panic!("{events:?}") };
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!(value(&answer), value(expected.as_bytes()));
    }

    #[test]
    fn texts_are_joined_and_the_last_counts_hold() {
        expect(
            &[
                r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
                r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hel","reasoning_content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":1}}"#,
                r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"lo","reasoning_content":"b"},"finish_reason":"stop"}]}"#,
                r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
                "[DONE]",
            ],
            r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hello","reasoning_content":"ab","role":"assistant"}}],"id":"c","model":"m","object":"chat.completion","usage":{"completion_tokens":2,"prompt_tokens":1}}"#,
        );
    }

    #[test]
    fn calls_are_put_together_by_their_index() {
        expect(
            &[
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            ],
            r#"{"choices":[{"finish_reason":"tool_calls","index":0,"message":{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"x\":1}","name":"f"},"id":"a","type":"function"},{"function":{"arguments":"{}","name":"g"},"id":"b","type":"function"}]}}]}"#,
        );
    }

    #[test]
    fn logprobs_and_texts_of_old_completions_are_joined() {
        expect(
            &[
                r#"{"object":"text_completion","choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"]},"finish_reason":null}]}"#,
                r#"{"object":"text_completion","choices":[{"index":0,"text":"b","logprobs":{"tokens":["b"]},"finish_reason":"length"}]}"#,
            ],
            r#"{"choices":[{"finish_reason":"length","index":0,"logprobs":{"tokens":["a","b"]},"text":"ab"}],"object":"text_completion"}"#,
        );
    }

    #[test]
    fn what_is_no_whole_stream() {
        let one = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let error = r#"{"error":{"message":"m"}}"#;
        assert_eq!(gathered(&[one]), Gathered::Truncated);
        assert_eq!(gathered(&[one, "{\"cho"]), Gathered::Truncated);
        assert_eq!(gathered(&[one, error]), Gathered::Error(error.into()));
        assert_eq!(gathered(&["[DONE]"]), Gathered::Malformed);
        assert_eq!(gathered(&["text"]), Gathered::Malformed);
        assert_eq!(gathered(&[]), Gathered::Malformed);
        // One index is finished, the other is cut.
        let two = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{"content":"a"}}]}"#;
        assert_eq!(gathered(&[two]), Gathered::Truncated);
    }

    #[test]
    fn comments_other_fields_and_bytes_that_are_no_text_do_not_matter() {
        let stream = b": c\n\nevent: x\ndata: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"\xff\"},\"finish_reason\":\"stop\"}]}\r\n\r\n";
        let Gathered::Answer(answer) = answer_of(stream) else { panic!() };
        assert!(String::from_utf8(answer).unwrap().contains("\"content\":\"\u{fffd}\""));
    }
}

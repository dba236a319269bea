//! A whole stream as the one answer that was asked for.

use super::form::to_json;
use super::split::{MOST_CHOICES, is_simple};
use super::{chunk::Chunk, form};
use crate::dialect::Gathered;
use crate::dialect::counts::Counts;
use crate::dialect::{errors, usage};
use crate::json::from_bytes;
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
        let event = &bytes[start..end];
        start = end;
        if let Some(line) = sse::other_lines(event).find_map(|line| line.strip_prefix(b"error:")) {
            return Gathered::Error(form::wrapped_error(line.trim_ascii()));
        }
        let data = sse::data(event);
        let Some(data) = data.filter(|data| !data.trim_ascii().is_empty()) else { continue };
        done = data.trim_ascii() == b"[DONE]";
        if done {
            break;
        }
        if is_error(&data) {
            return Gathered::Error(data.into_owned());
        }
        if sse::is_named_error(event) {
            return Gathered::Error(form::wrapped_error(data.trim_ascii()));
        }
        let chunk = if is_simple(&data) { from_bytes(&data).ok() } else { None };
        match chunk {
            Some(chunk) => {
                answer.count(&data);
                answer.add(chunk);
            }
            None if answer.is_empty() => return Gathered::Malformed,
            None => return Gathered::Truncated(answer.counts, answer.events),
        }
    }
    if answer.is_empty() || answer.too_large {
        return Gathered::Malformed;
    }
    if done || answer.is_finished() {
        Gathered::Answer(answer.text().into_bytes())
    } else {
        Gathered::Truncated(answer.counts, answer.events)
    }
}

fn is_error(data: &[u8]) -> bool {
    let is_chunk = Chunk::read(data).is_some_and(|chunk| chunk.choices.is_some() && chunk.error.is_none());
    // Most chunks hold no error, and then nothing is taken apart.
    let hints = is_chunk && memchr::memmem::find(data, b"\"error\"").is_none();
    !hints && errors::error_of(200, data).is_some()
}

#[derive(Default)]
struct Answer {
    members: Map<String, Value>,
    choices: Vec<Map<String, Value>>,
    counts: Option<Counts>,
    /// Events with choices: about as many tokens.
    events: u64,
    /// More answers, calls or elements than any answer has.
    too_large: bool,
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

    /// Counts only grow: zeros that come last take nothing away.
    fn count(&mut self, data: &[u8]) {
        let Some(chunk) = Chunk::read(data) else { return };
        let choices = chunk.choices.as_deref().unwrap_or_default();
        self.events += u64::from(!choices.is_empty());
        if let Some(found) = usage::find(chunk.usage, chunk.counts, choices) {
            self.counts.get_or_insert_default().grow(found.reading.counts);
        }
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
        if at.is_none() && self.choices.len() >= MOST_CHOICES {
            self.too_large = true;
            return;
        }
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
                (_, Value::Null) if own.contains_key(&name) => {}
                (_, value) => {
                    own.insert(name, value);
                }
            }
        }
    }

    fn text(self) -> String {
        let Self { mut members, mut choices, counts, .. } = self;
        // Where several events told parts of them, or zeros came last.
        let told = members.get("usage").map(to_json);
        let told =
            told.as_deref().and_then(|told| usage::find(serde_json::from_str(told).ok(), [None; 4], &[]));
        if let Some(counts) = counts
            && told.is_none_or(|told| told.reading.counts.usage != counts.usage)
        {
            members.insert("usage".to_owned(), usage::object(&counts.usage));
        }
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
    let is_full = own.len() >= MOST_CHOICES;
    let known = own.iter_mut().find(|known| index.is_some() && known.get("index") == index.as_ref());
    match (known, call) {
        (Some(Value::Object(known)), Value::Object(call)) => merge(known, call),
        // More calls than that are in no answer.
        (_, call) if !is_full => own.push(call),
        _ => {}
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
    fn counts_only_grow() {
        expect(
            &[
                r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":0}}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":5}}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
            ],
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
        );
        let cut = r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
        let Gathered::Truncated(Some(counts), 1) = gathered(&[cut]) else { panic!() };
        assert_eq!((counts.usage.prompt, counts.usage.completion), (9, 1));
    }

    #[test]
    fn more_answers_than_anybody_asks_for_are_none() {
        let choices: Vec<_> =
            (0..200).map(|index| format!(r#"{{"index":{index},"delta":{{"content":"a"}}}}"#)).collect();
        let chunk = format!(r#"{{"choices":[{}]}}"#, choices.join(","));
        assert_eq!(gathered(&[&chunk, "[DONE]"]), Gathered::Malformed);
    }

    #[test]
    fn errors_by_name() {
        let expected = Gathered::Error(br#"{"error":"gone"}"#.to_vec());
        assert_eq!(answer_of(b"event: error\ndata: gone\n\n"), expected);
        assert_eq!(answer_of(b"error: \"gone\"\n\n"), expected);
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
        assert_eq!(gathered(&[one]), Gathered::Truncated(None, 1));
        assert_eq!(gathered(&[one, "{\"cho"]), Gathered::Truncated(None, 1));
        assert_eq!(gathered(&[one, error]), Gathered::Error(error.into()));
        assert_eq!(gathered(&["[DONE]"]), Gathered::Malformed);
        assert_eq!(gathered(&["text"]), Gathered::Malformed);
        assert_eq!(gathered(&[]), Gathered::Malformed);
        // One index is finished, the other is cut.
        let two = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{"content":"a"}}]}"#;
        assert_eq!(gathered(&[two]), Gathered::Truncated(None, 1));
    }

    #[test]
    fn comments_other_fields_and_bytes_that_are_no_text_do_not_matter() {
        let stream = b": c\n\nevent: x\ndata: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"\xff\"},\"finish_reason\":\"stop\"}]}\r\n\r\n";
        let Gathered::Answer(answer) = answer_of(stream) else { panic!() };
        assert!(String::from_utf8(answer).unwrap().contains("\"content\":\"\u{fffd}\""));
    }
}

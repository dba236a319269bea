//! One whole answer as the stream that was asked for.

use super::form::to_json;
use serde_json::{Map, Value, json};

/// Members of every chunk.
const HEAD: [&str; 6] = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];
/// More answers are asked of no origin.
pub(super) const MOST_CHOICES: usize = 128;
/// Values in an answer: each takes many times its bytes in memory.
const MOST_VALUES: usize = 200_000;

/// Whether a JSON text has few enough values to be taken apart.
pub(super) fn is_simple(text: &[u8]) -> bool {
    memchr::memchr3_iter(b'{', b'[', b',', text).nth(MOST_VALUES).is_none()
}

fn is_too_long(name: &str, value: &Value) -> bool {
    HEAD.contains(&name) && value.as_str().is_some_and(|text| text.len() > 1024)
}

/// The events of it, with the end mark. `None` where it is no answer with choices.
pub(super) fn stream_of(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    if !is_simple(text.as_bytes()) {
        return None;
    }
    let mut answer: Map<String, Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let Some(Value::Array(choices)) = answer.remove("choices") else { return None };
    let is_large =
        choices.len() > MOST_CHOICES || answer.iter().any(|(name, value)| is_too_long(name, value));
    if choices.is_empty() || is_large || answer.get("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let usage = answer.remove("usage").filter(|usage| !usage.is_null());
    if answer.get("object").and_then(Value::as_str).is_none_or(|object| object == "chat.completion") {
        answer.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    // What is not the chunk's head goes out once: repeated in each event it could be many times the answer.
    let mut others = Map::new();
    for name in answer.keys().filter(|name| !HEAD.contains(&name.as_str())).cloned().collect::<Vec<_>>() {
        others.extend(answer.remove(&name).map(|value| (name, value)));
    }
    let mut out = String::with_capacity(body.len() + 1024);
    let mut event = |choices: Value, usage: Option<Value>| {
        let mut chunk = answer.clone();
        chunk.append(&mut others);
        chunk.insert("choices".to_owned(), choices);
        chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        out.push_str("data: ");
        out.push_str(&to_json(&chunk));
        out.push_str("\n\n");
    };
    for (at, choice) in choices.into_iter().enumerate() {
        let Value::Object(mut choice) = choice else { return None };
        let index = choice.get("index").cloned().unwrap_or_else(|| at.into());
        choice.insert("index".to_owned(), index.clone());
        // An old completion has its text beside the reason, in chunks too.
        if let Some(message) = choice.remove("message") {
            let Value::Object(mut delta) = message else { return None };
            if let Some(Value::Array(calls)) = delta.get_mut("tool_calls") {
                number(calls);
            }
            let reason = choice.insert("finish_reason".to_owned(), Value::Null).unwrap_or(Value::Null);
            choice.insert("delta".to_owned(), Value::Object(delta));
            event(json!([choice]), None);
            event(json!([{ "index": index, "delta": {}, "finish_reason": reason }]), None);
        } else {
            event(json!([choice]), None);
        }
    }
    if let Some(usage) = usage {
        event(json!([]), Some(usage));
    }
    out.push_str("data: [DONE]\n\n");
    Some(out.into_bytes())
}

/// Calls within a delta have an index, by which clients put their pieces together.
fn number(calls: &mut [Value]) {
    for (at, call) in calls.iter_mut().enumerate() {
        if let Value::Object(call) = call {
            call.entry("index").or_insert_with(|| at.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::answer_of;
    use super::*;
    use crate::dialect::Gathered;

    fn events(body: &str) -> Option<Vec<String>> {
        let stream = String::from_utf8(stream_of(body.as_bytes())?).unwrap();
        Some(stream.split_terminator("\n\n").map(|event| event.replacen("data: ", "", 1)).collect())
    }

    #[test]
    fn an_answer_becomes_deltas_a_reason_counts_and_an_end() {
        let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning":"r"},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":1},"x":[1]}"#;
        let chunk = |choices: Value, usage: Option<Value>| {
            let mut chunk =
                json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m" });
            chunk["choices"] = choices;
            if let Some(usage) = usage {
                chunk["usage"] = usage;
            }
            chunk
        };
        let delta = json!({ "role": "assistant", "content": "Hi", "reasoning": "r" });
        let mut expected = [
            chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null, "logprobs": null }]), None),
            chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), None),
            chunk(json!([]), Some(json!({ "prompt_tokens": 1 }))),
        ];
        expected[0]["x"] = json!([1]);
        let events = events(body).unwrap();
        assert_eq!(events.last().unwrap(), "[DONE]");
        let values = events[..3].iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
        assert!(values.eq(expected), "{events:?}");
    }

    #[test]
    fn what_is_split_gathers_to_the_same() {
        for body in [
            r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \u00e9"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"Hi","finish_reason":"length"}]}"#,
        ] {
            let Gathered::Answer(answer) = answer_of(&stream_of(body.as_bytes()).unwrap()) else {
                panic!("{body}")
            };
            let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
            assert_eq!(value(&answer), value(body.as_bytes()));
        }
    }

    #[test]
    fn a_stream_is_not_many_times_the_answer() {
        let choices = vec![r#"{"message":{"content":"a"}}"#; 100].join(",");
        let body = format!(r#"{{"id":"c","x":"{}","choices":[{choices}]}}"#, "x".repeat(1 << 20));
        assert!(stream_of(body.as_bytes()).unwrap().len() < 2 * body.len());
        let many = vec!["{}"; 200_000].join(",");
        assert_eq!(stream_of(format!(r#"{{"x":[{many}],"choices":[{choices}]}}"#).as_bytes()), None);
    }

    #[test]
    fn what_is_no_answer_is_not_split() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[1]}"#,
            r#"{"choices":[{"message":"x"}]}"#,
            r#"{"error":{"message":"m"}}"#,
            r#"{"error":{"message":"m"},"choices":[{"message":{}}]}"#,
        ] {
            assert_eq!(stream_of(body.as_bytes()), None, "{body}");
        }
    }
}

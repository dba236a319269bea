//! One whole answer as the stream that was asked for.

use super::form::to_json;
use serde_json::{Map, Value, json};

/// The events of it, with the end mark. `None` where it is no answer with choices.
pub(super) fn stream_of(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let mut answer: Map<String, Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let Some(Value::Array(choices)) = answer.remove("choices") else { return None };
    if choices.is_empty() || answer.get("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let usage = answer.remove("usage").filter(|usage| !usage.is_null());
    if answer.get("object").and_then(Value::as_str).is_none_or(|object| object == "chat.completion") {
        answer.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let mut out = String::new();
    let mut event = |choices: Value, usage: Option<Value>| {
        let mut chunk = answer.clone();
        chunk.insert("choices".to_owned(), choices);
        chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        out.push_str(&format!("data: {}\n\n", to_json(&chunk)));
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
                json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "x": [1] });
            chunk["choices"] = choices;
            if let Some(usage) = usage {
                chunk["usage"] = usage;
            }
            chunk
        };
        let delta = json!({ "role": "assistant", "content": "Hi", "reasoning": "r" });
        let expected = [
            chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null, "logprobs": null }]), None),
            chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), None),
            chunk(json!([]), Some(json!({ "prompt_tokens": 1 }))),
        ];
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

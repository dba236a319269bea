use super::*;
use crate::dialect::anthropic::fixtures::{FEATURES, fixture, json};
use crate::dialect::anthropic::reader;
use moegate_wire::{Rates, Usage};
use serde_json::{Value, json};

fn context() -> AnswerContext {
    AnswerContext {
        request_id: "r1".to_owned(),
        model: "m".to_owned(),
        price: Rates { cached_input: 100, cache_write: 1250, ..Rates::of_tokens(1000, 5000) }.into(),
        ..AnswerContext::default()
    }
}

/// The events of these deltas: each one's data, in which the type stands too.
fn events(deltas: &[Delta<'_>]) -> Vec<Value> {
    let mut writer = Writer::new(&context());
    let mut out = String::new();
    for delta in deltas {
        writer.delta(delta, &mut out);
    }
    writer.end(None, &mut out);
    let events: Vec<Value> = out
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = json(data.strip_prefix("data: ").unwrap());
            assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
            data
        })
        .collect();
    ordered(&events);
    events
}

/// Blocks follow each other, and their indices count up.
fn ordered(events: &[Value]) {
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events[events.len() - 2]["type"], "message_delta");
    assert_eq!(events[events.len() - 1]["type"], "message_stop");
    let (mut open, mut next) = (None, 0);
    for event in &events[1..events.len() - 2] {
        let index = event["index"].as_u64().unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, next), "{event}");
                open = Some(index);
            }
            "content_block_delta" => assert_eq!(open, Some(index), "{event}"),
            "content_block_stop" => {
                assert_eq!(open.take(), Some(index), "{event}");
                next += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(open, None);
}

/// What a client has at the end, as Anthropic's SDK for TypeScript puts it together (`MessageStream`).
fn gathered(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    let mut inputs: Vec<String> = Vec::new();
    for event in events {
        let at = event["index"].as_u64().unwrap_or(0) as usize;
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let (delta, block) = (&event["delta"], &mut message["content"][at]);
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => inputs[at].push_str(delta["partial_json"].as_str().unwrap()),
                    "citations_delta" => {
                        if block["citations"].is_null() {
                            block["citations"] = json!([]);
                        }
                        block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" if !inputs[at].is_empty() => {
                message["content"][at]["input"] = json(&inputs[at]);
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

fn append(to: &mut Value, more: &Value) {
    *to = format!("{}{}", to.as_str().unwrap(), more.as_str().unwrap()).into();
}

#[test]
fn a_stream_comes_to_the_whole_answer_and_that_is_the_origins() {
    for feature in FEATURES {
        let text = fixture(feature, "answer.json");
        let deltas = reader::answer(&text).unwrap();
        let whole = Answer::of(deltas.clone());
        let written = json(std::str::from_utf8(&answer(&whole, &context())).unwrap());
        assert_eq!(gathered(&events(&deltas)), written, "{feature}");
        let origin = json(&text);
        let mut expected = origin["content"].clone();
        if feature == "document_citations" {
            // The place in the document is not kept.
            expected[1]["citations"][0]["end_char_index"] = json!(0);
        }
        assert_eq!(written["content"], expected, "{feature}");
        for name in ["type", "role", "model", "stop_reason", "stop_sequence"] {
            assert_eq!(written[name], origin[name], "{feature} {name}");
        }
        for name in
            ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
        {
            assert_eq!(written["usage"][name], origin["usage"][name], "{feature} {name}");
        }
        assert!(written["usage"]["cost"].is_number());
        assert_eq!(written["id"], "msg_r1");
    }
}

fn call(slot: u64, id: &'static str) -> Delta<'static> {
    Delta::ToolCall { slot, id: id.into(), name: "f".into(), signature: None }
}

fn more(slot: u64, json: &'static str) -> Delta<'static> {
    Delta::Arguments { slot, json: json.into() }
}

#[test]
fn calls_that_come_at_once_follow_each_other() {
    let calls = |events: &[Value]| {
        let content = gathered(events)["content"].clone();
        content
            .as_array()
            .unwrap()
            .iter()
            .map(|block| format!("{} {}", block["id"], block["input"]))
            .collect()
    };
    for deltas in [
        vec![
            call(0, "a"),
            call(1, "b"),
            more(0, "{\"x\""),
            more(1, "{\"y\":"),
            more(0, ":1}"),
            more(1, "2}"),
        ],
        vec![call(0, "a"), more(0, "{\"x\":1}"), call(1, "b"), more(1, "{\"y\":2}")],
        vec![call(0, "a"), more(0, "{\"x\":1}"), Delta::PartEnd, call(1, "b"), more(1, "{\"y\":2}")],
    ] {
        let written: Vec<String> = calls(&events(&deltas));
        assert_eq!(written, [r#""a" {"x":1}"#, r#""b" {"y":2}"#]);
    }
    // Without arguments, and with text after them.
    let written = events(&[call(0, "a"), call(1, ""), Delta::Text("t".into())]);
    let content = &gathered(&written)["content"];
    assert_eq!(content[1], json!({"type": "tool_use", "id": "toolu_r1_1", "name": "f", "input": {}}));
    assert_eq!(content[2]["text"], "t");
}

#[test]
fn counts_that_come_first_stand_in_the_first_event() {
    let usage =
        Usage { prompt: 100, cached: 30, cache_write: 20, completion: 5, reasoning: 2, ..Usage::default() };
    let deltas = vec![
        Delta::Start { id: "x".into(), model: "other".into() },
        Delta::Usage(usage.into()),
        Delta::Text("t".into()),
        Delta::Stop(Stop::Length),
    ];
    let events = events(&deltas);
    let expected = json!({
        "input_tokens": 50, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 2}, "cost": 0.000_103,
    });
    assert_eq!(events[0]["message"]["model"], "other");
    for usage in [&events[0]["message"]["usage"], &events[events.len() - 2]["usage"]] {
        for (name, value) in expected.as_object().unwrap() {
            if name != "cost" {
                assert_eq!(&usage[name], value, "{name}");
            }
        }
    }
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "max_tokens");
}

#[test]
fn thoughts_have_their_signers_name() {
    let deltas = vec![
        Delta::Reasoning("a".into()),
        Delta::Signature(Signer::Google, "S1".into()),
        Delta::Signature(Signer::Google, "S2".into()),
        Delta::PartEnd,
        Delta::Reasoning("b".into()),
        Delta::Redacted(Signer::Anthropic, "R".into()),
        Delta::Text("t".into()),
    ];
    let expected = json!([
        {"type": "thinking", "thinking": "a", "signature": "google-gemini-v1:S1S2"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "text", "text": "t"},
    ]);
    let whole = Answer::of(deltas.clone());
    assert_eq!(gathered(&events(&deltas))["content"], expected);
    assert_eq!(json(std::str::from_utf8(&answer(&whole, &context())).unwrap())["content"], expected);
}

#[test]
fn reasons_and_refusals() {
    for (stop, expected) in [
        (Stop::End, "end_turn"),
        (Stop::Sequence(Some("x".to_owned())), "stop_sequence"),
        (Stop::ToolCalls, "tool_use"),
        (Stop::Filter, "refusal"),
        (Stop::Pause, "pause_turn"),
    ] {
        let message = gathered(&events(&[Delta::Stop(stop)]));
        assert_eq!((&message["stop_reason"], &message["content"]), (&json!(expected), &json!([])));
        assert_eq!(message["stop_sequence"].as_str(), (expected == "stop_sequence").then_some("x"));
    }
    let deltas = vec![Delta::Refusal("no".into()), Delta::Stop(Stop::End)];
    let whole = Answer::of(deltas.clone());
    let message = gathered(&events(&deltas));
    assert_eq!(message["content"], json!([{"type": "text", "text": "no"}]));
    assert_eq!(message["stop_reason"], "refusal");
    let written = json(std::str::from_utf8(&answer(&whole, &context())).unwrap());
    assert_eq!(
        (&written["content"], &written["stop_reason"]),
        (&message["content"], &message["stop_reason"])
    );
}

#[test]
fn another_origin_goes_on() {
    let mut first = Writer::new(&context());
    let mut out = String::new();
    for delta in [Delta::Start { id: "".into(), model: "a".into() }, Delta::Text("one ".into())] {
        first.delta(&delta, &mut out);
    }
    let mut second = first.fork();
    assert_eq!(second.id(), "\"msg_r1\"");
    let more = [Delta::Start { id: "".into(), model: "b".into() }, Delta::Text("two".into())];
    more.iter().for_each(|delta| second.delta(delta, &mut out));
    second.end(None, &mut out);
    let data = out.lines().filter_map(|line| line.strip_prefix("data: ")).map(json);
    let events: Vec<_> = data.collect();
    ordered(&events);
    assert_eq!(gathered(&events)["content"], json!([{"type": "text", "text": "one two"}]));
    assert!(second.keep_alive().starts_with("event: ping\n"));
}

use super::*;
use crate::dialect::StreamOptions;
use crate::dialect::anthropic::fixtures::{FEATURES, fixture, json};
use crate::dialect::canonical::answer::{Answer, AnswerPart};
use crate::dialect::registry::{self, Api, Client};
use crate::dialect::{AnswerContext, Exchange};
use crate::stream::scanner::Scanner;
use moegate_wire::Usage;

fn of_whole(text: &str) -> Answer {
    Answer::of(answer(text).unwrap())
}

fn of_stream(stream: &str) -> (Answer, bool) {
    let mut reader = Reader::default();
    let mut whole = Answer::default();
    let mut ended = false;
    for event in stream.split("\n\n").filter(|event| !event.is_empty()) {
        let (name, data) = event.split_once('\n').unwrap();
        let (name, data) = (name.strip_prefix("event: ").unwrap(), data.strip_prefix("data: ").unwrap());
        let mut deltas = Vec::new();
        ended |= reader.event(name, data, &mut deltas) == EventKind::End;
        deltas.into_iter().for_each(|delta| whole.take(delta));
    }
    (whole, ended)
}

#[test]
fn a_stream_comes_to_the_whole_answer() {
    for feature in FEATURES {
        let whole = of_whole(&fixture(feature, "answer.json"));
        let (streamed, ended) = of_stream(&fixture(feature, "stream.sse"));
        assert!(ended, "{feature}");
        // A whole answer has fewer deltas, and spaces in its JSON.
        let plain = |mut answer: Answer| {
            answer.events = 0;
            for part in &mut answer.parts {
                if let AnswerPart::ToolCall { arguments, .. } = part {
                    *arguments = json(arguments).to_string();
                }
            }
            answer
        };
        assert_eq!(plain(streamed), plain(whole), "{feature}");
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_same() {
    for feature in FEATURES {
        let stream = fixture(feature, "stream.sse");
        for exchange in [
            registry::through(Client::Chat, Api::Anthropic),
            registry::through(Client::Anthropic, Api::Anthropic),
            &crate::dialect::anthropic::SAME as &dyn Exchange,
        ] {
            let run = |cut: usize| {
                let context = AnswerContext { request_id: "r".to_owned(), ..AnswerContext::default() };
                let options = StreamOptions { context, include_usage: true, ..StreamOptions::default() };
                let mut scanner = Scanner::new(exchange.stream(options));
                let mut out = Vec::new();
                for chunk in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
                    match scanner.push(chunk) {
                        crate::stream::scanner::Forward::Whole => out.extend_from_slice(chunk),
                        crate::stream::scanner::Forward::Bytes(bytes) => out.extend_from_slice(bytes),
                    }
                }
                let seen = scanner.seen();
                assert!(seen.done && !seen.error, "{feature} {cut}");
                (String::from_utf8(out).unwrap(), seen.usage)
            };
            let whole = run(stream.len());
            assert!(!whole.0.is_empty());
            for cut in 0..stream.len() {
                assert_eq!(run(cut), whole, "{feature} {cut}");
            }
        }
    }
}

#[test]
fn counts_hold_what_was_read_from_and_written_to_a_cache() {
    let (answer, _) = of_stream(&fixture("cache", "stream.sse"));
    let counts = answer.counts.unwrap();
    let usage = Usage {
        prompt: 21 + 188_086 + 512,
        cached: 512,
        cache_write: 188_086,
        completion: 39,
        ..Usage::default()
    };
    assert_eq!((counts.usage, counts.inferred), (usage, false));
    let thought = r#"{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":9,"output_tokens_details":{"thinking_tokens":7}}}"#;
    assert_eq!(of_whole(thought).counts.unwrap().usage.reasoning, 7);
}

#[test]
fn reasons() {
    for (reason, expected) in [
        (r#""end_turn""#, Some(Stop::End)),
        (r#""max_tokens""#, Some(Stop::Length)),
        (r#""model_context_window_exceeded""#, Some(Stop::Length)),
        (r#""tool_use""#, Some(Stop::ToolCalls)),
        (r#""pause_turn""#, Some(Stop::Pause)),
        (r#""refusal""#, Some(Stop::Filter)),
        (r#""stop_sequence","stop_sequence":"x""#, Some(Stop::Sequence(Some("x".to_owned())))),
        (r#""something_new""#, Some(Stop::End)),
        ("null", None),
    ] {
        let body = format!(r#"{{"type":"message","content":[],"stop_reason":{reason}}}"#);
        assert_eq!(of_whole(&body).stop, expected, "{reason}");
    }
    let refused = r#"{"type":"message","content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"no"}}"#;
    assert_eq!(of_whole(refused).parts, [AnswerPart::Refusal("no".to_owned())]);
}

#[test]
fn the_answer_tool_is_the_text() {
    let whole = r#"{"type":"message","content":[{"type":"tool_use","id":"t","name":"answer_as_json","input":{"a":1}}],"stop_reason":"tool_use"}"#;
    let stream = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"answer_as_json\",\"input\":{}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\":1}\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n";
    let empty = r#"{"type":"message","content":[{"type":"tool_use","id":"t","name":"answer_as_json","input":{}}],"stop_reason":"tool_use"}"#;
    for (answer, text) in
        [(of_whole(whole), r#"{"a":1}"#), (of_stream(stream).0, r#"{"a":1}"#), (of_whole(empty), "{}")]
    {
        assert_eq!((answer.text().as_str(), answer.stop, answer.parts.len()), (text, Some(Stop::End), 1));
    }
}

#[test]
fn what_anthropics_own_tools_do_is_left_out() {
    let stream = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[]}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"web_search_result_location\",\"url\":\"https://h\",\"title\":\"t\",\"cited_text\":\"c\",\"encrypted_index\":\"e\"}}}\n\n\
        event: a_new_event\ndata: {\"type\":\"a_new_event\"}\n\n";
    let (answer, _) = of_stream(stream);
    let [AnswerPart::Text { text, citations }] = answer.parts.as_slice() else { panic!("{answer:?}") };
    assert_eq!((text.as_str(), citations.len()), ("x", 1));
    assert_eq!((&*citations[0].url, &*citations[0].title, &*citations[0].text), ("https://h", "t", "c"));
}

#[test]
fn what_is_no_answer() {
    for body in [
        "[]",
        "{}",
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        r#"{"choices":[]}"#,
        r#"{"type":"message"}"#,
    ] {
        assert_eq!(answer(body), None, "{body}");
    }
    let mut deltas = Vec::new();
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(Reader::default().event("error", error, &mut deltas), EventKind::Error(error.into()));
    for data in ["x", "[]", "{}"] {
        assert_eq!(Reader::default().event("", data, &mut deltas), EventKind::Malformed, "{data}");
    }
    assert!(deltas.is_empty());
}

/// The origin is not told of white space at the end of what it goes on with.
#[test]
fn white_space_that_the_client_has_is_not_said_twice() {
    let start = |text: &str| {
        let text = serde_json::Value::from(text).to_string();
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{text}}}}}\n\n"
        )
    };
    for (had, pieces, expected) in [
        ("a ", &[" b"][..], "b"),
        ("a\n", &["\n", "  b"], "  b"),
        ("a\n\n", &["\n", "\n", "\nb"], "\nb"),
        ("a ", &["b", " c"], "b c"),
        ("a", &[" b"], " b"),
    ] {
        let mut partial = crate::dialect::partial::Partial::default();
        had.clone_into(&mut partial.text);
        partial.resume();
        let options = StreamOptions { partial: Some(partial), ..StreamOptions::default() };
        let mut codec = registry::through(Client::Chat, Api::Anthropic).stream(options);
        for piece in pieces {
            codec.event(start(piece).as_bytes(), true);
        }
        assert_eq!(codec.take_partial().unwrap().text, format!("{had}{expected}"), "{had:?} {pieces:?}");
    }
}

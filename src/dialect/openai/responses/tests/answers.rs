//! What comes back, whole and as events.

use super::*;

pub(super) fn context() -> AnswerContext {
    let price = Price::from(Rates { input: 1_000_000_000, output: 2_000_000_000, ..Rates::default() });
    let echo = echo::of(br#"{"model":"m","input":"x","temperature":0.5,"tools":[ ]}"#).unwrap();
    AnswerContext {
        price,
        request_id: "r1".into(),
        created_s: 5,
        model: "there".into(),
        echo: Some(echo.into()),
        ..AnswerContext::default()
    }
}

pub(super) fn options() -> StreamOptions {
    StreamOptions { context: context(), include_usage: true, ..StreamOptions::default() }
}

fn from_chat() -> &'static dyn Exchange {
    registry::through(registry::Client::Responses, registry::Api::Chat)
}

/// What a client gets of a stream that comes in pieces of so many bytes.
fn streamed(exchange: &dyn Exchange, stream: &str, cuts: &[usize]) -> String {
    let mut scanner = Scanner::new(exchange.stream(options()));
    let mut out = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([stream.len()]) {
        let piece = &stream.as_bytes()[from..to];
        from = to;
        match scanner.push(piece) {
            crate::stream::Forward::Whole => out.extend_from_slice(piece),
            crate::stream::Forward::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    out.extend_from_slice(scanner.end(crate::stream::Close::Clean).last.as_bytes());
    String::from_utf8(out).unwrap()
}

/// What official clients come to by a stream: every item by its events. Checks the order as they do.
fn accumulated(stream: &str) -> Value {
    let mut items: Vec<Value> = Vec::new();
    let mut is_done: Vec<bool> = Vec::new();
    let mut last = Value::Null;
    for (number, event) in stream.split_terminator("\n\n").enumerate() {
        let (name, data) = event.split_once('\n').unwrap();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let kind = event["type"].as_str().unwrap();
        assert_eq!(name, format!("event: {kind}"));
        assert_eq!(event["sequence_number"], number, "{kind}");
        assert_eq!(last, Value::Null, "nothing follows the end");
        let at = event["output_index"].as_u64().unwrap_or(0) as usize;
        if !event["item_id"].is_null() {
            assert_eq!(event["item_id"], items[at]["id"], "{event}");
            assert!(!is_done[at], "{event}");
        }
        let index = |name: &str| event[name].as_u64().unwrap() as usize;
        let push = |text: &mut Value| {
            *text = Value::from(format!("{}{}", text.as_str().unwrap(), event["delta"].as_str().unwrap()));
        };
        match kind {
            "response.created" | "response.in_progress" => {
                assert_eq!(number, usize::from(kind == "response.in_progress"));
                assert_eq!(event["response"]["status"], "in_progress");
                assert_eq!(event["response"]["output"], json!([]));
            }
            "response.output_item.added" => {
                assert_eq!(at, items.len());
                items.push(event["item"].clone());
                is_done.push(false);
            }
            "response.output_item.done" => {
                let mut item = items[at].clone();
                item["status"] = event["item"]["status"].clone();
                if item["type"] == "reasoning" {
                    item["encrypted_content"] = event["item"]["encrypted_content"].clone();
                } else if item["type"] == "image_generation_call" {
                    item["result"] = event["item"]["result"].clone();
                }
                assert_eq!(event["item"], item, "the events come to the item");
                items[at] = item;
                is_done[at] = true;
            }
            "response.content_part.added" => {
                let parts = items[at]["content"].as_array_mut().unwrap();
                assert_eq!(parts.len(), index("content_index"));
                parts.push(event["part"].clone());
            }
            "response.content_part.done" => {
                assert_eq!(items[at]["content"][index("content_index")], event["part"]);
            }
            "response.output_text.delta" => {
                let part = &mut items[at]["content"][index("content_index")];
                push(&mut part["text"]);
                part["logprobs"]
                    .as_array_mut()
                    .unwrap()
                    .extend_from_slice(event["logprobs"].as_array().unwrap());
            }
            "response.output_text.annotation.added" => {
                let part = &mut items[at]["content"][index("content_index")];
                let all = part["annotations"].as_array_mut().unwrap();
                assert_eq!(all.len(), index("annotation_index"));
                all.push(event["annotation"].clone());
            }
            "response.output_text.done" => {
                assert_eq!(items[at]["content"][index("content_index")]["text"], event["text"]);
            }
            "response.refusal.delta" => push(&mut items[at]["content"][index("content_index")]["refusal"]),
            "response.refusal.done" => {
                assert_eq!(items[at]["content"][index("content_index")]["refusal"], event["refusal"]);
            }
            "response.reasoning_summary_part.added" => {
                let parts = items[at]["summary"].as_array_mut().unwrap();
                assert_eq!(parts.len(), index("summary_index"));
                parts.push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => {
                push(&mut items[at]["summary"][index("summary_index")]["text"]);
            }
            "response.reasoning_summary_text.done" => {
                assert_eq!(items[at]["summary"][index("summary_index")]["text"], event["text"]);
            }
            "response.reasoning_summary_part.done" => {
                assert_eq!(items[at]["summary"][index("summary_index")], event["part"]);
            }
            "response.function_call_arguments.delta" => push(&mut items[at]["arguments"]),
            "response.function_call_arguments.done" => {
                assert_eq!(items[at]["arguments"], event["arguments"]);
            }
            "response.completed" | "response.incomplete" => {
                assert!(is_done.iter().all(|done| *done));
                assert_eq!(event["response"]["output"], Value::from(items.clone()));
                assert_eq!(kind, format!("response.{}", event["response"]["status"].as_str().unwrap()));
                last = event["response"].clone();
            }
            other => panic!("{other}"),
        }
    }
    last
}

fn chunk(delta: &str, reason: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
    )
}

const COUNTS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\ndata: [DONE]\n\n";

/// Streams of chat completions, and the same answers whole.
fn answers() -> Vec<(&'static str, String, Value)> {
    let whole = |message: Value, reason: &str, logprobs: Value| {
        json!({"id": "c", "model": "m-1", "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": logprobs}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 2}}})
    };
    let stream = |chunks: &[(&str, &str)]| {
        chunks.iter().map(|(delta, reason)| chunk(delta, reason)).collect::<String>() + COUNTS
    };
    vec![
        (
            "text",
            stream(&[
                (r#"{"role":"assistant","content":""}"#, "null"),
                (r#"{"content":"Hé"}"#, "null"),
                (r#"{"content":"llo"}"#, "null"),
                (r#"{"annotations":[{"type":"url_citation","url_citation":{"url":"https://a.example","title":"A"}}]}"#, "null"),
                ("{}", "\"stop\""),
            ]),
            whole(
                json!({"content": "Héllo", "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}]}),
                "stop",
                json!(null),
            ),
        ),
        (
            "thought, text and calls",
            stream(&[
                (r#"{"role":"assistant","reasoning_content":"Let me"}"#, "null"),
                (r#"{"reasoning_content":" see."}"#, "null"),
                (r#"{"reasoning_details":[{"type":"reasoning.text","signature":"sig=","format":"anthropic-claude-v1"}]}"#, "null"),
                (r#"{"content":"Calling."}"#, "null"),
                (r#"{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}"#, "null"),
                (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#, "null"),
                (r#"{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":""}}]}"#, "null"),
                (r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#, "null"),
                ("{}", "\"tool_calls\""),
            ]),
            whole(
                json!({"content": "Calling.", "reasoning_content": "Let me see.",
                    "reasoning_details": [{"type": "reasoning.text", "signature": "sig=", "format": "anthropic-claude-v1"}],
                    "tool_calls": [
                        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                        {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": ""}}]}),
                "tool_calls",
                json!(null),
            ),
        ),
        (
            "length and logprobs",
            stream(&[(r#"{"content":"Hi"}"#, "null")]).replace(
                "\"finish_reason\":null",
                r#""logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]},"finish_reason":"length""#,
            ),
            whole(
                json!({"content": "Hi"}),
                "length",
                json!({"content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]}),
            ),
        ),
        (
            "refusal and filter",
            stream(&[(r#"{"refusal":"I "}"#, "null"), (r#"{"refusal":"won't."}"#, "\"content_filter\"")]),
            whole(json!({"content": null, "refusal": "I won't."}), "content_filter", json!(null)),
        ),
        (
            "an image",
            stream(&[(r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/webp;base64,QQ=="}}]}"#, "\"stop\"")]),
            whole(
                json!({"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,QQ=="}}]}),
                "stop",
                json!(null),
            ),
        ),
    ]
}

#[test]
fn a_stream_comes_to_the_whole_answer_however_it_is_cut() {
    for (name, stream, whole) in answers() {
        let out = streamed(from_chat(), &stream, &[]);
        for cut in 1..stream.len() {
            assert_eq!(streamed(from_chat(), &stream, &[cut]), out, "{name} cut at {cut}");
        }
        let facts = from_chat().answer(whole.to_string().as_bytes(), &context()).unwrap();
        let own: Value = serde_json::from_slice(&facts.own.unwrap()).unwrap();
        assert_eq!(accumulated(&out), own, "{name}");
    }
}

#[test]
fn the_response_object() {
    let (_, _, whole) = answers().swap_remove(1);
    let facts = from_chat().answer(whole.to_string().as_bytes(), &context()).unwrap();
    let own: Value = serde_json::from_slice(&facts.own.unwrap()).unwrap();
    let expected = json!({
        "id": "resp_r1", "object": "response", "created_at": 5, "status": "completed", "error": null,
        "incomplete_details": null, "model": "m-1",
        "output": [
            {"id": "rs_r1_0", "type": "reasoning", "status": "completed", "encrypted_content": "anthropic-claude-v1:sig=",
                "summary": [{"type": "summary_text", "text": "Let me see."}]},
            {"id": "msg_r1_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Calling."}]},
            {"id": "fc_r1_2", "type": "function_call", "status": "completed", "call_id": "call_a", "name": "f", "arguments": "{\"a\":1}"},
            {"id": "fc_r1_3", "type": "function_call", "status": "completed", "call_id": "call_b", "name": "g", "arguments": "{}"},
        ],
        "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "metadata": {},
        "parallel_tool_calls": true, "prompt_cache_key": null, "reasoning": {"effort": null, "summary": null},
        "safety_identifier": null, "temperature": 0.5, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": null, "background": false,
        "previous_response_id": null, "service_tier": "default", "store": false,
        "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10,
            "cost": own["usage"]["cost"].clone()},
    });
    assert_eq!(own, expected);
    assert!(own["usage"]["cost"].as_f64().unwrap() > 0.0);
}

#[test]
fn why_it_ended() {
    for (name, status, reason) in [
        ("text", "completed", json!(null)),
        ("length and logprobs", "incomplete", json!({"reason": "max_output_tokens"})),
        ("refusal and filter", "incomplete", json!({"reason": "content_filter"})),
    ] {
        let (_, stream, _) = answers().into_iter().find(|(own, ..)| *own == name).unwrap();
        let response = accumulated(&streamed(from_chat(), &stream, &[]));
        assert_eq!(
            (&response["status"], &response["incomplete_details"]),
            (&json!(status), &reason),
            "{name}"
        );
    }
}

#[test]
fn errors_in_the_midst_of_it() {
    let stream = chunk(r#"{"content":"Hi"}"#, "null")
        + "data: {\"error\":{\"message\":\"Too many\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let out = streamed(from_chat(), &stream, &[]);
    let events: Vec<Value> = out
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap())
        .collect();
    let [.., error, failed] = &events[..] else { panic!("{out}") };
    assert_eq!(error["type"], "error");
    assert_eq!((&error["message"], &error["error"]["message"]), (&json!("Too many"), &json!("Too many")));
    assert_eq!(error["code"], "rate_limit_exceeded");
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["status"], "failed");
    assert_eq!(failed["response"]["error"]["message"], "Too many");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
}

/// As this API's origins send it: *Streaming events*, the order that its examples have.
fn own_stream() -> String {
    let (_, stream, _) = answers().swap_remove(1);
    streamed(from_chat(), &stream, &[])
}

#[test]
fn what_passes_is_read_however_it_is_cut() {
    let stream = own_stream();
    for cut in 1..stream.len() {
        let mut scanner = Scanner::new(SAME.stream(options()));
        for piece in [&stream[..cut.min(stream.len())], &stream[cut..]].map(str::as_bytes) {
            scanner.push(piece);
        }
        let seen = scanner.seen();
        assert_eq!(seen.usage.map(|counts| (counts.usage.prompt, counts.usage.completion)), Some((7, 3)));
        assert!(seen.done && seen.finished && !seen.error, "cut at {cut}");
    }
    let passed = streamed(&SAME, &stream, &[]);
    assert_eq!(passed, stream, "it passes as it is");
    let (before, rest) = stream.split_once(",\"cost\":").unwrap();
    let unpriced = format!("{before}{}", &rest[rest.find('}').unwrap()..]);
    assert_eq!(streamed(&SAME, &unpriced, &[]), stream, "its last event tells the cost");
    // Nobody can go on with it.
    let kept = StreamOptions { partial: Some(Partial::default()), ..options() };
    let mut scanner = Scanner::new(SAME.stream(kept));
    let half = stream.find("event: response.output_text.done").unwrap();
    assert_eq!(scanner.push(&stream.as_bytes()[..half]), Forward::Whole);
    let finale = scanner.end(Close::Broken);
    assert_eq!((finale.ending, finale.resumable), (Ending::Truncated, false));
}

#[test]
fn whole_answers_pass_with_their_cost() {
    let (_, _, whole) = answers().swap_remove(1);
    let body = from_chat().answer(whole.to_string().as_bytes(), &context()).unwrap().own.unwrap();
    let body = String::from_utf8(body).unwrap();
    let cost = body.find(",\"cost\":").unwrap();
    let without = body.replace(&body[cost..cost + body[cost..].find('}').unwrap()], "");
    let facts = SAME.answer(without.as_bytes(), &context()).unwrap();
    assert_eq!(facts.counts.map(|counts| counts.usage.cached), Some(2));
    let out = String::from_utf8(edited(without.as_bytes(), facts.edits)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), serde_json::from_str::<Value>(&body).unwrap());
    // A stream to who asked for one answer, and the other way round.
    let Gathered::Answer(gathered) = SAME.gathered(own_stream().as_bytes()) else { panic!() };
    let again = SAME.answer(&gathered, &context()).unwrap().own.unwrap();
    let mut again: Value = serde_json::from_slice(&again).unwrap();
    let mut own: Value = serde_json::from_str(&body).unwrap();
    // Its encrypted thought is taken for OpenAI's, as it came.
    assert_eq!(again["output"], own["output"].take());
    let stream = SAME.streamed(body.as_bytes(), &context()).unwrap();
    assert_eq!(accumulated(std::str::from_utf8(&stream).unwrap())["output"], again["output"].take());
}

#[test]
fn paths() {
    let asked = |method: Method, path: &str| {
        let head = Request::builder().method(method).uri(path).body(()).unwrap();
        Responses.operation(&head, path).map(|found| found.map_err(|error| error.status))
    };
    assert_eq!(asked(Method::POST, "/v1/responses"), Some(Ok(Operation::Generate(RESPONSES.into()))));
    assert_eq!(asked(Method::GET, "/v1/responses"), Some(Err(405)));
    assert_eq!(asked(Method::GET, "/v1/responses/resp_1"), Some(Err(404)));
    assert_eq!(asked(Method::POST, "/v1/responsesx"), None);
}

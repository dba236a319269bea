//! What is answered, whole and as a stream.

use super::*;
use crate::dialect::{AttemptEntry, AttemptNote};

const ANSWER: &str = r#"{"id":"x","model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"hi","tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#;

fn chat(version: usize) -> &'static dyn Exchange {
    registry::through(Client::AiSdk(version), registry::Api::Chat)
}

fn whole(version: usize, context: &AnswerContext) -> Value {
    let facts = chat(version).answer(ANSWER.as_bytes(), context).unwrap();
    serde_json::from_slice(&facts.own.unwrap()).unwrap()
}

fn note() -> AttemptNote {
    let entry = |origin: &str, reason, status| AttemptEntry {
        origin: origin.to_owned(),
        model: "gpt".to_owned(),
        reason,
        ms: 7,
        breaker: "closed",
        began_ms: 100,
        status,
    };
    AttemptNote {
        asked_model: "m".to_owned(),
        model: "gpt".to_owned(),
        origin: "far".to_owned(),
        attempts: vec![entry("near", "server_error", 503), entry("far", "ok", 200)],
    }
}

#[test]
fn whole_answers_in_every_version() {
    let context = AnswerContext { note: Some(note().into()), dropped: vec!["top_k".to_owned()], ..context() };
    let newest = whole(2, &context);
    assert_eq!(
        newest["content"],
        json!([
            {"type": "reasoning", "text": "hm"},
            {"type": "text", "text": "hi"},
            {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": "{\"city\":\"Rome\"}"},
        ])
    );
    assert_eq!(newest["finishReason"], json!({"unified": "tool-calls", "raw": "tool-calls"}));
    assert_eq!(
        newest["usage"],
        json!({
            "inputTokens": {"total": 5, "noCache": 3, "cacheRead": 2, "cacheWrite": 0},
            "outputTokens": {"total": 3, "text": 2, "reasoning": 1},
            "raw": {"cost": 0.000_011},
        })
    );
    assert_eq!(newest["warnings"], json!([{"type": "unsupported", "feature": "topK"}]));
    let gateway = &newest["providerMetadata"]["gateway"];
    assert_eq!((&gateway["cost"], &gateway["generationId"]), (&json!("0.000011"), &json!("gen_r1")));
    let routing = &gateway["routing"];
    assert_eq!((&routing["originalModelId"], &routing["finalProvider"]), (&json!("m"), &json!("far")));
    let failed = json!({
        "provider": "near", "providerApiModelId": "gpt", "credentialType": "system", "success": false,
        "error": "server_error", "statusCode": 503, "startTime": 100, "endTime": 107,
    });
    assert_eq!(routing["attempts"][0], failed);
    assert_eq!(
        (&routing["attempts"][1]["success"], &routing["totalProviderAttemptCount"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(whole(1, &context), newest);
    let oldest = whole(0, &context);
    assert_eq!(oldest["finishReason"], "tool-calls");
    assert_eq!(
        oldest["usage"],
        json!({"inputTokens": 5, "outputTokens": 3, "totalTokens": 8, "reasoningTokens": 1, "cachedInputTokens": 2})
    );
    assert_eq!(oldest["warnings"], json!([{"type": "unsupported-setting", "setting": "topK"}]));
}

fn chunks(deltas: &[&str], ending: &str) -> String {
    let chunk = |delta: &&str| {
        format!(
            "data: {{\"id\":\"x\",\"model\":\"gpt-5\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n"
        )
    };
    deltas.iter().map(chunk).collect::<String>() + ending
}

const END: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";

const DELTAS: [&str; 6] = [
    r#"{"role":"assistant","reasoning_content":"hm"}"#,
    r#"{"content":"he"}"#,
    r#"{"content":"llo"}"#,
    r#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":""}}]}"#,
    r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#,
    r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]}"#,
];

/// The parts that the client gets of a stream that ends there; none if it had not begun.
fn streamed(version: usize, stream: &str, close: Close) -> Option<Vec<Value>> {
    let options = StreamOptions { context: context(), note: Some(note()), ..StreamOptions::default() };
    let mut scanner = Scanner::new(chat(version).stream(options));
    let mut out = Vec::new();
    match scanner.push(stream.as_bytes()) {
        Forward::Whole => out.extend_from_slice(stream.as_bytes()),
        Forward::Bytes(bytes) => out.extend_from_slice(bytes),
    }
    if scanner.phase() != crate::stream::Phase::Begun {
        return None;
    }
    out.extend_from_slice(scanner.end(close).last.as_bytes());
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    Some(lines.filter(|line| *line != "[DONE]").map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn kinds(parts: &[Value]) -> Vec<&str> {
    parts.iter().map(|part| part["type"].as_str().unwrap()).collect()
}

#[test]
fn a_stream_has_its_parts_in_order() {
    let parts = streamed(2, &chunks(&DELTAS, END), Close::Clean).unwrap();
    assert_eq!(
        kinds(&parts).join(" "),
        "stream-start response-metadata reasoning-start reasoning-delta reasoning-end text-start text-delta text-delta text-end \
         tool-input-start tool-input-delta tool-input-delta tool-input-end tool-call finish"
    );
    assert_eq!(parts[0]["warnings"], json!([]));
    let metadata = json!({"type": "response-metadata", "id": "gen_r1", "modelId": "gpt-5", "timestamp": "2026-11-21T12:00:00Z"});
    assert_eq!(parts[1], metadata);
    assert_eq!(parts[2]["providerMetadata"], json!({"gateway": {"generationId": "gen_r1"}}));
    let text: String = parts
        .iter()
        .filter(|part| part["type"] == "text-delta")
        .map(|part| part["delta"].as_str().unwrap())
        .collect();
    assert_eq!(text, "hello");
    let call = json!({"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": "{\"city\":\"Rome\"}"});
    assert_eq!(parts[13], call);
    assert_eq!(parts[14]["finishReason"]["unified"], "tool-calls");
    assert_eq!(parts[14]["providerMetadata"]["gateway"]["cost"], "0.000011");
    assert_eq!(parts[14]["providerMetadata"]["gateway"]["routing"]["attempts"][0]["provider"], "near");
    let oldest = streamed(0, &chunks(&DELTAS, END), Close::Clean).unwrap();
    assert_eq!(
        (&oldest[14]["finishReason"], &oldest[14]["usage"]["totalTokens"]),
        (&json!("tool-calls"), &json!(8))
    );
}

/// Wherever it breaks off: every block that was begun has ended, no tool is called with half of its arguments, and the last
/// two parts say that it failed.
#[test]
fn no_stream_ends_clean_without_its_finish() {
    let stream = chunks(&DELTAS, END);
    let whole = stream.find("[DONE]").unwrap();
    let mut begun = 0;
    for at in 0..whole {
        for close in [Close::Clean, Close::Broken] {
            let Some(parts) = streamed(2, &stream[..at], close) else { continue };
            begun += 1;
            let kinds = kinds(&parts);
            assert_eq!(kinds.last(), Some(&"finish"), "{at}: {kinds:?}");
            assert_eq!(kinds.iter().filter(|kind| **kind == "finish").count(), 1, "{at}");
            for block in ["text", "reasoning"] {
                let count =
                    |what: &str| kinds.iter().filter(|kind| **kind == format!("{block}-{what}")).count();
                assert_eq!(count("start"), count("end"), "{at}: {kinds:?}");
            }
            let failed = parts.last().unwrap()["finishReason"]["unified"] == "error";
            assert_eq!(failed, kinds[kinds.len() - 2] == "error", "{at}: {kinds:?}");
            for call in parts.iter().filter(|part| part["type"] == "tool-call") {
                assert_eq!(call["input"], "{\"city\":\"Rome\"}", "{at}");
            }
        }
    }
    assert!(begun > 100, "{begun}");
}

#[test]
fn an_origins_error_in_the_midst_is_told() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
    let parts = streamed(2, &chunks(&DELTAS[..2], error), Close::Clean).unwrap();
    let [.., end, error, finish] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(end["type"], "text-end");
    assert!(error["error"]["message"].as_str().unwrap().contains("overloaded"), "{error}");
    assert_eq!(finish["finishReason"]["unified"], "error");
}

#[test]
fn an_error_behind_a_mere_head_is_a_whole_stream() {
    let event = V4.error_event(&ApiError::upstream(504, "origin_timeout", "too late"));
    let kinds: Vec<_> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["stream-start", "error", "finish"]);
}

/// Signatures go where the provider's own package for the SDK has them, and come back from there.
#[test]
fn signatures_go_out_as_they_come_back() {
    let answer = r#"{"id":"m","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"redacted_thinking","data":"eA=="},{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":3}}"#;
    let exchange = registry::through(Client::AiSdk(2), registry::Api::Anthropic);
    let own = exchange.answer(answer.as_bytes(), &context()).unwrap().own.unwrap();
    let own: Value = serde_json::from_slice(&own).unwrap();
    let mut content = own["content"].clone();
    assert_eq!(content[0]["providerMetadata"], json!({"anthropic": {"signature": "c2ln"}}));
    assert_eq!(content[1]["providerMetadata"], json!({"anthropic": {"redactedData": "eA=="}}));
    for part in content.as_array_mut().unwrap() {
        let part = part.as_object_mut().unwrap();
        if let Some(metadata) = part.remove("providerMetadata") {
            part.insert("providerOptions".to_owned(), metadata);
        }
    }
    let user = json!({"role": "user", "content": [{"type": "text", "text": "x"}]});
    let (seen, _) =
        sent("claude", &json!({"prompt": [user, {"role": "assistant", "content": content}, user]}));
    let back = &seen["messages"][1]["content"];
    assert_eq!(back[0], json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}));
    assert_eq!(back[1], json!({"type": "redacted_thinking", "data": "eA=="}));
}

#[test]
fn embeddings_and_images_are_answered() {
    let config = config();
    let answered = |endpoint, body: &str| -> Value {
        let own =
            V4.exchange(endpoint, &config.origins[0], "gpt").unwrap().answer(body.as_bytes(), &context());
        serde_json::from_slice(&own.unwrap().own.unwrap()).unwrap()
    };
    let body = r#"{"object":"list","data":[{"index":0,"embedding":[0.5,1]},{"index":1,"embedding":[2]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let seen = answered(EMBEDDING, body);
    assert_eq!((&seen["embeddings"], &seen["usage"]), (&json!([[0.5, 1], [2]]), &json!({"tokens": 4})));
    assert_eq!(seen["providerMetadata"]["gateway"]["cost"], "0.000004");
    let seen = answered(
        IMAGE,
        r#"{"data":[{"b64_json":"QUJD"}],"usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10}}"#,
    );
    assert_eq!((&seen["images"], &seen["usage"]["totalTokens"]), (&json!(["QUJD"]), &json!(10)));
    // vLLM's, Jina's, and Cohere's, which counts searches and no tokens.
    let one =
        |index, score| format!(r#"{{"index":{index},"relevance_score":{score},"document":{{"text":"b"}}}}"#);
    for (more, cost) in [
        (r#""usage":{"total_tokens":3}"#, json!("0.000003")),
        (r#""meta":{"billed_units":{"search_units":1}}"#, Value::Null),
    ] {
        let body = format!(r#"{{"results":[{},{}],{more}}}"#, one(1, 0.9), one(0, 0.1));
        let seen = answered(RERANKING, &body);
        let expected = json!([{"index": 1, "relevanceScore": 0.9}, {"index": 0, "relevanceScore": 0.1}]);
        assert_eq!((&seen["ranking"], &seen["providerMetadata"]["gateway"]["cost"]), (&expected, &cost));
    }
    let torn = V4.exchange(RERANKING, &config.origins[0], "gpt").unwrap();
    assert!(torn.answer(br#"{"results":[{"index":1}]}"#, &context()).is_none());
    assert!(V4.exchange(EMBEDDING, &config.origins[2], "claude-haiku-4-5").is_none());
}

#[test]
fn the_list_is_of_the_version_of_its_path() {
    let rates = moegate_wire::Rates::of_tokens(1_250_000_000, 10_000_000_000);
    let facts =
        crate::dialect::ModelFacts { name: "m", rates, context_tokens: Some(9000), max_output_tokens: None };
    for (dialect, version) in [(&V1, "v2"), (&V3, "v3"), (&V4, "v4")] {
        let model = ModelInfo { name: "a/m", created_s: 0, facts: Some(facts) };
        let list = dialect.model_list(&mut std::iter::once(model));
        let list: Value = serde_json::from_str(&list).unwrap();
        let own = &list["models"][0];
        let specification = json!({"specificationVersion": version, "provider": "moegate", "modelId": "a/m"});
        assert_eq!((&own["id"], &own["specification"]), (&json!("a/m"), &specification));
        assert_eq!(
            (&own["pricing"]["input"], &own["pricing"]["output"]),
            (&json!("0.00000125"), &json!("0.00001"))
        );
        assert_eq!((&own["context_window"], &own["modelType"]), (&json!(9000), &json!("language")));
    }
}

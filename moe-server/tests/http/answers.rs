//! What is answered when all goes well.

use crate::engine::Control;
use crate::support::{Setup, TestServer, chat, events, post_chat, text_of};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;

#[tokio::test]
async fn a_chat_in_one_piece() {
    let server = TestServer::usual().await;
    let reply = server.send(post_chat("say:Grüße, 世界!>", &json!({}))).await;
    assert_eq!(reply.status, 200);
    let id = reply.header("x-moegate-request-id").unwrap().to_owned();
    let mut body = reply.json();
    assert!(body["created"].take().as_u64().unwrap() > 1_700_000_000);
    let usage = json!({
        "prompt_tokens": 21, "completion_tokens": 17, "total_tokens": 38,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0},
    });
    let message = json!({"role": "assistant", "content": "Grüße, 世界!", "refusal": null});
    assert_eq!(
        body,
        json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": null, "model": "tiny",
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
            "usage": usage,
        })
    );
}

#[tokio::test]
async fn a_chat_as_a_stream() {
    let server = TestServer::usual().await;
    for (options, with_usage) in [
        (json!({"stream": true}), false),
        (json!({"stream": true, "stream_options": {"include_usage": true}}), true),
    ] {
        let reply = server.send(post_chat("say:añ>", &options)).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
        let events = events(&reply.body);
        let choices: Vec<&Value> = events.iter().map(|event| &event["choices"]).collect();
        let delta = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        let mut expected = vec![
            delta(json!({"role": "assistant", "content": ""}), json!(null)),
            delta(json!({"content": "a"}), json!(null)),
            delta(json!({"content": "ñ"}), json!(null)),
            delta(json!({}), json!("stop")),
        ];
        if with_usage {
            expected.push(json!([]));
        }
        expected.push(json!(null)); // [DONE]
        assert_eq!(choices, expected.iter().collect::<Vec<_>>());
        assert_eq!(events.last(), Some(&json!("[DONE]")));
        let usages: Vec<_> = events.iter().filter_map(|event| event.get("usage")).collect();
        if with_usage {
            assert_eq!(usages.len(), 5, "null in all chunks but the last");
            assert!(usages[..4].iter().all(|usage| usage.is_null()));
            assert_eq!(usages[4]["completion_tokens"], 4);
            assert!(usages[4].get("cost").is_none(), "nobody gave a price");
        } else {
            assert!(usages.is_empty());
        }
    }
}

#[tokio::test]
async fn completions() {
    let server = TestServer::usual().await;
    let tokens: Vec<u8> = b"xya".to_vec();
    for prompt in [json!("xya"), json!(["xya"]), json!(tokens)] {
        let body = json!({"model": "org/alias", "prompt": prompt});
        let reply = server.post("/v1/completions", &body).await.json();
        assert_eq!(reply["object"], "text_completion");
        assert_eq!(reply["model"], "org/alias");
        let choice =
            json!({"index": 0, "text": "bcdefghijklmnopq", "logprobs": null, "finish_reason": "length"});
        assert_eq!(reply["choices"], json!([choice]));
        assert_eq!(reply["usage"]["completion_tokens"], 16);
    }
    let body = json!({"model": "tiny", "prompt": "a", "max_tokens": 2, "stream": true});
    let reply = server.post("/v1/completions", &body).await;
    let choices: Vec<Value> = events(&reply.body).iter().map(|event| event["choices"][0].clone()).collect();
    let piece = |text: &str, finish: Value| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
    let expected =
        [piece("b", json!(null)), piece("c", json!(null)), piece("", json!("length")), json!(null)];
    assert_eq!(choices, expected);
}

#[tokio::test]
async fn endings() {
    let server = TestServer::usual().await;
    let cases = [
        ("say:one STOP two>", json!({"stop": "STOP"}), "one ", "stop"),
        ("say:one STOP two>", json!({"stop": ["zz", "E", "O"]}), "one ST", "stop"),
        ("say:one STO>", json!({"stop": ["STOP"]}), "one STO", "stop"),
        ("say:one STO!>", json!({"stop": ["STOP"], "max_tokens": 7}), "one STO", "length"),
        ("a", json!({"max_tokens": 3}), "bcd", "length"),
        ("a", json!({"max_completion_tokens": 2, "max_tokens": 9}), "bc", "length"),
        // Cut inside a character: only then a replacement character is shown.
        ("say:ñ>", json!({"max_tokens": 1}), "\u{fffd}", "length"),
        ("say:>", json!({}), "", "stop"),
        (
            "say:ab>",
            json!({"temperature": 0, "seed": -3, "top_k": -1, "user": "u", "unknown": {"x": 1}}),
            "ab",
            "stop",
        ),
    ];
    for (text, more, expected, finish) in cases {
        let reply = server.send(post_chat(text, &more)).await.json();
        assert_eq!(reply["choices"][0]["message"]["content"], expected, "{text} {more}");
        assert_eq!(reply["choices"][0]["finish_reason"], finish, "{text} {more}");

        let mut streamed = more.clone();
        streamed["stream"] = json!(true);
        let events = events(&server.send(post_chat(text, &streamed)).await.body);
        assert_eq!(text_of(&events), expected, "{text} {more}");
        assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], finish, "{text} {more}");
    }
}

#[tokio::test]
async fn messages_are_read_in_all_their_forms() {
    let server = TestServer::usual().await;
    let parts = json!([{"type": "text", "text": "o"}, {"type": "text", "text": "k>"}]);
    let messages = json!([
        {"role": "developer", "content": "sa"}, {"role": "system", "content": "y"},
        {"role": "assistant", "content": ":", "tool_calls": []}, {"role": "user", "content": parts, "name": "n"},
    ]);
    let reply = server.post("/v1/chat/completions", &json!({"model": "tiny", "messages": messages})).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "ok");
}

/// Whatever runs beside it, a seed gives the same text.
#[tokio::test]
async fn a_seed_decides_whatever_the_batch() {
    let server = TestServer::usual().await;
    let text_with = async |seed: u64| {
        let more = json!({"seed": seed, "max_tokens": 40, "top_p": 0.9});
        server.send(post_chat("free:", &more)).await.json()["choices"][0]["message"]["content"].take()
    };
    let alone = [text_with(1).await, text_with(2).await];
    assert_ne!(alone[0], alone[1]);
    let (a, b, c, d) = tokio::join!(text_with(2), text_with(1), text_with(1), text_with(2));
    assert_eq!([b, d], alone);
    assert_eq!([c, a], alone);
    let unseeded = async || {
        server.send(post_chat("free:", &json!({"max_tokens": 40}))).await.json()["choices"][0]["message"]
            .take()
    };
    assert_ne!(unseeded().await, unseeded().await);
}

#[tokio::test]
async fn requests_share_steps_and_long_prompts_are_cut() {
    let server = TestServer::usual().await;
    let Control { widest, longest_chunk, .. } = &*server.control;
    let long = "a".repeat(1_000);
    let ask = async |text: &str| {
        server.send(post_chat(text, &json!({"max_tokens": 60}))).await.json()["usage"]["completion_tokens"]
            .take()
    };
    server.control.allow(0);
    let asking = async { tokio::join!(ask("a"), ask("b"), ask(&long), ask("c")) };
    let opening = async {
        crate::support::eventually("all four wait", async || {
            server.metric("moe_server_queue_depth").await + server.metric("moe_server_running").await > 3.5
        })
        .await;
        server.control.open();
    };
    let (counts, ()) = tokio::join!(asking, opening);
    assert_eq!([counts.0, counts.1, counts.2, counts.3], [60, 60, 60, 60].map(Value::from));
    assert_eq!(widest.load(SeqCst), 4);
    assert!(longest_chunk.load(SeqCst) <= 64, "the long prompt came in chunks");
}

#[tokio::test]
async fn models_and_health() {
    let server = TestServer::start(Setup { kv_tokens: 500, ..Setup::default() }).await;
    let models = server.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"][1]["id"], "org/alias");
    assert_eq!(models["data"][0]["max_model_len"], 500, "what the KV cache holds, if that is less");
    assert_eq!(server.get("/v1/models/org/alias").await.json(), models["data"][1]);
    assert_eq!(
        server.get("/v1/models/x").await.error(),
        (404, "model_not_found".into(), Some("model".into()))
    );
    assert_eq!(server.get("/health").await.json()["status"], "ok");
    assert_eq!(
        server.get("/ready").await.json(),
        json!({"status": "ready", "models": ["tiny", "org/alias"]})
    );
    server.send(post_chat("say:abc>", &json!({}))).await;
    assert!((server.metric("moe_server_requests_total{ending=\"complete\"}").await - 1.0).abs() < 0.1);
    assert!((server.metric("moe_server_tokens_total{kind=\"prompt\"}").await - 8.0).abs() < 0.1);
    assert!((server.metric("moe_server_tokens_total{kind=\"completion\"}").await - 4.0).abs() < 0.1);
    let steps = server.metric("moe_server_step_seconds_count").await;
    assert!(steps >= 4.0);
    assert!((server.metric("moe_server_step_seconds_bucket{le=\"+Inf\"}").await - steps).abs() < 0.1);
    // Gauges follow after the step, the answer may be faster.
    crate::support::eventually("all of the KV cache is free", async || {
        server.metric("moe_server_kv_free_tokens").await > 499.5
    })
    .await;
    assert_eq!(chat("x", &json!({}))["model"], "tiny");
}

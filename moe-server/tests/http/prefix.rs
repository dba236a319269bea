//! Prompts that begin alike share keys and values: what is said stays the same, and what was shared is counted.

use crate::support::{TestServer, chat, eventually};
use moe_server::engine::cpu::CpuOptions;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

const CHAT: &str = "/v1/chat/completions";

async fn server(prefix_cache: bool, kv_tokens: usize) -> TestServer {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo.gguf");
    let cpu = CpuOptions { threads: 1, kv_tokens, prefix_cache, ..CpuOptions::default() };
    TestServer::with_cpu(&model, cpu).await
}

fn question(text: &str, more: &Value) -> Value {
    let about = "You answer questions about a gateway for language models, in a sentence or two, and say so where \
                 you do not know. The gateway counts tokens, keeps a ledger and wakes servers that sleep.";
    let mut body =
        chat(&format!("{about} {text}"), &json!({"max_tokens": 12, "temperature": 0.8, "seed": 7}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn cached(answer: &Value) -> u64 {
    answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn what_was_shared_is_counted() {
    let server = server(true, 4096).await;
    let first = question("What is a ledger?", &json!({}));
    let reply = server.post(CHAT, &first).await;
    let fresh = reply.json();
    let prompt = fresh["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(cached(&fresh), 0, "{fresh}");
    assert_eq!(server.metric("moe_server_tokens_total{kind=\"prompt\"}").await, prompt as f64);

    let reply = server.post(CHAT, &first).await;
    let again = reply.json();
    let (whole, rest) = ((prompt - 1) / 32 * 32, prompt - (prompt - 1) / 32 * 32);
    assert_eq!((cached(&again), &again["usage"]["prompt_tokens"]), (whole, &json!(prompt)));
    assert_eq!(again["choices"], fresh["choices"]);
    let id = reply.header("x-moegate-request-id").unwrap();
    let receipt = server.get(&format!("/v1/receipts/{id}")).await.json();
    assert_eq!((&receipt["usage"]["cached"], &receipt["usage"]["prompt"]), (&json!(whole), &json!(prompt)));

    let other = server.post(CHAT, &question("What is a shard?", &json!({}))).await.json();
    assert!((32..prompt).contains(&cached(&other)), "{other}");
    for (name, value) in [
        ("moe_server_prefix_cache_queries_total", 3),
        ("moe_server_prefix_cache_hits_total", 2),
        ("moe_server_prefix_cache_tokens_total", whole + cached(&other)),
        ("moe_server_prefix_cache_evictions_total", 0),
    ] {
        assert_eq!(server.metric(name).await, value as f64, "{name}");
    }
    let computed = prompt + rest + other["usage"]["prompt_tokens"].as_u64().unwrap() - cached(&other);
    assert_eq!(server.metric("moe_server_tokens_total{kind=\"prompt\"}").await, computed as f64);
    // Told after the answer.
    eventually("all is free", async || server.metric("moe_server_kv_free_tokens").await == 4096.0).await;
    let blocks = server.metric("moe_server_prefix_cache_blocks").await;
    assert_eq!(server.metric("moe_server_prefix_cache_tokens").await, 32.0 * blocks);
    assert!(blocks >= 3.0, "{blocks}");
}

#[tokio::test]
async fn salts_share_nothing() {
    let server = server(true, 4096).await;
    let ask = async |salt: Value| {
        let reply = server.post(CHAT, &question("What is a ledger?", &json!({"cache_salt": salt}))).await;
        cached(&reply.json())
    };
    assert_eq!((ask(json!("a")).await, ask(Value::Null).await, ask(json!("b")).await), (0, 0, 0));
    assert!(ask(json!("a")).await > 0 && ask(Value::Null).await > 0);
    for (salt, code) in
        [(json!(""), "invalid_value"), (json!("x".repeat(257)), "invalid_value"), (json!(1), "invalid_type")]
    {
        let reply = server.post(CHAT, &question("a", &json!({"cache_salt": salt}))).await;
        assert_eq!(reply.error(), (400, code.into(), Some("cache_salt".into())), "{salt}");
    }
}

/// Many at once, in a KV cache in which few have room: they share, wait, give way, and say the same as alone.
#[tokio::test]
async fn all_at_once_with_little_room_say_what_each_says_alone() {
    let topics = ["ledger", "shard", "receipt", "token", "seed", "route", "tenant", "wake"];
    let body = |index: usize| {
        let text = format!("What is a {}?", topics[index % topics.len()]);
        question(&text, &json!({"seed": index, "max_tokens": 40}))
    };
    let alone = server(false, 4096).await;
    let together = Arc::new(server(true, 256).await);
    let mut expected = Vec::new();
    for index in 0..12 {
        let answer = alone.post(CHAT, &body(index)).await.json();
        assert_eq!(cached(&answer), 0, "{answer}");
        expected.push(answer["choices"].clone());
    }
    for _ in 0..2 {
        let mut asking = JoinSet::new();
        for index in 0..12 {
            let (server, body) = (together.clone(), body(index));
            asking.spawn(async move { (index, server.post(CHAT, &body).await.json()) });
        }
        let answers = asking.join_all().await;
        for (index, answer) in answers {
            assert_eq!(answer["choices"], expected[index], "{answer}");
        }
    }
    assert!(together.metric("moe_server_prefix_cache_evictions_total").await > 0.0);
    assert!(together.metric("moe_server_prefix_cache_hits_total").await > 0.0);
    eventually("all is free", async || together.metric("moe_server_kv_free_tokens").await == 256.0).await;
}

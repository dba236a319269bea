//! Prompts that begin alike share keys and values: what is said stays the same, and what was shared is counted.

use crate::support::{Setup, TestServer, chat, eventually};
use moe_server::engine::cpu::CpuOptions;
use moe_server::schedule::Config;
use moe_server::snapshot::Options;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

const CHAT: &str = "/v1/chat/completions";

async fn server(prefix_cache: bool, kv_tokens: usize) -> TestServer {
    with_warm_state(prefix_cache, kv_tokens, None).await
}

async fn with_warm_state(prefix_cache: bool, kv_tokens: usize, file: Option<&Path>) -> TestServer {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo.gguf");
    let cpu = CpuOptions { threads: 1, kv_tokens, prefix_cache, ..CpuOptions::default() };
    let warm_state = file.map(|file| Options { file: file.to_owned(), max_bytes: 1 << 30 });
    let config = Config { warm_state, ..Config::default() };
    TestServer::with_cpu(&model, cpu, Setup { config, ..Setup::default() }).await
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

async fn becomes(server: &TestServer, state: &str) {
    eventually(state, async || server.get("/health").await.json()["state"] == state).await;
}

async fn known(server: &TestServer) -> f64 {
    server.metric("moe_server_prefix_cache_tokens").await
}

#[tokio::test]
async fn the_cache_survives_a_sleep_and_a_stop_and_a_damaged_file_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("warm");
    let mut server = with_warm_state(true, 4096, Some(&file)).await;
    let questions = ["What is a ledger?", "What is a shard?"];
    let ask = async |server: &TestServer| {
        let mut answers = Vec::new();
        for text in questions {
            answers.push(server.post(CHAT, &question(text, &json!({}))).await.json());
        }
        answers
    };
    let said: Vec<Value> = ask(&server).await.iter().map(|answer| answer["choices"].clone()).collect();
    let same = |answers: &[Value], is_cached: bool| {
        for (answer, said) in answers.iter().zip(&said) {
            assert_eq!(answer["choices"], *said);
        }
        assert_eq!(cached(&answers[0]) > 0, is_cached, "{answers:?}");
    };
    eventually("all is told", async || server.metric("moe_server_kv_free_tokens").await == 4096.0).await;
    let tokens = known(&server).await;
    assert!(tokens >= 96.0, "{tokens}");
    assert!(!file.exists());
    server.post("/sleep", &json!({})).await;
    becomes(&server, "cold").await;
    assert_eq!(known(&server).await, 0.0);
    server.post("/wake", &json!({})).await;
    becomes(&server, "ready").await;
    eventually("it is back", async || known(&server).await == tokens).await;
    assert_eq!(server.metric("moe_server_kv_free_tokens").await, 4096.0);
    same(&ask(&server).await, true);

    // A stop writes it again, and a start reads it.
    std::fs::remove_file(&file).unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    eventually("it is written", async || file.exists()).await;
    drop(server);
    let whole = std::fs::read(&file).unwrap();
    let server = with_warm_state(true, 4096, Some(&file)).await;
    eventually("it is back", async || known(&server).await == tokens).await;
    same(&ask(&server).await, true);

    // Less room than was kept: some of it is taken. Each server has a file of its own, since each writes when it ends.
    let copy = folder.path().join("small");
    std::fs::write(&copy, &whole).unwrap();
    let small = with_warm_state(true, 64, Some(&copy)).await;
    eventually("it is full", async || known(&small).await == 64.0).await;

    for damage in 0..24 {
        let mut bytes = whole.clone();
        let at = whole.len() / 24 * damage;
        if damage % 2 == 0 {
            bytes[at] ^= 0x10;
        } else {
            bytes.truncate(at);
        }
        let damaged = folder.path().join(damage.to_string());
        std::fs::write(&damaged, bytes).unwrap();
        let server = with_warm_state(true, 4096, Some(&damaged)).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(known(&server).await, 0.0);
        if damage < 4 {
            same(&ask(&server).await, false);
        }
    }
}

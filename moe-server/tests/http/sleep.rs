//! Sleeping and waking over HTTP: with a scripted engine, and with the files of a real model.

use crate::support::events;
use crate::support::{Reply, Setup, TestServer, chat, eventually, post_chat, request, text_of};
use hyper::Method;
use moe_server::schedule::Config;
use moe_server::sleep::Rules;
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

async fn post(server: &TestServer, path: &str) -> Reply {
    server.send(request(Method::POST, path, "")).await
}

async fn state(server: &TestServer) -> String {
    server.get("/health").await.json()["state"].as_str().unwrap().to_owned()
}

async fn becomes(server: &TestServer, wanted: &str) {
    eventually(wanted, async || state(server).await == wanted).await;
}

async fn put_to_sleep(server: &TestServer) {
    assert!(matches!(post(server, "/sleep").await.status.as_u16(), 200 | 202));
    becomes(server, "cold").await;
}

async fn with_rules(sleep: Rules) -> TestServer {
    TestServer::start(Setup { config: Config { sleep, ..Config::default() }, ..Setup::default() }).await
}

/// Of a refusal: its code, after a look at the rest.
fn refused(reply: &Reply) -> String {
    let (status, code, _) = reply.error();
    assert_eq!(status, 503);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..60).contains(&seconds));
    code
}

#[tokio::test]
async fn a_server_sleeps_and_wakes() {
    let server = TestServer::usual().await;
    let health = server.get("/health").await.json();
    assert_eq!((&health["status"], &health["state"]), (&json!("ok"), &json!("ready")));
    assert_eq!((&health["loaded_bytes"], &health["total_bytes"]), (&json!(100), &json!(100)));
    assert!(
        health["last_wake_ms"].is_u64() && health["since_ms"].as_u64() > Some(1_700_000_000_000),
        "{health}"
    );
    assert_eq!(post(&server, "/wake").await.status, 200, "ready already");

    let reply = post(&server, "/sleep").await;
    assert!(matches!(reply.json()["state"].as_str(), Some("draining" | "cold")), "{}", reply.body);
    becomes(&server, "cold").await;
    assert_eq!(post(&server, "/sleep").await.status, 200, "cold already");
    assert_eq!(server.control.engines.load(SeqCst), 0, "the engine is gone");
    assert_eq!(server.get("/health").await.json()["loaded_bytes"], 0);
    assert_eq!(refused(&server.get("/ready").await), "asleep");
    assert_eq!(refused(&server.send(post_chat("say:ab>", &json!({}))).await), "asleep");
    assert_eq!(refused(&server.send(post_chat("say:ab>", &json!({"stream": true}))).await), "asleep");
    assert_eq!(server.get("/v1/models").await.status, 200, "the rest goes on");
    assert!(server.metric("moe_server_ready").await < 0.5);
    let asleep = "moe_server_time_seconds_total{state=\"asleep\"}";
    eventually("time asleep is counted", async || server.metric(asleep).await > 0.01).await;
    let cold = server.metric("moe_server_time_seconds_total{state=\"cold\"}").await;
    let idle = server.metric("moe_server_time_seconds_total{state=\"idle\"}").await;

    server.control.hold_load.store(true, SeqCst);
    let reply = post(&server, "/wake").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (202, &json!("waking")));
    eventually("it says how far it is", async || {
        let health = server.get("/health").await.json();
        health["loaded_bytes"] == 25 && health["total_bytes"] == 100 && health["seconds_left"].is_u64()
    })
    .await;
    assert_eq!(refused(&server.get("/ready").await), "waking");
    assert_eq!(refused(&server.send(post_chat("say:ab>", &json!({}))).await), "waking");
    server.control.hold_load.store(false, SeqCst);
    becomes(&server, "ready").await;
    let reply = server.send(post_chat("say:ab>", &json!({}))).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "ab");
    assert!(
        server.metric("moe_server_time_seconds_total{state=\"cold\"}").await > cold,
        "waking is cold time"
    );
    assert!(server.metric("moe_server_time_seconds_total{state=\"idle\"}").await >= idle);
    assert_eq!(server.control.loads.load(SeqCst), 1);
}

#[tokio::test]
async fn what_runs_and_waits_is_finished_first() {
    let config = Config { max_batch: 1, ..Config::default() };
    let server = TestServer::start(Setup { config, ..Setup::default() }).await;
    server.control.allow(3);
    let mut open = server.open(post_chat("say:abcdef>", &json!({"stream": true}))).await;
    open.until("\"a\"").await;
    let waiting = server.send(post_chat("say:xy>", &json!({})));
    let putting = async {
        eventually("one waits", async || server.metric("moe_server_queue_depth").await > 0.5).await;
        let reply = post(&server, "/sleep").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (202, &json!("draining")));
        assert_eq!(refused(&server.send(post_chat("say:z>", &json!({}))).await), "draining");
        assert_eq!(refused(&server.get("/ready").await), "draining");
        server.control.open();
    };
    let (waited, ()) = tokio::join!(waiting, putting);
    assert_eq!(waited.json()["choices"][0]["message"]["content"], "xy");
    let rest = open.rest().await;
    assert!(rest.ends_with("data: [DONE]\n\n") && text_of(&events(&rest)).ends_with("bcdef"), "{rest}");
    becomes(&server, "cold").await;
}

#[tokio::test]
async fn a_wake_takes_a_sleep_back_while_something_runs() {
    let server = TestServer::usual().await;
    server.control.allow(3);
    let mut open = server.open(post_chat("say:abc>", &json!({"stream": true}))).await;
    open.until("\"a\"").await;
    assert_eq!(post(&server, "/sleep").await.json()["state"], "draining");
    assert_eq!(post(&server, "/wake").await.status, 200);
    server.control.open();
    assert!(open.rest().await.ends_with("data: [DONE]\n\n"));
    assert_eq!(server.send(post_chat("say:ab>", &json!({}))).await.status, 200);
    assert_eq!(server.control.loads.load(SeqCst), 0, "nothing was lost");
}

#[tokio::test]
async fn many_wakes_are_one_load() {
    let server = TestServer::usual().await;
    put_to_sleep(&server).await;
    server.control.hold_load.store(true, SeqCst);
    let replies = futures_util::future::join_all((0..50).map(|_| post(&server, "/wake"))).await;
    assert!(replies.iter().all(|reply| reply.status == 202 && reply.json()["state"] == "waking"));
    server.control.hold_load.store(false, SeqCst);
    becomes(&server, "ready").await;
    assert_eq!((server.control.loads.load(SeqCst), server.control.engines.load(SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_sleep_ends_a_wake_and_a_wake_such_a_sleep() {
    let server = TestServer::usual().await;
    put_to_sleep(&server).await;
    server.control.hold_load.store(true, SeqCst);
    post(&server, "/wake").await;
    eventually("it loads", async || server.control.loads.load(SeqCst) == 1).await;
    assert_eq!(post(&server, "/sleep").await.status, 202);
    becomes(&server, "cold").await;
    let health = server.get("/health").await.json();
    assert!(health["reason"].is_null(), "that is no failure: {health}");
    for _ in 0..20 {
        post(&server, "/wake").await;
        post(&server, "/sleep").await;
    }
    post(&server, "/wake").await;
    server.control.hold_load.store(false, SeqCst);
    becomes(&server, "ready").await;
    assert_eq!(server.control.engines.load(SeqCst), 1);
    assert_eq!(server.send(post_chat("say:ab>", &json!({}))).await.status, 200);
}

#[tokio::test]
async fn a_wake_that_fails_leaves_it_cold_with_the_reason() {
    let server = TestServer::usual().await;
    put_to_sleep(&server).await;
    for panics in [false, true] {
        *server.control.load_error.lock().unwrap() = Some("/secret/path: gone".into());
        server.control.load_panics.store(panics, SeqCst);
        post(&server, "/wake").await;
        let part = if panics { "panicked" } else { "/secret/path: gone" };
        eventually("it says why", async || {
            let health = server.get("/health").await.json();
            health["state"] == "cold" && health["reason"].as_str().is_some_and(|why| why.contains(part))
        })
        .await;
        let anyone =
            hyper::Request::get("/health").header("host", "test").body(String::new().into()).unwrap();
        let anyone = server.send(anyone).await.json();
        assert!(anyone["state"] == "cold" && anyone["reason"].is_null(), "not for everybody: {anyone}");
    }
    *server.control.load_error.lock().unwrap() = None;
    server.control.load_panics.store(false, SeqCst);
    post(&server, "/wake").await;
    becomes(&server, "ready").await;
    assert!(server.get("/health").await.json()["reason"].is_null());
    assert_eq!(server.send(post_chat("say:ab>", &json!({}))).await.status, 200);
}

#[tokio::test]
async fn a_request_wakes_where_that_is_wanted() {
    let server = with_rules(Rules { wake_on_request: true, ..Rules::default() }).await;
    put_to_sleep(&server).await;
    let ask = || server.send(post_chat("say:ab>", &json!({})));
    let (first, second, stream) =
        tokio::join!(ask(), ask(), server.send(post_chat("say:ab>", &json!({"stream": true}))));
    assert_eq!([first.status, second.status, stream.status], [200, 200, 200]);
    assert_eq!(server.control.loads.load(SeqCst), 1);

    put_to_sleep(&server).await;
    *server.control.load_error.lock().unwrap() = Some("gone".into());
    assert_eq!(refused(&ask().await), "asleep", "it could not");
    *server.control.load_error.lock().unwrap() = None;
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn an_idle_server_sleeps_unless_something_holds_it() {
    // The first request has to come before.
    let short = Some(Duration::from_millis(1_000));
    let server = with_rules(Rules { sleep_after: short, ..Rules::default() }).await;
    server.control.allow(2);
    let mut open = server.open(post_chat("say:abc>", &json!({"stream": true}))).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(state(&server).await, "ready", "while something runs");
    let leased = server.post("/lease", &json!({"seconds": 3600})).await;
    assert_eq!((leased.status.as_u16(), &leased.json()["state"]), (200, &json!("ready")));
    server.control.open();
    open.rest().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(state(&server).await, "ready", "while a lease holds");

    put_to_sleep(&server).await;
    let loads = server.control.loads.load(SeqCst);
    post(&server, "/wake").await;
    // So short a time awake is not looked for.
    eventually("it is awake", async || server.control.loads.load(SeqCst) > loads).await;
    becomes(&server, "cold").await;
    assert_eq!(server.control.engines.load(SeqCst), 0, "by itself, and leases end with a sleep");
    assert_eq!(
        server.post("/lease", &json!({"seconds": 1})).await.json()["state"],
        "cold",
        "a lease wakes nothing"
    );
}

#[tokio::test]
async fn operators_show_the_key_and_leases_have_bounds() {
    let server = TestServer::usual().await;
    for path in ["/wake", "/sleep", "/lease"] {
        let request = hyper::Request::post(path)
            .header("host", "test")
            .body("{\"seconds\":1}".to_owned().into())
            .unwrap();
        assert_eq!(server.send(request).await.error(), (401, "invalid_api_key".into(), None));
        assert_eq!(server.get(path).await.error().0, 405);
    }
    for body in
        [json!({}), json!({"seconds": 0}), json!({"seconds": 3601}), json!({"seconds": "1"}), json!(1)]
    {
        let (status, code, param) = server.post("/lease", &body).await.error();
        assert_eq!((status, &*code, param.as_deref()), (400, "invalid_value", Some("seconds")), "{body}");
    }
    assert_eq!(state(&server).await, "ready");
}

#[tokio::test]
async fn without_a_key_no_form_puts_a_server_to_sleep() {
    let auth = moe_server::http::auth::Auth::none();
    let server = TestServer::start(Setup { auth, ..Setup::default() }).await;
    let ask = async |kind: &str| {
        let request = hyper::Request::post("/sleep").header("host", "localhost").header("content-type", kind);
        server.send(request.body(String::new().into()).unwrap()).await.status.as_u16()
    };
    assert_eq!(ask("text/plain").await, 415);
    assert!(matches!(ask("application/json").await, 200 | 202));
}

/// A model file, and what a chat about it takes.
fn question() -> Value {
    chat("What is a seed?", &json!({"max_tokens": 8, "temperature": 0}))
}

#[tokio::test]
async fn a_model_file_that_is_gone_damaged_or_another_one() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    std::fs::copy(models.join("tiny.gguf"), &file).unwrap();
    let server = TestServer::with_file(&file).await;
    let ask = async || server.post("/v1/chat/completions", &question()).await;
    let mut first = ask().await.json();
    put_to_sleep(&server).await;
    let whole = std::fs::read(&file).unwrap();
    let fails = async |part: &str| {
        post(&server, "/wake").await;
        eventually(part, async || {
            let health = server.get("/health").await.json();
            health["state"] == "cold" && health["reason"].as_str().is_some_and(|why| why.contains(part))
        })
        .await;
        assert_eq!(refused(&ask().await), "asleep");
    };
    std::fs::remove_file(&file).unwrap();
    fails("model.gguf").await;
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    fails("model.gguf").await;
    let mut damaged = whole.clone();
    damaged[..4].copy_from_slice(b"JUNK");
    std::fs::write(&file, &damaged).unwrap();
    fails("model.gguf").await;
    std::fs::copy(models.join("demo.gguf"), &file).unwrap();
    fails("another model").await;
    std::fs::write(&file, &whole).unwrap();
    post(&server, "/wake").await;
    becomes(&server, "ready").await;
    let mut second = ask().await.json();
    assert_eq!(first["choices"].take(), second["choices"].take(), "and it says what it said");
}

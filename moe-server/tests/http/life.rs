//! Clients that leave, queues that are full, engines that fail, a server that stops.

use crate::engine::{NAN, NAN_ROW, PANIC};
use crate::support::{Open, Setup, TestServer, chat, events, eventually, post_chat, text_of};
use moe_server::schedule::Config;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const STREAM: &str = r#"{"stream": true}"#;

async fn stream(server: &TestServer, text: &str) -> Open {
    server.open(post_chat(text, &serde_json::from_str(STREAM).unwrap())).await
}

async fn released(server: &TestServer) {
    eventually("all sequences are released", async || server.control.live.load(SeqCst) == 0).await;
    let steps = server.control.steps.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.control.steps.load(SeqCst), steps, "the engine goes on for nobody");
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_stops_the_engine() {
    let server = TestServer::start(Setup { context: 1 << 30, kv_tokens: 1 << 30, ..Setup::default() }).await;
    let mut open = stream(&server, "a").await;
    open.until("\"d\"").await;
    drop(open);
    released(&server).await;
    eventually("it is counted", async || {
        server.metric("moe_server_requests_total{ending=\"cancelled\"}").await > 0.5
    })
    .await;
    eventually("the gauge follows", async || server.metric("moe_server_running").await < 0.5).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_stops_the_engine() {
    let server = TestServer::start(Setup { context: 1 << 30, kv_tokens: 1 << 30, ..Setup::default() }).await;
    let asking = server.send(post_chat("a", &json!({})));
    let seen = eventually("it runs", async || server.control.steps.load(SeqCst) > 3);
    tokio::select! {
        _ = asking => panic!("there is no end to this answer"),
        () = seen => {}
    }
    released(&server).await;
}

/// At most the step in work is finished for a request that has gone.
#[tokio::test]
async fn a_cancelled_request_is_released_within_one_step() {
    let server = TestServer::usual().await;
    let mut open = stream(&server, "a").await;
    open.until("\"d\"").await;
    server.control.allow(0);
    eventually("the engine waits in a step", async || {
        let steps = server.control.steps.load(SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        steps == server.control.steps.load(SeqCst)
    })
    .await;
    let steps = server.control.steps.load(SeqCst);
    drop(open);
    // The server sees the closed connection while the engine waits.
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.control.allow(10);
    released(&server).await;
    assert!(server.control.steps.load(SeqCst) <= steps + 1);
}

#[tokio::test]
async fn a_full_queue_is_refused_and_a_place_comes_free() {
    let config = Config { max_queue: 2, max_batch: 1, ..Config::default() };
    let server = TestServer::start(Setup { config, ..Setup::default() }).await;
    server.control.allow(0);
    let ask = || server.send(post_chat("say:ab>", &json!({})));
    let first = ask();
    let others = async {
        eventually("the first runs", async || server.control.live.load(SeqCst) == 1).await;
        let (second, third, ()) = tokio::join!(ask(), ask(), async {
            eventually("two wait", async || server.metric("moe_server_queue_depth").await > 1.5).await;
            let refused = ask().await;
            assert_eq!(refused.error(), (429, "server_busy".into(), None));
            let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((1..60).contains(&seconds));
            assert_eq!(server.get("/ready").await.status, 200, "busy is not unready");
            server.control.open();
        });
        (second, third)
    };
    let (first, (second, third)) = tokio::join!(first, others);
    assert_eq!([first.status, second.status, third.status], [200, 200, 200]);
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn a_silent_stream_shows_signs_of_life() {
    let server = TestServer::start(Setup { keepalive: Duration::from_millis(30), ..Setup::default() }).await;
    server.control.allow(0);
    let mut open = stream(&server, "say:ab>").await;
    assert_eq!(open.status, 200);
    assert_eq!(open.next().await.unwrap(), ": waiting\n\n");
    assert_eq!(open.next().await.unwrap(), ": waiting\n\n");
    server.control.allow(1);
    open.until("\"a\"").await;
    open.until(": waiting").await;
    server.control.open();
    assert!(open.rest().await.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn what_is_not_a_number_fails_its_own_request_only() {
    let server = TestServer::usual().await;
    for bad in [NAN, NAN_ROW] {
        let text = format!("x{bad}");
        let others = async || server.send(post_chat("a", &json!({"max_tokens": 200}))).await;
        let (failed, streamed, other, another) = tokio::join!(
            server.send(post_chat(&text, &json!({}))),
            server.send(post_chat(&text, &json!({"stream": true}))),
            others(),
            others()
        );
        assert_eq!(failed.error(), (500, "not_a_number".into(), None));
        assert_eq!(streamed.error(), (500, "not_a_number".into(), None), "before any text, by status");
        assert_eq!([other.status, another.status], [200, 200]);

        let reply =
            server.send(post_chat(&format!("say:ab{}cd>", u32::from(bad)), &json!({"stream": true}))).await;
        let events = events(&reply.body);
        assert_eq!(reply.status, 200);
        assert!(text_of(&events).starts_with("ab"));
        assert_eq!(events.last().unwrap()["error"]["code"], "not_a_number");
        assert!(!reply.body.contains("[DONE]") && !reply.body.contains("\"finish_reason\":\""));
    }
    assert_eq!(server.get("/ready").await.status, 200);
    released(&server).await;
}

#[tokio::test]
async fn a_model_that_yields_no_numbers_is_not_ready_until_it_does() {
    let server = TestServer::usual().await;
    let fail = async |bad| {
        let reply = server.send(post_chat(&format!("x{bad}"), &json!({}))).await;
        assert_eq!(reply.error(), (500, "not_a_number".into(), None), "a request is still taken");
    };
    let succeed = async || assert_eq!(server.send(post_chat("say:ab>", &json!({}))).await.status, 200);
    for _ in 0..3 {
        fail(NAN).await;
        fail(NAN_ROW).await;
        assert_eq!(server.get("/ready").await.status, 200, "two in a row may be the requests' own fault");
        succeed().await;
    }
    for bad in [NAN_ROW, NAN, NAN, NAN] {
        fail(bad).await;
    }
    assert_eq!(server.get("/ready").await.error(), (503, "not_a_number".into(), None));
    assert!(server.metric("moe_server_ready").await < 0.5);
    assert_eq!(server.get("/health").await.status, 200);
    succeed().await;
    assert_eq!(server.get("/ready").await.status, 200);
    assert!(server.metric("moe_server_ready").await > 0.5);
}

#[tokio::test]
async fn a_dead_engine_fails_everyone_and_the_server_lives() {
    let server = TestServer::usual().await;
    server.control.allow(3);
    let mut open = stream(&server, "a").await;
    open.until("\"b\"").await;
    let waiting = server.send(post_chat(&format!("x{PANIC}"), &json!({})));
    let opening = async {
        // In the queue; or in the batch, or even through it, if the engine had not begun its next step.
        eventually("it is there", async || {
            let queued = server.metric("moe_server_queue_depth").await;
            let failed = server.metric("moe_server_requests_total{ending=\"error\"}").await;
            queued + server.metric("moe_server_running").await > 1.5 || failed > 0.5
        })
        .await;
        server.control.open();
    };
    let (failed, ()) = tokio::join!(waiting, opening);
    assert_eq!(failed.error(), (500, "engine_dead".into(), None));
    assert!(!failed.body.contains("scripted"), "nothing of the inside: {}", failed.body);
    let rest = open.rest().await;
    assert_eq!(events(&rest).last().unwrap()["error"]["code"], "engine_dead");
    assert!(!rest.contains("[DONE]"));

    for more in [json!({}), json!({"stream": true})] {
        assert_eq!(server.send(post_chat("a", &more)).await.error().0, 500);
    }
    assert_eq!(server.get("/ready").await.error(), (503, "engine_dead".into(), None));
    assert_eq!(server.get("/health").await.status, 200);
    assert!((server.metric("moe_server_requests_total{ending=\"error\"}").await - 2.0).abs() < 0.1);
    assert!(server.metric("moe_server_queue_depth").await < 0.5);
}

/// Four sequences that fit the cache one by one, but not together.
#[tokio::test]
async fn a_full_kv_cache_makes_the_younger_wait() {
    let server = TestServer::start(Setup { kv_tokens: 400, ..Setup::default() }).await;
    server.control.allow(0);
    let ask = async |first: &str| {
        let text = first.repeat(30);
        server.send(post_chat(&text, &json!({"max_tokens": 300}))).await.json()
    };
    let opening = async {
        eventually("all wait", async || {
            server.metric("moe_server_queue_depth").await + server.metric("moe_server_running").await > 3.5
        })
        .await;
        server.control.open();
    };
    let (a, b, c, d, ()) = tokio::join!(ask("a"), ask("b"), ask("c"), ask("d"), opening);
    let alphabet = "abcdefghijklmnopqrstuvwxyz".repeat(13);
    for (reply, start) in [(a, 1), (b, 2), (c, 3), (d, 4)] {
        let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(text, &alphabet[start..start + 300]);
        let usage = &reply["usage"];
        assert_eq!(
            [&usage["prompt_tokens"], &usage["completion_tokens"]],
            [30, 300],
            "computed twice, counted once"
        );
    }
    assert!(server.metric("moe_server_preemptions_total").await > 0.5);
    released(&server).await;
    eventually("all of it is free", async || server.metric("moe_server_kv_free_tokens").await > 399.5).await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_returns() {
    let mut server = TestServer::usual().await;
    let mut open = stream(&server, "a").await;
    open.until("\"c\"").await;
    let stop = server.stop.take().unwrap();
    stop.send(()).unwrap();
    let rest = open.rest().await;
    assert_eq!(events(&rest).last().unwrap()["error"]["code"], "shutting_down");
    assert!(!rest.contains("[DONE]"));
    drop(open);
    let serving = std::mem::replace(&mut server.serving, tokio::spawn(async {}));
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    assert_eq!(chat("a", &json!({}))["model"], "tiny");
}

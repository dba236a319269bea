//! Clients that are slow, send much or read nothing hold little, and not for long.

use crate::support::{Setup, TestServer, eventually, post_chat};
use moe_server::http::Limits;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(50);

async fn with(limits: Limits) -> TestServer {
    TestServer::start(Setup { limits, ..Setup::default() }).await
}

/// A connection on which `text` was sent.
async fn raw(server: &TestServer, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server closes.
async fn answer(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn half_a_head_does_not_hold_a_connection() {
    let server = with(Limits { head: SHORT, connections: 2, ..Limits::default() }).await;
    for text in ["", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        // They take all places: who comes after waits until they are closed.
        let slow = (raw(&server, text).await, raw(&server, text).await);
        assert_eq!(server.get("/health").await.status, 200);
        let (first, second) = (answer(slow.0).await, answer(slow.1).await);
        assert!(!first.contains("200") && !second.contains("200"), "{first}{second}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let limits = Limits { write_stall: SHORT, ..Limits::default() };
    let server =
        TestServer::start(Setup { context: 1 << 30, kv_tokens: 1 << 30, limits, ..Setup::default() }).await;
    let body = crate::support::chat("a", &json!({"stream": true})).to_string();
    let length = body.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\r\n",
        crate::support::KEY
    );
    let unread = raw(&server, &(head + &body)).await;
    eventually("it runs", async || server.control.live.load(SeqCst) == 1).await;
    eventually("it is cancelled", async || server.control.live.load(SeqCst) == 0).await;
    assert_eq!(server.send(post_chat("say:a>", &json!({}))).await.status, 200);
    drop(unread);
}

/// A post of `length` bytes, of which the head is all here.
fn head(key: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_refused_client_may_send_its_body_first() {
    let server = TestServer::usual().await;
    // More than what the system holds between the two ends is not needed: the server must have read all.
    let body = "a".repeat(100_000);
    let mut stream = raw(&server, &head("wrong", body.len())).await;
    for part in body.as_bytes().chunks(10_000) {
        stream.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(answer(stream).await.starts_with("HTTP/1.1 401"));
    // But not for ever.
    let server = with(Limits { drain: SHORT, ..Limits::default() }).await;
    assert!(answer(raw(&server, &head("wrong", 100)).await).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = with(Limits { body_silence: SHORT, ..Limits::default() }).await;
    let answer = answer(raw(&server, &(head(crate::support::KEY, 100) + "{")).await).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused_until_there_is_room() {
    let server = with(Limits { body_bytes: 60_000, ..Limits::default() }).await;
    let mut held = raw(&server, &(head(crate::support::KEY, 50_001) + &"a".repeat(50_000))).await;
    let ask = || server.send(post_chat(&"a".repeat(20_000), &json!({})));
    eventually("there is no room", async || ask().await.error() == (429, "server_busy".into(), None)).await;
    held.write_all(b"a").await.unwrap();
    assert!(answer(held).await.contains("invalid_json"));
    assert_eq!(ask().await.error().1, "context_length_exceeded");
}

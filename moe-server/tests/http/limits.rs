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

//! A server that computes for its gateway only.

use crate::receipts::with_ticket;
use crate::support::{KEY, Setup, TestServer, post_chat, request};
use hyper::Method;
use hyper::header::HeaderValue;
use moe_server::http::tickets::Spent;
use moegate_wire::{Rates, Ticket};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

async fn strict() -> TestServer {
    TestServer::start(Setup { tickets: Some(Spent::default()), ..Setup::default() }).await
}

/// A ticket of that key and age.
fn ticket(id: &str, key: &str, age_s: i64) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issued_at = now_s.checked_add_signed(-age_s).unwrap();
    let price = Rates::of_tokens(1, 1).into();
    Ticket { request_id: id.into(), issued_at, price, share: String::new() }.encode(key.as_bytes())
}

async fn ask(server: &TestServer, ticket: Option<&str>) -> (u16, String) {
    let mut request = post_chat("a", &json!({"max_tokens": 1}));
    if let Some(ticket) = ticket {
        request.headers_mut().insert("x-moegate-ticket", HeaderValue::from_str(ticket).unwrap());
    }
    let reply = server.send(request).await;
    let code = if reply.status == 200 { String::new() } else { reply.error().1 };
    (reply.status.as_u16(), code)
}

#[tokio::test]
async fn the_key_alone_computes_nothing() {
    let server = strict().await;
    assert_eq!(ask(&server, None).await, (401, "ticket_required".into()));
    for path in ["/v1/completions", "//v1/chat/completions/"] {
        let body = json!({"model": "tiny", "prompt": "a", "messages": []}).to_string();
        let reply = server.send(request(Method::POST, path, &body)).await;
        assert_eq!(reply.error().1, "ticket_required", "{path}");
    }
    for (what, ticket) in [
        ("of another key", ticket("r", "another", 0)),
        ("too old", ticket("r", KEY, 301)),
        ("from too far ahead", ticket("r", KEY, -310)),
        ("changed", ticket("r", KEY, 0).replace(".r.", ".s.")),
        ("nothing", String::new()),
    ] {
        assert_eq!(ask(&server, Some(&ticket)).await, (401, "invalid_ticket".into()), "{what}");
    }
    assert!(server.metric("moe_server_tokens_total{kind=\"completion\"}").await < 0.5);
    assert!(server.metric("moe_server_refused_total").await > 7.5);
}

#[tokio::test]
async fn a_ticket_is_good_for_one_request() {
    let server = strict().await;
    let one = ticket("one", KEY, 0);
    assert_eq!(ask(&server, Some(&one)).await, (200, String::new()));
    assert_eq!(ask(&server, Some(&one)).await, (401, "ticket_replayed".into()));
    // Also one whose request was refused afterwards.
    let mut bad = post_chat("a", &json!({"n": 3}));
    let two = ticket("two", KEY, 0);
    bad.headers_mut().insert("x-moegate-ticket", HeaderValue::from_str(&two).unwrap());
    assert_eq!(server.send(bad).await.status, 400);
    assert_eq!(ask(&server, Some(&two)).await, (401, "ticket_replayed".into()));
    // A ticket does not stand in for the key, and what is wrong with the key spends no ticket.
    let mut keyless = with_ticket("three", post_chat("a", &json!({})));
    let key = keyless.headers_mut().remove("authorization").unwrap();
    assert_eq!(server.send(keyless.clone()).await.error().1, "invalid_api_key");
    keyless.headers_mut().insert("authorization", key);
    assert_eq!(server.send(keyless).await.status, 200);
}

/// What the gateway does beside generations: its key is enough.
#[tokio::test]
async fn nothing_else_needs_one() {
    let server = strict().await;
    assert_eq!(ask(&server, Some(&ticket("one", KEY, 0))).await.0, 200);
    for path in ["/v1/receipts/one", "/v1/models", "/metrics", "/health", "/ready"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}

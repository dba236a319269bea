//! Exact numbers for every request, however it ended.

use crate::engine::NAN;
use crate::support::{KEY, TestServer, events, eventually, post_chat};
use hyper::Request;
use hyper::header::HeaderValue;
use moegate_wire::{Ending, Nanodollars, Price, Rates, Receipt, Ticket, Usage, receipt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn price() -> Price {
    let rates = Rates::of_tokens(150_000_000, 600_000_000);
    Rates { cached_input: 75_000_000, ..rates }.into()
}

pub(crate) type Post = Request<http_body_util::Full<hyper::body::Bytes>>;

pub(crate) fn with_ticket(id: &str, mut request: Post) -> Post {
    let issued_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ticket = Ticket { request_id: id.into(), issued_at, price: price(), share: String::new() }
        .encode(KEY.as_bytes());
    request.headers_mut().insert("x-moegate-ticket", HeaderValue::from_str(&ticket).unwrap());
    request
}

async fn receipt(server: &TestServer, id: &str, query: &str) -> Receipt {
    let reply = server.get(&format!("/v1/receipts/{id}{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let signature = reply.header("x-moegate-signature").expect("signed");
    assert!(receipt::verify_body(KEY.as_bytes(), reply.body.as_bytes(), signature));
    assert!(!receipt::verify_body(b"other", reply.body.as_bytes(), signature));
    serde_json::from_str(&reply.body).unwrap()
}

fn usage(prompt: u64, completion: u64) -> Usage {
    Usage { prompt, completion, ..Usage::default() }
}

#[tokio::test]
async fn streamed_or_not_it_costs_the_same() {
    let server = TestServer::usual().await;
    // 8 tokens of prompt, 3 and the end of answer: 8 × 150 + 4 × 600 nano-dollars.
    let whole = server.send(with_ticket("whole", post_chat("say:abc>", &json!({})))).await;
    assert!(whole.body.contains("\"cost\":0.0000036}"), "{}", whole.body);
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = server.send(with_ticket("streamed", post_chat("say:abc>", &options))).await;
    assert!(streamed.body.contains("\"cost\":0.0000036}"), "{}", streamed.body);
    let quiet = server.send(with_ticket("quiet", post_chat("say:abc>", &json!({"stream": true})))).await;
    assert!(!quiet.body.contains("usage"), "{}", quiet.body);
    for id in ["whole", "streamed", "quiet"] {
        // Final as soon as the last byte has come: no wait.
        let receipt = receipt(&server, id, "").await;
        assert_eq!(receipt.id, id);
        assert_eq!(receipt.model, "tiny");
        assert_eq!(receipt.usage, usage(8, 4));
        assert_eq!(receipt.ending, Ending::Complete);
        assert_eq!(receipt.finish_reason.as_deref(), Some("stop"));
        assert_eq!(receipt.cost, Nanodollars(3_600));
        assert!(receipt.created_ms > 1_700_000_000_000);
    }
}

#[tokio::test]
async fn without_a_ticket_it_is_kept_under_the_id_in_the_header() {
    let server = TestServer::usual().await;
    let reply = server.send(post_chat("a", &json!({"max_tokens": 3}))).await;
    let receipt = receipt(&server, reply.header("x-moegate-request-id").unwrap(), "").await;
    assert_eq!((receipt.usage, receipt.cost), (usage(1, 3), Nanodollars(0)));
    assert_eq!(receipt.finish_reason.as_deref(), Some("length"));
}

#[tokio::test]
async fn a_cancelled_generation_counts_what_was_computed() {
    let server = TestServer::usual().await;
    server.control.allow(5);
    let mut open = server.open(with_ticket("gone", post_chat("a", &json!({"stream": true})))).await;
    open.until("\"f\"").await;
    let running = receipt(&server, "gone", "").await;
    assert_eq!((running.ending, running.usage), (Ending::Running, usage(1, 5)));
    assert_eq!(receipt(&server, "gone", "?wait_ms=30").await.ending, Ending::Running, "still");
    drop(open);
    let (cut, ()) = tokio::join!(receipt(&server, "gone", "?wait_ms=2000"), async {
        // The engine is inside a step and gets out of it only now.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        server.control.open();
    });
    assert_eq!(cut.ending, Ending::Cancelled);
    // The step that was in work when the client left is computed.
    assert_eq!(cut.usage.prompt, 1);
    assert_eq!(cut.finish_reason, None);
    assert_eq!(cut.cost, price().cost(&cut.usage, 0));
    eventually("it is released", async || server.control.live.load(SeqCst) == 0).await;
    assert_eq!(receipt(&server, "gone", "").await, cut, "final is final");
    let total = server.metric("moe_server_tokens_total{kind=\"completion\"}").await;
    assert_eq!(Value::from(cut.usage.completion).as_f64(), Some(total));
}

#[tokio::test]
async fn a_failed_generation_says_so() {
    let server = TestServer::usual().await;
    let text = format!("say:ab{}>", u32::from(NAN));
    let stream = server.send(with_ticket("bad", post_chat(&text, &json!({"stream": true})))).await;
    assert!(events(&stream.body).last().unwrap()["error"].is_object());
    let receipt = receipt(&server, "bad", "").await;
    assert_eq!((receipt.ending, receipt.finish_reason), (Ending::Error, None));
    assert_eq!(receipt.usage, usage(8, 3));
}

#[tokio::test]
async fn receipts_that_are_not_there() {
    let server = TestServer::usual().await;
    assert_eq!(server.get("/v1/receipts/none").await.error(), (404, "receipt_not_found".into(), None));
    let refused = server.send(with_ticket("refused", post_chat("a", &json!({"n": 3})))).await;
    assert_eq!(refused.status, 400);
    assert_eq!(server.get("/v1/receipts/refused").await.status, 404);
    let waits = server.get("/v1/receipts/none?wait_ms=99999").await;
    assert_eq!(waits.error(), (400, "invalid_value".into(), Some("wait_ms".into())));
}

/// None is forgotten, wherever its client left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_may_leave_at_any_moment() {
    let server = Arc::new(TestServer::usual().await);
    let visit = |number: u64| {
        let server = server.clone();
        async move {
            let visit = async {
                let request = with_ticket(&format!("r{number}"), post_chat("a", &json!({"stream": true})));
                let mut open = server.open(request).await;
                let letter = char::from(b'b' + u8::try_from(number % 20).unwrap());
                open.until(&format!("\"{letter}\"")).await;
            };
            // Every third leaves wherever it is by then.
            let patience = if number.is_multiple_of(3) { number * 200 } else { 10_000_000 };
            let _ = tokio::time::timeout(Duration::from_micros(patience), visit).await;
        }
    };
    let visits: Vec<_> = (0..60_u64).map(|number| tokio::spawn(visit(number))).collect();
    for visit in visits {
        visit.await.unwrap();
    }
    eventually("all are released", async || server.control.live.load(SeqCst) == 0).await;
    for number in 0..60 {
        let reply = server.get(&format!("/v1/receipts/r{number}?wait_ms=2000")).await;
        if reply.status != 404 {
            assert_eq!(reply.json()["ending"], "cancelled", "r{number}");
        }
    }
    assert!(server.metric("moe_server_queue_depth").await < 0.5);
}

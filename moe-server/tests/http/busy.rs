//! What the time went to: every micro-second of the engine's is some request's.

use crate::engine::NAN;
use crate::support::{Setup, TestServer, eventually, post_chat};
use moegate_wire::Receipt;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Micro-seconds, as `/metrics` has them.
async fn time(server: &TestServer, state: &str) -> u64 {
    let body = server.get("/metrics").await.body;
    let name = format!("moe_server_time_seconds_total{{state=\"{state}\"}} ");
    let text = body.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
    text.replace('.', "").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shares_of_all_requests_are_the_busy_time() {
    let begun = Instant::now();
    // So little KV that sequences give their own away and are computed again.
    let server =
        Arc::new(TestServer::start(Setup { context: 400, kv_tokens: 400, ..Setup::default() }).await);
    let ask = |number: usize| {
        let server = server.clone();
        async move {
            // Long and short ones, failing ones, and ones whose clients leave.
            let text = match number % 5 {
                0 => format!("say:{}>", "ab".repeat(30)),
                1 => format!("say:ab{}>", u32::from(NAN)),
                _ => "b".repeat(30),
            };
            let request = post_chat(&text, &json!({"max_tokens": 250 + number, "stream": true}));
            let mut open = server.open(request).await;
            let id = open.headers["x-moegate-request-id"].to_str().unwrap().to_owned();
            if number % 5 == 2 {
                open.next().await;
            } else {
                open.rest().await;
            }
            id
        }
    };
    server.control.allow(0);
    let asking: Vec<_> = (0..40).map(|number| tokio::spawn(ask(number))).collect();
    eventually("all wait", async || {
        server.metric("moe_server_queue_depth").await + server.metric("moe_server_running").await > 39.5
    })
    .await;
    server.control.open();
    let mut shares = 0;
    let mut largest = 0;
    for asked in asking {
        let id = asked.await.unwrap();
        let reply = server.get(&format!("/v1/receipts/{id}?wait_ms=2000")).await;
        let receipt: Receipt = serde_json::from_str(&reply.body).unwrap();
        shares += receipt.busy_us;
        largest = largest.max(receipt.busy_us);
    }
    eventually("all are released", async || server.control.live.load(SeqCst) == 0).await;
    assert!(server.metric("moe_server_preemptions_total").await > 0.5);
    assert_eq!(shares, time(&server, "busy").await);
    assert!(shares > 0 && largest < shares);
    let (idle, cold) = (time(&server, "idle").await, time(&server, "cold").await);
    assert!(u128::from(shares + idle + cold) <= begun.elapsed().as_micros());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(time(&server, "idle").await >= idle + 20_000, "it goes on while nobody asks");
    assert_eq!((time(&server, "busy").await, time(&server, "cold").await), (shares, cold));
}

/// Two prompts in one step: the longer one pays more.
#[tokio::test]
async fn a_step_is_divided_by_tokens() {
    let server = TestServer::usual().await;
    server.control.allow(0);
    let first = post_chat("a", &json!({"max_tokens": 1}));
    let (long, short) =
        (post_chat(&"b".repeat(9), &json!({"max_tokens": 1})), post_chat("b", &json!({"max_tokens": 1})));
    let others = async {
        // Both wait while the engine is held in the first one's step; then they share one.
        eventually("the first is in a step", async || server.control.live.load(SeqCst) == 1).await;
        tokio::join!(server.send(long), server.send(short))
    };
    let open = async {
        eventually("two wait", async || server.metric("moe_server_queue_depth").await > 1.5).await;
        server.control.allow(1);
        eventually("they are in a step", async || server.control.live.load(SeqCst) == 2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.control.open();
    };
    let (_, (long, short), ()) = tokio::join!(server.send(first), others, open);
    let mut us = Vec::new();
    for reply in [long, short] {
        let id = reply.header("x-moegate-request-id").unwrap().to_owned();
        us.push(server.get(&format!("/v1/receipts/{id}")).await.json()["busy_us"].as_u64().unwrap());
    }
    // 9 of 10 tokens, and what rounding carries.
    assert!(us[1] >= 10_000 && us[0].abs_diff(9 * us[1]) <= 9, "{us:?}");
}

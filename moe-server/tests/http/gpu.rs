//! The GPU's memory in `/metrics`.

use crate::support::{Setup, TestServer, eventually, post_chat};
use moe_server::engine::DeviceMemory;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const FREE: &str = "moe_server_gpu_memory_bytes{state=\"free\"}";
const USED: &str = "moe_server_gpu_memory_bytes{state=\"used\"}";

async fn is_told(server: &TestServer) -> bool {
    server.get("/metrics").await.body.contains("_gpu_")
}

#[tokio::test]
async fn without_a_gpu_there_is_no_such_metric() {
    let server = TestServer::usual().await;
    server.send(post_chat("say:ab>", &json!({}))).await;
    assert!(!is_told(&server).await);
    assert!(server.control.gpu_asked.load(SeqCst) > 0);
}

#[tokio::test]
async fn what_a_gpu_has_is_told_while_there_is_an_engine_and_asked_at_most_once_a_second() {
    let begun = Instant::now();
    let gpu = Some(DeviceMemory { free: 30 << 30, total: 80 << 30 });
    let server =
        TestServer::start(Setup { gpu, context: 1 << 30, kv_tokens: 1 << 30, ..Setup::default() }).await;
    let gib = |bytes: f64| (bytes / f64::from(1 << 30)).round() as u32;
    assert_eq!((gib(server.metric(FREE).await), gib(server.metric(USED).await)), (30, 50));

    let mut open = server.open(post_chat("a", &json!({"stream": true}))).await;
    open.until("\"d\"").await;
    *server.control.gpu.lock().unwrap() = Some(DeviceMemory { free: 20 << 30, total: 80 << 30 });
    eventually("it is asked again", async || gib(server.metric(FREE).await) == 20).await;
    let (steps, asked) = (server.control.steps.load(SeqCst), server.control.gpu_asked.load(SeqCst));
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!((2..=seconds + 1).contains(&asked), "{asked} times in {steps} steps and {seconds} s");
    assert!(steps > 2 * asked, "{asked} times in {steps} steps");
    drop(open);

    server.send(crate::support::request(hyper::Method::POST, "/sleep", "")).await;
    eventually("it is not told of without an engine", async || !is_told(&server).await).await;
    *server.control.gpu.lock().unwrap() = Some(DeviceMemory { free: 10 << 30, total: 80 << 30 });
    server.send(crate::support::request(hyper::Method::POST, "/wake", "")).await;
    eventually("it is told of again", async || is_told(&server).await).await;
    assert_eq!(gib(server.metric(FREE).await), 10);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

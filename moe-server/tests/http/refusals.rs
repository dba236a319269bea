//! Bad input gets the right status, a code, the path to the field and a remedy.

use crate::support::{KEY, Setup, TestServer, chat, post_chat, request};
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderValue};
use moe_server::http::auth::Auth;
use moegate_wire::{Price, Ticket};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn bodies() {
    let server = TestServer::usual().await;
    let message =
        |message: Value| json!({"model": "tiny", "messages": [{"role": "user", "content": "a"}, message]});
    let image = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]);
    let cases = [
        (json!([]), "invalid_type", None),
        (json!({}), "missing_required_parameter", Some("model")),
        (json!({"model": 1}), "invalid_type", Some("model")),
        (json!({"model": "tiny"}), "missing_required_parameter", Some("messages")),
        (json!({"model": "tiny", "messages": {}}), "invalid_type", Some("messages")),
        (json!({"model": "tiny", "messages": []}), "invalid_value", Some("messages")),
        (message(json!(1)), "invalid_type", Some("messages[1]")),
        (message(json!({"content": "a"})), "missing_required_parameter", Some("messages[1].role")),
        (message(json!({"role": "boss", "content": "a"})), "invalid_value", Some("messages[1].role")),
        (message(json!({"role": "tool", "content": "a"})), "unsupported_parameter", Some("messages[1].role")),
        (message(json!({"role": "user"})), "missing_required_parameter", Some("messages[1].content")),
        (message(json!({"role": "user", "content": 5})), "invalid_type", Some("messages[1].content")),
        (message(json!({"role": "user", "content": null})), "invalid_type", Some("messages[1].content")),
        (message(json!({"role": "user", "content": ["a"]})), "invalid_type", Some("messages[1].content[0]")),
        (
            message(json!({"role": "user", "content": [{"type": "text"}]})),
            "missing_required_parameter",
            Some("messages[1].content[0].text"),
        ),
        (
            message(json!({"role": "user", "content": image})),
            "unsupported_parameter",
            Some("messages[1].content[1].type"),
        ),
        (
            message(json!({"role": "assistant", "content": null, "tool_calls": [{}]})),
            "unsupported_parameter",
            Some("messages[1].tool_calls"),
        ),
        (message(json!({"role": "user", "content": "refuse"})), "invalid_value", Some("messages")),
        (chat("", &json!({})), "invalid_value", Some("messages")),
        (chat("a", &json!({"temperature": "hot"})), "invalid_type", Some("temperature")),
        (chat("a", &json!({"temperature": 2.1})), "invalid_value", Some("temperature")),
        (chat("a", &json!({"top_p": -0.1})), "invalid_value", Some("top_p")),
        (chat("a", &json!({"top_k": 1.5})), "invalid_type", Some("top_k")),
        (chat("a", &json!({"frequency_penalty": 3})), "invalid_value", Some("frequency_penalty")),
        (chat("a", &json!({"seed": "x"})), "invalid_type", Some("seed")),
        (chat("a", &json!({"max_tokens": 0})), "invalid_value", Some("max_tokens")),
        (chat("a", &json!({"max_tokens": -1})), "invalid_value", Some("max_tokens")),
        (chat("a", &json!({"max_completion_tokens": "1"})), "invalid_type", Some("max_completion_tokens")),
        (chat("a", &json!({"stop": 1})), "invalid_type", Some("stop")),
        (chat("a", &json!({"stop": ["a", 1]})), "invalid_type", Some("stop[1]")),
        (chat("a", &json!({"stop": ["a", "b", "c", "d", "e"]})), "invalid_value", Some("stop")),
        (chat("a", &json!({"stream": "yes"})), "invalid_type", Some("stream")),
        (chat("a", &json!({"stream_options": []})), "invalid_type", Some("stream_options")),
        (
            chat("a", &json!({"stream_options": {"include_usage": 1}})),
            "invalid_type",
            Some("stream_options.include_usage"),
        ),
        (chat("a", &json!({"tools": [{}]})), "unsupported_parameter", Some("tools")),
        (
            chat("a", &json!({"response_format": {"type": "json_object"}})),
            "unsupported_parameter",
            Some("response_format"),
        ),
        (chat("a", &json!({"n": 1.5})), "unsupported_parameter", Some("n")),
        (chat("a", &json!({"max_tokens": u64::MAX})), "invalid_value", Some("max_tokens")),
        (chat("a", &json!({"max_tokens": 1e300})), "invalid_value", Some("max_tokens")),
        (chat("a", &json!({"top_k": u64::MAX})), "invalid_value", Some("top_k")),
        (chat("a", &json!({"n": 2})), "unsupported_parameter", Some("n")),
        (chat("a", &json!({"logprobs": true})), "unsupported_parameter", Some("logprobs")),
        (chat("a", &json!({"max_tokens": 4_096})), "context_length_exceeded", Some("messages")),
        (chat(&"a".repeat(4_096), &json!({})), "context_length_exceeded", Some("messages")),
    ];
    for (body, code, param) in cases {
        let error = server.post("/v1/chat/completions", &body).await.error();
        assert_eq!(error, (400, code.to_owned(), param.map(str::to_owned)), "{body}");
    }
    let prompts = [
        (json!(null), "missing_required_parameter", "prompt"),
        (json!(1), "invalid_type", "prompt"),
        (json!([]), "invalid_value", "prompt"),
        (json!(""), "invalid_value", "prompt"),
        (json!(["a", "b"]), "unsupported_parameter", "prompt"),
        (json!([[1]]), "unsupported_parameter", "prompt"),
        (json!([1, "a"]), "invalid_type", "prompt[1]"),
        (json!([1, 257]), "invalid_value", "prompt[1]"),
        (json!([1, -1]), "invalid_type", "prompt[1]"),
        (json!("a".repeat(4_090)), "context_length_exceeded", "prompt"),
    ];
    for (prompt, code, param) in prompts {
        let body = json!({"model": "tiny", "prompt": prompt});
        let error = server.post("/v1/completions", &body).await.error();
        assert_eq!(error, (400, code.to_owned(), Some(param.to_owned())), "{prompt}");
    }
    for text in ["", "{", "{\"model\": tiny}", "\u{feff}\u{feff}{}"] {
        let reply = server.send(request(Method::POST, "/v1/chat/completions", text)).await;
        assert_eq!(reply.error(), (400, "invalid_json".into(), None), "{text:?}");
    }
    let deep = "[".repeat(50_000);
    let reply = server.send(request(Method::POST, "/v1/chat/completions", &deep)).await;
    assert_eq!(reply.error().1, "nested_too_deeply");
    // What is neutral is not refused.
    let neutral = json!({
        "tools": [], "tool_choice": "auto", "response_format": {"type": "text"}, "n": 1.0, "logprobs": false,
        "logit_bias": {}, "stop": null, "max_tokens": 2.0, "seed": u64::MAX,
    });
    assert_eq!(server.send(post_chat("a", &neutral)).await.status, 200);
    assert_eq!(server.control.live.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn messages_say_the_numbers_and_the_names() {
    let server = TestServer::usual().await;
    let text = async |body: &Value| {
        server.post("/v1/chat/completions", body).await.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let both = text(&chat("abc", &json!({"max_tokens": 4_094}))).await;
    assert!(both.contains(" 3 tokens") && both.contains("4094") && both.contains("4096"), "{both}");
    assert!(both.contains("at most 4093"), "{both}");
    let long = text(&chat(&"a".repeat(5_000), &json!({}))).await;
    assert!(long.contains("5000") && long.contains("4096") && long.contains("cannot fit"), "{long}");
    let large = text(&chat("a", &json!({"max_tokens": u64::MAX}))).await;
    assert!(large.contains("too large") && large.contains("18446744073709551615"), "{large}");
    let name = text(&json!({"model": "é".repeat(5_000)})).await;
    assert!(name.contains(&"é".repeat(128)) && !name.contains(&"é".repeat(129)), "{name}");
    let unknown = server.post("/v1/chat/completions", &json!({"model": "x", "messages": 1})).await;
    assert_eq!(unknown.error(), (404, "model_not_found".into(), Some("model".into())));
    assert!(unknown.body.contains("tiny, org/alias"), "{}", unknown.body);
}

#[tokio::test]
async fn paths_methods_and_sizes() {
    let server = TestServer::usual().await;
    let cases = [
        (Method::GET, "/", 404, "not_found"),
        (Method::POST, "/v1/embeddings", 404, "not_found"),
        (Method::GET, "/v1/chat/completions", 405, "method_not_allowed"),
        (Method::DELETE, "/v1/models", 405, "method_not_allowed"),
        (Method::GET, "/v1/receipts/%ff", 400, "invalid_path"),
    ];
    for (method, path, status, code) in cases {
        let reply = server.send(request(method, path, "")).await;
        assert_eq!(reply.error(), (status, code.into(), None), "{path}");
        assert!(reply.header("x-moegate-request-id").is_some(), "{path}");
    }
    for size in [100_000, 1_000_000] {
        let reply = server.send(post_chat(&"a".repeat(size), &json!({}))).await;
        assert_eq!(reply.error(), (413, "body_too_large".into(), None));
        assert!(reply.body.contains("100000") && reply.body.contains("--max-body-mb"), "{}", reply.body);
    }
}

#[tokio::test]
async fn keys() {
    let server = TestServer::usual().await;
    let gets =
        ["/v1/models", "/v1/models/tiny", "/metrics", "/v1/receipts/x"].map(|path| (Method::GET, path));
    let posts = ["/v1/chat/completions", "/v1/completions"].map(|path| (Method::POST, path));
    for (method, path) in gets.into_iter().chain(posts) {
        for key in [None, Some("Bearer wrong"), Some("Bearer "), Some(KEY)] {
            let mut request = request(method.clone(), path, "");
            request.headers_mut().remove(AUTHORIZATION);
            if let Some(key) = key {
                request.headers_mut().insert(AUTHORIZATION, key.parse().unwrap());
            }
            let reply = server.send(request).await;
            assert_eq!(reply.error(), (401, "invalid_api_key".into(), None), "{path} {key:?}");
            assert!(!reply.body.contains(KEY) && !reply.body.contains("wrong"), "{}", reply.body);
        }
    }
    for path in ["/health", "/ready"] {
        let mut request = request(Method::GET, path, "");
        request.headers_mut().remove(AUTHORIZATION);
        let reply = server.send(request).await;
        assert!(reply.status == 200 && !reply.body.contains("tiny"), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn tickets() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ticket = |id: &str, key: &str, issued_at| {
        Ticket { request_id: id.into(), issued_at, price: Price::default(), share: String::new() }
            .encode(key.as_bytes())
    };
    let server = TestServer::usual().await;
    let open = TestServer::start(Setup { auth: Auth::none(), ..Setup::default() }).await;
    let send = async |server: &TestServer, ticket: &str, body: &Value| {
        let mut request = request(Method::POST, "/v1/chat/completions", &body.to_string());
        request.headers_mut().insert("x-moegate-ticket", HeaderValue::from_str(ticket).unwrap());
        request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1:80"));
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        server.send(request).await
    };
    let good = chat("say:a>", &json!({}));
    for bad in
        ["", "v1.x", &ticket("a", "other", now), &ticket("a", KEY, now - 301), &ticket("a/b", KEY, now)]
    {
        let reply = send(&server, bad, &good).await;
        assert_eq!(reply.error(), (401, "invalid_ticket".into(), None), "{bad}");
    }
    assert_eq!(send(&open, &ticket("a", KEY, now), &good).await.error().1, "invalid_ticket");
    let cases = [
        ("evil.example", "application/json", 403, "host_not_allowed"),
        ("localhost", "text/plain", 415, "unsupported_media_type"),
        ("localhost:8080", "application/json; charset=utf-8", 200, ""),
    ];
    for (host, content_type, status, code) in cases {
        let mut request = post_chat("say:a>", &json!({}));
        request.headers_mut().insert("host", HeaderValue::from_static(host));
        request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        let reply = open.send(request).await;
        assert_eq!(reply.status, status, "{host} {content_type}");
        assert!(status == 200 || reply.error().1 == code, "{}", reply.body);
    }

    // A refused request does not use its id up; an admitted one does.
    let reply = send(&server, &ticket("once", KEY, now), &json!({})).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-moegate-request-id")), (400, Some("once")));
    let reply = send(&server, &ticket("once", KEY, now), &good).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-moegate-request-id")), (200, Some("once")));
    assert_eq!(reply.json()["id"], "chatcmpl-once");
    let reply = send(&server, &ticket("once", KEY, now + 1), &good).await;
    assert_eq!(reply.error(), (409, "duplicate_request_id".into(), None));
}

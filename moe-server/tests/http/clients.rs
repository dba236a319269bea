//! What SDKs, shells and proxies send.

use crate::support::{KEY, Setup, TestServer, chat, events, post_chat, request, text_of};
use hyper::Method;
use hyper::header::HeaderValue;
use moe_server::http::auth::Auth;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";

/// Half an emoji as an escape, in every string of a request.
#[tokio::test]
async fn half_characters_are_replacement_characters() {
    let server = TestServer::usual().await;
    for stream in [false, true] {
        let body = format!(
            r#"{{"model":"tiny","stream":{stream},"messages":[{{"role":"assistant","content":"a\ud83d b"}},
                {{"role":"user","content":[{{"type":"text","text":"say:\udc00é\ud83d\ude00>"}}],"name":"\ud800"}}],
                "user":"\udfff","stop":["\ud83d\ud83d"],"metadata":{{"\ud83d":"\ud83d"}}}}"#
        );
        let reply = server.send(request(Method::POST, CHAT, &body)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let text = if stream {
            text_of(&events(&reply.body))
        } else {
            reply.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
        };
        assert_eq!(text, "\u{fffd}é😀");
    }
    let body = r#"{"model":"tiny","prompt":"say:a\ud83d>","max_tokens":9}"#;
    let reply = server.send(request(Method::POST, "/v1/completions", body)).await;
    assert_eq!(reply.json()["choices"][0]["text"], "a\u{fffd}");
}

/// What a history has of a turn that said nothing: null, or no content where an SDK leaves nulls out.
#[tokio::test]
async fn an_assistant_may_have_said_nothing() {
    let server = TestServer::usual().await;
    for turn in [
        json!({"role": "assistant", "content": null}),
        json!({"role": "assistant"}),
        json!({"role": "assistant", "content": ""}),
        json!({"role": "assistant", "content": []}),
        json!({"role": "assistant", "content": null, "tool_calls": null, "function_call": null, "refusal": null}),
        json!({"role": "assistant", "content": null, "tool_calls": []}),
    ] {
        let messages = json!([{"role": "user", "content": "a"}, turn, {"role": "user", "content": "say:b>"}]);
        let reply = server.post(CHAT, &json!({"model": "tiny", "messages": messages})).await;
        assert_eq!(reply.status, 200, "{turn}: {}", reply.body);
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "b", "{turn}");
    }
}

#[tokio::test]
async fn nested_deeply() {
    let server = TestServer::usual().await;
    let body = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"model":"tiny","messages":[{{"role":"user","content":"say:a>"}}],"metadata":{open}{close}}}"#
        )
    };
    assert_eq!(server.send(request(Method::POST, CHAT, &body(100))).await.status, 200);
    for levels in [200, 40_000] {
        let reply = server.send(request(Method::POST, CHAT, &body(levels))).await;
        assert_eq!(reply.error(), (400, "nested_too_deeply".into(), None));
        assert!(reply.body.contains("127"), "{}", reply.body);
    }
}

#[tokio::test]
async fn nulls_and_marks() {
    let server = TestServer::usual().await;
    let nulls = json!({
        "stream": null, "stream_options": null, "n": null, "max_tokens": null, "max_completion_tokens": null,
        "temperature": null, "top_p": null, "stop": null, "seed": null, "tools": null, "tool_choice": null,
        "response_format": null, "logprobs": null, "logit_bias": null, "user": null,
    });
    assert_eq!(server.send(post_chat("say:a>", &nulls)).await.status, 200);
    let marked = format!("\u{feff}{}", chat("say:a>", &json!({})));
    assert_eq!(server.send(request(Method::POST, CHAT, &marked)).await.status, 200);
}

#[tokio::test]
async fn compressed_bodies() {
    let server = TestServer::usual().await;
    let send = async |encoding: &'static str| {
        let mut request = post_chat("say:a>", &json!({}));
        request.headers_mut().insert("content-encoding", HeaderValue::from_static(encoding));
        server.send(request).await
    };
    for encoding in ["gzip", "br", "zstd", "GZIP", "identity, gzip"] {
        let reply = send(encoding).await;
        assert_eq!(reply.error(), (415, "unsupported_content_encoding".into(), None));
        assert!(reply.body.contains(&format!("`{encoding}`")), "{}", reply.body);
        assert_eq!(reply.header("accept-encoding"), Some("identity"));
    }
    for encoding in ["identity", ""] {
        assert_eq!(send(encoding).await.status, 200, "{encoding}");
    }
}

#[tokio::test]
async fn heads() {
    let server = TestServer::usual().await;
    for (path, status) in
        [("/v1/models", 200), ("/v1/models/tiny", 200), ("/health", 200), ("/v1/models/x", 404)]
    {
        let reply = server.send(request(Method::HEAD, path, "")).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (status, ""), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{path}");
    }
    assert_eq!(server.send(request(Method::HEAD, CHAT, "")).await.status, 405);
}

#[tokio::test]
async fn spellings_of_paths() {
    let server = TestServer::usual().await;
    for path in
        ["/v1/models/", "//v1//models", "/v1/models?limit=20", "/v1/models/tiny/", "/health/", "/%68ealth?"]
    {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    for path in ["/v1/chat/completions/", "//v1/chat/completions", "/v1/chat/completions/?api-version=1"] {
        assert_eq!(server.post(path, &chat("say:a>", &json!({}))).await.status, 200, "{path}");
    }
    assert_eq!(server.get("/v1%2Fmodels").await.error(), (404, "not_found".into(), None));
    assert_eq!(server.get("/v1/models/org%2Falias").await.json()["id"], "org/alias");
}

/// The answer to bytes on a connection.
async fn raw(server: &TestServer, head: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn http_1_1_wants_one_host() {
    let server = TestServer::usual().await;
    for hosts in ["", "host: a\r\nhost: a\r\n", "Host: a\r\nhost: b\r\n", "host: a b\r\n", "host: u@a\r\n"] {
        // The server closes by itself.
        let answer = raw(&server, &format!("GET /health HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{hosts}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let error: Value = serde_json::from_str(body).unwrap();
        assert_eq!(error["error"]["code"], "invalid_host", "{body}");
        assert!(head.contains("x-moegate-request-id"), "{head}");
    }
    for head in [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n",
        "GET http://a/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nHOST: [::1]:80\r\nconnection: close\r\n\r\n",
    ] {
        let answer = raw(&server, head).await;
        assert!(answer.contains(" 200 OK\r\n"), "{head}: {answer}");
    }
    // Without a key the host says who may call: no second one may hide behind the first.
    let open = TestServer::start(Setup { auth: Auth::none(), ..Setup::default() }).await;
    let answer = raw(&open, "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// curl asks before it sends a large body.
#[tokio::test]
async fn expect_100_continue() {
    let server = TestServer::usual().await;
    let body = chat("say:a>", &json!({})).to_string();
    let length = body.len();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: bearer {KEY}\r\nexpect: 100-continue\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

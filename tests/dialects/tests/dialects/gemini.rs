//! What is Google's API's own: a stream as a growing array, tokens counted, models, errors.

use dialects::gateway::{InProcess, KEY, status};
use http::Request;
use moegate::platform::fake::{Arrived, End, Got, Piece, Script, Scripted};
use serde_json::{Value, json};
use std::sync::Arc;

const CONFIG: &str = r#"
[[origins]]
name = "google"
kind = "gemini"
url = "https://generativelanguage.googleapis.com/v1beta"
secret = "GOOGLE_KEY"
breaker = { failures = 0 }
models = [{ name = "gemini-3.5-flash", input = "1", output = "1" }]

[[origins]]
name = "chat"
kind = "openai"
url = "https://chat.example/v1"
secret = "CHAT_KEY"
breaker = { failures = 0 }
models = [{ name = "gpt", input = "1", output = "1" }]

[[routes]]
model = "team/google"
origin = "google"
origin_model = "gemini-3.5-flash"
budget = { attempts = 1 }

[[routes]]
model = "chat"
origin = "chat"
origin_model = "gpt"
budget = { attempts = 1 }

"#;

const EVENTS: [&str; 2] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3},"modelVersion":"gemini-3.5-flash","responseId":"a"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-3.5-flash","responseId":"a"}"#,
];

struct Setting(InProcess);

impl Setting {
    fn new() -> Self {
        let secrets = [("GOOGLE_KEY", "google-key-0123456789"), ("CHAT_KEY", "chat-key-0123456789")];
        Self(InProcess::new(CONFIG, secrets))
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Got {
        let head =
            Request::builder().method(method).uri(path).header("x-goog-api-key", KEY).body(()).unwrap();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.0.serve(head, body)
    }

    /// A request, answered with those pieces.
    fn ask(&self, path: &str, status: u16, content_type: &'static str, answer: &str) -> Got {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let pieces = vec![Piece::Bytes(answer.as_bytes().to_vec())];
        let scripted = Scripted { status, headers, pieces, end: End::Clean };
        self.0.world.answer(Arc::new(move |_: &Arrived| Script::from(scripted.clone())));
        self.request("POST", path, &json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}))
    }
}

fn content_type(got: &Got) -> &str {
    got.reply.as_ref().unwrap().headers()["content-type"].to_str().unwrap()
}

fn json_of(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&got.body)))
}

fn stream() -> String {
    EVENTS.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

/// The same with its cost, beside the last counts.
fn priced(text: &str) -> String {
    let counts = "\"totalTokenCount\":5";
    text.replace(counts, &format!("{counts},\"cost\":0.000005"))
}

#[test]
fn a_stream_without_sse_is_an_array() {
    let setting = Setting::new();
    for path in ["/v1beta/models/team/google", "/v1/models/team%2Fgoogle"] {
        let got = setting.ask(&format!("{path}:streamGenerateContent"), 200, "text/event-stream", &stream());
        assert_eq!((status(&got), content_type(&got)), (200, "application/json"));
        let expected: Vec<Value> =
            EVENTS.iter().map(|event| serde_json::from_str(&priced(event)).unwrap()).collect();
        assert_eq!(json_of(&got), Value::from(expected));
    }
    let arrived = setting.0.world.arrived().remove(0);
    assert_eq!(arrived.path, "/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(arrived.header("x-goog-api-key"), Some("google-key-0123456789"));
    // From another API too.
    let chunks = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let got = setting.ask("/v1beta/models/chat:streamGenerateContent", 200, "text/event-stream", chunks);
    assert_eq!(content_type(&got), "application/json");
    let all = json_of(&got);
    assert_eq!(all[0]["candidates"][0]["content"]["parts"][0]["text"], "Hello");
    assert_eq!(all[1]["candidates"][0]["finishReason"], "STOP");
    // One that breaks off.
    let cut = format!("data: {}\r\n\r\n", EVENTS[0]);
    let got = setting.ask("/v1beta/models/team/google:streamGenerateContent", 200, "text/event-stream", &cut);
    assert_eq!(json_of(&got)[1]["error"]["status"], "UNAVAILABLE");
}

#[test]
fn bytes_pass_and_an_answer_that_is_no_stream_becomes_one() {
    let setting = Setting::new();
    let path = "/v1beta/models/team/google:streamGenerateContent?alt=sse";
    let got = setting.ask(path, 200, "text/event-stream", &stream());
    assert_eq!(content_type(&got), "text/event-stream");
    assert_eq!(String::from_utf8_lossy(&got.body), priced(&stream()));
    let got = setting.ask(path, 200, "application/json", EVENTS[1]);
    assert_eq!((status(&got), content_type(&got)), (200, "text/event-stream"));
    let text = String::from_utf8_lossy(&got.body);
    assert!(text.starts_with("data: {\"candidates\"") && text.contains("\"STOP\""), "{text}");
}

#[test]
fn tokens_are_counted_by_google_alone() {
    let setting = Setting::new();
    let got = setting.ask(
        "/v1beta/models/team/google:countTokens",
        200,
        "application/json",
        r#"{"totalTokens":7}"#,
    );
    assert_eq!(json_of(&got), json!({"totalTokens": 7}));
    assert_eq!(got.reply.as_ref().unwrap().headers()["x-moegate-cost"], "0");
    assert_eq!(setting.0.world.arrived()[0].path, "/v1beta/models/gemini-3.5-flash:countTokens");
    let got = setting.ask("/v1beta/models/chat:countTokens", 200, "application/json", "{}");
    assert_eq!((status(&got), &json_of(&got)["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
}

#[test]
fn models_and_errors_are_in_googles_form() {
    let setting = Setting::new();
    for path in ["/v1beta/models", "/v1/models"] {
        let names = json_of(&setting.request("GET", path, &Value::Null));
        assert_eq!(names["models"][0]["name"], "models/team/google");
    }
    let one = json_of(&setting.request("GET", "/v1beta/models/team/google", &Value::Null));
    assert_eq!(one["name"], "models/team/google");
    for (method, path, expected) in [
        ("GET", "/v1beta/models/gone", "NOT_FOUND"),
        ("POST", "/v1beta/models/gone:generateContent", "NOT_FOUND"),
        ("POST", "/v1beta/tunedModels/a:generateContent", "NOT_FOUND"),
        ("POST", "/v1beta/models/chat:embedContent", "NOT_FOUND"),
    ] {
        let got = setting.request(method, path, &json!({"contents": [{"parts": [{"text": "a"}]}]}));
        assert_eq!((status(&got), &json_of(&got)["error"]["status"]), (404, &json!(expected)), "{path}");
    }
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#;
    let got = setting.ask("/v1beta/models/team/google:generateContent", 200, "application/json", blocked);
    assert_eq!(status(&got), 400);
    assert_eq!(json_of(&got)["error"]["details"][0]["reason"], "CONTENT_FILTER");
    let refused =
        r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[{"a":1}]}}"#;
    let got = setting.ask("/v1beta/models/team/google:generateContent", 429, "application/json", refused);
    assert_eq!((status(&got), json_of(&got)), (429, serde_json::from_str(refused).unwrap()));
}

//! Origins in clouds: how each wants its key, and where a request goes.

use dialects::gateway::{InProcess, KEY, status};
use http::{Request, header};
use moegate::platform::fake::{Arrived, Got, Script, Scripted};
use serde_json::{Value, json};
use std::sync::Arc;

const CONFIG: &str = r#"
[[origins]]
name = "azure"
kind = "azure-openai"
url = "https://team.openai.azure.com/openai/v1"
secret = "AZURE_KEY"
models = [{ name = "gpt", input = "1", output = "1" }]

[[origins]]
name = "deployments"
kind = "azure-openai"
url = "https://old.openai.azure.com/openai/deployments"
api_version = "2024-10-21"
secret = "OLD_KEY"
models = [{ name = "my-gpt", input = "1", output = "1" }]

[[origins]]
name = "signed"
kind = "bedrock"
url = "https://bedrock-runtime.us-east-1.amazonaws.com"
secret = "AWS_SECRET"
aws = { region = "us-east-1", access_key_id = "AWS_ID", session_token = "AWS_SESSION" }
models = [{ name = "us.amazon.nova-lite-v1:0", input = "1", output = "1" }]

[[origins]]
name = "bearer"
kind = "bedrock"
url = "https://bedrock-runtime.eu-west-1.amazonaws.com"
secret = "BEDROCK_KEY"
models = [{ name = "amazon.nova-lite-v1:0", input = "1", output = "1" }]

[[origins]]
name = "vertex"
kind = "vertex"
url = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"
secret = "ACCOUNT"
breaker = { failures = 0 }
models = [{ name = "gemini-2.5-flash", input = "1", output = "1" }]

"#;

struct Setting(InProcess);

impl Setting {
    fn new() -> Self {
        let secrets = [
            ("AZURE_KEY", "azure-key-0123456789"),
            ("OLD_KEY", "old-azure-key-0123456789"),
            ("AWS_SECRET", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            ("AWS_ID", "AKIDEXAMPLE"),
            ("AWS_SESSION", "session-token-0123456789"),
            ("BEDROCK_KEY", "bedrock-key-0123456789"),
            ("ACCOUNT", include_str!("../../../../src/signing/fixtures/service_account.json")),
        ];
        let mut config = CONFIG.to_owned();
        for (origin, model) in [
            ("azure", "gpt"),
            ("deployments", "my-gpt"),
            ("signed", "us.amazon.nova-lite-v1:0"),
            ("bearer", "amazon.nova-lite-v1:0"),
            ("vertex", "gemini-2.5-flash"),
        ] {
            config += &format!(
                "[[routes]]\nmodel = \"{origin}\"\norigin = \"{origin}\"\norigin_model = \"{model}\"\n"
            );
        }
        Self(InProcess::new(&config, secrets))
    }

    fn ask(
        &self,
        model: &str,
        stream: bool,
        answer: impl Fn(&Arrived) -> Script + Send + Sync + 'static,
    ) -> Got {
        self.0.world.answer(Arc::new(answer));
        let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]});
        let head = Request::post("/v1/chat/completions")
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
            .body(())
            .unwrap();
        self.0.serve(head, body.to_string().into_bytes())
    }
}

fn json_of(status: u16, body: &Value) -> Script {
    Scripted::new(status, "application/json", body.to_string()).into()
}

fn converse() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
    })
}

fn text_of(got: &Got) -> String {
    String::from_utf8_lossy(&got.body).into_owned()
}

#[test]
fn azure_wants_its_key_in_a_header_of_its_own() {
    for (model, path, key) in [
        ("azure", "/openai/v1/chat/completions", "azure-key-0123456789"),
        (
            "deployments",
            "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
            "old-azure-key-0123456789",
        ),
    ] {
        let setting = Setting::new();
        let answer =
            json!({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]});
        let got = setting.ask(model, false, move |_| json_of(200, &answer));
        assert_eq!(status(&got), 200, "{}", text_of(&got));
        let arrived = setting.0.world.arrived().remove(0);
        assert_eq!(arrived.path, path);
        assert_eq!(arrived.header("api-key"), Some(key));
        assert_eq!(arrived.header("authorization"), None);
    }
}

#[test]
fn bedrock_takes_a_key_or_a_signature() {
    let setting = Setting::new();
    let got = setting.ask("bearer", false, |_| json_of(200, &converse()));
    assert_eq!(status(&got), 200, "{}", text_of(&got));
    let mut arrived = setting.0.world.arrived();
    let got = setting.ask("signed", false, |_| json_of(200, &converse()));
    assert_eq!(status(&got), 200, "{}", text_of(&got));
    arrived.extend(setting.0.world.arrived());
    assert_eq!(arrived[0].path, "/model/amazon.nova-lite-v1%3A0/converse");
    assert_eq!(arrived[0].header("authorization"), Some("Bearer bedrock-key-0123456789"));
    let signature = arrived[1].header("authorization").unwrap();
    assert!(
        signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="),
        "{signature}"
    );
    assert_eq!(arrived[1].header("x-amz-security-token"), Some("session-token-0123456789"));
    for (name, value) in &arrived[1].headers {
        assert!(!value.contains("wJalrXUtnFEMI"), "{name} has the secret");
    }
    assert!(text_of(&got).contains("\"content\":\"Hello\""), "{}", text_of(&got));
}

#[test]
fn converse_streams_are_unpacked() {
    let setting = Setting::new();
    let mut bytes = Vec::new();
    for (name, payload) in [
        ("messageStart", r#"{"role":"assistant"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"lo"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
        (
            "metadata",
            r#"{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":1}}"#,
        ),
    ] {
        bytes.extend(dialects::framing::message(name, payload));
    }
    let whole = bytes.clone();
    let framed =
        |bytes: Vec<u8>| Script::from(Scripted::new(200, "application/vnd.amazon.eventstream", bytes));
    let got = setting.ask("bearer", true, move |_| framed(whole.clone()));
    let text = text_of(&got);
    assert_eq!(status(&got), 200, "{text}");
    assert!(text.contains("\"content\":\"Hel\"") && text.contains("\"content\":\"lo\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    // One bit is wrong, after the answer has begun.
    let at = bytes.len() - 200;
    bytes[at] ^= 1;
    let got = setting.ask("bearer", true, move |_| framed(bytes.clone()));
    let text = text_of(&got);
    assert!(text.contains("damaged on its way") && !text.contains("[DONE]"), "{text}");
}

#[test]
fn vertex_gets_an_access_token_which_is_kept() {
    let setting = Setting::new();
    let gemini = json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    });
    let token = json!({"access_token": "ya29.token-0123456789", "expires_in": 3599, "token_type": "Bearer"});
    let play = move |arrived: &Arrived| match arrived.authority.as_str() {
        "oauth2.googleapis.com" => json_of(200, &token),
        _ => json_of(200, &gemini),
    };
    let mut arrived = Vec::new();
    for _ in 0..2 {
        let got = setting.ask("vertex", false, play.clone());
        assert_eq!(status(&got), 200, "{}", text_of(&got));
        arrived.extend(setting.0.world.arrived());
    }
    let paths: Vec<_> = arrived.iter().map(|arrived| arrived.path.as_str()).collect();
    let generate =
        "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent";
    assert_eq!(paths, ["/token", generate, generate]);
    assert!(String::from_utf8_lossy(&arrived[0].body).contains("assertion="), "{arrived:?}");
    assert_eq!(arrived[0].header("authorization"), None, "the account's key only signs");
    assert_eq!(arrived[1].header("authorization"), Some("Bearer ya29.token-0123456789"));
}

#[test]
fn a_token_that_is_refused_is_not_used_again() {
    let setting = Setting::new();
    let play = |arrived: &Arrived| match arrived.authority.as_str() {
        "oauth2.googleapis.com" => {
            json_of(200, &json!({"access_token": "ya29.token-0123456789", "expires_in": 3599}))
        }
        _ => {
            json_of(401, &json!({"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}}))
        }
    };
    for _ in 0..2 {
        assert_eq!(status(&setting.ask("vertex", false, play)), 502);
        let tokens = setting.0.world.arrived().iter().filter(|arrived| arrived.path == "/token").count();
        assert_eq!(tokens, 1);
    }
}

#[test]
fn without_a_token_the_reason_is_told() {
    let setting = Setting::new();
    let refused = json!({"error": "invalid_grant", "error_description": "Account deleted"});
    let got = setting.ask("vertex", false, move |_| json_of(400, &refused));
    let text = text_of(&got);
    assert_eq!(status(&got), 502, "{text}");
    assert!(text.contains("origin_token") && text.contains("Account deleted"), "{text}");
}

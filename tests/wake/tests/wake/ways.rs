//! Every way to wake an origin, against a stand-in that plays its API.

use contract::fixtures::{FAR_KEY, OWN_KEY};
use contract::in_process::InProcess;
use moegate::platform::fake::{Arrived, Client, Got, Responder, Script, Scripted};
use std::sync::{Arc, Mutex};
use wake::{body, post, status};

/// A gateway whose one origin is of that kind and woken so.
fn gateway(kind: &str, wake: &str) -> InProcess {
    InProcess::of(&format!(
        r#"
[[origins]]
name = "o"
kind = "{kind}"
url = "https://o.example/v1"
secret = "OWN_KEY"
wake = {wake}
models = [{{ name = "m", input = "1", output = "2", max_output_tokens = 100, context_tokens = 1000 }}]

[[routes]]
model = "m"
origin = "o"

[[keys]]
name = "app"
sha256_secret = "APP_KEY_SHA256"
"#
    ))
}

/// What a stand-in does with a call of that method, at that host and path, at that time; `None`: it answers completions.
type Plays = dyn Fn(&str, &str, &str, u64) -> Option<Script> + Send + Sync;

/// The calls that came, but for completions and questions, and what the client got.
fn asked(gateway: &InProcess, plays: Arc<Plays>) -> (Vec<Arrived>, Got) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let responder: Responder = Arc::new(move |arrived: &Arrived| {
        let host = arrived.authority.split(':').next().unwrap();
        match plays(&arrived.method, host, &arrived.path, arrived.at_ms) {
            Some(script) => {
                if arrived.method != "GET" {
                    seen.lock().unwrap().push(arrived.clone());
                }
                script
            }
            None => Scripted::new(
                200,
                "application/json",
                r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#,
            )
            .into(),
        }
    });
    let got = gateway.ask(&responder, post(), Client::new(body("m").into_bytes()));
    let calls = calls.lock().unwrap().clone();
    (calls, got)
}

fn json(status: u16, text: &str) -> Option<Script> {
    Some(Scripted::new(status, "application/json", text).into())
}

fn lines(calls: &[Arrived]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}{}", call.method, call.authority, call.path)).collect()
}

/// <https://docs.vllm.ai/en/latest/features/sleep_mode.html>
#[test]
fn vllm_by_the_level_of_its_sleep() {
    let all = [
        "POST o.example/wake_up?tags=weights",
        "POST o.example/collective_rpc",
        "POST o.example/wake_up?tags=kv_cache",
    ];
    for (wake, expected) in [
        (r#"{ via = "vllm" }"#, &["POST o.example/wake_up"][..]),
        (r#"{ via = "vllm", level = 2 }"#, &all[..]),
    ] {
        let last = expected.last().unwrap().rsplit_once("o.example").unwrap().1;
        let awake = Arc::new(Mutex::new(false));
        let plays = move |method: &str, _: &str, path: &str, _: u64| match path {
            "/is_sleeping" => json(200, &format!(r#"{{"is_sleeping":{}}}"#, !*awake.lock().unwrap())),
            "/wake_up" | "/wake_up?tags=weights" | "/wake_up?tags=kv_cache" | "/collective_rpc"
                if method == "POST" =>
            {
                *awake.lock().unwrap() |= path == last;
                // The call lasts as long as the wake.
                let answer = Scripted::new(200, "application/json", "{}");
                Some(Script::After(20_000, Box::new(answer.into())))
            }
            _ => None,
        };
        let (calls, got) = asked(&gateway("vllm", wake), Arc::new(plays));
        assert_eq!(status(&got), 200, "{wake}: {}", String::from_utf8_lossy(&got.body));
        assert_eq!(lines(&calls), expected, "{wake}");
        if let [_, reload, _] = &calls[..] {
            assert_eq!(reload.body, br#"{"method":"reload_weights"}"#);
        }
        let bearer = format!("Bearer {OWN_KEY}");
        assert!(calls.iter().all(|call| call.header("authorization") == Some(&bearer)));
    }
}

/// A cloud's machine API: its token goes there and nowhere else, and the origin's key does not.
#[test]
fn any_api_that_starts_a_machine() {
    let wake = r#"{ via = "http", url = "https://cloud.example/v1/machines/7/start?wait=1", secret = "FAR_KEY", body = '{"replicas":1}', content_type = "application/merge-patch+json", method = "PATCH", ready = "/healthz" }"#;
    let gateway = gateway("openai", wake);
    let started_ms = Arc::new(Mutex::new(None));
    let plays = move |_: &str, host: &str, path: &str, now_ms: u64| {
        let mut started = started_ms.lock().unwrap();
        match (host, path) {
            ("cloud.example", _) => {
                let first = started.is_none();
                started.get_or_insert(now_ms);
                // Such APIs fail now and then.
                json(if first { 503 } else { 200 }, "{}")
            }
            // A machine that is off answers nobody.
            (_, "/healthz") if started.is_none_or(|ms| now_ms < ms + 30_000) => Some(Script::Refuse),
            (_, "/healthz") => json(200, "{}"),
            _ => None,
        }
    };
    let (calls, got) = asked(&gateway, Arc::new(plays));
    assert_eq!(status(&got), 200, "{}", String::from_utf8_lossy(&got.body));
    assert_eq!(lines(&calls), vec!["PATCH cloud.example/v1/machines/7/start?wait=1"; 2]);
    for call in &calls {
        assert_eq!(call.header("authorization"), Some(format!("Bearer {FAR_KEY}").as_str()));
        assert_eq!(call.header("content-type"), Some("application/merge-patch+json"));
        assert_eq!(call.body, br#"{"replicas":1}"#);
    }
    let origin: Vec<_> =
        gateway.world.arrived().into_iter().filter(|call| call.authority.starts_with("o.")).collect();
    assert!(origin.iter().all(|call| call.headers.iter().all(|(_, value)| !value.contains(FAR_KEY))));
    assert!(!origin.is_empty());
}

/// An API that refuses three times is not asked for ever, and its answer is told to the operator without what stands in its query.
#[test]
fn an_api_that_refuses() {
    let wake = r#"{ via = "http", url = "https://cloud.example/start?token=abc", ready = "/health" }"#;
    let plays = |_: &str, host: &str, _: &str, _: u64| match host {
        "cloud.example" => json(402, "{}"),
        _ => Some(Script::Refuse),
    };
    let (calls, got) = asked(&gateway("openai", wake), Arc::new(plays));
    let text = String::from_utf8_lossy(&got.body).into_owned();
    assert_eq!((status(&got), calls.len()), (503, 3), "{text}");
    assert!(text.contains("https://cloud.example/start answered 402") && !text.contains("abc"), "{text}");
}

/// An endpoint that starts by itself: asking it is all that it takes.
#[test]
fn a_request_is_all_that_it_takes() {
    let first_ms = Arc::new(Mutex::new(None));
    let plays = move |_: &str, _: &str, path: &str, now_ms: u64| {
        let first_ms = *first_ms.lock().unwrap().get_or_insert(now_ms);
        match path {
            "/health" if now_ms < first_ms + 25_000 => json(503, "{}"),
            "/health" => json(200, "{}"),
            _ => None,
        }
    };
    let (calls, got) = asked(&gateway("openai", r#"{ via = "request" }"#), Arc::new(plays));
    assert_eq!((status(&got), calls.len()), (200, 0), "{}", String::from_utf8_lossy(&got.body));
    assert!((25_000..30_000).contains(&got.end_ms.unwrap()), "{:?}", got.end_ms);
}

//! Origins that sleep, in `moegate.toml`.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use moegate_config::authoring::parse;
use moegate_config::{Cold, WakeVia};

/// A configuration whose origin of that kind is woken so, and more behind it.
fn with(kind: &str, wake: &str, more: &str) -> String {
    format!(
        r#"
[[origins]]
name = "o"
kind = "{kind}"
url = "https://o.example/v1"
secret = "O_KEY"
wake = {wake}
models = [{{ name = "m", input = "1", output = "1" }}]

[[routes]]
model = "m"
origin = "o"
cold = "hold"
{more}"#
    )
}

#[test]
fn good_ones() {
    let config = parse(&with("moegate", r#"{ via = "moegate" }"#, "")).unwrap();
    let wake = config.origins[0].wake.clone().unwrap();
    assert_eq!(
        (wake.via, wake.budget_s, wake.per_hour, wake.sleep_after_s, wake.queue),
        (WakeVia::Moegate, 480, 6, 300, 100)
    );
    assert_eq!(config.routes[0].cold, Some(Cold::Hold));
    assert_eq!(config.origins[0].at_root("/wake"), "https://o.example/wake");
    for (kind, wake) in [
        ("vllm", r#"{ via = "vllm", level = 2 }"#),
        ("openai", r#"{ via = "request", ready = "/healthz" }"#),
        (
            "openai",
            r#"{ via = "http", url = "https://api.example/start?id=1", secret = "CLOUD", method = "PATCH", body = "{}" }"#,
        ),
    ] {
        let config = parse(&with(kind, wake, "")).unwrap();
        let cloud = wake.contains("CLOUD");
        assert_eq!(config.secret_names().contains(&"CLOUD"), cloud, "{wake}");
    }
}

#[test]
fn bad_ones_are_named() {
    let http = |rest: &str| format!(r#"{{ via = "http", url = "https://api.example/start", {rest} }}"#);
    for (kind, wake, more, path, part) in [
        ("openai", r#"{ via = "moegate" }"#, "", "origins[0].wake.via", "kind `moegate`"),
        ("openai", r#"{ via = "vllm" }"#, "", "origins[0].wake.via", "kind `vllm`"),
        ("openai", r#"{ via = "http" }"#, "", "origins[0].wake.url", "is missing"),
        (
            "openai",
            r#"{ via = "http", url = "http://api.example/start" }"#,
            "",
            "origins[0].wake.url",
            "https",
        ),
        (
            "openai",
            r#"{ via = "http", url = "https://api.example/start#x" }"#,
            "",
            "origins[0].wake.url",
            "fragment",
        ),
        ("openai", &http(r#"method = "DELETE""#), "", "origins[0].wake.method", "GET, POST"),
        ("openai", &http(r#"secret = "cloud""#), "", "origins[0].wake.secret", "capitals"),
        ("openai", &http(r#"secret = "O_KEY""#), "", "origins[0].wake.secret", "another host"),
        ("openai", &http(r#"ready = "healthz""#), "", "origins[0].wake.ready", "path"),
        ("openai", r#"{ via = "request", url = "https://api.example" }"#, "", "origins[0].wake.url", "http"),
        ("openai", r#"{ via = "request", level = 1 }"#, "", "origins[0].wake.level", "vllm"),
        ("vllm", r#"{ via = "vllm", level = 3 }"#, "", "origins[0].wake.level", "1 to 2"),
        ("vllm", r#"{ via = "vllm", ready = "/health" }"#, "", "origins[0].wake.ready", "request"),
        ("openai", r#"{ via = "request", budget_s = 600 }"#, "", "origins[0].wake.budget_s", "1 to 540"),
        ("openai", r#"{ via = "request", per_hour = 0 }"#, "", "origins[0].wake.per_hour", "1 to 60"),
        (
            "openai",
            r#"{ via = "request" }"#,
            "[ledger]\nstore = \"key-value\"\n",
            "origins[0].wake",
            "database",
        ),
    ] {
        let problems = parse(&with(kind, wake, more)).unwrap_err();
        let found = problems.iter().any(|problem| problem.path == path && problem.message.contains(part));
        assert!(found, "{kind} {wake}: {problems:?}");
    }
}

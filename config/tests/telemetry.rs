//! `[telemetry]` of `moegate.toml`.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use moegate_config::authoring::parse;

#[test]
fn telemetry() {
    let good = |telemetry: &str| parse(&format!("{TELEMETRY_ORIGIN}[telemetry]\n{telemetry}"));
    let config =
        good("otlp = \"https://c.example/v1/traces\"\nsecret_headers = { authorization = \"C_KEY\" }")
            .unwrap();
    assert_eq!(config.secret_names(), ["C_KEY", "O_KEY"]);
    assert!(good("otlp = \"http://127.0.0.1:4318/v1/traces\"").is_ok());
    assert!(parse(TELEMETRY_ORIGIN).unwrap().telemetry.otlp.is_none());
    for (telemetry, path) in [
        ("otlp = \"http://c.example/v1/traces\"", "telemetry.otlp"),
        ("otlp = \"https://c.example/v1/traces?key=1\"", "telemetry.otlp"),
        ("otlp = \"collector\"", "telemetry.otlp"),
        ("secret_headers = { a = \"C_KEY\" }", "telemetry.secret_headers"),
        ("sample_percent = 101", "telemetry.sample_percent"),
        (
            "otlp = \"https://c.example/\"\nsecret_headers = { host = \"C_KEY\" }",
            "telemetry.secret_headers.host",
        ),
        (
            "otlp = \"https://c.example/\"\nsecret_headers = { authorization = \"O_KEY\" }",
            "telemetry.secret_headers.authorization",
        ),
    ] {
        let problems = good(telemetry).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].path, path, "{telemetry}");
    }
}

const TELEMETRY_ORIGIN: &str = r#"
[[origins]]
name = "o"
kind = "openai"
url = "https://o.example/v1"
secret = "O_KEY"
models = [{ name = "m", input = "1", output = "1" }]

[[routes]]
model = "m"
origin = "o"
"#;

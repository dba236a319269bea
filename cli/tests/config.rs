//! `moegate config` as a person calls it, against a gateway that answers from a script.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::authoring;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

const CONFIG: &str = r#"
[[origins]]
name = "o"
kind = "openai"
url = "https://o.example/v1"
models = [{ name = "m", input = "1", output = "2" }]

[[routes]]
model = "chat"
origin = "o"
origin_model = "m"

[admin]
sha256_secret = "ADMIN_HASH"
"#;

fn file(test: &str, text: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{test}.toml"));
    fs::write(&file, text).unwrap();
    file
}

fn config(text: &str) -> Value {
    serde_json::to_value(authoring::parse(text).unwrap()).unwrap()
}

fn state(version: u32, applies: bool) -> Value {
    let row = json!({"version": version, "at_ms": 1_795_262_400_000_u64, "who": "admin", "note": "why", "hash": "aaaaaaaabb", "base": if applies { "ddddddddee" } else { "cccccccc" }});
    json!({"version": version, "hash": "aaaaaaaabb", "base": "ddddddddee", "since_ms": 1_795_262_400_000_u64, "deployed": "ddddddddee", "applies": applies, "running": "1-aaaaaaaa", "versions": if version == 0 { json!([]) } else { json!([row]) }})
}

/// Answers these one after the other, and gives what was asked: the first line, and the body.
fn gateway(answers: Vec<(u16, Value)>) -> (String, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, answer) in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let text = answer.to_string();
            write!(
                connection,
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            )
            .unwrap();
            let first = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            asked.push((first, serde_json::from_slice(&body).unwrap_or(Value::Null)));
        }
        asked
    });
    (url, asked)
}

/// The status, and what it says on both outputs.
fn moegate(arguments: &[&str], url: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("config")
        .args(arguments)
        .args(["--url", url])
        .env("MOEGATE_ADMIN_KEY", "mg-admin")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn push() {
    let changed = CONFIG.replace("origin_model", "aliases = [\"talk\"]\norigin_model");
    let file = file("push", &changed);
    let (url, asked) = gateway(vec![
        (200, state(3, true)),
        (200, config(CONFIG)),
        (200, json!({"version": 4, "hash": "1a2b3c4d5e"})),
    ]);
    let (status, said) = moegate(&["push", file.to_str().unwrap(), "--note", "an alias"], &url);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("+ routes[\"chat\"].aliases: [\"talk\"]")
            && said.contains("Version 4 (1a2b3c4d) holds"),
        "{said}"
    );
    let asked = asked.join().unwrap();
    let lines: Vec<_> = asked.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["GET /config", "GET /config?version=3", "PUT /config"]);
    assert_eq!(asked[2].1, json!({"if_version": 3, "note": "an alias", "config": config(&changed)}));
}

#[test]
fn a_push_that_is_not_taken() {
    let good = file("refused", &CONFIG.replace("m\"\n", "m\"\naliases = [\"talk\"]\n"));
    let refusal = json!({"error": {"message": "nothing is changed, since the latest version of the configuration is 5, not 2"}});
    let (url, asked) = gateway(vec![(200, state(5, true)), (200, config(CONFIG)), (409, refusal)]);
    let (status, said) = moegate(&["push", good.to_str().unwrap(), "--if-version", "2"], &url);
    assert!(status == 2 && said.contains("409: nothing is changed"), "{said}");
    assert_eq!(asked.join().unwrap()[2].1["if_version"], 2);
    // A bad file is not sent.
    let bad = file("bad", &CONFIG.replace("origin = \"o\"", "origin = \"nowhere\""));
    let (status, said) = moegate(&["push", bad.to_str().unwrap()], "http://127.0.0.1:1");
    assert!(status == 2 && said.contains("routes[0].origin: "), "{said}");
}

#[test]
fn diff() {
    let file = file("diff", CONFIG);
    let path = file.to_str().unwrap();
    let other = CONFIG.replace("input = \"1\"", "input = \"9\"");
    for (state, running, expected, version) in [
        (state(3, true), CONFIG, (0, "as it runs (version 3, aaaaaaaa)"), 3),
        (state(3, true), &other, (1, "~ origins[\"o\"].models[\"m\"].input: \"9\" → \"1\""), 3),
        (state(3, false), CONFIG, (0, "the deployed configuration, dddddddd"), 0),
        (state(0, true), CONFIG, (0, "the deployed configuration"), 0),
    ] {
        let (url, asked) = gateway(vec![(200, state), (200, config(running))]);
        let (status, said) = moegate(&["diff", path], &url);
        assert!(status == expected.0 && said.contains(expected.1), "{status} {said}");
        assert_eq!(asked.join().unwrap()[1].0, format!("GET /config?version={version}"));
    }
    let (status, said) = moegate(&["diff", path], "http://127.0.0.1:1");
    assert!(status == 2 && said.contains("127.0.0.1:1"), "{said}");
}

#[test]
fn rollback_and_show() {
    let made = || (200, json!({"version": 4, "hash": "1a2b3c4d5e"}));
    for (arguments, to) in [(&["rollback"][..], 2), (&["rollback", "0"], 0)] {
        let (url, asked) = gateway(vec![(200, state(3, true)), made()]);
        let (status, said) = moegate(arguments, &url);
        assert!(status == 0 && said.contains("Back to "), "{said}");
        let (line, body) = asked.join().unwrap().remove(1);
        assert_eq!(
            (line.as_str(), &body["version"], &body["if_version"]),
            ("POST /config/rollback", &json!(to), &json!(3))
        );
    }
    for nothing in [state(0, true), state(3, false)] {
        let (url, asked) = gateway(vec![(200, nothing)]);
        let (status, said) = moegate(&["rollback"], &url);
        assert!(status == 2 && said.contains("nothing to roll back"), "{said}");
        asked.join().unwrap();
    }
    for (state, part) in [
        (state(3, true), "Version 3 (aaaaaaaa) holds since 2026-11-21 "),
        (state(3, false), "Version 3 does not apply"),
        (state(0, true), "Nothing was pushed"),
    ] {
        let (url, asked) = gateway(vec![(200, state)]);
        let (status, said) = moegate(&["show"], &url);
        assert!(status == 0 && said.contains(part), "{said}");
        asked.join().unwrap();
    }
}

#[test]
fn arguments() {
    for (arguments, part) in [
        (&["push"][..], "config wants push FILE"),
        (&["rollback", "x"], "no number of a version"),
        (&["diff", "f", "--note", "x"], "--note and --if-version belong to"),
        (&["show", "--platform", "spin"], "--platform belongs to"),
    ] {
        let (status, said) = moegate(arguments, "https://gateway.example");
        assert!(status == 2 && said.contains(part), "{said}");
    }
}

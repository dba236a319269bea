//! The command itself, with the small model that the repository carries.

use moe_server::model::gguf::Gguf;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::UNIX_EPOCH;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.gguf");

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moe-server"));
    command.args(arguments).env_remove("MOE_API_KEY").stdin(Stdio::null());
    command
}

/// Ends the process when a test is over, however it ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    port: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start() -> Self {
        Self::with(MODEL, Stdio::inherit())
    }

    pub(crate) fn with(model: &str, stderr: Stdio) -> Self {
        let mut command =
            command(&["serve", model, "--port", "0", "--json", "--alias", "other", "--threads", "1"]);
        command.env("MOE_API_KEY", "key\n").stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["models"][1], "other");
        let port = line["port"].as_u64().unwrap();
        assert_eq!(line["url"], format!("http://127.0.0.1:{port}"));
        Self { child, port }
    }

    /// The body of the answer to a chat.
    pub(crate) fn chat(&self, body: &str) -> String {
        let (head, body) = self.ask("POST /v1/chat/completions", body);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}: {body}");
        body
    }

    /// Head and body of the answer.
    pub(crate) fn ask(&self, what: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", u16::try_from(self.port).unwrap())).unwrap();
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

#[cfg(unix)]
#[test]
fn serves_a_model_file_until_it_is_told_to_stop() {
    let mut running = Running::start();
    let body = r#"{"model": "other", "messages": [{"role": "user", "content": "Hello <|eot|>"}],
                   "max_tokens": 12, "seed": 7}"#;
    let mut first: Value = serde_json::from_str(&running.chat(body)).unwrap();
    let mut second: Value = serde_json::from_str(&running.chat(body)).unwrap();
    let text = first["choices"].take();
    assert!(text[0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty()), "{text}");
    assert_eq!(second["choices"].take(), text, "a seed decides");
    assert_eq!(first["usage"], second["usage"]);

    let (_, models) = running.ask("GET /v1/models", "");
    let changed = std::fs::metadata(MODEL).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!(models["data"][1]["created"], changed.as_secs(), "the file's time");

    let killed = Command::new("kill").arg(running.child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(running.child.wait().unwrap().success(), "SIGTERM is an orderly end");
}

/// A model without numbers, and nobody who reads what the server logs of it.
#[cfg(unix)]
#[test]
fn a_lost_stderr_ends_nothing() {
    let mut bytes = std::fs::read(MODEL).unwrap();
    let norm = Gguf::from_bytes(bytes.clone()).unwrap().tensor("output_norm.weight").unwrap().offset;
    bytes[norm..norm + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny.gguf");
    std::fs::write(&model, bytes).unwrap();

    let mut running = Running::with(model.to_str().unwrap(), Stdio::piped());
    drop(running.child.stderr.take());
    let body = r#"{"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}"#;
    for _ in 0..3 {
        let (head, body) = running.ask("POST /v1/chat/completions", body);
        assert!(head.starts_with("HTTP/1.1 500") && body.contains("\"not_a_number\""), "{head}: {body}");
    }
    let (head, body) = running.ask("GET /ready", "");
    assert!(head.starts_with("HTTP/1.1 503") && body.contains("\"not_a_number\""), "{head}: {body}");
    assert!(running.ask("GET /health", "").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn says_why_it_cannot_start() {
    let running = Running::start();
    let port = running.port.to_string();
    let not_a_model = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["serve", MODEL], 1, "there is no key"),
        (&["serve", MODEL, "--no-auth", "--port", &port], 1, "is in use"),
        (&["serve", not_a_model, "--no-auth", "--port", "0"], 1, "not a GGUF file"),
        (&["serve", MODEL, "--no-auth", "--host", "0.0.0.0"], 2, "loopback"),
        (&["sevre", MODEL], 2, "sevre"),
    ];
    for (arguments, code, part) in cases {
        let Output { status, stderr, stdout } = command(arguments).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(part) && stdout.is_empty(), "{arguments:?}: {stderr}");
    }
}

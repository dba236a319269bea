//! `moe-server supervise` with real processes.
#![cfg(target_os = "linux")]

use crate::binary::command;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.gguf");
const CHAT: &str =
    r#"{"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12, "seed": 7}"#;
/// Some 1,600 tokens.
const LONG: &str =
    r#"{"model": "tiny", "prompt": "Hello", "stream": true, "temperature": 0, "max_tokens": 4000}"#;

struct Supervisor {
    process: Child,
    port: u16,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // With SIGTERM, so that it stops its server.
        signal("TERM", self.process.id());
        let _ = self.process.wait();
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Tries until there is something.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Supervisor {
    fn start(options: &[&str], model: &str) -> Self {
        let mut all = vec!["supervise", "--listen", "127.0.0.1:0", "--json"];
        all.extend(options);
        all.extend(["--", model, "--threads", "1"]);
        let mut command = command(&all);
        command.env("MOE_API_KEY", "key").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { process, port: u16::try_from(line["port"].as_u64().unwrap()).unwrap() }
    }

    fn open(&self, what: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        BufReader::new(stream)
    }

    /// Status and body; an answer that is cut is no error here.
    fn ask(&self, what: &str, body: &str) -> (u16, String) {
        let mut all = Vec::new();
        let _ = self.open(what, body).read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {all:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn health(&self) -> Value {
        serde_json::from_str(&self.ask("GET /health", "").1).unwrap()
    }

    fn becomes(&self, state: &str) -> Value {
        eventually(state, || Some(self.health()).filter(|health| health["state"] == state))
    }

    fn wake(&self) {
        let (status, body) = self.ask("POST /wake", "");
        assert!(matches!(status, 200 | 202), "{body}");
        self.becomes("ready");
    }

    fn chat(&self) -> (u16, String) {
        self.ask("POST /v1/chat/completions", CHAT)
    }

    /// The server's process.
    fn child(&self) -> Option<u32> {
        let file = format!("/proc/{0}/task/{0}/children", self.process.id());
        let mut tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).ok()?;
        let found = tasks.find_map(|task| {
            let children = std::fs::read_to_string(task.ok()?.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        });
        found.or_else(|| std::fs::read_to_string(file).ok()?.split_whitespace().next()?.parse().ok())
    }

    fn metric(&self, name: &str) -> f64 {
        let (_, body) = self.ask("GET /metrics", "");
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {body}")).trim().parse().unwrap()
    }
}

/// Reads up to the first event of a stream.
fn begun(stream: &mut BufReader<TcpStream>) {
    let mut text = String::new();
    while !text.contains("data: ") {
        assert!(stream.read_line(&mut text).unwrap() > 0, "no stream: {text}");
    }
}

fn code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_process_comes_and_goes() {
    let supervisor = Supervisor::start(&[], TINY);
    assert_eq!(supervisor.health()["state"], "cold");
    assert!(supervisor.child().is_none(), "nothing runs");
    let (status, body) = supervisor.chat();
    assert_eq!((status, &*code(&body)), (503, "asleep"));
    assert_eq!(supervisor.ask("GET /ready", "").0, 503);
    assert_eq!(supervisor.ask("GET /v1/models", "").0, 503);

    let wakes = (0..50).map(|_| supervisor.open("POST /wake", "")).collect::<Vec<_>>();
    for mut wake in wakes {
        let mut line = String::new();
        wake.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 20"), "{line}");
    }
    let health = supervisor.becomes("ready");
    assert!(health["last_wake_ms"].is_u64(), "{health}");
    let pid = supervisor.child().unwrap();
    let (status, said) = supervisor.chat();
    assert_eq!(status, 200, "{said}");
    assert_eq!(supervisor.ask("GET /ready", "").0, 200);
    assert_eq!(supervisor.ask("POST /v1/nothing", "").0, 404, "the server's own answer");

    // Streams, and ends what runs before the server is stopped.
    let mut stream = supervisor.open("POST /v1/completions", LONG);
    begun(&mut stream);
    let (status, _) = supervisor.ask("POST /sleep", "");
    assert!(matches!(status, 200 | 202));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("[DONE]"), "{rest}");
    supervisor.becomes("cold");
    eventually("the process is gone", || supervisor.child().is_none().then_some(()));

    supervisor.wake();
    assert_ne!(supervisor.child(), Some(pid));
    let choices = |body: &str| serde_json::from_str::<Value>(body).unwrap()["choices"].take();
    assert_eq!(choices(&supervisor.chat().1), choices(&said));
}

#[test]
fn a_client_that_leaves_stops_the_server_behind() {
    let supervisor = Supervisor::start(&[], TINY);
    supervisor.wake();
    // An answer may be over before its client has left: then the next one tries.
    eventually("a generation that is cancelled", || {
        let mut stream = supervisor.open("POST /v1/completions", LONG);
        begun(&mut stream);
        drop(stream);
        eventually("it ends", || (supervisor.metric("moe_server_running") < 0.5).then_some(()));
        (supervisor.metric("moe_server_requests_total{ending=\"cancelled\"}") > 0.5).then_some(())
    });
}

#[test]
fn a_killed_server_comes_back_at_the_next_wake_only() {
    let supervisor = Supervisor::start(&[], TINY);
    // Likewise.
    eventually("a stream that is cut", || {
        supervisor.wake();
        let mut stream = supervisor.open("POST /v1/completions", LONG);
        begun(&mut stream);
        signal("KILL", supervisor.child().unwrap());
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let is_whole = String::from_utf8_lossy(&rest).contains("[DONE]");
        assert!(is_whole || !rest.ends_with(b"0\r\n\r\n"), "a cut stream looks whole");
        supervisor.becomes("cold");
        (!is_whole).then_some(())
    });
    let health = supervisor.becomes("cold");
    assert!(health["reason"].as_str().unwrap().contains("signal: 9"), "{health}");
    assert_eq!(code(&supervisor.chat().1), "asleep");
    assert!(supervisor.child().is_none(), "not by itself");
    supervisor.wake();
    assert_eq!(supervisor.chat().0, 200);
}

#[test]
fn a_server_killed_while_it_starts_and_one_that_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny.gguf");
    let supervisor = Supervisor::start(&["--wake-on-request"], model.to_str().unwrap());
    supervisor.ask("POST /wake", "");
    let health =
        eventually("a reason", || Some(supervisor.health()).filter(|health| health["reason"].is_string()));
    assert!(health["reason"].as_str().unwrap().contains("tiny.gguf"), "what the server said: {health}");
    assert_eq!(health["state"], "cold");
    // A request that wakes is told when that fails.
    let (status, body) = supervisor.chat();
    assert_eq!((status, &*code(&body)), (503, "asleep"));

    std::fs::copy(Path::new(TINY), &model).unwrap();
    supervisor.ask("POST /wake", "");
    // As soon as there is one: it takes longer to be ready.
    let pid = eventually("a process", || supervisor.child());
    signal("KILL", pid);
    let health = eventually("what ended it", || {
        Some(supervisor.health())
            .filter(|health| health["reason"].as_str().is_some_and(|why| why.contains("signal: 9")))
    });
    assert_eq!(health["state"], "cold");
    assert!(supervisor.child().is_none());
    let (status, body) = supervisor.chat();
    assert_eq!(status, 200, "the request woke it, after a pause: {body}");
    assert!(supervisor.health()["reason"].is_null());
}

#[test]
fn an_idle_server_is_stopped_and_a_lease_holds_it() {
    let supervisor = Supervisor::start(&["--idle", "1"], TINY);
    // A second awake is too short to be looked for on a machine that does other things.
    supervisor.ask("POST /wake", "");
    eventually("it has been awake", || {
        Some(supervisor.health())
            .filter(|health| health["state"] == "cold" && health["last_wake_ms"].is_u64())
    });
    supervisor.ask("POST /wake", "");
    let (status, body) = supervisor.ask("POST /lease", "{\"seconds\": 600}");
    assert_eq!(status, 200, "{body}");
    supervisor.becomes("ready");
    std::thread::sleep(Duration::from_millis(1_800));
    assert_eq!(supervisor.health()["state"], "ready");
    supervisor.ask("POST /sleep", "");
    supervisor.becomes("cold");
}

#[test]
fn only_the_key_wakes() {
    let supervisor = Supervisor::start(&["--wake-on-request"], TINY);
    for what in ["POST /wake", "POST /sleep", "POST /lease", "POST /v1/chat/completions"] {
        let mut stream = TcpStream::connect(("127.0.0.1", supervisor.port)).unwrap();
        write!(stream, "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{what}: {answer}");
    }
    assert!(supervisor.child().is_none());
}

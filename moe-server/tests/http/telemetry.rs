//! Spans at a collector: the command as a process of its own.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.gguf");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const PROMPT: &str = "Bonjour";

/// A stand-in for a collector: it keeps what it gets, and answers as it is told.
struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Statuses of the next answers; then 200.
    refuse: Vec<u16>,
    /// Heads and bodies.
    got: Vec<(String, String)>,
}

impl Collector {
    fn start(refuse: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { refuse: refuse.to_vec(), got: Vec::new() }));
        let serving = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), serving.clone());
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    fn got(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().got.clone()
    }

    /// All spans, as soon as there are so many.
    fn spans(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let bodies = self.got();
            let bodies = bodies.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
            let spans: Vec<Value> = bodies
                .flat_map(|body| {
                    body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
                })
                .collect();
            if spans.len() >= count {
                return spans;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never {count}: {spans:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// One connection, to its end.
fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let status = {
            let mut state = state.lock().unwrap();
            match state.refuse.is_empty() {
                true => {
                    state.got.push((head, String::from_utf8(body).unwrap()));
                    200
                }
                false => state.refuse.remove(0),
            }
        };
        if write!(&*stream, "HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}").is_err() {
            return;
        }
    }
}

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moe-server"));
    command.args(["serve", MODEL, "--port", "0", "--json", "--threads", "1", "--otlp", url]);
    command.env("MOE_API_KEY", "key").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    fn start(collector: &Collector, more: &[&str]) -> Self {
        let mut command = command(&format!("http://{}/v1/traces", collector.address));
        let headers = "authorization=Basic%20collector-key, x-team=a";
        let mut child = command.args(more).env("OTEL_EXPORTER_OTLP_HEADERS", headers).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { child, port: u16::try_from(line["port"].as_u64().unwrap()).unwrap() }
    }

    /// The answer, whole.
    fn ask(&self, what: &str, key: &str, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n{head}\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn chat(&self, traceparent: Option<&str>, more: &Value) -> String {
        let mut body =
            json!({"model": "tiny", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 5});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let head = traceparent.map(|value| format!("traceparent: {value}\r\n")).unwrap_or_default();
        self.ask("POST /v1/chat/completions", "key", &head, &body.to_string())
    }

    /// Ends in an orderly way; answers what it has said.
    fn stop(mut self) -> String {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s str {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    let value = attributes.find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"]);
    value.and_then(|value| value["stringValue"].as_str().or(value["intValue"].as_str())).unwrap_or("")
}

fn times(span: &Value) -> (u64, u64) {
    let of = |key: &str| span[key].as_str().unwrap().parse().unwrap();
    (of("startTimeUnixNano"), of("endTimeUnixNano"))
}

fn request_id(answer: &str) -> &str {
    answer.lines().find_map(|line| line.strip_prefix("x-moegate-request-id: ")).unwrap()
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[test]
fn a_request_has_a_span_below_its_callers_and_one_for_each_part() {
    let collector = Collector::start(&[]);
    let server = Server::start(&collector, &[]);
    let answer = server.chat(Some(&traceparent("01")), &json!({}));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let spans = collector.spans(4);
    let (head, body) = collector.got().remove(0);
    assert!(head.starts_with("post /v1/traces "), "{head}");
    for line in ["authorization: basic collector-key", "x-team: a", "content-type: application/json"] {
        assert!(head.lines().any(|one| one == line), "{line} in {head}");
    }
    assert!(!body.contains(PROMPT) && !body.contains("collector-key"), "{body}");
    assert!(body.contains("\"service.name\",\"value\":{\"stringValue\":\"moe-server\"}"), "{body}");
    let request = spans.iter().find(|span| span["name"] == "chat tiny").unwrap();
    assert_eq!(
        (&request["traceId"], &request["parentSpanId"], &request["kind"]),
        (&json!(TRACE), &json!(PARENT), &json!(2))
    );
    assert_eq!(attribute(request, "gen_ai.usage.output_tokens"), "5");
    assert_ne!(attribute(request, "gen_ai.usage.input_tokens"), "0");
    assert_eq!(attribute(request, "moegate.request.id"), request_id(&answer));
    assert_eq!(attribute(request, "moe_server.finish_reason"), "length");
    assert_ne!(attribute(request, "moe_server.busy_us"), "0");
    assert_eq!(request["status"], Value::Null);
    // Its parts lie within it, one behind the other.
    let mut at = times(request).0;
    for name in ["queue", "prefill", "decode"] {
        let part = spans.iter().find(|span| span["name"] == name).unwrap();
        assert_eq!((&part["parentSpanId"], &part["traceId"]), (&request["spanId"], &json!(TRACE)), "{part}");
        let (from, to) = times(part);
        assert!(from >= at && to > from && to <= times(request).1, "{part} in {request}");
        at = to;
    }
    assert!(
        server.ask("GET /metrics", "key", "", "").contains("moe_server_traces_total{outcome=\"sent\"} 1")
    );
    let said = server.stop();
    assert!(!said.contains("span"), "{said}");
}

#[test]
fn who_is_recorded() {
    let collector = Collector::start(&[]);
    let server = Server::start(&collector, &["--otlp-percent", "0"]);
    // Not recorded; none; invalid; without the key.
    server.chat(Some(&traceparent("00")), &json!({}));
    server.chat(None, &json!({}));
    server.chat(Some("00-bad"), &json!({}));
    let head = format!("traceparent: {}\r\n", traceparent("01"));
    let answer = server.ask("POST /v1/chat/completions", "other", &head, "{}");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    // What is refused behind the key.
    let answer = server.chat(Some(&traceparent("01")), &json!({"n": 2}));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let id = request_id(&answer).to_owned();
    // The end sends what has not gone yet.
    server.stop();
    let spans = collector.spans(1);
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(attribute(&spans[0], "error.type"), "unsupported_parameter");
    assert_eq!(attribute(&spans[0], "http.response.status_code"), "400");
    assert_eq!(attribute(&spans[0], "moegate.request.id"), id);
    // A trace of its own, where all are asked for.
    let server = Server::start(&collector, &[]);
    server.chat(None, &json!({"stream": true}));
    server.stop();
    let spans = collector.spans(5);
    let own = &spans[1];
    assert!(own["name"] == "chat tiny" && own["parentSpanId"].is_null() && own["traceId"] != TRACE, "{own}");
}

#[test]
fn a_collector_that_fails_costs_the_client_nothing() {
    // Away for a moment: the same spans come again. Then it refuses for good: one line, and they are dropped.
    let collector = Collector::start(&[503, 401]);
    let server = Server::start(&collector, &[]);
    let begun = Instant::now();
    assert!(server.chat(Some(&traceparent("01")), &json!({})).starts_with("HTTP/1.1 200"));
    while !server
        .ask("GET /metrics", "key", "", "")
        .contains("moe_server_traces_total{outcome=\"dropped\"} 1")
    {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(server.chat(Some(&traceparent("01")), &json!({})).starts_with("HTTP/1.1 200"));
    assert_eq!(collector.spans(4).len(), 4);
    let said = server.stop();
    assert!(said.contains("the collector does not take spans") && said.contains("status 401"), "{said}");
    assert!(said.contains("spans are taken again"), "{said}");
}

#[test]
fn mistakes_are_told_before_the_model_is_loaded() {
    for (url, headers, part) in [
        ("http://collector.example/v1/traces", "", "use https"),
        ("collector.example", "", "https://"),
        ("https://key@collector.example", "", "before an @"),
        ("http://127.0.0.1:1/v1/traces", "secret-key", "OTEL_EXPORTER_OTLP_HEADERS"),
    ] {
        let output = command(url).env("OTEL_EXPORTER_OTLP_HEADERS", headers).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains(part) && !said.contains("secret-key"),
            "{url}: {said}"
        );
    }
}

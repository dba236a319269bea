//! A component that does one thing per path, so that a test can see what the host makes of it.

mod keys;
mod relay;
mod sql;

use std::cell::Cell;

use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use spin_sdk::wasip3::{self, wit_future, wit_stream};

wasip3::http::service::export!(Guest);

struct Guest;

thread_local! {
    /// How many requests this instance has had.
    static REQUESTS: Cell<u32> = const { Cell::new(0) };
}

/// What a request asks for: the words of its path, and its body.
struct Asked {
    words: Vec<String>,
    body: Vec<u8>,
}

impl Asked {
    fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    fn number(&self, index: usize) -> u64 {
        self.word(index).parse().unwrap_or(0)
    }
}

impl wasip3::exports::http::handler::Guest for Guest {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let requests = REQUESTS.get() + 1;
        REQUESTS.set(requests);
        let path = request.get_path_with_query().unwrap_or_default();
        let words: Vec<String> = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
        if words[0] == "headers" {
            let mut text = String::new();
            for (name, value) in request.get_headers().copy_all() {
                text += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
            }
            return Ok(whole(200, text.into_bytes()));
        }
        if words[0] == "relay" {
            return relay::relay(&words).await;
        }
        let body =
            if matches!(request.get_method(), Method::Get) { Vec::new() } else { relay::body(request).await };
        let asked = Asked { words, body };
        match asked.word(0) {
            "count" => Ok(whole(200, requests.to_string().into_bytes())),
            "echo" => Ok(whole(200, asked.body)),
            "sleep" => {
                wasip3::clocks::monotonic_clock::wait_for(asked.number(1) * 1_000_000).await;
                keys::note(asked.word(2), "slept").await;
                Ok(whole(200, requests.to_string().into_bytes()))
            }
            "panic" => panic!("asked to"),
            "environment" => Ok(whole(200, environment())),
            "files" => Ok(whole(200, files())),
            "hop" => Ok(hop_by_hop()),
            "stream" => Ok(streamed(&asked)),
            "after" => Ok(after(asked.number(1), asked.word(2).to_owned())),
            "variable" => Ok(variable(asked.word(1)).await),
            "sql" => Ok(sql::answer(&asked).await),
            "kv" => Ok(keys::answer(&asked).await),
            _ => Ok(whole(404, Vec::new())),
        }
    }
}

/// An answer whose body is all there.
fn whole(status: u16, body: Vec<u8>) -> Response {
    let (mut sender, receiver) = wit_stream::new();
    let (end, end_seen) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(receiver), end_seen);
    response.set_status_code(status).expect("a status");
    wasip3::spawn(async move {
        sender.write_all(body).await;
        drop(sender);
        drop(end);
    });
    response
}

fn said(result: Result<String, String>) -> Response {
    match result {
        Ok(text) => whole(200, text.into_bytes()),
        Err(error) => whole(500, error.into_bytes()),
    }
}

/// What a component that copies headers without a look would do.
fn hop_by_hop() -> Response {
    let fields = Fields::new();
    match fields.append("transfer-encoding", b"chunked") {
        Ok(()) => whole(200, Vec::new()),
        Err(error) => whole(500, format!("{error:?}").into_bytes()),
    }
}

/// The environment, a variable a line.
fn environment() -> Vec<u8> {
    let lines: String = std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.into_bytes()
}

/// What the component can see of a file system.
fn files() -> Vec<u8> {
    match std::fs::read_dir("/") {
        Ok(entries) => format!("{} entries", entries.count()).into_bytes(),
        Err(_) => b"none".to_vec(),
    }
}

/// `/stream/PIECES/MILLIS/KEY/LENGTH`: so many pieces of ten bytes, `MILLIS` apart; when nobody listens any more, says
/// how many went out under `KEY`. `LENGTH` is announced as the body's.
fn streamed(asked: &Asked) -> Response {
    let (pieces, millis, key) = (asked.number(1), asked.number(2), asked.word(3).to_owned());
    let fields = Fields::new();
    if !asked.word(4).is_empty() {
        fields.append("content-length", asked.word(4).as_bytes()).expect("a length");
    }
    let (mut sender, receiver) = wit_stream::new();
    let (end, end_seen) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(receiver), end_seen);
    wasip3::spawn(async move {
        for piece in 0..pieces {
            let left = sender.write_all(format!("piece{piece:04}\n").into_bytes()).await;
            if !left.is_empty() {
                keys::note(&key, &format!("left at {piece}")).await;
                return;
            }
            wasip3::clocks::monotonic_clock::wait_for(millis * 1_000_000).await;
        }
        drop(sender);
        drop(end);
        keys::note(&key, "complete").await;
    });
    response
}

/// Answers at once and writes `key` after `millis`.
fn after(millis: u64, key: String) -> Response {
    wasip3::spawn(async move {
        wasip3::clocks::monotonic_clock::wait_for(millis * 1_000_000).await;
        keys::note(&key, "done").await;
    });
    whole(200, b"answered".to_vec())
}

async fn variable(name: &str) -> Response {
    let value = spin_sdk::variables::get(name).await;
    said(value.map_err(|error| format!("{error:?}")))
}

//! What a client makes of a reply.

use crate::host::Reply;
use serde_json::Value;

/// A streamed reply, read as clients do.
#[derive(Debug, Default)]
pub struct Read {
    pub text: String,
    /// How many `[DONE]`.
    pub done: usize,
    /// The codes of the error events; empty for none.
    pub errors: Vec<String>,
    /// What the gateway says of its attempts.
    pub facts: Option<Value>,
    /// Whether a finish reason has come.
    pub finished: bool,
    /// Events after the first `[DONE]` or error.
    pub late: usize,
    /// Data that is no JSON.
    pub garbled: Vec<String>,
}

/// Reads the body as server-sent events. What comes after the last blank line is no event.
#[must_use]
pub fn read(reply: &Reply) -> Read {
    let body = reply.text();
    let mut read = Read::default();
    let whole = body.rfind("\n\n").map_or("", |end| &body[..end]);
    for event in whole.split("\n\n") {
        let data: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        if !data.is_empty() {
            read.event(data.join("\n").trim());
        }
    }
    read
}

impl Read {
    fn event(&mut self, data: &str) {
        self.late += usize::from(self.done + self.errors.len() > 0);
        if data == "[DONE]" {
            self.done += 1;
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            self.garbled.push(data.chars().take(200).collect());
            return;
        };
        if chunk["error"].is_object() {
            self.errors.push(chunk["error"]["code"].as_str().unwrap_or_default().to_owned());
            return;
        }
        let choice = &chunk["choices"][0];
        self.text += choice["delta"]["content"].as_str().unwrap_or_default();
        self.finished |= choice["finish_reason"].is_string();
        if chunk["moegate"].is_object() {
            self.facts = Some(chunk["moegate"].clone());
        }
    }
}

/// The content of an unstreamed answer.
#[must_use]
pub fn content(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

/// One entry of the header `x-moegate-attempt-log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub origin: String,
    pub model: String,
    pub reason: String,
    pub breaker: String,
}

/// # Panics
/// If it has another form.
#[must_use]
pub fn log(reply: &Reply) -> Vec<Logged> {
    let header = reply.header("x-moegate-attempt-log");
    let entries = header.split(", ").filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let mut parts = entry.split(';');
            let origin = parts.next().unwrap_or_default().to_owned();
            let field = |wanted: &str, part: Option<&str>| {
                let (name, value) = part.and_then(|part| part.split_once('=')).unwrap_or_default();
                assert_eq!(name, wanted, "{header}");
                value.trim_matches('"').to_owned()
            };
            let model = field("model", parts.next());
            let reason = field("reason", parts.next());
            let ms = field("ms", parts.next());
            assert!(ms.parse::<u64>().is_ok(), "{header}");
            let breaker = field("breaker", parts.next());
            assert!(["closed", "half_open", "open"].contains(&breaker.as_str()), "{header}");
            assert_eq!(parts.next(), None, "{header}");
            Logged { origin, model, reason, breaker }
        })
        .collect()
}

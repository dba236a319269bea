//! What a waiting request wants done, and what came of it.

use crate::core::attempt::{Outbound, OutboundBody};
use crate::platform::Reply;

/// One wish to the glue. Field by field the layout is that of `abi::OUT`; `glue.mjs` has the other half.
#[derive(Default)]
pub(super) struct Op {
    pub(super) code: Code,
    /// Lines, decoded once by the glue.
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    pub(super) a: u32,
    pub(super) b: u32,
}

/// The numbers are known to `glue.mjs`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Code {
    /// The request is served and settled.
    #[default]
    Done = 0,
    ReadBody = 1,
    Send = 2,
    Respond = 3,
    Put = 4,
    List = 5,
    Sleep = 6,
    GoOn = 7,
    Finish = 8,
    Remember = 9,
    Recall = 10,
}

/// What the glue brings back.
#[derive(Default)]
pub(super) struct Input {
    /// Zero is success; else a code of the operation's own.
    pub(super) outcome: u32,
    pub(super) a: u32,
    /// The length of the text at the end of `bytes`.
    pub(super) text_length: usize,
    pub(super) bytes: Vec<u8>,
}

impl Input {
    /// Takes the text off the end of the bytes. The glue encodes it from a JS string, so it is UTF-8.
    pub(super) fn split_text(&mut self) -> String {
        let at = self.bytes.len().saturating_sub(self.text_length);
        String::from_utf8_lossy(&self.bytes.split_off(at)).into_owned()
    }
}

/// How a reply's body goes out (`Op::a`).
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Way {
    Bytes = 0,
    Answered = 1,
    Relay = 2,
    Pump = 3,
}

impl Op {
    /// `a`: the most bytes.
    pub(super) fn read_body(limit: usize) -> Self {
        Self { code: Code::ReadBody, a: saturate(limit), ..Self::default() }
    }

    /// Text: what the body is, method, URL, the idle and the total timeout in ms, then name and value in turn. `a`: the
    /// first timeout in ms; `b`: the most bytes of a whole answer.
    pub(super) fn send(outbound: Outbound, limit: usize) -> Self {
        let (kind, bytes) = match outbound.body {
            OutboundBody::Empty => ("empty", Vec::new()),
            OutboundBody::AsReceived => ("received", Vec::new()),
            OutboundBody::Bytes(bytes) => ("bytes", bytes),
        };
        let timeouts = outbound.timeouts;
        let mut text = format!(
            "{kind}\n{}\n{}\n{}\n{}",
            outbound.method, outbound.url, timeouts.idle_ms, timeouts.total_ms
        );
        push_lines(&mut text, outbound.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Self { code: Code::Send, text, bytes, a: timeouts.first_byte_ms, b: saturate(limit) }
    }

    /// Text: the status, then name and value in turn. `a`: the [`Way`].
    pub(super) fn respond(reply: &Reply, way: Way, bytes: Vec<u8>) -> Self {
        let mut text = reply.status.to_string();
        push_lines(&mut text, reply.headers.iter().map(|(name, value)| (*name, value.as_str())));
        Self { code: Code::Respond, text, bytes, a: way as u32, b: 0 }
    }

    /// `a`: how long, in ms.
    pub(super) fn sleep(ms: u64) -> Self {
        Self { code: Code::Sleep, a: u32::try_from(ms).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Pumps the stream that was sent for last into the reply that is open.
    pub(super) fn go_on() -> Self {
        Self { code: Code::GoOn, ..Self::default() }
    }

    /// The bytes are the last ones of the reply that is open.
    pub(super) fn finish(last: String) -> Self {
        Self { code: Code::Finish, bytes: last.into_bytes(), ..Self::default() }
    }

    /// Text: the key, the summary (JSON) and the value (JSON), which hold no newline.
    pub(super) fn put(key: &str, value: &str, summary: &str) -> Self {
        Self { code: Code::Put, text: [key, summary, value].join("\n"), ..Self::default() }
    }

    /// Text: the key and the value (JSON), which holds no newline. `a`: seconds.
    pub(super) fn remember(key: &str, value: &str, seconds: u64) -> Self {
        let a = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self { code: Code::Remember, text: [key, value].join("\n"), a, ..Self::default() }
    }

    /// Text: the key.
    pub(super) fn recall(key: &str) -> Self {
        Self { code: Code::Recall, text: key.to_owned(), ..Self::default() }
    }

    /// Text: the prefix and the cursor, which may be empty.
    pub(super) fn list(prefix: &str, cursor: Option<&str>) -> Self {
        Self { code: Code::List, text: [prefix, cursor.unwrap_or("")].join("\n"), ..Self::default() }
    }
}

fn push_lines<'a>(text: &mut String, headers: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in headers {
        for part in [name, value] {
            text.push('\n');
            // A line break in a value would begin another header.
            text.extend(part.chars().filter(|c| !matches!(c, '\n' | '\r')));
        }
    }
}

fn saturate(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

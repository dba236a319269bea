//! The beginning of a stream, until it is worth telling the client of: the commit point.
//!
//! Before it another origin can still take over unseen. An origin that answers 200 and then dies, sends an error event or
//! no events at all has not begun.

use super::event;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event as large as this is content, whatever else it is.
const LARGE: usize = 64 * 1024;

/// What the beginning has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// Nothing yet: comments, the role, counts.
    NotYet,
    /// The first content, tool call or finish reason has come.
    Begun,
    /// An error event has come: [`Opening::error`].
    Failed,
    /// This is no stream of events with JSON.
    Garbage,
}

/// Fed with a stream's first chunks, in order, until it has decided.
#[derive(Debug, Default)]
pub struct Opening {
    held: Vec<u8>,
    error: Vec<u8>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl Opening {
    pub fn push(&mut self, chunk: &[u8]) -> Opened {
        if self.held.is_empty() {
            return self.scan(chunk);
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(chunk);
        self.scan(&bytes)
    }

    /// The data of the error event.
    #[must_use]
    pub fn error(self) -> Vec<u8> {
        self.error
    }

    fn scan(&mut self, bytes: &[u8]) -> Opened {
        let mut start = 0;
        while let Some(end) = event::end(bytes, start) {
            let opened = self.event(&bytes[start..end]);
            if opened != Opened::NotYet {
                return opened;
            }
            start = end;
        }
        let rest = &bytes[start..];
        if rest.len() > LARGE {
            let field = rest.starts_with(b"data:") || rest.starts_with(b"event:");
            return if field { Opened::Begun } else { Opened::Garbage };
        }
        self.held.extend_from_slice(rest);
        Opened::NotYet
    }

    fn event(&mut self, event: &[u8]) -> Opened {
        let Some(data) = event::data(event) else {
            // Fields and comments have a colon or are known names; anything else is not this format.
            let other = event::other_lines(event).any(|line| memchr::memchr(b':', line).is_none());
            return if other { Opened::Garbage } else { Opened::NotYet };
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            // The end of nothing.
            return Opened::Garbage;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else { return Opened::Garbage };
        if chunk.error.is_some_and(|error| error.get() != "null") {
            self.error = data.to_vec();
            return Opened::Failed;
        }
        let begun = chunk.choices.iter().flatten().any(|choice| {
            choice.finish_reason.is_some_and(|reason| reason.get() != "null")
                || choice.text.is_some_and(says_something)
                || choice.delta.is_some_and(|delta| has_content(delta.get().as_bytes()))
        });
        if begun { Opened::Begun } else { Opened::NotYet }
    }
}

/// Whether a delta has any member besides the role that is neither null nor empty.
fn has_content(delta: &[u8]) -> bool {
    // The usual case, without a parse: a single text that is not empty.
    if let Some(at) = memmem::find(delta, b"\"content\":\"") {
        return delta.get(at + b"\"content\":\"".len()) != Some(&b'"') || other_members(delta);
    }
    other_members(delta)
}

fn other_members(delta: &[u8]) -> bool {
    let members: Result<std::collections::BTreeMap<&str, &RawValue>, _> = serde_json::from_slice(delta);
    // What cannot be read with borrowed names is no bare role.
    members.map_or(true, |members| {
        members.into_iter().any(|(name, value)| name != "role" && says_something(value))
    })
}

fn says_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";

    #[test]
    fn what_begins_a_stream() {
        let choice = |delta: &str| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n")
        };
        for (events, expected) in [
            (choice(r#"{"content":"H"}"#), Opened::Begun),
            (choice(r#"{"content": "H"}"#), Opened::Begun),
            (choice(r#"{"role":"assistant","content":"H"}"#), Opened::Begun),
            (choice(r#"{"role":"assistant","content":"","tool_calls":[{"index":0}]}"#), Opened::Begun),
            (choice(r#"{"reasoning_content":"hm","content":null}"#), Opened::Begun),
            (choice(r#"{"refusal":"no"}"#), Opened::Begun),
            (choice(r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#), Opened::NotYet),
            (choice(r#"{"content":""}"#), Opened::NotYet),
            (choice("{}"), Opened::NotYet),
            (ROLE.to_owned(), Opened::NotYet),
            (": waiting\n\n".to_owned(), Opened::NotYet),
            ("event: ping\n\n".to_owned(), Opened::NotYet),
            ("retry: 100\n\n".to_owned(), Opened::NotYet),
            ("\n".to_owned(), Opened::NotYet),
            ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n".to_owned(), Opened::NotYet),
            ("data: {\"choices\":[{\"text\":\"a\"}]}\n\n".to_owned(), Opened::Begun),
            ("data: {\"choices\":[{\"text\":\"\"}]}\n\n".to_owned(), Opened::NotYet),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(), Opened::Begun),
            ("data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned(), Opened::Failed),
            ("event: error\ndata: {\"error\":\"no\"}\n\n".to_owned(), Opened::Failed),
            ("data: [DONE]\n\n".to_owned(), Opened::Garbage),
            ("data: hello\n\n".to_owned(), Opened::Garbage),
            ("<html>\n\n".to_owned(), Opened::Garbage),
            ("data: {\"choices\":[{\"del".to_owned(), Opened::NotYet),
            (format!("data: {}", "x".repeat(LARGE)), Opened::Begun),
            ("x".repeat(LARGE + 1), Opened::Garbage),
        ] {
            let mut whole = Opening::default();
            assert_eq!(whole.push(events.as_bytes()), expected, "{events:.80}");
            // However it is cut into chunks, behind the role.
            if events.len() < 1000 && expected != Opened::NotYet {
                let all = format!("{ROLE}{events}");
                for at in 1..all.len() {
                    let mut cut = Opening::default();
                    let first = cut.push(&all.as_bytes()[..at]);
                    let last = if first == Opened::NotYet { cut.push(&all.as_bytes()[at..]) } else { first };
                    assert_eq!(last, expected, "{at} {events}");
                }
            }
        }
    }

    #[test]
    fn the_error_is_kept() {
        let mut opening = Opening::default();
        assert_eq!(
            opening.push(format!("{ROLE}data: {{\"error\":{{\"code\":429}}}}\n\n").as_bytes()),
            Opened::Failed
        );
        assert_eq!(opening.error(), br#"{"error":{"code":429}}"#);
    }
}

//! Watches a pumped stream: finds usage, errors and the end; takes out what the client did not ask for.

use super::event;
use super::partial::{Edited, Partial, with_data};
use crate::core::error::ApiError;
use crate::core::repeats::LARGEST;
use crate::core::usage;
use memchr::memmem;
use moegate_wire::{Ending, Price, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event larger than this is passed on unread, as it comes.
const MAX_HELD: usize = 256 * 1024;

/// What to send to the client for one chunk of the origin's.
#[derive(Debug, PartialEq, Eq)]
pub enum Forward<'a> {
    /// The chunk as it is: the usual case, nothing is copied.
    Whole,
    /// Instead of it these bytes, which may be none.
    Bytes(&'a [u8]),
}

/// How the origin's stream closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    Clean,
    /// The connection broke.
    Broken,
    /// Nothing came for too long.
    Idle,
    /// The request's time is over.
    Late,
}

/// How a pumped stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finale {
    pub ending: Ending,
    /// The last bytes for the client.
    pub last: String,
    /// The client's stream is to be left open, and `last` to be kept: another origin may go on.
    pub open: bool,
}

/// What the stream has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The last counts that came.
    pub usage: Option<Usage>,
    /// An error event.
    pub error: bool,
    /// A finish reason.
    pub finished: bool,
    /// `[DONE]`.
    pub done: bool,
}

/// Fed with the chunks of one stream, in order.
#[derive(Debug)]
pub struct Scanner {
    price: Price,
    /// Whether the client asked for the usage event.
    keep_usage: bool,
    /// The beginning of an event whose end has not come.
    held: Vec<u8>,
    /// The event under way is larger than [`MAX_HELD`]: its rest passes unread.
    oversized: bool,
    out: Vec<u8>,
    seen: Seen,
    /// Where another origin may have to go on.
    partial: Option<Partial>,
    /// The data of the error event.
    error: Vec<u8>,
    /// The client has not got it: another origin may go on.
    withheld: bool,
    /// An event to put before the end mark.
    note: String,
    close: Option<Close>,
    /// What the client got, where it may have to be given again.
    copy: Option<Transcript>,
}

/// What the client got; nothing once it is too much.
#[derive(Debug, Default)]
pub struct Transcript(Option<Vec<u8>>);

impl Transcript {
    /// An empty one, to be filled.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Vec::new()))
    }

    fn add(&mut self, bytes: &[u8]) {
        let fits = self.0.as_ref().is_some_and(|copy| copy.len() + bytes.len() <= LARGEST);
        if fits {
            self.0.iter_mut().for_each(|copy| copy.extend_from_slice(bytes));
        } else {
            self.0 = None;
        }
    }

    /// The text, if it did not get too large.
    #[must_use]
    pub fn text(self) -> Option<String> {
        String::from_utf8(self.0?).ok()
    }
}

enum Verdict {
    Keep,
    Drop,
    Replace(Vec<u8>),
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Scanner {
    #[must_use]
    pub fn new(price: Price, keep_usage: bool) -> Self {
        Self {
            price,
            keep_usage,
            held: Vec::new(),
            oversized: false,
            out: Vec::new(),
            seen: Seen::default(),
            partial: None,
            error: Vec::new(),
            withheld: false,
            note: String::new(),
            close: None,
            copy: None,
        }
    }

    /// Keeps what a further origin needs in order to go on.
    #[must_use]
    pub fn with_partial(self, partial: Partial) -> Self {
        Self { partial: Some(partial), ..self }
    }

    /// Puts this event before the end mark.
    #[must_use]
    pub fn with_note(self, note: String) -> Self {
        Self { note, ..self }
    }

    /// Keeps what the client gets, behind what it has got already.
    #[must_use]
    pub fn with_transcript(self, copy: Option<Transcript>) -> Self {
        Self { copy, ..self }
    }

    pub fn take_transcript(&mut self) -> Option<Transcript> {
        self.copy.take()
    }

    /// What has reached the client.
    pub fn take_partial(&mut self) -> Option<Partial> {
        self.partial.take()
    }

    /// The data of the error event, if one came.
    #[must_use]
    pub fn error(&self) -> &[u8] {
        &self.error
    }

    /// Whether nothing more is wanted of this stream: an error came that the client has not got. An origin may go on with
    /// comments for as long as it likes, while another one could answer.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.withheld
    }

    /// How it closed, once it has.
    #[must_use]
    pub fn close(&self) -> Option<Close> {
        self.close
    }

    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Takes the next chunk and says what the client gets for it.
    pub fn push(&mut self, chunk: &[u8]) -> Forward<'_> {
        self.out.clear();
        if self.held.is_empty() && !self.oversized {
            if self.scan(chunk) {
                self.copy.iter_mut().for_each(|copy| copy.add(chunk));
                return Forward::Whole;
            }
        } else {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(chunk);
            if self.scan(&bytes) {
                self.out = bytes;
            }
        }
        self.copy.iter_mut().for_each(|copy| copy.add(&self.out));
        Forward::Bytes(&self.out)
    }

    /// Walks over the events in `bytes`. True if all of them pass unchanged and nothing is held back; otherwise what
    /// passes is in `out`.
    fn scan(&mut self, bytes: &[u8]) -> bool {
        let mut unchanged = true;
        let mut start = 0;
        while let Some(end) = event::end(bytes, start) {
            let verdict = if std::mem::take(&mut self.oversized) {
                Verdict::Keep
            } else {
                self.event(&bytes[start..end])
            };
            if unchanged && !matches!(verdict, Verdict::Keep) {
                self.out.extend_from_slice(&bytes[..start]);
                unchanged = false;
            }
            match verdict {
                Verdict::Keep if unchanged => {}
                Verdict::Keep => self.out.extend_from_slice(&bytes[start..end]),
                Verdict::Drop => {}
                Verdict::Replace(event) => self.out.extend_from_slice(&event),
            }
            start = end;
        }
        let rest = &bytes[start..];
        if rest.is_empty() {
            return unchanged;
        }
        if unchanged {
            self.out.extend_from_slice(&bytes[..start]);
        }
        if self.oversized || rest.len() > MAX_HELD {
            // To find the event's end it is enough to hold the last line's end and the byte before it.
            self.oversized = true;
            self.partial.iter_mut().for_each(Partial::lose);
            let ends = rest.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
            let (pass, keep) = rest.split_at(rest.len().saturating_sub(ends + 1));
            self.out.extend_from_slice(pass);
            self.held.extend_from_slice(keep);
        } else {
            self.held.extend_from_slice(rest);
        }
        false
    }

    fn event(&mut self, event: &[u8]) -> Verdict {
        let edited = match (&mut self.partial, event::data(event)) {
            (Some(partial), Some(data)) => partial.take_in(&data),
            _ => return self.standard(event),
        };
        match edited {
            Edited::Same => self.standard(event),
            Edited::Drop => Verdict::Drop,
            Edited::Data(data) => {
                let event = with_data(event, &data);
                match self.standard(&event) {
                    Verdict::Keep => Verdict::Replace(event),
                    other => other,
                }
            }
        }
    }

    fn standard(&mut self, event: &[u8]) -> Verdict {
        // Most events hold nothing of interest: two searches, no parse.
        let finish = memmem::find(event, b"\"finish_reason\"").is_some();
        let interesting =
            memmem::find(event, b"\"usage\"").is_some() || memmem::find(event, b"\"error\"").is_some();
        if !finish && !interesting && memmem::find(event, b"[DONE]").is_none() {
            return Verdict::Keep;
        }
        let Some(data) = event::data(event) else { return Verdict::Keep };
        if data.trim_ascii() == b"[DONE]" {
            // After an error an end mark would make a dead stream look whole.
            if self.seen.error {
                return Verdict::Drop;
            }
            self.seen.done = true;
            if self.note.is_empty() {
                return Verdict::Keep;
            }
            let mut note = std::mem::take(&mut self.note).into_bytes();
            note.extend_from_slice(event);
            return Verdict::Replace(note);
        }
        let finished = finish && has_finish_reason(&data);
        if !interesting {
            self.seen.finished |= finished;
            return Verdict::Keep;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&data) else {
            self.seen.finished |= finished;
            return Verdict::Keep;
        };
        // Beside an error it is no end of an answer (OpenRouter: `"finish_reason":"error"`).
        self.seen.finished |= finished && chunk.error.is_none();
        if chunk.error.is_some() {
            self.seen.error = true;
            if self.partial.is_some() {
                self.withheld = true;
                self.error = data.into_owned();
                return Verdict::Drop;
            }
            self.error = data.to_vec();
        }
        let Some((raw, usage)) = chunk.usage.and_then(|raw| Some((raw, usage::parse(raw)?))) else {
            return Verdict::Keep;
        };
        self.seen.usage = Some(usage);
        if !self.keep_usage && chunk.choices.is_some_and(|choices| choices.is_empty()) {
            return Verdict::Drop;
        }
        match usage::cost_insertion(&data, raw, self.price.cost(&usage)) {
            None => Verdict::Keep,
            Some((at, text)) => {
                let data = [&data[..at], text.as_bytes(), &data[at..]].concat();
                Verdict::Replace(with_data(event, &data))
            }
        }
    }

    /// The origin's stream has ended, cleanly or not: how that counts, and the last bytes for the client.
    ///
    /// Half an event is never passed on. A stream without an end mark or finish reason gets an error event instead.
    pub fn end(&mut self, close: Close) -> Finale {
        self.close = Some(close);
        let whole = self.seen.done || self.seen.finished;
        if whole && !self.seen.error && (close == Close::Clean || self.seen.done) {
            return Finale { ending: Ending::Complete, last: String::new(), open: false };
        }
        let ending = if self.seen.error { Ending::Error } else { Ending::Truncated };
        // What was finished cannot be gone on with; neither can an event of which a part is out.
        let open = self.partial.is_some() && !whole && !self.oversized && close != Close::Late;
        Finale { ending, last: self.farewell(), open }
    }

    /// The last bytes for the client of a stream that was not complete: the error event, which may be out already.
    #[must_use]
    pub fn farewell(&self) -> String {
        match (self.seen.error, self.withheld) {
            (true, false) => String::new(),
            (true, true) => format!("data: {}\n\n", String::from_utf8_lossy(&self.error)),
            // Some of an oversized event may be out already; the blank line in front ends it.
            (false, _) => ApiError::cut_off_event(self.close.unwrap_or(Close::Broken)),
        }
    }
}

/// Whether any choice carries a finish reason other than null.
fn has_finish_reason(data: &[u8]) -> bool {
    let mut rest = data;
    while let Some(at) = memmem::find(rest, b"\"finish_reason\"") {
        rest = &rest[at + b"\"finish_reason\"".len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":").unwrap_or(b"").trim_ascii_start();
        if value.first() == Some(&b'"') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;

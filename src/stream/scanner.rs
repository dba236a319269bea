//! Watches a stream: when the answer has begun, what passes to the client, usage, errors and the end.
//!
//! Until the answer has begun the client has seen nothing and another origin can take over unseen: an origin that answers
//! 200 and then dies, sends an error event or no events at all has not begun.

use super::event_stream::EventStream;
use super::sse;
use crate::dialect::StreamCodec;
use crate::dialect::counts::Counts;
use crate::dialect::event::{Output, StreamEvent};
use crate::dialect::partial::Partial;
use crate::error::ApiError;
use moegate_wire::Ending;

const TOO_LARGE: &[u8] =
    br#"{"error":{"message":"an event of the origin's stream is too large to be read"}}"#;
const UNREADABLE: &[u8] = br#"{"error":{"message":"the origin's stream was damaged on its way"}}"#;

/// What to send to the client for one chunk of the origin's.
#[derive(Debug, PartialEq, Eq)]
pub enum Forward<'a> {
    /// The chunk as it is: the usual case, nothing is copied.
    Whole,
    /// Instead of it these bytes, which may be none.
    Bytes(&'a [u8]),
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing yet: comments, the role, counts.
    NotYet,
    /// The first content, tool call or finish reason has come.
    Begun,
    /// An error event came before any content: [`Scanner::error`].
    Failed,
    /// This is no stream of the dialect's events.
    Malformed,
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

impl Close {
    /// What a client is told whose stream closed like this before its end.
    #[must_use]
    pub fn error(self) -> ApiError {
        let (status, code, what) = match self {
            Self::Clean | Self::Broken => {
                (502, "stream_truncated", "the origin's stream broke off before it was complete")
            }
            Self::Idle => (504, "stream_idle", "the origin's stream fell silent for too long"),
            Self::Late => (
                504,
                "stream_timeout",
                "the time that the route's budget allows was over before the stream was complete",
            ),
        };
        let text = format!("{what}; what has come so far is not the whole answer");
        ApiError::upstream(status, code, text)
    }
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finale {
    pub ending: Ending,
    /// The last bytes for the client, unless another origin goes on.
    pub last: String,
    /// Another origin may go on.
    pub resumable: bool,
}

/// What the stream has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The largest counts that came.
    pub usage: Option<Counts>,
    /// Events with content: about as many tokens.
    pub events: u64,
    /// An error event.
    pub error: bool,
    /// Every answer that has begun has its finish reason.
    pub finished: bool,
    /// The end mark.
    pub done: bool,
}

/// Fed with the chunks of one stream, in order.
pub struct Scanner {
    codec: Box<dyn StreamCodec>,
    phase: Phase,
    /// The beginning of an event whose end has not come.
    held: Vec<u8>,
    /// The event under way is too large to be held: its rest passes unread.
    oversized: bool,
    out: Vec<u8>,
    seen: Seen,
    /// The data of the error event.
    error: Vec<u8>,
    /// The client has not got it: another origin may go on.
    withheld: bool,
    /// The origin's events come in AWS's binary framing.
    framing: Option<EventStream>,
}

impl Scanner {
    #[must_use]
    pub fn new(codec: Box<dyn StreamCodec>) -> Self {
        Self {
            codec,
            phase: Phase::NotYet,
            held: Vec::new(),
            oversized: false,
            out: Vec::new(),
            seen: Seen::default(),
            error: Vec::new(),
            withheld: false,
            framing: None,
        }
    }

    /// Of a stream in AWS's binary framing.
    #[must_use]
    pub fn framed(codec: Box<dyn StreamCodec>) -> Self {
        Self { framing: Some(EventStream::default()), ..Self::new(codec) }
    }

    /// What has reached the client.
    pub fn take_partial(&mut self) -> Option<Partial> {
        self.codec.take_partial()
    }

    /// The data of the error event, if one came.
    #[must_use]
    pub fn error(&self) -> &[u8] {
        &self.error
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Whether nothing more is wanted of this stream: its end mark has come, or an error that the client has not got, since
    /// another origin may go on. An origin may keep its connection open for as long as it likes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.seen.done || self.withheld
    }

    /// Takes the next chunk and says what the client gets for it, once the stream has begun.
    pub fn push(&mut self, chunk: &[u8]) -> Forward<'_> {
        self.out.clear();
        if let Some(framing) = &mut self.framing {
            let mut events = Vec::new();
            let unpacked = framing.push(chunk, &mut events);
            if self.scan(&events) {
                self.out = events;
            }
            if unpacked.is_err() && !self.seen.error {
                self.unreadable(UNREADABLE);
            }
            return Forward::Bytes(&self.out);
        }
        if self.held.is_empty() && !self.oversized {
            if self.scan(chunk) {
                return Forward::Whole;
            }
        } else {
            let from = searched(&self.held);
            self.held.extend_from_slice(chunk);
            // Large events come in many chunks: none of them is searched or copied again for the next one.
            let is_open = !self.oversized && self.held.len() <= self.codec.most_held();
            if is_open && sse::end(&self.held, from).is_none() {
                return Forward::Bytes(&self.out);
            }
            let bytes = std::mem::take(&mut self.held);
            if self.scan(&bytes) {
                self.out = bytes;
            }
        }
        Forward::Bytes(&self.out)
    }

    /// Walks over the events in `bytes`. True if all of them pass unchanged and nothing is held back; otherwise what
    /// passes is in `out`.
    fn scan(&mut self, bytes: &[u8]) -> bool {
        let mut unchanged = true;
        let mut start = 0;
        while let Some(end) = sse::end(bytes, start) {
            let output = if std::mem::take(&mut self.oversized) {
                Output::Pass
            } else {
                self.event(&bytes[start..end])
            };
            if unchanged && output != Output::Pass {
                self.out.extend_from_slice(&bytes[..start]);
                unchanged = false;
            }
            match output {
                Output::Pass if unchanged => {}
                Output::Pass => self.out.extend_from_slice(&bytes[start..end]),
                Output::Drop => {}
                Output::Replace(event) => self.out.extend_from_slice(&event),
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
        if self.oversized || rest.len() > self.codec.most_held() {
            if self.codec.may_pass_unread() {
                self.pass_unread(rest);
            } else {
                self.unreadable(TOO_LARGE);
            }
        } else {
            self.held.extend_from_slice(rest);
        }
        false
    }

    /// What cannot be read cannot be said anew.
    fn unreadable(&mut self, error: &[u8]) {
        self.phase = if self.phase == Phase::NotYet { Phase::Malformed } else { self.phase };
        self.error = error.to_vec();
        self.seen.error = true;
        self.withheld = true;
        self.codec.lost();
    }

    /// Passes what is too large to be held. To find the event's end it is enough to hold the last line's end and the byte
    /// before it.
    fn pass_unread(&mut self, rest: &[u8]) {
        if !std::mem::replace(&mut self.oversized, true) && self.phase == Phase::NotYet {
            // A comment of any length is no beginning.
            self.phase = match rest.first() {
                Some(b':') => Phase::NotYet,
                _ if rest.starts_with(b"data:") || rest.starts_with(b"event:") => Phase::Begun,
                _ => Phase::Malformed,
            };
        }
        self.codec.lost();
        let (pass, keep) = rest.split_at(searched(rest));
        self.out.extend_from_slice(pass);
        self.held.extend_from_slice(keep);
    }

    fn event(&mut self, event: &[u8]) -> Output {
        // Nothing of the answer follows its end mark; a line's end may.
        if self.seen.done {
            let is_blank = event.iter().all(|b| matches!(b, b'\n' | b'\r'));
            return if is_blank { Output::Pass } else { Output::Drop };
        }
        let (StreamEvent { begun, content, usage, error, end, malformed }, output) =
            self.codec.event(event, self.phase == Phase::Begun);
        self.seen.usage = usage.or(self.seen.usage);
        self.seen.events += u64::from(content);
        self.seen.finished = self.codec.is_finished();
        if self.phase == Phase::NotYet {
            self.phase = match (&error, begun) {
                (Some(_), _) => Phase::Failed,
                // The end of nothing is no answer.
                _ if malformed || end && !begun => Phase::Malformed,
                (None, true) => Phase::Begun,
                (None, false) => Phase::NotYet,
            };
        }
        if let Some(error) = error {
            self.error = error;
            self.seen.error = true;
            self.withheld = self.codec.keeps_partial();
            if self.withheld {
                return Output::Drop;
            }
        }
        if end {
            // After an error an end mark would make a dead stream look whole.
            if self.seen.error {
                return Output::Drop;
            }
            self.seen.done = true;
        }
        output
    }

    /// The origin's stream has ended, cleanly or not: how that counts, and the last bytes for the client.
    ///
    /// Half an event is never passed on. A stream without an end mark or finish reason gets an error event instead.
    pub fn end(&mut self, close: Close) -> Finale {
        let whole = self.seen.done || self.seen.finished;
        if whole && !self.seen.error && (close == Close::Clean || self.seen.done) {
            let last = if self.seen.done { String::new() } else { self.codec.finish() };
            return Finale { ending: Ending::Complete, last, resumable: false };
        }
        let ending = if self.seen.error { Ending::Error } else { Ending::Truncated };
        // What was finished cannot be gone on with; neither can an event of which a part is out.
        let resumable = self.codec.keeps_partial() && !whole && !self.oversized && close != Close::Late;
        Finale { ending, last: self.farewell(close), resumable }
    }

    /// The last bytes for the client of a stream that was not complete: the error event, which may be out already.
    fn farewell(&self, close: Close) -> String {
        match (self.seen.error, self.withheld) {
            (true, false) => String::new(),
            (true, true) => self.codec.origin_error_event(&self.error),
            // Some of an oversized event may be out already; the blank line in front ends it.
            (false, _) => format!("\n\n{}", self.codec.error_event(&close.error())),
        }
    }
}

/// From where the end of an event that has none so far is to be looked for when more has come: the byte before the last
/// line's end, so that a line end cut in two counts as one.
fn searched(held: &[u8]) -> usize {
    let ends = held.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
    held.len().saturating_sub(ends + 1)
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;

//! An API's wire format, as origins speak it and as clients do: one side each of the way through the canonical form.

use super::answer::OriginError;
use super::canonical::answer::Answer;
use super::canonical::delta::Delta;
use super::canonical::request::Request;
use super::canonical::unsupported::Unsupported;
use super::exchange::{AnswerContext, AttemptNote};
use super::{errors, partial::Partial};
use crate::config::{Model, Origin};
use crate::error::ApiError;
use std::borrow::Cow;

/// Whom a request goes to.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) struct Destination<'a> {
    pub(in crate::dialect) origin: &'a Origin,
    pub(in crate::dialect) model: &'a Model,
    /// A stream is to be asked to tell its counts.
    pub(in crate::dialect) ask_usage: bool,
}

/// How origins of an API are spoken to.
pub(in crate::dialect) trait OriginFormat: Sync {
    /// The path behind the origin's URL, with its query.
    fn path(&self, to: &Destination<'_>, stream: bool) -> Cow<'static, str>;

    /// The request's body. What cannot be said goes to `unsupported`, by the client's names for it, and is left out.
    fn encode(&self, request: &Request<'_>, to: &Destination<'_>, unsupported: &mut Unsupported) -> Vec<u8>;

    /// Whether it can go on with the beginning of an answer at all.
    fn can_resume(&self, _to: &Destination<'_>) -> bool {
        true
    }

    /// Whether it is told that beginning without the white space at its end.
    fn trims_prefill(&self) -> bool {
        false
    }

    /// What a whole answer says, in its order. `None` where it is none: not of this API, or an error.
    fn answer<'b>(&self, body: &'b str) -> Option<Vec<Delta<'b>>>;

    /// The error that an answer is, by status and body. `None`: there is none.
    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        errors::error_of(status, body)
    }

    /// What reads one stream.
    fn reader(&self) -> Box<dyn EventReader>;
}

/// Reads one stream of an origin.
pub(in crate::dialect) trait EventReader {
    /// One event: its name (empty for none) and data, which is not empty. What it says is appended to `deltas`.
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e>;
}

/// What an event is, besides its deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum EventKind<'e> {
    /// Some of the answer, or nothing of interest.
    Data,
    /// The API's end mark: nothing of the answer follows. Its deltas still count.
    End,
    /// The origin reports an error: JSON that [`OriginFormat::error`] reads under status 200.
    Error(Cow<'e, str>),
    /// Not of this API.
    Malformed,
}

/// How an API's clients are answered.
pub(in crate::dialect) trait ClientFormat: Sync {
    /// A whole answer.
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8>;

    /// What writes one stream. `several`: see [`super::StreamOptions`].
    fn writer(&self, context: &AnswerContext, include_usage: bool) -> Box<dyn EventWriter>;
}

/// Writes one stream for a client. It begins with the first delta, and what ends it is written by [`EventWriter::end`].
pub(in crate::dialect) trait EventWriter {
    /// Appends the events for a delta. Stop and counts are kept for the end.
    fn delta(&mut self, delta: &Delta<'_>, out: &mut String);

    /// Takes in an event of an origin of the same API that passes as it is: its name, its data, and what it says. What is
    /// written later follows it. `false`: nobody can go on behind it, for it holds more than its deltas say.
    fn passed(&mut self, _name: &str, _data: &str, _deltas: &[Delta<'_>]) -> bool {
        false
    }

    /// Appends what ends a whole answer: its reason, its counts, the API's end mark. `note`: who answered.
    fn end(&mut self, note: Option<&AttemptNote>, out: &mut String);

    /// An error in the midst of it: the last that the client gets.
    fn error(&self, error: &ApiError) -> String;

    /// A comment, while an origin is at work: nothing to clients.
    fn keep_alive(&self) -> &'static str {
        ": \n\n"
    }

    /// Goes on with an answer of which the client has got `partial`, where another writer began it.
    fn resume(&mut self, partial: &Partial);

    /// The same, for an attempt that may fail before it has written anything.
    fn fork(&self) -> Box<dyn EventWriter>;

    /// The answer's id as the client knows it, as JSON.
    fn id(&self) -> String;
}

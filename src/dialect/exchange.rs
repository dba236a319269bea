//! A client's API towards an origin's: how answers are read and what the client gets of them.

use super::answer::{AnswerFacts, OriginError};
use super::counts::Counts;
use super::event::{Output, StreamEvent};
use super::partial::Partial;
use crate::config::Failure;
use crate::error::ApiError;
use moegate_wire::Price;
use std::rc::Rc;

/// See the module.
pub trait Exchange: Sync {
    /// What a whole answer says; `None` where it is not of the origin's API at all.
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts>;

    /// The error that an answer is, by status and body. Status 200 is for a body, or an event of a stream, that may hold
    /// one. `None`: there is none.
    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError>;

    /// What kind of failure that is.
    fn classify(&self, status: u16, body: &[u8]) -> Failure {
        self.error(status, body).map_or(Failure::BadAnswer, |error| error.failure)
    }

    /// An origin's error as the gateway's own, for one that is not in the client's form. `status`: what the client gets.
    fn told(&self, error: OriginError, status: u16) -> ApiError {
        super::errors::told(error, status)
    }

    /// Whether the error is about the question for counts in a stream, which the gateway may have added.
    fn refuses_usage(&self, _status: u16, _body: &[u8]) -> bool {
        false
    }

    /// Whether it may write an answer of its own, which says who answered: [`AnswerContext`] in full.
    fn writes(&self) -> bool {
        true
    }

    /// Whether the origin's bytes can go to the client unread.
    fn passes(&self) -> bool {
        true
    }

    /// Whether an answer may be something else than JSON, which keeps its content type.
    fn keeps_content_type(&self) -> bool {
        false
    }

    /// A whole answer as a stream, for who asked for one: what [`Exchange::stream`] reads. `None` where it is no whole
    /// answer.
    fn streamed(&self, body: &[u8], context: &AnswerContext) -> Option<Vec<u8>>;

    /// A whole stream as the one answer that was asked for, as [`Exchange::answer`] reads it, or the data of its error.
    fn gathered(&self, stream: &[u8]) -> Gathered;

    /// What reads one stream.
    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec>;
}

/// What the gateway itself knows of an answer.
#[derive(Debug, Clone, Default)]
pub struct AnswerContext {
    pub price: Price,
    pub request_id: String,
    /// Unix seconds.
    pub created_s: u64,
    /// As the origin knows it: for answers that name none.
    pub model: String,
    /// Members of the request that the answer repeats, as JSON (`"tools":[],"temperature":1`): OpenAI's Responses.
    pub echo: Option<Rc<str>>,
    /// Members of the request that the origin was not told.
    pub dropped: Vec<String>,
    /// Who was asked, for a whole answer that tells it.
    pub note: Option<Rc<AttemptNote>>,
}

/// What a stream's events come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gathered {
    Answer(Vec<u8>),
    Error(Vec<u8>),
    /// It broke off: what it had told of its counts, and how many events had content.
    Truncated(Option<Counts>, u64),
    /// It is not of the API.
    Malformed,
}

#[derive(Debug, Default)]
pub struct StreamOptions {
    pub context: AnswerContext,
    /// Whether the client asked for the counts.
    pub include_usage: bool,
    /// Whether it asked for several answers.
    pub several: bool,
    /// Where another origin may have to go on: what the client has got so far.
    pub partial: Option<Partial>,
    /// Who answered, to go out with the first finish reason.
    pub note: Option<AttemptNote>,
    /// Where origins' error texts are not for the client: the id of the request, under which the operator finds them.
    pub plain_errors: Option<String>,
}

/// Reads one stream of an origin and says what the client gets.
pub trait StreamCodec {
    /// One whole event, its blank line included. `begun`: whether [`StreamEvent::begun`] was told before.
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output);

    /// Whether every answer that has begun has its finish reason.
    fn is_finished(&self) -> bool;

    /// The stream is whole without an end mark: the last bytes for the client.
    fn finish(&mut self) -> String {
        String::new()
    }

    /// The largest event that is read, in bytes.
    fn most_held(&self) -> usize {
        256 * 1024
    }

    /// Whether a larger event may pass unread; otherwise the stream ends there.
    fn may_pass_unread(&self) -> bool {
        true
    }

    /// Something passed unread: nobody can go on with what was kept.
    fn lost(&mut self);

    /// What the client has got, where that was to be kept.
    fn take_partial(&mut self) -> Option<Partial>;

    /// Whether the client's stream may be gone on with by another origin.
    fn keeps_partial(&self) -> bool;

    /// The data of an origin's error event as the client's event.
    fn origin_error_event(&self, data: &[u8]) -> String;

    /// An error of ours as the client's event.
    fn error_event(&self, error: &ApiError) -> String;
}

/// What a stream tells of the attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptNote {
    pub asked_model: String,
    pub model: String,
    pub origin: String,
    pub attempts: Vec<AttemptEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AttemptEntry {
    pub origin: String,
    pub model: String,
    pub reason: &'static str,
    pub ms: u64,
    pub breaker: &'static str,
    /// Unix milliseconds.
    #[serde(skip)]
    pub began_ms: u64,
    #[serde(skip)]
    pub status: u16,
}

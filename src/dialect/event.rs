//! What an event of an origin's stream means, whatever the dialect.

use super::counts::Counts;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// Content, a tool call or a finish reason: from here on the answer has begun. Only told until it has.
    pub begun: bool,
    /// It holds some of the answer: about a token.
    pub content: bool,
    /// Counts so far.
    pub usage: Option<Counts>,
    /// The origin reports an error; its data.
    pub error: Option<Vec<u8>>,
    /// The dialect's end mark: nothing that belongs to the answer follows.
    pub end: bool,
    /// This is not the dialect's format.
    pub malformed: bool,
}

/// What the client gets for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The event as it is.
    Pass,
    Drop,
    /// These bytes instead: whole events.
    Replace(Vec<u8>),
}

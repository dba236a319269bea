//! What a whole answer says, whatever the dialect.

use super::counts::Counts;
use crate::config::Failure;
use crate::payload::Edit;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    pub counts: Option<Counts>,
    /// Under a status of success it may be an error all the same.
    pub dubious: bool,
    /// What puts the cost into the answer.
    pub edits: Vec<Edit>,
    /// The answer in the client's form, where the origin's is another.
    pub own: Option<Vec<u8>>,
}

/// An origin's error, in neutral words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginError {
    pub failure: Failure,
    /// The answer's, or under 200 the one that it should have had.
    pub status: u16,
    /// It is an object as the client's dialect has it, which may pass as it is.
    pub readable: bool,
    /// Its shape is known, so that the text is one for people; not so a page or a mere text.
    pub known: bool,
    /// The key is refused because the account is spent, not because it is wrong.
    pub spent: bool,
    /// Its text for people, however it was wrapped; a part of it where it is long.
    pub message: Option<String>,
    /// The field of the request that it is about.
    pub param: Option<String>,
}

//! What a whole answer says, whatever the dialect.

use crate::payload::Edit;
use moegate_wire::Usage;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    pub usage: Option<Usage>,
    pub error: ErrorForm,
    /// What puts the cost into the answer.
    pub edits: Vec<Edit>,
}

/// Whether an answer is an error that the client's dialect can be given as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorForm {
    #[default]
    None,
    /// Its error is an object as the client's dialect has it.
    Readable,
    /// There is an error of another form.
    Other,
}

//! What ends the start of the host: one sentence for the person who started it.

use std::fmt;

/// A sentence that says what is wrong and where.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of everything that runs before the first request.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that reads as `sentence`.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

//! Why a chat could not be rendered.

use std::fmt;

/// What is wrong with the messages, or with the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// A field of the request, as `messages[2].content`.
    Field { path: String, why: String },
    /// The template refused the messages (its `raise_exception`), in its author's words.
    Refused(String),
    /// The messages take the template more steps, or make its output longer, than any chat should.
    TooLong,
    /// The template is broken, or uses what is not supported.
    Template(String),
}

impl TemplateError {
    pub(super) fn field(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Field { path: path.into(), why: why.into() }
    }

    /// Whether other messages could have been rendered: the request is at fault, not the model's file.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        matches!(self, Self::Field { .. } | Self::Refused(_) | Self::TooLong)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { path, why } => write!(f, "{path} {why}"),
            Self::Refused(why) => write!(f, "the model's chat template refuses these messages: {why}"),
            Self::TooLong => f.write_str(
                "messages take the model's chat template too many steps or make its output too long; send fewer or shorter ones",
            ),
            Self::Template(why) => write!(f, "the model's chat template does not work: {why}"),
        }
    }
}

impl std::error::Error for TemplateError {}

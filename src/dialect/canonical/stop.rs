//! Why an answer ended.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum Stop {
    /// The model was done.
    End,
    /// A stop sequence came: which one, where the origin says.
    Sequence(Option<String>),
    /// The limit of tokens, or of the context.
    Length,
    ToolCalls,
    /// A filter cut it, or the model declined.
    Filter,
    /// A server's tool is to go on (Anthropic's `pause_turn`).
    Pause,
    /// It failed, as the origin calls that (Gemini's `MALFORMED_FUNCTION_CALL`).
    Failed(Cow<'static, str>),
}

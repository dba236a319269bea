//! The answer so far, of a stream that another origin may have to go on with.

use super::canonical::delta::Delta;
use super::format::EventWriter;
use std::fmt;

/// More than this is not kept: a stream without end would fill the instance's memory.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What has reached the client, over all origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// The content of the one choice.
    pub text: String,
    /// Our own server's token ids, and the vocabulary they are of.
    pub tokens: Vec<u32>,
    pub vocabulary: String,
    /// Events with content: about as many tokens.
    pub events: u64,
    /// The stream's id as raw JSON, which the client keeps seeing.
    pub(super) id: Option<String>,
    /// It holds what no other origin can go on with: several choices, or tool calls without our own tokens.
    pub(super) blocked: bool,
    /// Something reached the client that is not in here.
    lost: bool,
    /// Another origin has taken over.
    pub(super) resumed: bool,
    /// Text came that no token stands for: of another origin.
    pub(super) beyond_tokens: bool,
    /// What has written the client's stream, where that was not the origin itself.
    pub(super) writer: Option<KeptWriter>,
}

/// A stream's writer between two origins.
pub(super) struct KeptWriter(pub(super) Box<dyn EventWriter>);

impl Clone for KeptWriter {
    fn clone(&self) -> Self {
        Self(self.0.fork())
    }
}

/// They write the same answer.
impl PartialEq for KeptWriter {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for KeptWriter {}

impl fmt::Debug for KeptWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptWriter")
    }
}

impl Partial {
    /// Whether an origin that takes text can go on.
    #[must_use]
    pub fn has_text_only(&self) -> bool {
        !self.blocked && !self.lost
    }

    /// Whether our own server can go on exactly. With nothing said yet anything can.
    #[must_use]
    pub fn has_all_tokens(&self) -> bool {
        !self.lost
            && !self.beyond_tokens
            && (!self.tokens.is_empty() || self.text.is_empty() && !self.blocked)
    }

    /// Takes in what the client gets.
    pub(super) fn take(&mut self, delta: &Delta<'_>) {
        self.events += u64::from(delta.is_content());
        match delta {
            Delta::Text(text) => {
                self.text.push_str(text);
                self.beyond_tokens |= !text.is_empty();
            }
            Delta::ToolCall { .. } | Delta::Media { .. } | Delta::Refusal(_) => self.blocked = true,
            _ => {}
        }
        self.bound();
    }

    /// The next origin's stream follows.
    pub fn resume(&mut self) {
        self.resumed = true;
    }

    /// Something passes unread: nobody can go on with what is here.
    pub fn lose(&mut self) {
        self.lost = true;
        (self.text, self.tokens) = (String::new(), Vec::new());
    }

    /// Keeps no more than is sensible.
    pub(super) fn bound(&mut self) {
        if self.lost || self.text.len() + self.tokens.len() * 4 > MOST_BYTES {
            self.lose();
        }
    }
}

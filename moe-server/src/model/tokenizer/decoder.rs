//! Tokens to text, as they come.

use std::sync::Arc;

use crate::ids::TokenId;

use super::index::Index;

/// Turns one stream of tokens into text, holding back the bytes of a character that is not yet whole.
#[derive(Debug)]
pub struct Decoder {
    index: Arc<Index>,
    /// At most three bytes between calls: the beginning of a character.
    held: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, held: Vec::new() }
    }

    /// The text that this token completes. Control tokens yield none, bytes that cannot be UTF-8 yield U+FFFD.
    pub fn push(&mut self, token: TokenId) -> String {
        self.held.extend_from_slice(self.index.text(token));
        let mut text = String::new();
        let mut torn = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            torn = chunk.invalid().len();
        }
        // The last chunk's invalid bytes reach the end: they may be the beginning of a character.
        let rest = self.held.len() - torn;
        let may_go_on =
            std::str::from_utf8(&self.held[rest..]).is_err_and(|error| error.error_len().is_none());
        if may_go_on {
            text.pop();
            self.held.drain(..rest);
        } else {
            self.held.clear();
        }
        text
    }

    /// What is left at the end: U+FFFD for a torn character.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

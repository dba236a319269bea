//! The tokens' bytes, and finding a token by its bytes.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::engine::TokenId;

/// All tokens, their bytes in one allocation.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    /// Token `i` has `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    /// The tokens that text is encoded to, by the hash of their bytes.
    by_bytes: HashTable<TokenId>,
    hasher: DefaultHashBuilder,
}

impl Vocabulary {
    pub(super) fn with_capacity(tokens: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(8 * tokens),
            ends: Vec::with_capacity(tokens),
            by_bytes: HashTable::with_capacity(tokens),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Appends a token that text is encoded to; false where another has its bytes.
    pub(super) fn push(&mut self, token: TokenId, bytes: &[u8]) -> bool {
        if self.find(bytes).is_some() {
            return false;
        }
        self.push_unfindable(bytes);
        let rehash = |token: &TokenId| self.hasher.hash_one(slice(&self.bytes, &self.ends, *token));
        self.by_bytes.insert_unique(self.hasher.hash_one(bytes), token, rehash);
        true
    }

    /// Appends a token that no text is encoded to.
    pub(super) fn push_unfindable(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The token that these bytes are encoded to.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<TokenId> {
        let hash = self.hasher.hash_one(bytes);
        self.by_bytes.find(hash, |token| slice(&self.bytes, &self.ends, *token) == bytes).copied()
    }

    /// The bytes of text that a token stands for: none for control tokens and those outside the vocabulary.
    pub(super) fn text(&self, token: TokenId) -> &[u8] {
        if (token as usize) < self.len() { slice(&self.bytes, &self.ends, token) } else { &[] }
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], token: TokenId) -> &'a [u8] {
    let token = token as usize;
    let start = token.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[token]]
}

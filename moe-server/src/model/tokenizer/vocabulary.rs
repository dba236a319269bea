//! The tokens' bytes, and finding a token by its bytes.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::engine::TokenId;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of text.
    Text,
    /// Control: written only by templates, yields no text.
    Special,
    /// In the vocabulary for its size only.
    Unused,
}

/// All tokens, their bytes in one allocation.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    /// Token `i` has `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    kinds: Vec<Kind>,
    /// The text tokens, by the hash of their bytes.
    by_bytes: HashTable<TokenId>,
    hasher: DefaultHashBuilder,
}

impl Vocabulary {
    pub(super) fn with_capacity(tokens: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(8 * tokens),
            ends: Vec::with_capacity(tokens),
            kinds: Vec::with_capacity(tokens),
            by_bytes: HashTable::with_capacity(tokens),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Appends a token; false where it is text that another token has.
    pub(super) fn push(&mut self, token: TokenId, bytes: &[u8], kind: Kind) -> bool {
        if kind == Kind::Text {
            if self.find(bytes).is_some() {
                return false;
            }
            let hash = |bytes: &[u8]| self.hasher.hash_one(bytes);
            let rehash = |token: &TokenId| hash(slice(&self.bytes, &self.ends, *token));
            self.by_bytes.insert_unique(hash(bytes), token, rehash);
        }
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.kinds.push(kind);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text token of these bytes.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<TokenId> {
        let hash = self.hasher.hash_one(bytes);
        self.by_bytes.find(hash, |token| slice(&self.bytes, &self.ends, *token) == bytes).copied()
    }

    /// The bytes of text that a token stands for: none for special, unused and unknown ones.
    pub(super) fn text(&self, token: TokenId) -> &[u8] {
        match self.kinds.get(token as usize) {
            Some(Kind::Text) => slice(&self.bytes, &self.ends, token),
            _ => &[],
        }
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], token: TokenId) -> &'a [u8] {
    let token = token as usize;
    let start = token.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[token]]
}

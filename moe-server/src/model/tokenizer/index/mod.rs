//! Vocabulary, merges and special tokens as one block of bytes that is read in place, in memory or in a packed file.
//!
//! Little endian: sixteen `u32` ([`Field`]), then the sections in the order of [`Sections`], each a whole number of `u32`.
//! Tables find their entries by open addressing: a slot holds an entry's number or [`EMPTY`], and an entry stands at
//! most [`MOST_STEPS`] behind the slot of its hash.
//!
//! **Invariant**: the bytes are untrusted. Opening checks their size, every look-up checks what it reads: wrong bytes make
//! wrong tokens, but each is one of the vocabulary, and nothing panics or goes on for ever.

mod build;

use std::ops::Range;

use crate::{
    ids::TokenId,
    model::{ModelError, weights::TensorBytes},
};

use super::broken;
pub(super) use build::build;

const MAGIC: u32 = u32::from_le_bytes(*b"mgtk");
const VERSION: u32 = 1;
const EMPTY: u32 = u32::MAX;
const MOST_STEPS: u32 = 64;
/// A longer special token is refused: it is looked for wherever a text has its first byte.
const LONGEST_SPECIAL: usize = 256;

/// The places of the header's numbers.
#[derive(Clone, Copy)]
enum Field {
    Magic,
    Version,
    Tokens,
    /// Of all tokens.
    TextBytes,
    /// Binary logarithm of the slots.
    TokenSlots,
    Merges,
    MergeSlots,
    Specials,
    SpecialBytes,
    LongestToken,
}

/// Numbers of the header; the last are zero.
const FIELDS: usize = 16;

/// Where the sections are, in bytes.
#[derive(Debug, Default)]
struct Sections {
    /// Token `i` has the bytes `ends[i - 1]..ends[i]` of `text`.
    ends: Range<usize>,
    text: Range<usize>,
    token_slots: Range<usize>,
    /// By rank: left token, right token, what they become.
    merges: Range<usize>,
    merge_slots: Range<usize>,
    /// The token of each single byte.
    byte_tokens: Range<usize>,
    /// Ends, texts and tokens of the special tokens, sorted by text.
    special_ends: Range<usize>,
    special_text: Range<usize>,
    special_tokens: Range<usize>,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Index {
    bytes: TensorBytes,
    sections: Sections,
    tokens: u32,
    specials: u32,
    longest_token: usize,
    byte_tokens: [TokenId; 256],
    /// Whether a special token's text begins with the byte.
    starts: [bool; 256],
}

impl Index {
    /// # Errors
    /// [`ModelError::Tokenizer`] where the bytes are no index of this version.
    pub(super) fn open(bytes: TensorBytes) -> Result<Self, ModelError> {
        let odd = |why: &str| broken(format!("its index {why}; pack the model again"));
        let all = bytes.get();
        let field = |field: Field| number(all, 4 * field as usize);
        if field(Field::Magic) != Some(MAGIC) || all.len() < 4 * FIELDS {
            return Err(odd("does not begin as one"));
        }
        if field(Field::Version) != Some(VERSION) {
            return Err(odd("is of another version"));
        }
        let count = |it: Field| field(it).unwrap_or(0) as usize;
        let mut at = 4 * FIELDS;
        let mut next = |bytes: usize| {
            let start = at;
            at = at.checked_add(bytes)?;
            let end = at;
            at = at.checked_next_multiple_of(4)?;
            Some(start..end)
        };
        let slots =
            |it: Field| 4_usize.checked_shl(field(it)?).filter(|bytes| (4..=all.len()).contains(bytes));
        let mut layout = || {
            Some(Sections {
                ends: next(count(Field::Tokens).checked_mul(4)?)?,
                text: next(count(Field::TextBytes))?,
                token_slots: next(slots(Field::TokenSlots)?)?,
                merges: next(count(Field::Merges).checked_mul(12)?)?,
                merge_slots: next(slots(Field::MergeSlots)?)?,
                byte_tokens: next(4 * 256)?,
                special_ends: next(count(Field::Specials).checked_mul(4)?)?,
                special_text: next(count(Field::SpecialBytes))?,
                special_tokens: next(count(Field::Specials).checked_mul(4)?)?,
            })
        };
        let sections = layout().ok_or_else(|| odd("holds impossible counts"))?;
        if at != all.len() {
            return Err(odd("is not as long as its parts"));
        }
        let tokens = field(Field::Tokens).unwrap_or(0);
        let mut byte_tokens = [0; 256];
        for (token, at) in byte_tokens.iter_mut().zip(sections.byte_tokens.clone().step_by(4)) {
            let found = number(all, at).filter(|token| *token < tokens);
            *token = found.ok_or_else(|| odd("lacks the tokens of single bytes"))?;
        }
        let mut index = Self {
            tokens,
            specials: field(Field::Specials).unwrap_or(0),
            longest_token: count(Field::LongestToken),
            byte_tokens,
            starts: [false; 256],
            sections,
            bytes,
        };
        for special in 0..index.specials {
            if let Some(first) = index.special(special).first() {
                index.starts[usize::from(*first)] = true;
            }
        }
        Ok(index)
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens as usize
    }

    /// No token stands for more bytes of text, special ones included.
    pub(super) fn longest_token(&self) -> usize {
        self.longest_token
    }

    pub(super) fn byte_token(&self, byte: u8) -> TokenId {
        self.byte_tokens[usize::from(byte)]
    }

    /// The bytes of text that a token stands for: none for control tokens and those outside the vocabulary.
    pub(super) fn text(&self, token: TokenId) -> &[u8] {
        self.slice(&self.sections.ends, &self.sections.text, token)
    }

    /// The token that these bytes are encoded to.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<TokenId> {
        if bytes.len() > self.longest_token {
            return None;
        }
        self.look_up(&self.sections.token_slots, hash(bytes), |token| {
            (token < self.tokens && self.text(token) == bytes).then_some(token)
        })
    }

    /// A pair's rank and the token that it becomes.
    pub(super) fn merge(&self, left: TokenId, right: TokenId) -> Option<(u32, TokenId)> {
        self.look_up(&self.sections.merge_slots, hash_pair(left, right), |rank| {
            let entry = self.bytes.get().get(self.sections.merges.clone())?.get(12 * rank as usize..)?;
            let same = number(entry, 0)? == left && number(entry, 4)? == right;
            let merged = number(entry, 8).filter(|merged| same && *merged < self.tokens)?;
            Some((rank, merged))
        })
    }

    /// The first special token in `text`, the longest of those that begin there: where it is, and the token.
    pub(super) fn find_special(&self, text: &[u8]) -> Option<(Range<usize>, TokenId)> {
        let mut from = 0;
        loop {
            let at = from + text.get(from..)?.iter().position(|byte| self.starts[usize::from(*byte)])?;
            if let Some((length, token)) = self.special_at_start(&text[at..]) {
                return Some((at..at + length, token));
            }
            from = at + 1;
        }
    }

    /// The special token whose text is all of this.
    pub(super) fn special_named(&self, text: &str) -> Option<TokenId> {
        self.special_at_start(text.as_bytes())
            .filter(|(length, _)| *length == text.len())
            .map(|(_, token)| token)
    }

    fn special_at_start(&self, text: &[u8]) -> Option<(usize, TokenId)> {
        // Being sorted, those that begin as the text does stand side by side: fewer with every byte.
        let mut among = 0..self.specials;
        let mut longest = None;
        for (at, byte) in text.iter().enumerate().take(LONGEST_SPECIAL) {
            among.start = self.first_special(among.clone(), |text| text.get(at) >= Some(byte));
            among.end = self.first_special(among.clone(), |text| text.get(at) > Some(byte));
            if among.is_empty() {
                break;
            }
            if self.special(among.start).len() == at + 1 {
                longest = Some((at + 1, among.start));
            }
        }
        let (length, special) = longest?;
        let token = number(self.bytes.get(), self.sections.special_tokens.start + 4 * special as usize)?;
        (token < self.tokens).then_some((length, token))
    }

    /// The first special token of a range that is `beyond`, as all after it are.
    fn first_special(&self, range: Range<u32>, beyond: impl Fn(&[u8]) -> bool) -> u32 {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = u32::midpoint(low, high);
            if beyond(self.special(middle)) { high = middle } else { low = middle + 1 }
        }
        low
    }

    fn special(&self, special: u32) -> &[u8] {
        self.slice(&self.sections.special_ends, &self.sections.special_text, special)
    }

    /// Text `index` of a section of texts that end where `ends` say.
    fn slice(&self, ends: &Range<usize>, text: &Range<usize>, index: u32) -> &[u8] {
        let all = self.bytes.get();
        let read = || {
            let ends = all.get(ends.clone())?;
            let end = number(ends, 4 * index as usize)? as usize;
            let start = index.checked_sub(1).map_or(Some(0), |before| number(ends, 4 * before as usize))?;
            all.get(text.clone())?.get(start as usize..end)
        };
        read().unwrap_or_default()
    }

    fn look_up<T>(&self, slots: &Range<usize>, hash: u64, entry: impl Fn(u32) -> Option<T>) -> Option<T> {
        let slots = self.bytes.get().get(slots.clone())?;
        // The sections' sizes are powers of two.
        let mask = slots.len() / 4 - 1;
        let home = home(hash, (slots.len() / 4).ilog2());
        for step in 0..MOST_STEPS as usize {
            let found = number(slots, 4 * ((home + step) & mask))?;
            if found == EMPTY {
                return None;
            }
            if let Some(entry) = entry(found) {
                return Some(entry);
            }
        }
        None
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// An odd number with a good mix of bits (2⁶⁴ by the golden ratio).
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(ODD);
    hash ^ hash >> 32
}

/// Part of the format: another hash is another version.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(last))
}

fn hash_pair(left: TokenId, right: TokenId) -> u64 {
    mix(0, u64::from(left) << 32 | u64::from(right))
}

/// The first slot to look at, of `2^log2`.
fn home(hash: u64, log2: u32) -> usize {
    // The high bits of a product hold all of the hash's.
    (u128::from(hash.wrapping_mul(ODD)) << log2 >> 64) as usize
}

//! An index from the arrays of a GGUF file.

use super::{
    super::{broken, byte_level::ByteLevel},
    EMPTY, FIELDS, Field, LONGEST_SPECIAL, MAGIC, MOST_STEPS, VERSION, hash, hash_pair, home,
};
use crate::{
    ids::TokenId,
    model::{ModelError, gguf::Gguf},
};

// llama.cpp's token types. The others are in the vocabulary for its size only.
const NORMAL: i32 = 1;
/// Special, and no text when generated.
const CONTROL: i32 = 3;
/// Special, and its own text when generated.
const USER_DEFINED: i32 = 4;

/// Texts one after the other, and where each ends.
#[derive(Default)]
struct Texts {
    ends: Vec<u32>,
    text: Vec<u8>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) -> Result<(), ModelError> {
        self.text.extend_from_slice(text);
        let end = u32::try_from(self.text.len()).map_err(|_| broken("its tokens take 4 GiB".to_owned()))?;
        self.ends.push(end);
        Ok(())
    }

    fn get(&self, index: u32) -> &[u8] {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index] as usize]
    }
}

/// Slots by hash; see the module's description.
struct Table {
    slots: Vec<u32>,
    log2: u32,
}

impl Table {
    /// Of the numbers in `entries`; a number that is the `same` as an earlier one is left out and comes back, the first
    /// of them.
    fn of(
        entries: &[u32],
        hash: impl Fn(u32) -> u64,
        same: impl Fn(u32, u32) -> bool,
    ) -> Result<(Self, Option<u32>), ModelError> {
        let least = (2 * entries.len()).next_power_of_two().ilog2();
        // More than twice is never needed, but for entries that were chosen to collide.
        for log2 in least..least + 4 {
            let mut table = Self { slots: vec![EMPTY; 1 << log2], log2 };
            let mut double = None;
            let fits = entries.iter().all(|entry| {
                let steps = table.steps(hash(*entry));
                let Some(at) = steps.into_iter().find(|at| {
                    let held = table.slots[*at];
                    held == EMPTY || same(held, *entry)
                }) else {
                    return false;
                };
                if table.slots[at] == EMPTY {
                    table.slots[at] = *entry;
                } else {
                    double = double.or(Some(*entry));
                }
                true
            });
            if fits {
                return Ok((table, double));
            }
        }
        Err(broken("its tokens' hashes collide".to_owned()))
    }

    fn steps(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (home, mask) = (home(hash, self.log2), self.slots.len() - 1);
        (0..MOST_STEPS as usize).map(move |step| (home + step) & mask)
    }

    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let held = self.steps(hash).map(|at| self.slots[at]).take_while(|held| *held != EMPTY);
        held.into_iter().find(|held| is(*held))
    }
}

/// Reads the tokens, their types and the merges.
///
/// # Errors
/// [`ModelError`] where one is missing, or they do not fit together.
pub(in super::super) fn build(gguf: &Gguf) -> Result<Vec<u8>, ModelError> {
    let level = ByteLevel::new();
    let spelled: Vec<&str> = gguf.get("tokenizer.ggml.tokens")?;
    let types: Vec<i32> = gguf.get("tokenizer.ggml.token_type")?;
    if types.len() != spelled.len() {
        return Err(broken(format!("it has {} tokens and {} token types", spelled.len(), types.len())));
    }
    let mut tokens = Texts::default();
    let mut specials: Vec<(&str, TokenId)> = Vec::new();
    let mut findable = Vec::with_capacity(spelled.len());
    let mut bytes = Vec::new();
    for (token, (text, token_type)) in (0..).zip(spelled.iter().zip(types)) {
        bytes.clear();
        match token_type {
            NORMAL => {
                if !level.decode_into(text, &mut bytes) || bytes.is_empty() {
                    return Err(broken(format!("token {token}, {text:?}, is not in byte-level spelling")));
                }
                findable.push(token);
            }
            USER_DEFINED => bytes.extend_from_slice(text.as_bytes()),
            _ => {}
        }
        tokens.push(&bytes)?;
        // The guard of users' text breaks up special texts of two characters or more (`prompt`).
        if matches!(token_type, CONTROL | USER_DEFINED) && text.chars().nth(1).is_some() {
            if text.len() > LONGEST_SPECIAL {
                let length = text.len();
                let why =
                    format!("token {token} is special and {length} bytes long, more than {LONGEST_SPECIAL}");
                return Err(broken(why));
            }
            specials.push((*text, token));
        }
    }
    let same = |a, b| tokens.get(a) == tokens.get(b);
    let (slots, double) = Table::of(&findable, |token| hash(tokens.get(token)), same)?;
    if let Some(token) = double {
        return Err(broken(format!("token {token}, {:?}, occurs twice", spelled[token as usize])));
    }
    let find = |bytes: &[u8]| slots.find(hash(bytes), |token| tokens.get(token) == bytes);
    let mut byte_tokens = [0; 256];
    for (byte, token) in (0..=u8::MAX).zip(&mut byte_tokens) {
        *token = find(&[byte]).ok_or_else(|| broken(format!("no token spells the byte {byte}")))?;
    }
    let merges = merges(gguf, &level, find)?;
    let ranks: Vec<u32> = (0..).take(merges.len()).collect();
    let pair = |rank: u32| (merges[rank as usize][0], merges[rank as usize][1]);
    let hash_of = |rank| hash_pair(pair(rank).0, pair(rank).1);
    // The first of equal pairs counts.
    let (merge_slots, _) = Table::of(&ranks, hash_of, |a, b| pair(a) == pair(b))?;

    // In the file's order where texts are equal.
    specials.sort_by_key(|(text, _)| *text);
    let mut special_texts = Texts::default();
    specials.iter().try_for_each(|(text, _)| special_texts.push(text.as_bytes()))?;

    // A token's text in the file has one character for each byte, or is special and itself.
    let longest = spelled.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut header = [0; FIELDS];
    for (field, number) in [
        (Field::Magic, MAGIC as usize),
        (Field::Version, VERSION as usize),
        (Field::Tokens, spelled.len()),
        (Field::TextBytes, tokens.text.len()),
        (Field::TokenSlots, slots.log2 as usize),
        (Field::Merges, merges.len()),
        (Field::MergeSlots, merge_slots.log2 as usize),
        (Field::Specials, specials.len()),
        (Field::SpecialBytes, special_texts.text.len()),
        (Field::LongestToken, longest),
    ] {
        header[field as usize] = u32::try_from(number).map_err(|_| broken("it is too large".to_owned()))?;
    }
    let mut out = Vec::new();
    numbers(&mut out, header);
    texts(&mut out, tokens);
    numbers(&mut out, slots.slots);
    numbers(&mut out, merges.into_iter().flatten());
    numbers(&mut out, merge_slots.slots);
    numbers(&mut out, byte_tokens);
    texts(&mut out, special_texts);
    numbers(&mut out, specials.into_iter().map(|(_, token)| token));
    Ok(out)
}

fn merges(
    gguf: &Gguf,
    level: &ByteLevel,
    find: impl Fn(&[u8]) -> Option<TokenId>,
) -> Result<Vec<[TokenId; 3]>, ModelError> {
    let texts: Vec<&str> = gguf.get("tokenizer.ggml.merges")?;
    let mut bytes = Vec::new();
    let read = |(rank, text): (usize, &&str)| {
        bytes.clear();
        let tokens = text.split_once(' ').and_then(|(left, right)| {
            let spelled = level.decode_into(left, &mut bytes);
            let middle = bytes.len();
            let spelled = spelled && level.decode_into(right, &mut bytes);
            spelled.then(|| Some([find(&bytes[..middle])?, find(&bytes[middle..])?, find(&bytes)?])).flatten()
        });
        tokens.ok_or_else(|| broken(format!("merge {rank}, {text:?}, does not join two tokens into a third")))
    };
    texts.iter().enumerate().map(read).collect()
}

fn numbers(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    out.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
}

fn texts(out: &mut Vec<u8>, texts: Texts) {
    numbers(out, texts.ends);
    out.extend(texts.text);
    out.resize(out.len().next_multiple_of(4), 0);
}

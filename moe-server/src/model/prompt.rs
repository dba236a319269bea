//! A rendered chat in which users' text cannot pass for special tokens.
//!
//! Before rendering, a guard character goes behind every character with which the text of a special token begins (`<`),
//! in every string of the messages. So no special token's text arises in or from users' text, however the template
//! trims and joins it. The guard is a private-use character that the messages don't hold; encoding takes it out again
//! after the prompt was split at the special tokens. What this costs: a template that looks for such a text *in* a
//! message (as `</think>`, where that is special) does not find it.

use std::{borrow::Cow, collections::HashSet};

use serde_json::Value;

use super::gguf::{Gguf, GgufError};

/// Of a packed file: the first character of each special token.
pub(super) const SPECIAL_STARTS: &str = "moegate.packed.special_starts";
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Supplementary private use areas A and B.
fn is_candidate(character: char) -> bool {
    matches!(character, '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

/// What a chat template made of messages; for [`super::tokenizer::Tokenizer::encode_prompt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    guard: char,
}

impl Prompt {
    pub(super) fn new(text: String, guard: char) -> Self {
        Self { text, guard }
    }

    /// The prompt as it reads; users' special-token look-alikes can't be told from the template's any more.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.unguard(&self.text)
    }

    pub(super) fn guarded(&self) -> &str {
        &self.text
    }

    pub(super) fn unguard<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.contains(self.guard) { text.replace(self.guard, "").into() } else { text.into() }
    }
}

/// Puts guards into values.
#[derive(Debug)]
pub(super) struct Guarding {
    /// Where the special tokens' texts begin.
    first_characters: Vec<char>,
}

impl Guarding {
    /// From the tokens or, in a packed file, from what is left of them.
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Self, GgufError> {
        if gguf.value(TOKENS).is_none() {
            let starts: &str = gguf.find(SPECIAL_STARTS)?.unwrap_or_default();
            return Ok(Self { first_characters: starts.chars().collect() });
        }
        let tokens: Vec<&str> = gguf.find(TOKENS)?.unwrap_or_default();
        let types: Vec<i32> = gguf.find("tokenizer.ggml.token_type")?.unwrap_or_default();
        let specials = tokens.iter().zip(types).filter(|(_, token_type)| matches!(token_type, 3 | 4));
        let mut first_characters: Vec<char> = specials.filter_map(|(text, _)| text.chars().next()).collect();
        first_characters.sort_unstable();
        first_characters.dedup();
        Ok(Self { first_characters })
    }

    /// The characters that guards are put behind.
    pub(super) fn first_characters(&self) -> String {
        self.first_characters.iter().collect()
    }

    /// A character that none of the values holds; none where they hold every candidate.
    pub(super) fn choose<'a>(values: impl Iterator<Item = &'a Value>) -> Option<char> {
        let mut held = HashSet::new();
        values.for_each(|value| hold(value, &mut held));
        ('\u{f0000}'..=char::MAX).find(|guard| is_candidate(*guard) && !held.contains(guard))
    }

    /// Guards every string in the value, keys too.
    pub(super) fn apply(&self, value: &mut Value, guard: char) {
        match value {
            Value::String(text) => {
                if let Some(guarded) = self.guarded(text, guard) {
                    *text = guarded;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply(value, guard)),
            Value::Object(entries) => {
                let taken = std::mem::take(entries).into_iter();
                entries.extend(taken.map(|(key, mut value)| {
                    self.apply(&mut value, guard);
                    (self.guarded(&key, guard).unwrap_or(key), value)
                }));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn guarded(&self, text: &str, guard: char) -> Option<String> {
        if !text.contains(self.first_characters.as_slice()) {
            return None;
        }
        let mut guarded = String::with_capacity(text.len() + 16);
        for character in text.chars() {
            guarded.push(character);
            if self.first_characters.contains(&character) {
                guarded.push(guard);
            }
        }
        Some(guarded)
    }
}

/// Collects the candidates that the value holds.
fn hold(value: &Value, held: &mut HashSet<char>) {
    match value {
        Value::String(text) => held.extend(text.chars().filter(|character| is_candidate(*character))),
        Value::Array(values) => values.iter().for_each(|value| hold(value, held)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            held.extend(key.chars().filter(|character| is_candidate(*character)));
            hold(value, held);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

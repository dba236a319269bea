//! Vocabularies in the form of `tokenizer.ggml.model = gpt2`: tokens spelled with one letter a byte, and the merges.

use std::collections::HashMap;

use super::gguf::{File, Value};
use crate::failure::{Failure, Result};

/// llama.cpp's token types.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// Special tokens of Llama 4 after its ordinary ones, of which there are 2,048 in all; what the package's
/// `llama4/tokenizer.py` lists, as `(name, count, first number)` where they are numbered.
const SPECIALS: [(&str, usize, usize); 29] = [
    ("<|begin_of_text|>", 0, 0),
    ("<|end_of_text|>", 0, 0),
    ("<|fim_prefix|>", 0, 0),
    ("<|fim_middle|>", 0, 0),
    ("<|fim_suffix|>", 0, 0),
    ("<|header_start|>", 0, 0),
    ("<|header_end|>", 0, 0),
    ("<|eom|>", 0, 0),
    ("<|eot|>", 0, 0),
    ("<|step|>", 0, 0),
    ("text_post_train_", 6, 0),
    ("<|python_start|>", 0, 0),
    ("<|python_end|>", 0, 0),
    ("<|finetune_right_pad|>", 0, 0),
    ("text_post_train_", 61, 8),
    ("<|image_start|>", 0, 0),
    ("<|image_end|>", 0, 0),
    ("vision_", 2, 0),
    ("<|tile_x_separator|>", 0, 0),
    ("<|tile_y_separator|>", 0, 0),
    ("vision_", 4, 2),
    ("<|image|>", 0, 0),
    ("vision_", 1, 6),
    ("<|patch|>", 0, 0),
    ("vision_", 1041, 7),
    ("reasoning_", 8, 0),
    ("<|reasoning_thinking_start|>", 0, 0),
    ("<|reasoning_thinking_end|>", 0, 0),
    ("", 904, 0),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vocabulary {
    pre: &'static str,
    tokens: Vec<String>,
    /// From here on they are special.
    special_from: usize,
    merges: Vec<String>,
    bos: Option<usize>,
    eos: usize,
}

impl Vocabulary {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn put(&self, file: &mut File) {
        let types = (0..self.len()).map(|id| if id < self.special_from { NORMAL } else { CONTROL });
        let id = |id: usize| Value::U32(id as u32);
        file.key("tokenizer.ggml.model", Value::Text("gpt2".into()));
        file.key("tokenizer.ggml.pre", Value::Text(self.pre.into()));
        file.key("tokenizer.ggml.tokens", Value::Texts(self.tokens.clone()));
        file.key("tokenizer.ggml.token_type", Value::I32s(types.collect()));
        file.key("tokenizer.ggml.merges", Value::Texts(self.merges.clone()));
        file.key("tokenizer.ggml.eos_token_id", id(self.eos));
        if let Some(bos) = self.bos {
            file.key("tokenizer.ggml.bos_token_id", id(bos));
        }
        file.key("tokenizer.ggml.add_bos_token", Value::Bool(self.bos.is_some()));
    }

    /// The real one of Llama 4, from tiktoken's file: a token in base 64 and its rank a line.
    ///
    /// # Errors
    /// The text is no such file.
    pub(super) fn llama4(text: &str) -> Result<Self> {
        let mut ranked = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let token = line
                .split_once(' ')
                .filter(|(_, rank)| rank.parse() == Ok(number))
                .and_then(|(token, _)| from_base64(token))
                .ok_or_else(|| {
                    Failure::new(format!(
                        "line {} of the vocabulary is no token and rank: {line}",
                        number + 1
                    ))
                })?;
            ranked.push(token);
        }
        let ordinary = ranked.len();
        let mut tokens: Vec<String> = ranked.iter().map(|token| spelled(token)).collect();
        let merges = merges(&ranked);
        for (name, count, first) in SPECIALS {
            if count == 0 {
                tokens.push(name.into());
            }
            tokens.extend((first..first + count).map(|i| format!("<|{name}reserved_special_token_{i}|>")));
        }
        let eos = tokens.iter().position(|token| token == "<|eot|>").unwrap_or_default();
        Ok(Self { pre: "llama4", tokens, special_from: ordinary, merges, bos: Some(ordinary), eos })
    }

    /// Of any size from 258 on: all bytes, then all pairs of bytes, then a pair and a byte, and one end token.
    pub(super) fn made_up(pre: &'static str, size: usize) -> Self {
        let mut ranked: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut merges = Vec::new();
        let mut next = 0;
        while ranked.len() + 1 < size {
            let (left, right) = (ranked[next / 256].clone(), [(next % 256) as u8]);
            merges.push(format!("{} {}", spelled(&left), spelled(&right)));
            ranked.push([&left[..], &right].concat());
            next += 1;
        }
        let mut tokens: Vec<String> = ranked.iter().map(|token| spelled(token)).collect();
        tokens.push("<|end|>".into());
        Self { pre, eos: size - 1, special_from: size - 1, tokens, merges, bos: None }
    }
}

/// As in the Python library `tokenizers`' conversion of tiktoken: every way to put a token together from two others,
/// by the token's rank, then by theirs.
fn merges(ranked: &[Vec<u8>]) -> Vec<String> {
    let ranks: HashMap<&[u8], usize> =
        ranked.iter().enumerate().map(|(rank, token)| (token.as_slice(), rank)).collect();
    let mut merges = Vec::new();
    for token in ranked {
        let mut pairs: Vec<(usize, usize)> = (1..token.len())
            .filter_map(|at| Some((*ranks.get(&token[..at])?, *ranks.get(&token[at..])?)))
            .collect();
        pairs.sort_unstable();
        let text =
            |(left, right): (usize, usize)| format!("{} {}", spelled(&ranked[left]), spelled(&ranked[right]));
        merges.extend(pairs.into_iter().map(text));
    }
    merges
}

/// GPT-2's spelling: printable bytes of Latin-1 are themselves, the others are letters from U+0100 on.
fn spelled(token: &[u8]) -> String {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    token
        .iter()
        .map(|byte| {
            if printable(*byte) {
                return char::from(*byte);
            }
            let before = (0..*byte).filter(|other| !printable(*other)).count();
            char::from_u32(0x100 + before as u32).unwrap_or_default()
        })
        .collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 255) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL_TOKENS: usize = 2048;

    #[test]
    fn the_special_tokens_are_as_many_as_llama_4_has() {
        let count: usize = SPECIALS.iter().map(|(_, count, _)| (*count).max(1)).sum();
        assert_eq!(count, SPECIAL_TOKENS);
    }

    #[test]
    fn a_file_of_tiktoken_becomes_tokens_and_every_merge() {
        // "a", "b", "ab", "aba", " ".
        let vocabulary = Vocabulary::llama4("YQ== 0\nYg== 1\nYWI= 2\nYWJh 3\nIA== 4\n").unwrap();
        assert_eq!(vocabulary.tokens[..5], ["a", "b", "ab", "aba", "\u{120}"]);
        assert_eq!(vocabulary.merges, ["a b", "ab a"]);
        assert_eq!(vocabulary.len(), 5 + SPECIAL_TOKENS);
        assert_eq!((vocabulary.bos, &*vocabulary.tokens[5]), (Some(5), "<|begin_of_text|>"));
        assert_eq!(vocabulary.tokens[vocabulary.eos], "<|eot|>");
        // 200,090 in the real vocabulary.
        assert_eq!(vocabulary.tokens[5 + 90], "<|image|>");
        for wrong in ["YQ== 1\n", "YQ==\n", "Y* 0\n"] {
            assert!(Vocabulary::llama4(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_made_up_vocabulary_has_its_size_and_a_merge_for_each_longer_token() {
        let vocabulary = Vocabulary::made_up("qwen2", 70_000);
        assert_eq!((vocabulary.len(), vocabulary.merges.len()), (70_000, 70_000 - 257));
        let unique: std::collections::HashSet<_> = vocabulary.tokens.iter().collect();
        assert_eq!(unique.len(), 70_000);
        assert_eq!(vocabulary.merges[98], "\u{100} b");
    }
}

//! Byte-level BPE from GGUF metadata (`tokenizer.ggml.model = gpt2`).
//!
//! **Invariant**: encoding never fails and takes time linear in the text but for the logarithm of a piece's length; only
//! the texts of a [`Prompt`] that its template wrote become special tokens.

mod bpe;
mod byte_level;
mod decoder;
mod pre;
mod split;
mod vocabulary;

use std::{fmt, sync::Arc};

use aho_corasick::{AhoCorasick, MatchKind};

use super::{
    error::ModelError,
    gguf::{Gguf, GgufError},
    prompt::Prompt,
};
use crate::engine::TokenId;
use bpe::Merges;
use byte_level::ByteLevel;
pub use decoder::Decoder;
use pre::Pre;
use vocabulary::Vocabulary;

// llama.cpp's token types. The others are in the vocabulary for its size only.
const NORMAL: i32 = 1;
/// Special, and no text when generated.
const CONTROL: i32 = 3;
/// Special, and its own text when generated.
const USER_DEFINED: i32 = 4;

/// Texts that end a turn in any model that has them as special tokens, whatever its metadata say.
const END_TEXTS: [&str; 5] = ["<|eot|>", "<|eom|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"];
const END_KEYS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
const BOS_KEY: &str = "tokenizer.ggml.bos_token_id";

/// What the texts of special tokens mean in a text to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// They become the special tokens: for text of the model's or operator's own.
    Parse,
    /// They are text like any other: for what users write.
    AsText,
}

/// Encodes and decodes text for one model.
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    pre: Pre,
    merges: Merges,
    special_texts: AhoCorasick,
    /// The token of each pattern of `special_texts`.
    special_tokens: Vec<TokenId>,
    longest_token: usize,
    bos: Option<TokenId>,
    ends: Vec<TokenId>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the vocabulary, the merges and the special tokens.
    ///
    /// # Errors
    /// [`ModelError`] where a key is missing or of a wrong type, or the tokenizer is of a kind not supported.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ModelError> {
        let model: &str = gguf.get("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(broken(format!(
                "\"tokenizer.ggml.model\" is {model:?}; only byte-level BPE (\"gpt2\") is supported"
            )));
        }
        let name: &str = gguf.get("tokenizer.ggml.pre")?;
        let pre = Pre::named(name).ok_or_else(|| {
            broken(format!("\"tokenizer.ggml.pre\" is {name:?}; only {} are supported", pre::NAMES))
        })?;

        let level = ByteLevel::new();
        let tokens: Vec<&str> = gguf.get("tokenizer.ggml.tokens")?;
        let (vocabulary, specials) = read_vocabulary(gguf, &level, &tokens)?;
        let merges = read_merges(gguf, &level, &vocabulary)?;

        // A token's text in the file has one character for each byte, or is special and itself.
        let longest_token = tokens.iter().map(|text| text.len()).max().unwrap_or(0);
        let mut ends = Vec::new();
        for key in END_KEYS {
            ends.extend(find_token(gguf, key, vocabulary.len())?);
        }
        ends.extend(specials.iter().filter(|(text, _)| END_TEXTS.contains(text)).map(|(_, token)| *token));
        let bos = find_token(gguf, BOS_KEY, vocabulary.len())?;
        let adds_bos = gguf.find("tokenizer.ggml.add_bos_token")?.unwrap_or(pre.adds_bos);

        let special_texts = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(specials.iter().map(|(text, _)| text))
            .map_err(|error| broken(format!("its special tokens make no automaton: {error}")))?;
        Ok(Self {
            vocabulary: Arc::new(vocabulary),
            pre,
            merges,
            special_texts,
            longest_token,
            special_tokens: specials.into_iter().map(|(_, token)| token).collect(),
            bos: bos.filter(|_| adds_bos),
            ends,
        })
    }

    /// The tokens of a text, without a beginning-of-text token.
    #[must_use]
    pub fn encode(&self, text: &str, special: Special) -> Vec<TokenId> {
        let mut out = Vec::with_capacity(text.len() / 3);
        match special {
            Special::AsText => self.encode_text(text, &mut out),
            Special::Parse => self.encode_parsing(text, &mut out, |text, out| self.encode_text(text, out)),
        }
        out
    }

    /// The tokens of a rendered chat: special tokens only where the template wrote them. It begins with the
    /// beginning-of-text token, whether the template wrote it or not, in models that want one.
    #[must_use]
    pub fn encode_prompt(&self, prompt: &Prompt) -> Vec<TokenId> {
        let mut out = Vec::with_capacity(prompt.guarded().len() / 3);
        self.encode_parsing(prompt.guarded(), &mut out, |text, out| {
            self.encode_text(&prompt.unguard(text), out);
        });
        if let Some(bos) = self.bos.filter(|bos| out.first() != Some(bos)) {
            out.insert(0, bos);
        }
        out
    }

    fn encode_parsing(
        &self,
        text: &str,
        out: &mut Vec<TokenId>,
        mut encode_text: impl FnMut(&str, &mut Vec<TokenId>),
    ) {
        let mut at = 0;
        for found in self.special_texts.find_iter(text) {
            encode_text(&text[at..found.start()], out);
            out.push(self.special_tokens[found.pattern().as_usize()]);
            at = found.end();
        }
        encode_text(&text[at..], out);
    }

    fn encode_text(&self, text: &str, out: &mut Vec<TokenId>) {
        for piece in self.pre.splitter.split(&self.pre.normalise(text)) {
            match self.vocabulary.find(piece.as_bytes()).filter(|_| self.pre.whole_pieces) {
                Some(token) => out.push(token),
                None => self.merges.encode(piece.as_bytes(), out),
            }
        }
    }

    /// For one stream of generated tokens.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        Decoder::new(Arc::clone(&self.vocabulary))
    }

    /// Whether the token ends a turn.
    #[must_use]
    pub fn is_end(&self, token: TokenId) -> bool {
        self.ends.contains(&token)
    }

    /// The token that every prompt begins with, in models that want one.
    #[must_use]
    pub fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// No token stands for more bytes of text, special ones included.
    #[must_use]
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }
}

fn broken(why: String) -> ModelError {
    ModelError::Tokenizer(why)
}

/// The special tokens and their texts.
type Specials<'a> = Vec<(&'a str, TokenId)>;

fn read_vocabulary<'a>(
    gguf: &Gguf,
    level: &ByteLevel,
    tokens: &[&'a str],
) -> Result<(Vocabulary, Specials<'a>), ModelError> {
    let types: Vec<i32> = gguf.get("tokenizer.ggml.token_type")?;
    if types.len() != tokens.len() {
        return Err(broken(format!("it has {} tokens and {} token types", tokens.len(), types.len())));
    }
    let mut vocabulary = Vocabulary::with_capacity(tokens.len());
    let mut specials = Vec::new();
    let mut bytes = Vec::new();
    for (token, (text, token_type)) in (0..).zip(tokens.iter().zip(types)) {
        // The guard of users' text breaks up special texts of two characters or more (`prompt`).
        if matches!(token_type, CONTROL | USER_DEFINED) && text.chars().nth(1).is_some() {
            specials.push((*text, token));
        }
        match token_type {
            NORMAL => {
                bytes.clear();
                if !level.decode_into(text, &mut bytes) || bytes.is_empty() {
                    return Err(broken(format!("token {token}, {text:?}, is not in byte-level spelling")));
                }
                if !vocabulary.push(token, &bytes) {
                    return Err(broken(format!("token {token}, {text:?}, occurs twice")));
                }
            }
            USER_DEFINED => vocabulary.push_unfindable(text.as_bytes()),
            _ => vocabulary.push_unfindable(&[]),
        }
    }
    Ok((vocabulary, specials))
}

fn read_merges(gguf: &Gguf, level: &ByteLevel, vocabulary: &Vocabulary) -> Result<Merges, ModelError> {
    let mut byte_tokens = [0; 256];
    for (byte, token) in (0..=u8::MAX).zip(&mut byte_tokens) {
        *token =
            vocabulary.find(&[byte]).ok_or_else(|| broken(format!("no token spells the byte {byte}")))?;
    }
    let texts: Vec<&str> = gguf.get("tokenizer.ggml.merges")?;
    let mut merges = Merges::new(byte_tokens, texts.len());
    let mut bytes = Vec::new();
    for (rank, text) in (0..).zip(texts) {
        bytes.clear();
        let tokens = text.split_once(' ').and_then(|(left, right)| {
            let spelled = level.decode_into(left, &mut bytes);
            let middle = bytes.len();
            let spelled = spelled && level.decode_into(right, &mut bytes);
            let find = |bytes| vocabulary.find(bytes).filter(|_| spelled);
            Some(((find(&bytes[..middle])?, find(&bytes[middle..])?), find(&bytes)?))
        });
        let Some((pair, merged)) = tokens else {
            return Err(broken(format!("merge {rank}, {text:?}, does not join two tokens into a third")));
        };
        merges.insert(pair, rank, merged);
    }
    Ok(merges)
}

fn find_token(gguf: &Gguf, key: &str, vocab_size: usize) -> Result<Option<TokenId>, ModelError> {
    match gguf.find::<TokenId>(key)? {
        Some(token) if token as usize >= vocab_size => Err(GgufError::WrongType {
            key: key.to_owned(),
            expected: "a token of the vocabulary",
            found: format!("{token} of {vocab_size}"),
        }
        .into()),
        found => Ok(found),
    }
}

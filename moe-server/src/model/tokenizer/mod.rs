//! Byte-level BPE from GGUF metadata (`tokenizer.ggml.model = gpt2`).
//!
//! **Invariant**: encoding never fails and takes time linear in the text but for the logarithm of a piece's length; only
//! the texts of a [`Prompt`] that its template wrote become special tokens.

mod bpe;
mod byte_level;
mod decoder;
mod index;
mod pre;
mod split;

use std::{fmt, sync::Arc};

use super::{
    error::ModelError,
    gguf::{Gguf, GgufError},
    prompt::Prompt,
    weights::TensorBytes,
};
use crate::ids::TokenId;
pub use decoder::Decoder;
use index::Index;
use pre::Pre;

/// Texts that end a turn in any model that has them as special tokens, whatever its metadata say.
const END_TEXTS: [&str; 5] = ["<|eot|>", "<|eom|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"];
const END_KEYS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
const BOS_KEY: &str = "tokenizer.ggml.bos_token_id";

/// The tensor of a packed file that holds the index.
pub(super) const INDEX_TENSOR: &str = "moegate.tokenizer";

/// The bytes of [`INDEX_TENSOR`] for a file whose tokenizer is spelled out.
pub(super) fn index_of(gguf: &Gguf) -> Result<Vec<u8>, ModelError> {
    index::build(gguf)
}

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
    index: Arc<Index>,
    pre: Pre,
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
        Self::with_index(gguf, |gguf| Index::open(TensorBytes::Owned(index::build(gguf)?.into())))
    }

    /// The same from a packed file, whose index is read where it lies.
    ///
    /// # Errors
    /// As [`Self::from_gguf`].
    pub fn from_packed(gguf: &Arc<Gguf>) -> Result<Self, ModelError> {
        Self::with_index(gguf, |_| {
            let place = gguf.tensor(INDEX_TENSOR)?.place();
            Index::open(TensorBytes::Mapped(Arc::clone(gguf), place))
        })
    }

    fn with_index(
        gguf: &Gguf,
        index: impl FnOnce(&Gguf) -> Result<Index, ModelError>,
    ) -> Result<Self, ModelError> {
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

        let index = index(gguf)?;
        let mut ends = Vec::new();
        for key in END_KEYS {
            ends.extend(find_token(gguf, key, index.len())?);
        }
        ends.extend(END_TEXTS.into_iter().filter_map(|text| index.special_named(text)));
        let bos = find_token(gguf, BOS_KEY, index.len())?;
        let adds_bos = gguf.find("tokenizer.ggml.add_bos_token")?.unwrap_or(pre.adds_bos);
        Ok(Self { index: Arc::new(index), pre, bos: bos.filter(|_| adds_bos), ends })
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
        let mut rest = text;
        while let Some((found, token)) = self.index.find_special(rest.as_bytes()) {
            // Untrusted special texts may end inside of a character: then no more of them are looked for.
            let Some((before, after)) = rest.get(..found.start).zip(rest.get(found.end..)) else { break };
            encode_text(before, out);
            out.push(token);
            rest = after;
        }
        encode_text(rest, out);
    }

    fn encode_text(&self, text: &str, out: &mut Vec<TokenId>) {
        for piece in self.pre.splitter.split(&self.pre.normalise(text)) {
            match self.index.find(piece.as_bytes()).filter(|_| self.pre.whole_pieces) {
                Some(token) => out.push(token),
                None => self.index.encode(piece.as_bytes(), out),
            }
        }
    }

    /// For one stream of generated tokens.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        Decoder::new(Arc::clone(&self.index))
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
        self.index.longest_token()
    }

    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.index.len()
    }
}

fn broken(why: String) -> ModelError {
    ModelError::Tokenizer(why)
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

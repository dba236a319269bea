//! What `tokenizer.ggml.pre` stands for: how text becomes pieces, and pieces tokens.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::split::{LLAMA4, QWEN2, Splitter};

/// Every name that [`Pre::named`] knows.
pub(super) const NAMES: &str = "\"llama4\" and \"qwen2\"";

#[derive(Debug)]
pub(super) struct Pre {
    pub(super) splitter: Splitter,
    /// Whether text is put into Unicode's composed form (NFC) before anything else.
    composes: bool,
    /// Whether a piece that is a token as a whole is that token, merges or not (tiktoken, and `ignore_merges` of Hugging
    /// Face).
    pub(super) whole_pieces: bool,
    /// Whether prompts begin with the beginning-of-text token where the file does not say.
    pub(super) adds_bos: bool,
}

impl Pre {
    pub(super) fn named(name: &str) -> Option<Self> {
        let (pattern, is_llama) = match name {
            "llama4" => (LLAMA4, true),
            "qwen2" => (QWEN2, false),
            _ => return None,
        };
        let splitter = Splitter::new(pattern)?;
        Some(Self { splitter, composes: !is_llama, whole_pieces: is_llama, adds_bos: is_llama })
    }

    /// The text whose pieces count.
    pub(super) fn normalise<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.composes && is_nfc_quick(text.chars()) != IsNormalized::Yes {
            Cow::Owned(text.nfc().collect())
        } else {
            Cow::Borrowed(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_composes_and_another_does_not() {
        let qwen = Pre::named("qwen2").unwrap();
        assert!(matches!(qwen.normalise("plain é"), Cow::Borrowed("plain é")));
        assert_eq!(qwen.normalise("e\u{301}"), "é");
        // What only may be composed is looked at closely, and stays.
        assert_eq!(qwen.normalise("\u{301}x\u{301}"), "\u{301}x\u{301}");
        assert_eq!(Pre::named("llama4").unwrap().normalise("e\u{301}"), "e\u{301}");
        assert!(Pre::named("default").is_none());
    }
}

//! Cuts text into the pieces that BPE merges within.

use regex::Regex;

/// Llama 4's pattern (that of `o200k`, in Meta's `llama4/tokenizer.py`) without its one look-ahead `\s+(?!\S)`, which
/// [`Splitter::split`] does by hand: so the automaton needs no backtracking, and time is linear in the text.
pub(super) const LLAMA4: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

/// Qwen's, from Qwen2 on (Hugging Face's `tokenization_qwen2.py`), without the same look-ahead.
pub(super) const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+",
);

#[derive(Debug)]
pub(super) struct Splitter {
    pattern: Regex,
}

impl Splitter {
    /// For a pattern whose last alternative is `\s+`, before which `\s+(?!\S)` is to be thought.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        Some(Self { pattern: Regex::new(pattern).ok()? })
    }

    /// The pieces in order; together they are the whole text.
    pub(super) fn split<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = self.pattern.find_at(text, at)?;
            let mut end = found.end();
            if end < text.len() {
                end -= last_space(found.as_str());
            }
            let piece = &text[at..end];
            at = end;
            Some(piece)
        })
    }
}

/// The length of the last character of blanks that end before a word: `\s+(?!\S)` leaves it to the word, unless it is
/// the only one. A piece of blanks that ends in a line break came from `\s*[\r\n]+`, which keeps all.
fn last_space(piece: &str) -> usize {
    match piece.chars().next_back() {
        Some(last)
            if !matches!(last, '\r' | '\n')
                && piece.len() > last.len_utf8()
                && piece.chars().all(char::is_whitespace) =>
        {
            last.len_utf8()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_qwen2() {
        let splitter = Splitter::new(QWEN2).unwrap();
        for (text, expected) in [
            ("", &[][..]),
            ("a   1", &["a", "  ", " ", "1"]),
            ("a  \n\n  b  ", &["a", "  \n\n", " ", " b", "  "]),
            ("it's IT'S", &["it", "'s", " IT", "'S"]),
            ("12345", &["1", "2", "3", "4", "5"]),
            ("a.b//\n", &["a", ".b", "//\n"]),
            ("//\n\n/", &["//\n\n", "/"]),
            ("camelCase e\u{301}", &["camelCase", " e", "\u{301}"]),
        ] {
            assert_eq!(splitter.split(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_of_llama4() {
        let splitter = Splitter::new(LLAMA4).unwrap();
        for (text, expected) in [
            ("", &[][..]),
            ("Hello world", &["Hello", " world"]),
            ("a   b", &["a", "  ", " b"]),
            ("a   1", &["a", "  ", " ", "1"]),
            ("a  \n\n  b  ", &["a", "  \n\n", " ", " b", "  "]),
            ("\u{3000}\u{3000}x", &["\u{3000}", "\u{3000}x"]),
            ("it's IT'S", &["it's", " IT'S"]),
            ("12345", &["123", "45"]),
            ("a.b//\n", &["a", ".b", "//\n"]),
        ] {
            assert_eq!(splitter.split(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}

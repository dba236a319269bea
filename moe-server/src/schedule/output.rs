//! From the tokens of one answer to its text and its end. Depends on the tokens alone: whether they were generated here or
//! resumed from another server makes no difference.

use super::text::{Decode, StopFilter};
use super::track::Finish;
use crate::engine::TokenId;
use std::fmt;
use std::sync::Arc;

/// Whether a token ends an answer.
pub type IsEnd = Arc<dyn Fn(TokenId) -> bool + Send + Sync>;

/// See the module.
pub struct Output {
    decoder: Box<dyn Decode>,
    filter: StopFilter,
    /// Such tokens are not part of the text.
    is_end: IsEnd,
    max_tokens: usize,
    taken: usize,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// What one token brings.
#[derive(Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The text that may be shown now.
    pub text: String,
    /// What had been held back and is shown after it, because the answer ends.
    pub rest: String,
    /// Why the answer ends with this token, if it does.
    pub finish: Option<Finish>,
}

impl Output {
    /// At least one token is taken, whatever `max_tokens` says.
    #[must_use]
    pub fn new(decoder: Box<dyn Decode>, stop: Vec<String>, is_end: IsEnd, max_tokens: usize) -> Self {
        Self { decoder, filter: StopFilter::new(stop), is_end, max_tokens, taken: 0 }
    }

    /// Takes the next token.
    pub fn push(&mut self, token: TokenId) -> Pushed {
        self.taken += 1;
        if (self.is_end)(token) {
            return Pushed { text: String::new(), rest: self.flush().0, finish: Some(Finish::Stop) };
        }
        let text = self.decoder.push(token);
        let (text, stopped) = self.filter.push(&text);
        if stopped {
            return Pushed { text, rest: String::new(), finish: Some(Finish::Stop) };
        }
        if self.taken < self.max_tokens {
            return Pushed { text, rest: String::new(), finish: None };
        }
        let (rest, stopped) = self.flush();
        Pushed { text, rest, finish: Some(if stopped { Finish::Stop } else { Finish::Length }) }
    }

    /// Takes tokens whose text is known already; answers how the answer ends, if the last of them ends it.
    ///
    /// # Errors
    /// How many tokens end the answer, where there are more.
    pub fn replay(&mut self, tokens: &[TokenId]) -> Result<Option<Finish>, usize> {
        for (count, &token) in (1..).zip(tokens) {
            if let Some(finish) = self.push(token).finish {
                return if count == tokens.len() { Ok(Some(finish)) } else { Err(count) };
            }
        }
        Ok(None)
    }

    /// What was held back, and whether the last bytes completed a stop string.
    fn flush(&mut self) -> (String, bool) {
        let text = self.decoder.finish();
        let (mut shown, stopped) = self.filter.push(&text);
        if !stopped {
            shown.push_str(&self.filter.finish());
        }
        (shown, stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as tokens; 0 ends an answer.
    #[derive(Default)]
    struct Utf8(Vec<u8>);

    impl Decode for Utf8 {
        fn push(&mut self, token: TokenId) -> String {
            self.0.push(u8::try_from(token).unwrap());
            let whole = std::str::from_utf8(&self.0).map(str::to_owned).unwrap_or_default();
            if !whole.is_empty() {
                self.0.clear();
            }
            whole
        }

        fn finish(&mut self) -> String {
            String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
        }
    }

    fn output(stop: &str, max_tokens: usize) -> Output {
        let stop = if stop.is_empty() { Vec::new() } else { vec![stop.to_owned()] };
        Output::new(Box::new(Utf8::default()), stop, Arc::new(|token| token == 0), max_tokens)
    }

    fn bytes(text: &str) -> Vec<TokenId> {
        text.bytes().map(TokenId::from).collect()
    }

    #[test]
    fn the_last_token_shows_what_was_held() {
        type Case<'a> = (&'a str, &'a str, usize, (&'a str, &'a str, Option<Finish>));
        let cases: &[Case<'_>] = &[
            ("ab", "", 9, ("b", "", None)),
            ("ab", "", 2, ("b", "", Some(Finish::Length))),
            ("ab\0", "", 9, ("", "", Some(Finish::Stop))),
            ("abST\0", "STOP", 9, ("", "ST", Some(Finish::Stop))),
            ("abST", "STOP", 4, ("", "ST", Some(Finish::Length))),
            ("SaS", "ST", 3, ("", "S", Some(Finish::Length))),
            ("SxyS", "Sz", 9, ("", "", None)),
            ("abSTOP", "STOP", 9, ("", "", Some(Finish::Stop))),
            ("abSTOP", "STOP", 6, ("", "", Some(Finish::Stop))),
            ("SSa", "SST", 3, ("SSa", "", Some(Finish::Length))),
            ("aab", "aabc", 3, ("", "aab", Some(Finish::Length))),
            ("aaac", "aac!", 4, ("", "aac", Some(Finish::Length))),
        ];
        for &(tokens, stop, max_tokens, (text, rest, finish)) in cases {
            let mut output = output(stop, max_tokens);
            let last = bytes(tokens).into_iter().map(|token| output.push(token)).last().unwrap();
            assert_eq!(last, Pushed { text: text.into(), rest: rest.into(), finish }, "{tokens:?} {stop:?}");
        }
    }

    #[test]
    fn replayed_tokens_leave_the_same_state() {
        for (text, stop, max_tokens) in [
            ("né, 世界!\0", "", 99),
            ("xaabaac", "aac", 99),
            ("aaaaab", "aab", 99),
            ("né世", "", 5),
            ("aa", "aab", 2),
        ] {
            let mut whole = output(stop, max_tokens);
            let mut pushed: Vec<_> = bytes(text).into_iter().map(|token| whole.push(token)).collect();
            let length = 1 + pushed.iter().position(|pushed| pushed.finish.is_some()).unwrap();
            pushed.truncate(length);
            let tokens = &bytes(text)[..length];
            for cut in 0..=length {
                let mut output = output(stop, max_tokens);
                let ended = output.replay(&tokens[..cut]).unwrap();
                assert_eq!(ended, pushed[..cut].last().and_then(|pushed| pushed.finish), "{text} {cut}");
                let rest: Vec<_> = tokens[cut..].iter().map(|&token| output.push(token)).collect();
                assert_eq!(rest, pushed[cut..], "{text} {cut}");
            }
            let more: Vec<TokenId> = tokens.iter().copied().chain([97]).collect();
            assert_eq!(output(stop, max_tokens).replay(&more), Err(length), "{text}");
        }
    }
}

//! From tokens to the text that may be shown: complete UTF-8, nothing of a stop string.

/// The tokens of one answer as text.
pub trait Decode: Send {
    /// The text that is complete with this token; may be empty.
    fn push(&mut self, token: crate::engine::TokenId) -> String;
    /// What is left at the end.
    fn finish(&mut self) -> String;
}

/// Finds stop strings across the borders of tokens and holds back what could begin one.
#[derive(Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// Empty stop strings are ignored.
    #[must_use]
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), held: String::new() }
    }

    /// Takes `text`; answers what may be shown now, and whether a stop string has come. The stop string and all
    /// behind it are dropped.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        // The one that is complete first, so that the borders of tokens cannot change the answer.
        let find = |stop: &String| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start));
        if let Some((_, start)) = self.stops.iter().filter_map(find).min() {
            let mut shown = std::mem::take(&mut self.held);
            shown.truncate(start);
            return (shown, true);
        }
        let rest = self.held.split_off(self.held.len() - self.doubtful());
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, at the end of the answer.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of the longest end of the held text that begins a stop string.
    fn doubtful(&self) -> usize {
        let begins = |stop: &String| {
            let most = self.held.len().min(stop.len() - 1);
            (1..=most)
                .rev()
                .find(|&n| stop.is_char_boundary(n) && self.held.as_bytes().ends_with(&stop.as_bytes()[..n]))
        };
        self.stops.iter().filter_map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut filter = StopFilter::new(stops.iter().map(ToString::to_string).collect());
        let mut shown = Vec::new();
        for piece in pieces {
            let (text, stopped) = filter.push(piece);
            shown.push(text);
            if stopped {
                return (shown, true);
            }
        }
        shown.push(filter.finish());
        (shown, false)
    }

    #[test]
    fn stops() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], bool);
        let cases: &[Case<'_>] = &[
            (&[], &["a", "b"], &["a", "b", ""], false),
            (&["STOP"], &["go ST", "OP on"], &["go ", ""], true),
            (&["STOP"], &["go ST", "AY"], &["go ", "STAY", ""], false),
            (&["STOP"], &["go ST"], &["go ", "ST"], false),
            (&["\n\n"], &["a\n", "\n", "b"], &["a", ""], true),
            (&["\n\n"], &["a\n", "b\n", "c"], &["a", "\nb", "\nc", ""], false),
            (&["aab"], &["aaa", "aab"], &["a", "aa"], true),
            (&["b", "abc"], &["xab"], &["xa"], true),
            (&["abc", "b"], &["xa", "b"], &["x", "a"], true),
            (&["éß"], &["né", "ß"], &["n", ""], true),
            (&["éß"], &["né", "e"], &["n", "ée", ""], false),
            // è and é share their first byte; only whole characters are held back.
            (&["é"], &["è"], &["è", ""], false),
            (&[""], &["a"], &["a", ""], false),
        ];
        for (stops, pieces, shown, stopped) in cases {
            let expected = (shown.iter().map(ToString::to_string).collect(), *stopped);
            assert_eq!(run(stops, pieces), expected, "{stops:?} in {pieces:?}");
        }
    }

    #[test]
    fn the_cutting_does_not_matter() {
        let texts = ["aabaab", "abcabd", "ababab", "xaabab", "aaaaab"];
        for text in texts {
            for stops in [&["aab"][..], &["abd"], &["bab", "aaab"], &["zz"]] {
                let whole = |cuts: u32| {
                    let mut pieces = Vec::new();
                    let mut start = 0;
                    for i in 1..=text.len() {
                        if i == text.len() || cuts & (1 << i) != 0 {
                            pieces.push(&text[start..i]);
                            start = i;
                        }
                    }
                    let (shown, stopped) = run(stops, &pieces);
                    (shown.concat(), stopped)
                };
                let single = whole(u32::MAX);
                for cuts in 0..64 {
                    assert_eq!(whole(cuts), single, "{text} {stops:?} {cuts:b}");
                }
            }
        }
    }
}

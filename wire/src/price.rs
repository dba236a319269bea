//! Money in integers: prices are nano-dollars per *million* tokens, costs are nano-dollars.
//!
//! A cost is rounded once, half up, over the sum of its parts; so the same usage costs the same whether it was
//! streamed or not, and sums of costs never drift.

use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// 10⁻⁹ US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanodollars(pub u64);

impl Nanodollars {
    /// The amount in dollars as a JSON number, exact, without trailing zeros: `0.000123`.
    #[must_use]
    pub fn to_dollars(self) -> String {
        let mut text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        text
    }
}

/// Prices in nano-dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Prompt tokens that were not cached.
    pub input: u64,
    /// Prompt tokens that were served from a cache.
    pub cached_input: u64,
    /// Prompt tokens that were written to a cache.
    pub cache_write: u64,
    /// Completion tokens, reasoning included.
    pub output: u64,
}

impl Price {
    /// What `usage` costs, rounded once, half up. Saturates at `u64::MAX` (18 billion dollars).
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Nanodollars {
        let cached = usage.cached.min(usage.prompt);
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let written = usage.cache_write.min(usage.prompt - cached);
        let total = part(usage.prompt - cached - written, self.input)
            .saturating_add(part(cached, self.cached_input))
            .saturating_add(part(written, self.cache_write))
            .saturating_add(part(usage.completion, self.output));
        let rounded = total.saturating_add(500_000) / 1_000_000;
        Nanodollars(u64::try_from(rounded).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs() {
        let price = Price {
            input: 150_000_000,
            cached_input: 75_000_000,
            cache_write: 187_500_000,
            output: 600_000_000,
        };
        let cases = [
            ((0, 0, 0), 0),
            ((1, 0, 0), 150),
            ((1, 1, 0), 75),
            ((1_000_000, 0, 0), 150_000_000),
            ((12, 4, 7), 8 * 150 + 4 * 75 + 7 * 600),
            // More cached than prompt is the upstream's mistake: never a negative part.
            ((5, 9, 0), 5 * 75),
        ];
        for ((prompt, cached, completion), nano) in cases {
            let usage = Usage { prompt, cached, completion, ..Usage::default() };
            assert_eq!(price.cost(&usage), Nanodollars(nano), "{usage:?}");
        }
    }

    #[test]
    fn rounds_the_sum_once_half_up() {
        let price = Price { input: 400_000, cached_input: 0, cache_write: 0, output: 100_000 };
        let cost = |prompt, completion| price.cost(&Usage { prompt, completion, ..Usage::default() }).0;
        assert_eq!((cost(1, 0), cost(1, 1), cost(0, 1)), (0, 1, 0));
    }

    #[test]
    fn never_overflows() {
        let price =
            Price { input: u64::MAX, cached_input: u64::MAX, cache_write: u64::MAX, output: u64::MAX };
        let usage = Usage { prompt: u64::MAX, cached: 1, completion: u64::MAX, ..Usage::default() };
        assert_eq!(price.cost(&usage), Nanodollars(u64::MAX));
    }

    #[test]
    fn dollars_are_exact() {
        for (nano, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (123_000, "0.000123"),
            (2_500_000_000, "2.5"),
            (10_000_000_000, "10"),
        ] {
            assert_eq!(Nanodollars(nano).to_dollars(), text);
        }
    }
}

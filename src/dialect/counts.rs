//! What an origin says of the tokens that were used, put together.

use moegate_wire::{Nanodollars, Price, Usage};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub usage: Usage,
    /// Something of it had to be worked out or corrected: the origin did not say it, or said what cannot be.
    pub inferred: bool,
    /// What the origin says that it cost.
    pub upstream_cost: Option<Nanodollars>,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        Self { usage, ..Self::default() }
    }
}

impl Counts {
    /// What that costs. Where time costs too, only the origin has measured it: it was told the price, and what it says that
    /// it cost holds.
    #[must_use]
    pub fn cost(&self, price: &Price) -> Nanodollars {
        match self.upstream_cost {
            Some(cost) if price.gpu_hour > 0 => cost,
            _ => price.cost(&self.usage, 0),
        }
    }

    /// Takes in what came later in the same stream. Counts only grow: what is larger holds, so a chunk of zeros takes
    /// nothing away.
    pub fn grow(&mut self, later: Self) {
        let (old, new) = (self.usage, later.usage);
        let usage = old.max(&new);
        // Whoever said all of it knows best whether it had to be inferred.
        self.inferred = if usage == new { later.inferred } else { self.inferred || usage != old };
        self.usage = usage;
        self.upstream_cost = self.upstream_cost.max(later.upstream_cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(prompt: u64, completion: u64, inferred: bool) -> Counts {
        let usage = Usage { prompt, completion, ..Usage::default() };
        Counts { usage, inferred, upstream_cost: None }
    }

    #[test]
    fn who_measures_the_time_says_the_cost() {
        let price = Price::from(moegate_wire::Rates::of_tokens(1_000_000, 2_000_000));
        let timed = Price { gpu_hour: 1, ..price.clone() };
        let own = counts(9, 5, false);
        let told = Counts { upstream_cost: Some(Nanodollars(7)), ..own };
        for (counts, price, nano) in
            [(own, &price, 19), (told, &price, 19), (own, &timed, 19), (told, &timed, 7)]
        {
            assert_eq!(counts.cost(price), Nanodollars(nano), "{counts:?} {price:?}");
        }
    }

    #[test]
    fn counts_only_grow() {
        for (first, later, expected) in [
            (counts(9, 1, true), counts(9, 5, false), counts(9, 5, false)),
            (counts(9, 5, false), counts(0, 0, true), counts(9, 5, false)),
            (counts(9, 0, false), counts(0, 5, false), counts(9, 5, true)),
        ] {
            let mut grown = first;
            grown.grow(later);
            assert_eq!(grown, expected, "{first:?} {later:?}");
        }
        let mut grown = Counts { upstream_cost: Some(Nanodollars(7)), ..counts(9, 5, false) };
        grown.grow(counts(9, 5, false));
        assert_eq!(grown.upstream_cost, Some(Nanodollars(7)));
    }
}

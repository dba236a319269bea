//! What is compared, and exact sums of it.

use crate::decimal::Decimal;

/// One kind of figure. Cached and written tokens are parts of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Calls of the model.
    Requests,
    /// Tokens, those from and to a cache included.
    Input,
    /// Tokens read from a cache.
    Cached,
    /// Tokens written to a cache.
    CacheWrite,
    /// Tokens.
    Output,
    /// Dollars.
    Cost,
}

impl What {
    pub(super) const ALL: [Self; 6] =
        [Self::Requests, Self::Input, Self::Cached, Self::CacheWrite, Self::Output, Self::Cost];

    /// For people.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Input => "input",
            Self::Cached => "cached",
            Self::CacheWrite => "cache write",
            Self::Output => "output",
            Self::Cost => "cost",
        }
    }

    /// For programs; the columns of our own format.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Input => "input_tokens",
            Self::Cached => "cached_tokens",
            Self::CacheWrite => "cache_write_tokens",
            Self::Output => "output_tokens",
            Self::Cost => "cost_usd",
        }
    }
}

/// Decimal places of a dollar that are kept. Providers print amounts with up to 30 (OpenAI's cost export does); sums of up
/// to 170 million dollars fit.
const PLACES: u32 = 30;
const DOLLAR: i128 = 10i128.pow(PLACES);
pub(super) const NANODOLLAR: i128 = DOLLAR / 1_000_000_000;

/// More of anything in one cell is a mistake, and sums of these cannot overflow.
const MOST: u128 = 1_000_000_000_000_000;

/// One figure of each kind: counts, and 10^-30 dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures([i128; 6]);

impl Figures {
    pub(super) fn get(&self, what: What) -> i128 {
        self.0[what as usize]
    }

    /// # Errors
    /// The sum is too large.
    pub(super) fn add(&mut self, what: What, value: i128) -> Result<(), String> {
        let sum = &mut self.0[what as usize];
        *sum = sum.checked_add(value).ok_or_else(|| {
            format!("the sum of {} is too large to compute with: split the files", what.label())
        })?;
        Ok(())
    }

    /// # Errors
    /// A sum is too large.
    pub(super) fn add_all(&mut self, other: &Self) -> Result<(), String> {
        What::ALL.into_iter().try_for_each(|what| self.add(what, other.get(what)))
    }
}

/// A whole number, also as `10.0`. `None`: it is none, negative or absurd.
pub(super) fn count(text: &str) -> Option<i128> {
    let whole = Decimal::parse(text)?.whole_at(0)?;
    (whole <= MOST).then(|| i128::try_from(whole).ok())?
}

/// Dollars; negative ones are credits. `None`: it is no number, too large, or has more than 30 decimal places.
pub(super) fn dollars(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let places = i32::try_from(PLACES).ok()?;
    i128::try_from(Decimal::parse(digits)?.whole_at(places)?).ok()?.checked_mul(sign)
}

/// As a person and a program read it: dollars with at least two decimal places and no more than they need.
pub(super) fn shown(what: What, value: i128) -> String {
    if what != What::Cost {
        return value.to_string();
    }
    let sign = if value < 0 { "-" } else { "" };
    let dollar = DOLLAR.unsigned_abs();
    let (whole, fraction) = (value.unsigned_abs() / dollar, value.unsigned_abs() % dollar);
    let fraction = format!("{fraction:030}");
    format!("{sign}{whole}.{:0<2}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        for (text, expected) in [
            ("0.003835980000000000000000000000", "0.00383598"),
            ("0.8958740000000000", "0.895874"),
            ("1.0000000000000000000000000001", "1.0000000000000000000000000001"),
            ("-0.1", "-0.10"),
            ("12", "12.00"),
            ("1e-05", "0.00001"),
            ("0", "0.00"),
        ] {
            assert_eq!(shown(What::Cost, dollars(text).unwrap()), expected, "{text}");
        }
        let tenth = dollars("0.1").unwrap();
        assert_eq!(tenth + dollars("0.2").unwrap(), dollars("0.3").unwrap());
        assert_eq!(dollars("0.000000001"), Some(NANODOLLAR));
        for text in ["", "$1", "1,5", "--1", "1e-31", "1000000000", "0.1234567890123456789012345678901"] {
            assert_eq!(dollars(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!((count("10.0"), count("59200"), count("1e3")), (Some(10), Some(59_200), Some(1_000)));
        for text in ["", "-1", "1.5", "1,000", "ten", "1e16"] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        let mut figures = Figures::default();
        figures.add(What::Cost, i128::MAX).unwrap();
        assert!(figures.add(What::Cost, 1).is_err());
    }
}

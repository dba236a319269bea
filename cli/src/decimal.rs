//! Decimal arithmetic on numbers as they are written: amounts, prices and weights, without binary fractions.

/// `digits` × 10^-`scale`, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    scale: i32,
}

/// What becomes of a number in dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Price {
    Exact(String),
    /// Finer than a nano-dollar: rounded up to one.
    Rounded(String),
}

impl Decimal {
    /// Digits with at most one point, and an exponent; nothing negative. `None` for anything else, and for what no price
    /// or weight can be (more than 30 digits without the zeros around them, an exponent beyond ±60).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let all = format!("{whole}{fraction}");
        if !all.bytes().all(|b| b.is_ascii_digit()) || !(-60..=60).contains(&exponent) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        if significant.len() > 30 || fraction.len() > 60 {
            return None;
        }
        let digits = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        Some(Self { digits, scale: i32::try_from(fraction.len()).ok()? - exponent }.reduced())
    }

    pub(crate) const ZERO: Self = Self { digits: 0, scale: 0 };
    pub(crate) const ONE: Self = Self { digits: 1, scale: 0 };

    fn reduced(mut self) -> Self {
        while self.digits > 0 && self.digits.is_multiple_of(10) {
            self = Self { digits: self.digits / 10, scale: self.scale - 1 };
        }
        if self.digits == 0 { Self::ZERO } else { self }
    }

    /// The number times 10^`places`.
    pub(crate) fn shifted(self, places: i32) -> Self {
        if self.digits == 0 { self } else { Self { scale: self.scale - places, ..self } }
    }

    /// The number times 10^`places`, where that is whole. `None`: it is not, or it is too large.
    pub(crate) fn whole_at(self, places: i32) -> Option<u128> {
        if self.digits == 0 {
            return Some(0);
        }
        // Digits that end in no zero: below that place something would be left.
        let power = u32::try_from(places - self.scale).ok()?;
        self.digits.checked_mul(10u128.checked_pow(power)?)
    }

    /// Numerator and denominator. `None`: they are too large.
    pub(crate) fn fraction(self) -> Option<(u128, u128)> {
        match u32::try_from(self.scale) {
            Ok(below) => Some((self.digits, 10u128.checked_pow(below)?)),
            Err(_) => Some((self.digits.checked_mul(10u128.checked_pow(self.scale.unsigned_abs())?)?, 1)),
        }
    }

    /// The number as `DollarsPerMillion` reads it: at most nine digits after the point. `None`: it is too large.
    pub(crate) fn price(self) -> Option<Price> {
        let nano = self.shifted(9);
        let (whole, is_exact) = match u32::try_from(nano.scale) {
            Ok(below) => match 10u128.checked_pow(below) {
                Some(unit) => (nano.digits.div_ceil(unit), nano.digits.is_multiple_of(unit)),
                None => (1, false),
            },
            Err(_) => (nano.digits.checked_mul(10u128.checked_pow(nano.scale.unsigned_abs())?)?, true),
        };
        let text = moegate_wire::Nanodollars(u64::try_from(whole).ok()?).to_dollars();
        Some(if is_exact { Price::Exact(text) } else { Price::Rounded(text) })
    }

    /// The number as a whole one, rounded up. `None`: it is too large.
    pub(crate) fn whole_up(self) -> Option<u32> {
        match u32::try_from(self.scale) {
            Ok(below) => u32::try_from(self.digits.div_ceil(10u128.checked_pow(below)?)).ok(),
            Err(_) => {
                let up = 10u128.checked_pow(self.scale.unsigned_abs())?;
                u32::try_from(self.digits.checked_mul(up)?).ok()
            }
        }
    }
}

/// The smallest whole numbers in the same ratios. `None`: they do not fit.
pub(crate) fn weights(parts: &[Decimal]) -> Option<Vec<u32>> {
    let scale = parts.iter().map(|part| part.scale).max().unwrap_or(0).max(0);
    let whole = parts.iter().map(|part| {
        let up = u32::try_from(scale - part.scale).ok()?;
        part.digits.checked_mul(10u128.checked_pow(up)?)
    });
    let whole = whole.collect::<Option<Vec<u128>>>()?;
    let divisor = whole.iter().copied().fold(0, gcd).max(1);
    whole.iter().map(|part| u32::try_from(part / divisor).ok()).collect()
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    #[test]
    fn per_token_becomes_per_million() {
        let exact = |text: &str| Price::Exact(text.to_owned());
        for (text, expected) in [
            ("0.00000015", exact("0.15")),
            ("1.5e-07", exact("0.15")),
            ("5e-7", exact("0.5")),
            ("2.5E-06", exact("2.5")),
            ("0.00003", exact("30")),
            ("0", exact("0")),
            ("0.0", exact("0")),
            ("0.000000075", exact("0.075")),
            ("3e-06", exact("3")),
            // A binary fraction would be 0.30000000000000004.
            ("0.0000003", exact("0.3")),
            ("1.23456789012e-6", Price::Rounded("1.234567891".to_owned())),
            ("1e-40", Price::Rounded("0.000000001".to_owned())),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().shifted(6).price(), Some(expected), "{text}");
        }
        assert_eq!(Decimal::parse("1e50").unwrap().price(), None);
    }

    #[test]
    fn whole_at_a_place() {
        let of = |text: &str, places| Decimal::parse(text).unwrap().whole_at(places);
        assert_eq!(of("10.0", 0), Some(10));
        assert_eq!(of("10.5", 0), None);
        assert_eq!(of("0", 0), Some(0));
        assert_eq!(of("0.00", -3), Some(0));
        assert_eq!(of("1e3", 0), Some(1000));
        // 34 digits as written, of which the last ones say nothing.
        assert_eq!(of("1234.003835980000000000000000000000", 8), Some(123_400_383_598));
        assert_eq!(of("1e40", 0), None);
    }

    #[test]
    fn fractions() {
        let of = |text: &str| Decimal::parse(text).unwrap().fraction();
        assert_eq!(of("2.49"), Some((249, 100)));
        assert_eq!(of("120"), Some((120, 1)));
        assert_eq!(of("1e60"), None);
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", ".", "-1", "1.2.3", "1e", "abc", "0x10", "1_000", "1e99", "e5", "NaN", "+"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn weights_are_whole_and_small() {
        let of = |texts: &[&str]| {
            weights(&texts.iter().map(|text| Decimal::parse(text).unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["0.7", "0.3"]), Some(vec![7, 3]));
        assert_eq!(of(&["0.25", "0.75", "1"]), Some(vec![1, 3, 4]));
        assert_eq!(of(&["0", "10"]), Some(vec![0, 1]));
        assert_eq!(of(&["0", "0"]), Some(vec![0, 0]));
        assert_eq!(of(&["1e30", "1e-30"]), None);
    }

    #[test]
    fn milliseconds_to_whole_seconds() {
        for (text, seconds) in [("30000", 30), ("1500", 2), ("1", 1), ("0", 0), ("1e3", 1)] {
            assert_eq!(Decimal::parse(text).unwrap().shifted(-3).whole_up(), Some(seconds), "{text}");
        }
    }
}

//! Exact arithmetic on quotients that are not negative; they are rounded once, when they are printed.

use crate::decimal::Decimal;
use std::cmp::Ordering;

/// In lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    over: u128,
    /// Never 0.
    under: u128,
}

/// What does not fit into 128 bits.
pub(super) const TOO_LARGE: &str =
    "these numbers are too large, or have too many decimal places, to compute with";

impl Ratio {
    pub(super) const ZERO: Self = Self { over: 0, under: 1 };

    /// `None`: a division by zero.
    pub(super) fn new(over: u128, under: u128) -> Option<Self> {
        let divisor = gcd(over, under);
        (under > 0).then(|| Self { over: over / divisor, under: under / divisor })
    }

    pub(super) fn whole(number: u128) -> Self {
        Self { over: number, under: 1 }
    }

    /// A number as it is written. `None`: it is none, negative, or too long.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (over, under) = Decimal::parse(text)?.fraction()?;
        Self::new(over, under)
    }

    pub(super) fn more_than_zero(self) -> Option<Self> {
        (self.over > 0).then_some(self)
    }

    pub(super) fn is_zero(self) -> bool {
        self.over == 0
    }

    /// # Errors
    /// The result is too large.
    pub(super) fn times(self, other: Self) -> Result<Self, String> {
        let (left, right) = (gcd(self.over, other.under), gcd(other.over, self.under));
        let over = (self.over / left).checked_mul(other.over / right);
        let under = (self.under / right).checked_mul(other.under / left);
        over.zip(under).and_then(|(over, under)| Self::new(over, under)).ok_or_else(|| TOO_LARGE.to_owned())
    }

    /// # Errors
    /// The result is too large, or the other is zero.
    pub(super) fn by(self, other: Self) -> Result<Self, String> {
        let upside_down = Self::new(other.under, other.over).ok_or("there is nothing to divide by")?;
        self.times(upside_down)
    }

    /// # Errors
    /// The result is too large.
    pub(super) fn plus(self, other: Self) -> Result<Self, String> {
        let common = gcd(self.under, other.under);
        let sum = || {
            let left = self.over.checked_mul(other.under / common)?;
            let right = other.over.checked_mul(self.under / common)?;
            Self::new(left.checked_add(right)?, (self.under / common).checked_mul(other.under)?)
        };
        sum().ok_or_else(|| TOO_LARGE.to_owned())
    }

    /// Nothing below zero: then it is zero.
    ///
    /// # Errors
    /// The result is too large.
    pub(super) fn minus(self, other: Self) -> Result<Self, String> {
        let common = gcd(self.under, other.under);
        let difference = || {
            let left = self.over.checked_mul(other.under / common)?;
            let right = other.over.checked_mul(self.under / common)?;
            Self::new(left.saturating_sub(right), (self.under / common).checked_mul(other.under)?)
        };
        difference().ok_or_else(|| TOO_LARGE.to_owned())
    }

    pub(super) fn is_more_than(self, other: Self) -> bool {
        // By whole parts, then by the remainders upside down (Euclid): nothing is multiplied.
        let (mut left, mut right, mut turned) = (self, other, false);
        loop {
            let order = (left.over / left.under).cmp(&(right.over / right.under));
            let (rest, other_rest) = (left.over % left.under, right.over % right.under);
            let order = match order {
                Ordering::Equal if rest == 0 || other_rest == 0 => rest.cmp(&other_rest),
                Ordering::Equal => {
                    left = Self { over: left.under, under: rest };
                    right = Self { over: right.under, under: other_rest };
                    turned = !turned;
                    continue;
                }
                order => order,
            };
            let order = if turned { order.reverse() } else { order };
            return order == Ordering::Greater;
        }
    }

    /// With that many decimal places, rounded half up.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn rounded(self, places: u32) -> Result<String, String> {
        let scaled = self.times(Self::whole(10u128.pow(places)))?;
        let half = scaled.plus(Self { over: 1, under: 2 })?;
        let digits = (half.over / half.under).to_string();
        if places == 0 {
            return Ok(digits);
        }
        let places = places as usize;
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        Ok(format!("{whole}.{fraction}"))
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> Ratio {
        Ratio::parse(text).unwrap()
    }

    #[test]
    fn arithmetic_is_exact() {
        let third = ratio("1").by(ratio("3")).unwrap();
        assert_eq!(third.times(ratio("3")).unwrap(), ratio("1"));
        assert_eq!(ratio("0.1").plus(ratio("0.2")).unwrap(), ratio("0.3"));
        assert_eq!(third.plus(ratio("0.5")).unwrap(), Ratio::new(5, 6).unwrap());
        assert_eq!(ratio("0.3").minus(ratio("0.1")).unwrap(), ratio("0.2"));
        assert_eq!(third.minus(ratio("0.5")).unwrap(), Ratio::ZERO);
        assert!(ratio("1").by(Ratio::ZERO).is_err());
        let huge = ratio("1e30");
        assert_eq!(huge.times(huge), Err(TOO_LARGE.to_owned()));
        assert_eq!(huge.by(huge).unwrap(), ratio("1"));
    }

    #[test]
    fn rounding_is_half_up() {
        for (text, places, expected) in [
            ("0.125", 2, "0.13"),
            ("0.1249", 2, "0.12"),
            ("0.005", 2, "0.01"),
            ("12", 2, "12.00"),
            ("0.5", 0, "1"),
            ("0", 4, "0.0000"),
        ] {
            assert_eq!(ratio(text).rounded(places).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn order() {
        let of = |over, under| Ratio::new(over, under).unwrap();
        let sorted = [of(0, 1), of(1, 3), of(2, 5), of(1, 2), of(5, 3), of(7, 4), of(2, 1)];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(left.is_more_than(*right), at > other, "{left:?} {right:?}");
            }
        }
        assert!(of(u128::MAX, 2).is_more_than(of(u128::MAX, 3)));
    }
}

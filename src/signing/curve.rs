//! What the elliptic curves share.

use crypto_bigint::U256;

/// A point of a curve whose addition holds for any two points, the same one twice too.
pub(super) trait Point: Copy {
    const IDENTITY: Self;

    #[must_use]
    fn plus(&self, other: &Self) -> Self;
}

/// The sum of `a` times `p` and `b` times `q` (Shamir's trick). The time that it takes tells of all four: for verifying only,
/// where nothing is secret.
pub(super) fn sum_of_products<P: Point>(a: &U256, p: &P, b: &U256, q: &P) -> P {
    let both = p.plus(q);
    let mut sum = P::IDENTITY;
    for bit in (0..U256::BITS).rev() {
        sum = sum.plus(&sum);
        let term = match (a.bit_vartime(bit), b.bit_vartime(bit)) {
            (false, false) => continue,
            (true, false) => p,
            (false, true) => q,
            (true, true) => &both,
        };
        sum = sum.plus(term);
    }
    sum
}

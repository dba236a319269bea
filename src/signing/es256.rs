//! ES256 (RFC 7518, section 3.4): ECDSA (FIPS 186-5, section 6.4.2) on P-256 (SP 800-186, section 3.2.1.3) with SHA-256. Verifying only.
//!
//! Field and scalars are `crypto-bigint`'s Montgomery forms. A crate for the curve would bring its encodings, its traits and
//! arithmetic that hides secrets, of which there are none here (docs/ARCHITECTURE.md).

use super::curve::{self, sum_of_products};
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U256, const_monty_params};
use sha2::{Digest, Sha256};

const_monty_params!(
    Prime,
    U256,
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "The field's: p."
);
const_monty_params!(
    Order,
    U256,
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "The number of points: n, a prime."
);

type Field = ConstMontyForm<Prime, { U256::LIMBS }>;
type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;

const P: U256 = *Prime::PARAMS.modulus().as_ref();
const N: U256 = *Order::PARAMS.modulus().as_ref();

const fn constant(hex: &str) -> Field {
    Field::new(&U256::from_be_hex(hex))
}

/// y² = x³ − 3x + b.
const B: Field = constant("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/// What all others are multiples of: G.
const BASE: Point = Point {
    x: constant("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    y: constant("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    z: Field::ONE,
};

/// (x/z, y/z); the identity where `z` is 0.
#[derive(Clone, Copy)]
struct Point {
    x: Field,
    y: Field,
    z: Field,
}

impl Point {
    /// That point, if it is on the curve. None of the curve's has a small order.
    fn new(x: &[u8], y: &[u8]) -> Option<Self> {
        let [x, y] = [number(x)?, number(y)?];
        if x >= P || y >= P {
            return None;
        }
        let (x, y) = (Field::new(&x), Field::new(&y));
        let three = x.double() + x;
        (y.square() == x.square() * x - three + B).then_some(Self { x, y, z: Field::ONE })
    }
}

impl curve::Point for Point {
    const IDENTITY: Self = Self { x: Field::ZERO, y: Field::ONE, z: Field::ZERO };

    /// Algorithm 4 of <https://eprint.iacr.org/2015/1060>, whose names these are.
    fn plus(&self, other: &Self) -> Self {
        let t0 = self.x * other.x;
        let t1 = self.y * other.y;
        let t2 = self.z * other.z;
        let t3 = (self.x + self.y) * (other.x + other.y) - (t0 + t1);
        let t4 = (self.y + self.z) * (other.y + other.z) - (t1 + t2);
        let xz = (self.x + self.z) * (other.x + other.z) - (t0 + t2);
        let x3 = xz - B * t2;
        let x3 = x3.double() + x3;
        let z3 = t1 - x3;
        let x3 = t1 + x3;
        let t2 = t2.double() + t2;
        let y3 = B * xz - t2 - t0;
        let y3 = y3.double() + y3;
        let t0 = t0.double() + t0 - t2;
        Self { x: t3 * x3 - t4 * y3, y: x3 * z3 + t0 * y3, z: t4 * z3 + t3 * t0 }
    }
}

/// Whether the owner of that key, the point (x, y), has signed `message`. The signature is r and s, one behind the other; numbers
/// are big-endian, of 32 bytes. As (r, s), so (r, n − s) is one of the same message: JOSE takes both.
#[must_use]
pub fn verify(x: &[u8], y: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(key) = Point::new(x, y) else { return false };
    let Some((r, s)) = signature.split_at_checked(32) else { return false };
    let (Some(r), Some(s)) = (number(r), number(s)) else { return false };
    if [r, s].iter().any(|number| *number == U256::ZERO || *number >= N) {
        return false;
    }
    let hash = Scalar::new(&U256::from_be_slice(&Sha256::digest(message)));
    // By Fermat's little theorem.
    let inverse = Scalar::new(&s).pow_vartime(&N.wrapping_sub(&U256::from_u8(2)));
    let (u1, u2) = ((hash * inverse).retrieve(), (Scalar::new(&r) * inverse).retrieve());
    let sum = sum_of_products(&u1, &BASE, &u2, &key);
    if sum.z == Field::ZERO {
        return false;
    }
    // Whether x/z, which is less than p, is r modulo n: it is r or r + n, since p is less than 2n.
    let is = |r: &U256| Field::new(r) * sum.z == sum.x;
    is(&r) || r < P.wrapping_sub(&N) && is(&r.wrapping_add(&N))
}

fn number(bytes: &[u8]) -> Option<U256> {
    (bytes.len() == 32).then(|| U256::from_be_slice(bytes))
}

#[cfg(test)]
#[path = "es256_tests.rs"]
pub(crate) mod tests;

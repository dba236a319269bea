//! EdDSA (RFC 8037) by Ed25519 keys (RFC 8032, section 5.1). Verifying only, in the manner of [`super::es256`].

use super::curve::{self, sum_of_products};
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U256, const_monty_params};
use sha2::{Digest, Sha512};

const_monty_params!(
    Prime,
    U256,
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    "The field's: p = 2^255 − 19."
);
const_monty_params!(
    Order,
    U256,
    "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
    "The base point's: L, a prime. The curve has eight times as many."
);

type Field = ConstMontyForm<Prime, { U256::LIMBS }>;
type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;

const P: U256 = *Prime::PARAMS.modulus().as_ref();
const L: U256 = *Order::PARAMS.modulus().as_ref();

const fn constant(hex: &str) -> Field {
    Field::new(&U256::from_be_hex(hex))
}

/// −x² + y² = 1 + dx²y².
const D: Field = constant("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");
/// A square root of −1.
const ROOT: Field = constant("2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0");

/// B.
const BASE: Point = Point {
    x: constant("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a"),
    y: constant("6666666666666666666666666666666666666666666666666666666666666658"),
    z: Field::ONE,
    t: constant("67875f0fd78b766566ea4e8e64abe37d20f09f80775152f56dde8ab3a5b7dda3"),
};

/// (x/z, y/z), with t = xy/z.
#[derive(Clone, Copy)]
struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

impl Point {
    /// As 32 bytes say it (section 5.1.3): y, little-endian, with the parity of x in the top bit. A y that is not less than p, or an
    /// odd x that is 0, is none.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut y: [u8; 32] = bytes.try_into().ok()?;
        let is_odd = y[31] >> 7 == 1;
        y[31] &= 0x7f;
        let y = U256::from_le_slice(&y);
        if y >= P {
            return None;
        }
        let y = Field::new(&y);
        let square = y.square();
        let (u, v) = (square - Field::ONE, D * square + Field::ONE);
        // The root of u/v is that of uv³(uv⁷)^((p−5)/8), or that times the root of −1.
        let v3 = v.square() * v;
        let power =
            (u * v3.square() * v).pow_vartime(&P.wrapping_sub(&U256::from_u8(5)).wrapping_shr_vartime(3));
        let mut x = u * v3 * power;
        let back = v * x.square();
        if back == -u {
            x *= ROOT;
        } else if back != u {
            return None;
        }
        if x == Field::ZERO && is_odd {
            return None;
        }
        if x.retrieve().bit_vartime(0) != is_odd {
            x = -x;
        }
        Some(Self { x, y, z: Field::ONE, t: x * y })
    }

    /// Whether eight times it is the identity. With such a key, one signature can be good for any message.
    fn is_small(&self) -> bool {
        let mut eight = *self;
        for _ in 0..3 {
            eight = curve::Point::plus(&eight, &eight);
        }
        eight.x == Field::ZERO && eight.y == eight.z
    }
}

impl curve::Point for Point {
    const IDENTITY: Self = Self { x: Field::ZERO, y: Field::ONE, z: Field::ONE, t: Field::ZERO };

    /// Section 5.1.4, whose names these are.
    fn plus(&self, other: &Self) -> Self {
        let a = (self.y - self.x) * (other.y - other.x);
        let b = (self.y + self.x) * (other.y + other.x);
        let c = self.t.double() * D * other.t;
        let d = self.z.double() * other.z;
        let (e, f, g, h) = (b - a, d - c, d + c, b + a);
        Self { x: e * f, y: g * h, z: f * g, t: e * h }
    }
}

/// Whether the owner of that key has signed `message`: without the cofactor, and no key of a small order has signed anything.
#[must_use]
pub fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some((r, s)) = signature.split_at_checked(32) else { return false };
    let (Some(point), Some(commitment)) = (Point::decode(key), Point::decode(r)) else { return false };
    if s.len() != 32 || point.is_small() {
        return false;
    }
    let s = U256::from_le_slice(s);
    // Else s + L would do too (section 8.4).
    if s >= L {
        return false;
    }
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    // Modulo L: the Montgomery form of the upper half is the upper half times 2^256.
    let [lower, upper] = [&hash[..32], &hash[32..]].map(|half| Scalar::new(&U256::from_le_slice(half)));
    let k = (lower + Scalar::new(upper.as_montgomery())).retrieve();
    let negative = Point { x: -point.x, t: -point.t, ..point };
    let sum = sum_of_products(&s, &BASE, &k, &negative);
    sum.x == commitment.x * sum.z && sum.y == commitment.y * sum.z
}

#[cfg(test)]
#[path = "ed25519_tests.rs"]
pub(crate) mod tests;

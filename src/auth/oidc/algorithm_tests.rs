//! Tokens of every algorithm, and those that say another one than they should.

use super::jwks::{self, Found, JwksCache, PublicKey};
use super::tests::{NOW_MS, claims, oidc, taken_with};
use super::*;
use crate::signing::test_issuer::{SEED, ec_jwk, ec_signed, ed_jwk, ed_signed, jwk, signed, token};
use crate::signing::{ed25519, es256};
use serde_json::{Value, json};

const ALL: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// The key on P-256 and its kind's signatures are `ec`, Ed25519's `ed`, RSA's `rsa`; one of each is called `same`.
fn keys() -> Vec<PublicKey> {
    let own = [jwk("rsa"), ec_jwk("ec"), ed_jwk("ed"), jwk("same"), ec_jwk("same"), ed_jwk("same")];
    jwks::parse(&format!("{{\"keys\":[{}]}}", own.join(","))).unwrap()
}

fn header(algorithm: &str, id: &str) -> String {
    json!({"alg": algorithm, "kid": id}).to_string()
}

fn taken(token: &str, algorithms: &[Algorithm]) -> Result<(), ApiError> {
    taken_with(token, &Oidc { algorithms: algorithms.to_vec(), ..oidc() }, &keys())
}

fn es256(id: &str, change: impl Fn([u8; 64]) -> Vec<u8>) -> String {
    let sign = |text: &[u8]| change(es256::tests::sign(&SEED, text));
    token(&header("ES256", id), &claims().to_string(), sign)
}

fn ed_dsa(id: &str, change: impl Fn([u8; 64]) -> Vec<u8>) -> String {
    let sign = |text: &[u8]| change(ed25519::tests::sign(&SEED, text));
    token(&header("EdDSA", id), &claims().to_string(), sign)
}

#[test]
fn every_algorithm_of_the_configuration_and_no_other() {
    let text = claims().to_string();
    for (algorithm, token) in [
        (Algorithm::Rs256, signed(&header("RS256", "rsa"), &text)),
        (Algorithm::Rs256, signed(&header("RS256", "same"), &text)),
        (Algorithm::Es256, ec_signed(&header("ES256", "ec"), &text)),
        (Algorithm::Es256, ec_signed(&header("ES256", "same"), &text)),
        // Of the same message there are two signatures (RFC 7518, section 3.4, has no word for one of them).
        (Algorithm::Es256, es256("ec", |signature| es256::tests::mirrored(&signature).to_vec())),
        (Algorithm::EdDsa, ed_signed(&header("EdDSA", "ed"), &text)),
        (Algorithm::EdDsa, ed_signed(&header("EdDSA", "same"), &text)),
    ] {
        assert_eq!(taken(&token, &ALL), Ok(()), "{token}");
        assert_eq!(taken(&token, &[algorithm]), Ok(()), "{token}");
        for others in
            ALL.map(|one| ALL.into_iter().filter(|own| *own != algorithm && *own != one).collect::<Vec<_>>())
        {
            let error = taken(&token, &others).unwrap_err();
            assert_eq!((error.status, error.code), (401, "invalid_token"));
            assert!(error.message.contains(&format!("`{}`", algorithm.name())), "{}", error.message);
        }
    }
}

#[test]
fn forged_tokens() {
    let text = claims().to_string();
    let hmac = |algorithm: &str, id: &str, key: &[u8]| {
        use hmac::{KeyInit, Mac};
        token(&header(algorithm, id), &text, |signed| {
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.update(signed);
            mac.finalize().into_bytes().to_vec()
        })
    };
    let [x, y] = es256::tests::public(&SEED);
    let point = [&[4], &x[..], &y[..]].concat();
    let other = |text: &[u8]| es256::tests::sign(&[8; 32], text).to_vec();
    let other_ed = |text: &[u8]| ed25519::tests::sign(&[8; 32], text).to_vec();
    let half = |signature: [u8; 64], first: &[u8], second: &[u8]| {
        let (first, second) = (if first.is_empty() { &signature[..32] } else { first }, second);
        [first, if second.is_empty() { &signature[32..] } else { second }].concat()
    };
    let zero = [0; 32];
    let order = Base64UrlUnpadded::decode_vec("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
    let mut table = vec![
        // Another algorithm than the key's, all of them in the list.
        (signed(&header("RS256", "ec"), &text), "`kid`"),
        (signed(&header("ES256", "rsa"), &text), "`kid`"),
        (signed(&header("ES256", "ec"), &text), "signature"),
        (signed(&header("EdDSA", "ed"), &text), "signature"),
        (ec_signed(&header("RS256", "rsa"), &text), "signature"),
        (ec_signed(&header("EdDSA", "ed"), &text), "signature"),
        (ec_signed(&header("EdDSA", "ec"), &text), "`kid`"),
        (ec_signed(&header("RS256", "same"), &text), "signature"),
        (ed_signed(&header("ES256", "ec"), &text), "signature"),
        (ed_signed(&header("ES256", "ed"), &text), "`kid`"),
        // Signatures by other keys, and of other forms.
        (token(&header("ES256", "ec"), &text, other), "signature"),
        (token(&header("EdDSA", "ed"), &text, other_ed), "signature"),
        (es256("ec", |s| half(s, &zero, &[])), "signature"),
        (es256("ec", |s| half(s, &[], &zero)), "signature"),
        (es256("ec", |_| vec![0; 64]), "signature"),
        (es256("ec", |s| half(s, &order, &[])), "signature"),
        (es256("ec", |s| half(s, &[], &order)), "signature"),
        (es256("ec", |_| vec![0xff; 64]), "signature"),
        (es256("ec", |s| s[..63].to_vec()), "signature"),
        (es256("ec", |s| [&s[..], &[0]].concat()), "signature"),
        (es256("ec", |s| [&[0x30, 0x44, 2, 32], &s[..32], &[2, 32], &s[32..]].concat()), "signature"),
        (es256("ec", |_| Vec::new()), "signature"),
        (ed_dsa("ed", |s| ed25519::tests::lengthened(&s).to_vec()), "signature"),
        (ed_dsa("ed", |s| half(s, &[], &[0xff; 32])), "signature"),
        (ed_dsa("ed", |_| vec![0; 64]), "signature"),
        (ed_dsa("ed", |s| s[..63].to_vec()), "signature"),
        (ed_dsa("ed", |_| Vec::new()), "signature"),
    ];
    // What is in no list.
    for name in ["none", "HS256", "ES384", "ES256K", "PS256", "es256", "eddsa", "Ed25519", "Ed448", ""] {
        table.push((ec_signed(&header(name, "ec"), &text), "algorithms"));
    }
    // The public key as the secret of an HMAC.
    let public = [
        jwk("rsa").into_bytes(),
        ec_jwk("ec").into_bytes(),
        point,
        x.to_vec(),
        ed25519::tests::public(&SEED).to_vec(),
    ];
    for key in &public {
        table.push((hmac("HS256", "ec", key), "`HS256`"));
        for (algorithm, id) in [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")] {
            table.push((hmac(algorithm, id, key), "signature"));
        }
    }
    for (token, part) in table {
        let error = taken(&token, &ALL).expect_err(&token);
        assert_eq!((error.status, error.code), (401, "invalid_token"));
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

#[test]
fn keys_that_do_not_fit_are_left_out() {
    let changed = |key: &str, changes: &[(&str, Value)]| {
        let mut key: Value = serde_json::from_str(key).unwrap();
        for (name, value) in changes {
            key[*name] = value.clone();
        }
        key
    };
    let (ec, ed) = (ec_jwk("k"), ed_jwk("k"));
    let [x, _] = es256::tests::public(&SEED);
    let encode = |bytes: &[u8]| json!(Base64UrlUnpadded::encode_string(bytes));
    let mut identity = [0; 32];
    identity[0] = 1;
    for (key, takes) in [
        (changed(&ec, &[]), true),
        (changed(&ed, &[]), true),
        (changed(&ec, &[("alg", Value::Null), ("use", Value::Null)]), true),
        (changed(&ec, &[("kty", json!("RSA"))]), false),
        (changed(&ec, &[("kty", json!("OKP"))]), false),
        (changed(&ec, &[("crv", json!("P-384"))]), false),
        (changed(&ec, &[("crv", json!("secp256k1"))]), false),
        (changed(&ec, &[("crv", json!("Ed25519"))]), false),
        (changed(&ec, &[("crv", Value::Null)]), false),
        (changed(&ec, &[("alg", json!("ES384"))]), false),
        (changed(&ec, &[("alg", json!("RS256"))]), false),
        (changed(&ec, &[("alg", json!("ECDH-ES"))]), false),
        (changed(&ec, &[("use", json!("enc"))]), false),
        (changed(&ec, &[("y", Value::Null)]), false),
        (changed(&ec, &[("y", encode(&x))]), false),
        (changed(&ec, &[("x", encode(&x[..31]))]), false),
        (changed(&ec, &[("x", encode(&[&[0], &x[..]].concat()))]), false),
        (changed(&ec, &[("x", encode(&[0; 32])), ("y", encode(&[0; 32]))]), false),
        (changed(&ed, &[("kty", json!("EC"))]), false),
        (changed(&ed, &[("crv", json!("Ed448"))]), false),
        (changed(&ed, &[("crv", json!("X25519"))]), false),
        (changed(&ed, &[("crv", json!("P-256"))]), false),
        (changed(&ed, &[("alg", json!("ES256"))]), false),
        (changed(&ed, &[("use", json!("enc"))]), false),
        (changed(&ed, &[("x", encode(&[0; 32]))]), false),
        (changed(&ed, &[("x", encode(&identity))]), false),
    ] {
        let keys = jwks::parse(&json!({"keys": [key]}).to_string()).unwrap();
        let oidc = Oidc { algorithms: ALL.to_vec(), ..oidc() };
        let text = claims().to_string();
        let tokens = [
            ec_signed(&header("ES256", "k"), &text),
            ed_signed(&header("EdDSA", "k"), &text),
            signed(&header("RS256", "k"), &text),
            // (B, 1): a signature of the identity's, were that a key.
            token(&header("EdDSA", "k"), &text, |_| {
                let base = [&[0x58][..], &[0x66; 31], &[1], &[0; 31]].concat();
                assert_eq!(base.len(), 64);
                base
            }),
        ];
        let good = tokens.iter().filter(|token| taken_with(token, &oidc, &keys).is_ok()).count();
        assert_eq!(good, usize::from(takes), "{key}");
    }
}

/// A set with a key of another kind under the name that tokens give.
#[test]
fn from_one_kind_to_another() {
    const URL: &str = "https://issuer.example/jwks";
    let set = |key: &str| jwks::parse(&format!("{{\"keys\":[{key}]}}"));
    let mut cache = JwksCache::default();
    let look = |cache: &mut JwksCache, algorithm: Algorithm, ms: u64| match cache.find(
        URL,
        "k",
        algorithm,
        NOW_MS + ms,
    ) {
        Found::Key(..) => "key",
        Found::Ask => "ask",
        Found::Wait => "wait",
        Found::Unknown => "unknown",
        Found::Unreachable => "unreachable",
    };
    assert_eq!(look(&mut cache, Algorithm::Rs256, 0), "ask");
    cache.answered(URL, set(&jwk("k")), NOW_MS);
    assert_eq!(
        (look(&mut cache, Algorithm::Rs256, 1), look(&mut cache, Algorithm::Es256, 1)),
        ("key", "unknown")
    );
    assert_eq!(
        (look(&mut cache, Algorithm::Es256, 30_000), look(&mut cache, Algorithm::Rs256, 30_001)),
        ("ask", "key")
    );
    cache.answered(URL, set(&ec_jwk("k")), NOW_MS + 30_000);
    assert_eq!(
        (look(&mut cache, Algorithm::Es256, 30_002), look(&mut cache, Algorithm::Rs256, 30_002)),
        ("key", "unknown")
    );
}

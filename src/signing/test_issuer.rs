//! An issuer of tokens for tests: the example service account's key under another name, and one of each other kind.

use super::rsa_key::RsaKey;
use super::{ed25519, es256, rs256};
use base64ct::{Base64UrlUnpadded, Encoding};

/// The private keys besides RSA's.
pub(crate) const SEED: [u8; 32] = [7; 32];

fn key() -> RsaKey {
    let account: serde_json::Value =
        serde_json::from_str(include_str!("fixtures/service_account.json")).unwrap();
    RsaKey::from_pem(account["private_key"].as_str().unwrap()).unwrap()
}

/// The public key as a JSON Web Key of that name.
pub(crate) fn jwk(id: &str) -> String {
    let key = key();
    let [n, e] = [&key.modulus, &key.public_exponent].map(|number| Base64UrlUnpadded::encode_string(number));
    format!(r#"{{"kty":"RSA","kid":"{id}","use":"sig","alg":"RS256","n":"{n}","e":"{e}"}}"#)
}

/// The same of the key on P-256.
pub(crate) fn ec_jwk(id: &str) -> String {
    let [x, y] = es256::tests::public(&SEED).map(|number| Base64UrlUnpadded::encode_string(&number));
    format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","use":"sig","alg":"ES256","x":"{x}","y":"{y}"}}"#)
}

/// The same of the Ed25519 key.
pub(crate) fn ed_jwk(id: &str) -> String {
    let x = Base64UrlUnpadded::encode_string(&ed25519::tests::public(&SEED));
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","use":"sig","alg":"EdDSA","x":"{x}"}}"#)
}

/// A token of that header and those claims, signed so.
pub(crate) fn token(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let [header, claims] = [header, claims].map(|part| Base64UrlUnpadded::encode_string(part.as_bytes()));
    let text = format!("{header}.{claims}");
    let signature = sign(text.as_bytes());
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature))
}

/// Signed with RS256 whatever the header says.
pub(crate) fn signed(header: &str, claims: &str) -> String {
    token(header, claims, |text| rs256::sign(&key(), text).unwrap())
}

/// With ES256.
pub(crate) fn ec_signed(header: &str, claims: &str) -> String {
    token(header, claims, |text| es256::tests::sign(&SEED, text).to_vec())
}

/// With EdDSA.
pub(crate) fn ed_signed(header: &str, claims: &str) -> String {
    token(header, claims, |text| ed25519::tests::sign(&SEED, text).to_vec())
}

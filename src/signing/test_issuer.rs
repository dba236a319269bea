//! An issuer of tokens for tests: the example service account's key under another name.

use super::rs256;
use super::rsa_key::RsaKey;
use base64ct::{Base64UrlUnpadded, Encoding};

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

/// A token of that header and those claims, signed with RS256 whatever the header says.
pub(crate) fn signed(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| Base64UrlUnpadded::encode_string(part.as_bytes()));
    let text = format!("{header}.{claims}");
    let signature = rs256::sign(&key(), text.as_bytes()).unwrap();
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature))
}

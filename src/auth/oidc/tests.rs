//! Tokens as issuers make them, and others.

use super::jwks::{self, Found, JwksCache, PublicKey};
use super::*;
use crate::signing::test_issuer::{jwk, signed};
use serde_json::{Value, json};

pub(super) const NOW_MS: u64 = 1_800_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;

pub(super) fn oidc() -> Oidc {
    serde_json::from_value(json!({
        "issuer": "https://oidc.vercel.com/acme",
        "audience": "https://gw.acme.dev",
        "owner_id": "team_1",
        "project_id": "prj_1",
        "environment": ["production", "staging"],
        "claims": {"project": ["web", "site"], "plan": "1"},
    }))
    .unwrap()
}

pub(super) fn claims() -> Value {
    json!({
        "iss": "https://oidc.vercel.com/acme", "aud": "https://gw.acme.dev",
        "exp": NOW_S + 600, "nbf": NOW_S - 5, "iat": NOW_S - 5,
        "owner_id": "team_1", "project_id": "prj_1", "environment": "production",
        "project": "web", "plan": 1, "sub": "owner:acme:project:web:environment:production",
    })
}

fn with(name: &str, value: impl std::convert::Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    signed(r#"{"alg":"RS256","kid":"k1"}"#, &claims.to_string())
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    signed(r#"{"alg":"RS256","kid":"k1"}"#, &claims.to_string())
}

fn with_header(header: &str) -> String {
    signed(header, &claims().to_string())
}

fn keys() -> Vec<PublicKey> {
    jwks::parse(&format!("{{\"keys\":[{}]}}", jwk("k1"))).unwrap()
}

fn taken(token: &str) -> Result<(), ApiError> {
    taken_with(token, &oidc(), &keys())
}

/// As a request does it, without the network.
pub(super) fn taken_with(token: &str, oidc: &Oidc, keys: &[PublicKey]) -> Result<(), ApiError> {
    let token = Token::parse(token)?;
    if !token.is_of(&oidc.issuer) {
        return Err(refused("is of an issuer (`iss`) that is not known"));
    }
    let algorithm = token.suits(oidc, NOW_MS)?;
    let id = token.key_id()?;
    let key = keys.iter().find(|key| key.is(&id, algorithm));
    token.verify(key.ok_or_else(|| refused("is signed with a key (`kid`) that its issuer does not have"))?)
}

#[test]
fn good_tokens() {
    for token in [
        with("sub", "anything"),
        with("aud", json!(["https://gw.acme.dev"])),
        with("environment", "staging"),
        with("project", "site"),
        with("exp", NOW_S - 29),
        with("nbf", NOW_S + 30),
        with("exp", json!(NOW_S as f64 + 1.5)),
        without("nbf"),
        without("iat"),
        with_header(r#"{"typ":"JWT","kid":"k1","alg":"RS256","jku":"https://evil.example/jwks"}"#),
    ] {
        assert_eq!(taken(&token), Ok(()), "{token}");
    }
}

/// Each is refused, and whoever sent it in good faith is told why.
#[test]
fn forged_tokens() {
    let good = with("sub", "x");
    let (signed_part, signature) = good.rsplit_once('.').unwrap();
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let hmac = |header: &str, key: &[u8]| {
        use hmac::{KeyInit, Mac};
        let text = format!("{}.{}", encode(header), encode(&claims().to_string()));
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        format!("{text}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()))
    };
    let another_body = format!(
        "{}.{}.{signature}",
        encode(r#"{"alg":"RS256","kid":"k1"}"#),
        encode(&claims().to_string().replace("\"sub\"", "\"sub2\""))
    );
    let flipped = {
        let mut bytes = Base64UrlUnpadded::decode_vec(signature).unwrap();
        bytes[100] ^= 1;
        format!("{signed_part}.{}", Base64UrlUnpadded::encode_string(&bytes))
    };
    let shorter = |bytes: usize| {
        let whole = Base64UrlUnpadded::decode_vec(signature).unwrap();
        format!("{signed_part}.{}", Base64UrlUnpadded::encode_string(&whole[..bytes]))
    };
    let twice = |extra: &str| {
        let text = claims().to_string();
        signed(r#"{"alg":"RS256","kid":"k1"}"#, &format!("{},{extra}}}", text.strip_suffix('}').unwrap()))
    };
    let table = [
        // The algorithm.
        (format!("{}.{}.", encode(r#"{"alg":"none","kid":"k1"}"#), encode(&claims().to_string())), "`none`"),
        (with_header(r#"{"alg":"None","kid":"k1"}"#), "`None`"),
        (with_header(r#"{"kid":"k1"}"#), "signed by ``"),
        (hmac(r#"{"alg":"HS256","kid":"k1"}"#, jwk("k1").as_bytes()), "`HS256`"),
        (hmac(r#"{"alg":"RS256","kid":"k1"}"#, jwk("k1").as_bytes()), "signature"),
        (with_header(r#"{"alg":"PS256","kid":"k1"}"#), "`PS256`"),
        (with_header(r#"{"alg":"RS256","kid":"k1","crit":["b64"],"b64":false}"#), "`crit`"),
        // The key.
        (with_header(r#"{"alg":"RS256","kid":"k2"}"#), "`kid`"),
        (with_header(r#"{"alg":"RS256"}"#), "`kid`"),
        (with_header(r#"{"alg":"RS256","kid":""}"#), "`kid`"),
        // The signature.
        (another_body, "signature"),
        (flipped, "signature"),
        (shorter(255), "signature"),
        (shorter(0), "signature"),
        (format!("{signed_part}.{}", "A".repeat(342)), "signature"),
        (signed_part.to_owned(), "three parts"),
        (format!("{good}.x"), "three parts"),
        (format!("{good}="), "three parts"),
        (format!("{signed_part}.{}", signature.replace(['-', '_'], "+")), "three parts"),
        // Whose it is, and whom it is for.
        (with("iss", "https://oidc.vercel.com/acme-evil"), "`iss`"),
        (with("iss", "https://oidc.vercel.com/acme/"), "`iss`"),
        (with("iss", "https://oidc.vercel.com"), "`iss`"),
        (with("iss", json!(["https://oidc.vercel.com/acme"])), "`iss`"),
        (without("iss"), "`iss`"),
        (with("aud", "https://vercel.com/acme"), "`aud`"),
        (with("aud", "https://gw.acme.dev/"), "`aud`"),
        (with("aud", json!(["https://gw.acme.dev", "https://other.example"])), "several audiences"),
        (with("aud", json!(["https://other.example"])), "`aud`"),
        (with("aud", json!([])), "`aud`"),
        (with("aud", json!({"https://gw.acme.dev": 1})), "`aud`"),
        (without("aud"), "`aud`"),
        (with("owner_id", "team_2"), "`owner_id` is `team_2`"),
        (with("project_id", "prj_2"), "`project_id` is `prj_2`"),
        (with("environment", "preview"), "`environment` is `preview`"),
        (with("environment", json!(["production"])), "`environment` is not there"),
        (without("owner_id"), "`owner_id` is not there"),
        (with("owner_id", Value::Null), "`owner_id` is not there"),
        (with("project", "we"), "`project`"),
        // When.
        (with("exp", NOW_S - 30), "expired"),
        (with("exp", 0), "expired"),
        (with("exp", json!(-5)), "`exp`"),
        (with("exp", "never"), "`exp`"),
        (with("exp", (NOW_S + 600).to_string()), "`exp`"),
        (without("exp"), "`exp`"),
        (with("nbf", NOW_S + 31), "`nbf`"),
        (with("nbf", "now"), "`nbf`"),
        (with("iat", NOW_S + 3600), "`iat`"),
        // What is said twice.
        (twice(r#""owner_id":"team_1""#), "twice"),
        (twice(r#""\u0061ud":"https://gw.acme.dev""#), "twice"),
        (with_header(r#"{"alg":"none","alg":"RS256","kid":"k1"}"#), "twice"),
        // What is no token.
        (format!("eyJ{}", "a".repeat(9000)), "8 KiB"),
        ("eyJ.".to_owned(), "three parts"),
        ("eyJhbGciOiJSUzI1NiJ9.W10.AA".to_owned(), "three parts"),
        (format!("{}.{}.AA", encode("{\"alg\":\"RS256\"} x"), encode("{}")), "three parts"),
    ];
    for (token, part) in table {
        let error = taken(&token).expect_err(&token);
        assert_eq!((error.status, error.code), (401, "invalid_token"));
        assert!(error.message.contains(part), "{part}: {}", error.message);
        for right in ["team_1", "prj_1", "https://gw.acme.dev"] {
            assert!(!error.message.contains(right), "{}", error.message);
        }
    }
}

#[test]
fn other_kinds_of_keys_are_left_out() {
    let own: Value = serde_json::from_str(&jwk("k1")).unwrap();
    let changed = |name: &str, value: &str| {
        let mut key = own.clone();
        key[name] = value.into();
        key
    };
    let good = claims().to_string();
    let token = signed(r#"{"alg":"RS256","kid":"k1"}"#, &good);
    let token = Token::parse(&token).unwrap();
    for (key, takes) in [
        (own.clone(), true),
        (changed("use", "enc"), false),
        (changed("alg", "RS512"), false),
        (changed("kty", "oct"), false),
        (changed("e", "AQ"), false),
        (changed("e", "Ag"), false),
        (changed("n", "AQAB"), false),
        // Leading zeros.
        (changed("e", "AAEAAQ"), false),
    ] {
        let keys = jwks::parse(&json!({"keys": [key]}).to_string()).unwrap();
        let found = keys.iter().find(|key| key.is("k1", Algorithm::Rs256));
        assert_eq!(found.is_some_and(|key| token.verify(key).is_ok()), takes, "{key}");
    }
    for text in ["", "[]", "{}", "{\"keys\":1}", "<html>"] {
        assert!(jwks::parse(text).is_none(), "{text}");
    }
    assert!(jwks::parse("{\"keys\":[]}").is_some_and(|keys| keys.is_empty()));
}

/// One request asks; the others use what is known, or wait; nobody asks twice in half a minute.
#[test]
fn issuers_are_asked_seldom() {
    const URL: &str = "https://issuer.example/jwks";
    let mut cache = JwksCache::default();
    let look =
        |cache: &mut JwksCache, id: &str, ms: u64| match cache.find(URL, id, Algorithm::Rs256, NOW_MS + ms) {
            Found::Key(..) => "key",
            Found::Ask => "ask",
            Found::Wait => "wait",
            Found::Unknown => "unknown",
            Found::Unreachable => "unreachable",
        };
    let answer =
        |cache: &mut JwksCache, keys: Option<Vec<PublicKey>>, ms: u64| cache.answered(URL, keys, NOW_MS + ms);
    const HOUR: u64 = jwks::FRESH_MS;
    assert_eq!((look(&mut cache, "k1", 0), look(&mut cache, "k1", 1)), ("ask", "wait"));
    answer(&mut cache, None, 0);
    assert_eq!((look(&mut cache, "k1", 2), look(&mut cache, "k1", 29_999)), ("unreachable", "unreachable"));
    assert_eq!(look(&mut cache, "k1", 30_000), "ask");
    // Who asked has gone: the next one takes its place, though not at once.
    assert_eq!((look(&mut cache, "k1", 34_999), look(&mut cache, "k1", 35_000)), ("wait", "unreachable"));
    assert_eq!(look(&mut cache, "k1", 60_000), "ask");
    answer(&mut cache, Some(keys()), 60_000);
    assert_eq!((look(&mut cache, "k1", 60_001), look(&mut cache, "k9", 60_002)), ("key", "unknown"));
    // A key that is not known is asked for once.
    assert_eq!((look(&mut cache, "k9", 90_000), look(&mut cache, "k1", 90_001)), ("ask", "key"));
    assert_eq!(look(&mut cache, "k9", 90_002), "wait");
    answer(&mut cache, Some(keys()), 90_000);
    assert_eq!(look(&mut cache, "k9", 90_003), "unknown");
    // After an hour it is asked again; what is known serves the others, and everybody while it does not answer.
    assert_eq!(
        (look(&mut cache, "k1", 90_000 + HOUR), look(&mut cache, "k1", 90_001 + HOUR)),
        ("ask", "key")
    );
    answer(&mut cache, None, 90_000 + HOUR);
    assert_eq!(
        (look(&mut cache, "k1", 90_002 + HOUR), look(&mut cache, "k1", 120_000 + HOUR)),
        ("key", "ask")
    );
    answer(&mut cache, None, 120_000 + HOUR);
    // An older set does not replace a newer one.
    answer(&mut cache, Some(Vec::new()), 0);
    assert_eq!(look(&mut cache, "k1", 120_001 + HOUR), "key");
    // For a day.
    let day = 90_000 + jwks::LONGEST_MS;
    assert_eq!(look(&mut cache, "k1", day - 1), "ask");
    answer(&mut cache, None, day - 1);
    assert_eq!((look(&mut cache, "k1", day - 1), look(&mut cache, "k1", day)), ("key", "unreachable"));
}

use super::*;

const FILE: &str = include_str!("fixtures/service_account.json");
const NOW_MS: u64 = 1_700_000_000_999;

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut account: Value = serde_json::from_str(FILE).unwrap();
    change(&mut account);
    account.to_string().into_bytes()
}

/// The signature in `fixtures/assertion.txt` is by PyPI `cryptography` 50, over the same header and claims with the key of
/// `fixtures/service_account.json`; it is the only one that there is, since PKCS #1 v1.5 draws nothing.
#[test]
fn the_assertion_is_the_one_that_another_implementation_signs() {
    let account = ServiceAccount::parse(FILE.as_bytes(), TOKEN_URI).unwrap();
    let body = account.token_request(NOW_MS).unwrap();
    let (grant, assertion) = body.split_once("&assertion=").unwrap();
    assert_eq!(grant, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
    assert_eq!(assertion, include_str!("fixtures/assertion.txt").trim_end());
    assert_eq!(account.token_uri(), TOKEN_URI);
}

#[test]
fn the_claims_are_what_google_asks_for() {
    let file = changed(|account| {
        account["client_email"] = "a\"b@example.com".into();
        account["token_uri"] = Value::Null;
    });
    let account = ServiceAccount::parse(&file, "http://localhost:1/token").unwrap();
    let assertion = account.assertion(1_700_000_000).unwrap();
    let parts: Vec<_> =
        assertion.split('.').map(|part| Base64UrlUnpadded::decode_vec(part).unwrap()).collect();
    let json = |part: &[u8]| serde_json::from_slice::<Value>(part).unwrap();
    assert_eq!(json(&parts[0]), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef"}));
    let claims = serde_json::json!({
        "iss": "a\"b@example.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "http://localhost:1/token",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    });
    assert_eq!((json(&parts[1]), parts[2].len()), (claims, 256));
}

#[test]
fn a_file_that_is_none_says_what_to_do() {
    let without = |name: &str| changed(|account| drop(account.as_object_mut().unwrap().remove(name)));
    let with = |name: &str, value: &str| changed(|account| account[name] = value.into());
    for (file, expected) in [
        (b"".to_vec(), BadAccount::NotJson),
        (b"[]".to_vec(), BadAccount::NotJson),
        (b"\xff".to_vec(), BadAccount::NotJson),
        (FILE.as_bytes()[..100].to_vec(), BadAccount::NotJson),
        (b"{}".to_vec(), BadAccount::Missing("type")),
        (without("client_email"), BadAccount::Missing("client_email")),
        (without("private_key"), BadAccount::Missing("private_key")),
        (without("private_key_id"), BadAccount::Missing("private_key_id")),
        (with("client_email", ""), BadAccount::Missing("client_email")),
        (changed(|account| account["private_key"] = 1.into()), BadAccount::Missing("private_key")),
        (with("type", "authorized_user"), BadAccount::NotServiceAccount),
        (with("token_uri", "https://evil.example/token"), BadAccount::TokenUri),
        (with("token_uri", "https://oauth2.googleapis.com/token/"), BadAccount::TokenUri),
        (with("private_key", "x"), BadAccount::Key(BadKey::NotPem)),
        (with("private_key", include_str!("fixtures/ec.pem")), BadAccount::Key(BadKey::NotRsa)),
    ] {
        assert_eq!(ServiceAccount::parse(&file, TOKEN_URI).err(), Some(expected));
        let says = expected.to_string();
        assert!(
            [": store", ": create", ": use", "must begin"].iter().any(|what| says.contains(what)),
            "{says}"
        );
    }
}

#[test]
fn an_account_without_a_token_endpoint_gets_the_gateways() {
    let file = changed(|account| drop(account.as_object_mut().unwrap().remove("token_uri")));
    assert_eq!(ServiceAccount::parse(&file, TOKEN_URI).unwrap().token_uri(), TOKEN_URI);
}

#[test]
fn answers_of_the_token_endpoint() {
    let read = |answer: &str| {
        let token = AccessToken::read(answer.as_bytes(), 5)?;
        Ok((token.token.sign_with(|token| String::from_utf8(token.to_vec()).unwrap()), token.expires_ms))
    };
    let refused = |why: &str| Err(NoToken::Refused(why.to_owned()));
    for (answer, expected) in [
        (
            r#"{"access_token":"ya29.c.x..","expires_in":3599,"token_type":"Bearer"}"#,
            Ok(("ya29.c.x..".to_owned(), 3_599_005)),
        ),
        (r#"{"access_token":"a","expires_in":1e12}"#, Ok(("a".to_owned(), 43_200_005))),
        (
            r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            refused("invalid_grant: Invalid JWT Signature."),
        ),
        (r#"{"error":"invalid_scope","access_token":"a","expires_in":1}"#, refused("invalid_scope")),
        (r#"{"error":{"code":503}}"#, refused(r#"{"code":503}"#)),
        (r#"{"error":"a\nb"}"#, refused("a b")),
        (r#"{"access_token":"a"}"#, Err(NoToken::Unreadable)),
        (r#"{"access_token":"","expires_in":1}"#, Err(NoToken::Unreadable)),
        (r#"{"access_token":1,"expires_in":1}"#, Err(NoToken::Unreadable)),
        (r#"{"access_token":"a","expires_in":-1}"#, Err(NoToken::Unreadable)),
        (r#"{"id_token":"a"}"#, Err(NoToken::Unreadable)),
        ("<html>", Err(NoToken::Unreadable)),
        ("", Err(NoToken::Unreadable)),
    ] {
        assert_eq!(read(answer), expected, "{answer}");
    }
}

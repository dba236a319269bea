use super::*;
use serde_json::json;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn claims() -> Claims {
    Claims {
        id: "01j".into(),
        key: "app".into(),
        mark: "m".into(),
        made: None,
        models: vec!["small".into()],
        origin: "https://app.example".into(),
        user: Some("u1".into()),
        from: 1_000,
        until: 1_600,
        requests: 5,
        cost: None,
    }
}

#[test]
fn a_token_says_what_was_signed_and_nothing_else() {
    let token = claims().sign(SECRET);
    let read = |token: &str, secret: &[u8], origin: Option<&str>, ms| {
        Claims::read(token, secret, origin.map(str::as_bytes), ms)
    };
    let page = Some("https://app.example");
    assert_eq!(read(&token, SECRET, page, 1_599_999), Ok(claims()));
    let (text, signature) = token.rsplit_once('.').unwrap();
    let more = Claims { requests: 500, ..claims() }.sign(b"another secret");
    let (forged, _) = more.rsplit_once('.').unwrap();
    for (token, secret, origin, ms, status) in [
        (&*token, SECRET, page, 1_600_000, 401),
        (&*token, b"another" as &[u8], page, 0, 401),
        (&*format!("{forged}.{signature}"), SECRET, page, 0, 401),
        (&*format!("{text}."), SECRET, page, 0, 401),
        (text, SECRET, page, 0, 401),
        (&*format!("{token}0"), SECRET, page, 0, 401),
        ("mgt-", SECRET, page, 0, 401),
        (&*format!("mgt-{}.{signature}", "A".repeat(9000)), SECRET, page, 0, 401),
        (&*token, SECRET, None, 0, 403),
        (&*token, SECRET, Some("https://app.example.evil"), 0, 403),
        (&*token, SECRET, Some("null"), 0, 403),
    ] {
        assert_eq!(read(token, secret, origin, ms).unwrap_err().status, status, "{token}");
    }
}

#[test]
fn a_mark_is_of_the_keys_text() {
    let key = |oidc: serde_json::Value| -> Key {
        serde_json::from_value(json!({"name": "app", "oidc": oidc})).unwrap()
    };
    let plain = key(json!(null));
    let issued = key(json!({"issuer": "https://i.example", "audience": "a"}));
    let digest = super::super::digest;
    let marks = [
        mark(SECRET, &plain, Some(&digest("a"))),
        mark(SECRET, &plain, Some(&digest("b"))),
        mark(SECRET, &plain, None),
        mark(SECRET, &issued, Some(&digest("a"))),
        mark(b"other", &plain, Some(&digest("a"))),
    ];
    for (at, one) in marks.iter().enumerate() {
        assert!(one.len() == 16 && marks[at + 1..].iter().all(|other| other != one), "{marks:?}");
    }
    assert_eq!(mark(SECRET, &issued, None), marks[3], "tokens of an issuer differ each time");
}

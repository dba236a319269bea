use super::*;

#[test]
fn times() {
    for (json, expected) in [
        ("null", Some(0)),
        ("1798761600", Some(1_798_761_600_000)),
        (r#""2027-01-01T00:00:00Z""#, Some(1_798_761_600_000)),
        (r#""2027-01-01t01:30:00.25+01:30""#, Some(1_798_761_600_000)),
        (r#""2026-12-31 19:00:00-05:00""#, Some(1_798_761_600_000)),
        (r#""2027-01-01""#, None),
        (r#""2027-01-01T00:00:00""#, None),
        (r#""2027-01-01T24:00:00Z""#, None),
        (r#""2027-01-01T00:60:00Z""#, None),
        (r#""2027-01-01T00:00:00.Z""#, None),
        (r#""2027-01-01T00:00:00+1:00""#, None),
        (r#""2027-02-29T00:00:00Z""#, None),
        (r#""2027-01-0éT00:00:00Z""#, None),
        ("-1", None),
        ("0", None),
        ("1.5", None),
        ("true", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(moment_ms(json), expected, "{json}");
    }
}

fn config() -> Config {
    serde_json::from_value(serde_json::json!({
        "routes": [{"model": "a", "origin": "o"}, {"model": "b", "origin": "o"}],
    }))
    .unwrap()
}

fn key(json: serde_json::Value) -> Key {
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_key_is_weaker_than_its_maker() {
    let acme =
        key(serde_json::json!({"name": "maker", "tenant": "acme", "models": ["a"], "makes_keys": true}));
    let alone = key(serde_json::json!({"name": "alone", "makes_keys": true}));
    for (maker, body, expected) in [
        (None, r#"{"name":"k"}"#, Ok(None)),
        (None, r#"{"name":"k","tenant":"t","models":["a","b"],"errors":"full"}"#, Ok(Some("t"))),
        (Some(&acme), r#"{"name":"k"}"#, Ok(Some("acme"))),
        (Some(&acme), r#"{"name":"k","tenant":"acme","models":["a"]}"#, Ok(Some("acme"))),
        (Some(&acme), r#"{"name":"k","models":[]}"#, Ok(Some("acme"))),
        (Some(&acme), r#"{"name":"k","tenant":"other"}"#, Err((403, "of the tenant `acme`"))),
        (Some(&acme), r#"{"name":"k","models":["a","b"]}"#, Err((403, "may not use the model \"b\""))),
        (Some(&acme), r#"{"name":"k","errors":"full"}"#, Err((403, "plain"))),
        (Some(&alone), r#"{"name":"k"}"#, Ok(Some("alone"))),
        (Some(&alone), r#"{"name":"k","errors":"full","models":["b"]}"#, Ok(Some("alone"))),
        (Some(&alone), r#"{"name":"k","tenant":"acme"}"#, Err((403, "of the tenant `alone`"))),
        (None, r#"{"name":"k","makes_keys":true}"#, Err((400, "makes_keys"))),
        (None, r#"{"name":"k","sha256":"00"}"#, Err((400, "sha256"))),
        (None, r#"{"tenant":"t"}"#, Err((400, "needs a `name`"))),
        (None, r#"{"name":"a b"}"#, Err((400, "cannot be a name"))),
        (None, r#"{"name":"k","tenant":"../x"}"#, Err((400, "cannot be a name"))),
        (None, r#"{"name":"k","models":["c"]}"#, Err((400, "models[0]: no route serves `c`"))),
        (None, r#"{"name":"k","limits":[{"per":"day"}]}"#, Err((400, "limits[0]: has `per`"))),
        (None, r#"{"name":"k","ttl":0}"#, Err((400, "`ttl` is in seconds"))),
        (None, r#"{"name":"k","ttl":5,"expires_at":7}"#, Err((400, "not both"))),
        (None, r#"{"name":"k","expires_at":5}"#, Err((400, "is over"))),
        (None, r#"{"name":"k","overlap":5}"#, Err((400, "belongs to rotate"))),
        (None, "[", Err((400, "is no key"))),
    ] {
        let made = KeyBody::parse(body.as_bytes()).and_then(|body| body.into_key(&config(), maker, 10_000));
        match (made, expected) {
            (Ok((key, _)), Ok(tenant)) => assert_eq!(key.tenant.as_deref(), tenant, "{body}"),
            (Err(error), Err((status, part))) => {
                assert_eq!(error.status, status, "{body}: {}", error.message);
                assert!(error.message.contains(part), "{body}: {}", error.message);
            }
            (got, _) => panic!("{body}: {got:?}"),
        }
    }
}

#[test]
fn what_is_changed() {
    let maker = key(serde_json::json!({"name": "maker", "models": ["a"], "makes_keys": true}));
    let limits = |body: &str| {
        KeyBody::parse(body.as_bytes()).and_then(|body| body.into_change(&config(), Some(&maker), 10_000))
    };
    let change = |limits, models, expires_ms| Change::Limit { limits, models, expires_ms };
    assert_eq!(limits(r#"{"models":null}"#), Ok(change(None, Some(Models::All), None)));
    assert_eq!(limits(r#"{"expires_at":null}"#), Ok(change(None, None, Some(0))));
    assert_eq!(limits(r#"{"ttl":1,"limits":[]}"#), Ok(change(Some(vec![]), None, Some(11_000))));
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        (r#"{"name":"x","limits":[]}"#, 400),
        (r#"{"limits":null}"#, 400),
        (r#"{"models":["b"]}"#, 403),
    ] {
        assert_eq!(limits(body).unwrap_err().status, status, "{body}");
    }
    let overlap = |body: &str| KeyBody::parse(body.as_bytes()).and_then(KeyBody::into_overlap_ms);
    assert_eq!(overlap("").unwrap(), 86_400_000);
    assert_eq!(overlap(r#"{"overlap":0}"#).unwrap(), 0);
    assert!(overlap(r#"{"overlap":9999999}"#).is_err() && overlap(r#"{"ttl":1}"#).is_err());
}

/// The OpenAPI document's examples have every member of its tables between them, and are taken.
#[test]
fn what_is_documented_is_read() {
    let config = Config {
        routes: serde_json::from_value(serde_json::json!([{"model": "m", "origin": "o"}])).unwrap(),
        ..config()
    };
    for own in moegate_openapi::keys::ENDPOINTS {
        let Some(request) = own.request else { continue };
        for member in request.object.members {
            let name = format!("\"{}\":", member.name);
            assert!(request.examples.iter().any(|example| example.contains(&name)), "{}: {name}", own.id);
        }
        for example in request.examples {
            let body = KeyBody::parse(example.as_bytes()).unwrap();
            let taken = match own.id {
                "makeKey" => body.into_key(&config, None, 10_000).map(drop),
                "limitKey" => body.into_change(&config, None, 10_000).map(drop),
                _ => body.into_overlap_ms().map(drop),
            };
            assert_eq!(taken, Ok(()), "{example}");
        }
    }
}

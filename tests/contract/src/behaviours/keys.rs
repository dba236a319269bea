//! Keys made at run time.

use crate::fixtures::{ADMIN_KEY, APP_KEY, COST_NANODOLLARS, always, answer_text, chat, get, json};
use crate::host::{Call, Reply};
use crate::stage::{Behaviour, Stage, expect_error};
use moegate_wire::Nanodollars;
use serde_json::Value;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "made_key",
        "a key that is made by `POST /keys` works at once, within its models and limits, and no longer once it is revoked",
        made_key,
    ),
    Behaviour::new(
        "rotated_key",
        "a key that is rotated has a new text; the one before is good for as long as was said",
        rotated_key,
    ),
    Behaviour::new(
        "keys_are_made_by_makers",
        "keys are made with the admin key: others are 403, and a name is given once (409)",
        only_makers,
    ),
];

fn call(method: &'static str, path: &str, key: &str, body: &str) -> Call {
    Call { method, body: body.as_bytes().to_vec(), ..get(path, key) }
}

fn admin(stage: &Stage<'_>, method: &'static str, path: &str, body: &str) -> (Reply, Value) {
    let reply = stage.host.call(&call(method, path, ADMIN_KEY, body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let value = serde_json::from_slice(&reply.body).unwrap();
    (reply, value)
}

fn secret(answer: &(Reply, Value)) -> String {
    answer.1["secret"].as_str().unwrap().to_owned()
}

/// A chat completion with that key.
fn with(key: &str) -> Call {
    Call { authorization: Some(format!("Bearer {key}")), ..chat("far-model") }
}

fn is_served(stage: &mut Stage<'_>, key: &str, name: &str) {
    let reply = stage.play(always(json(200, answer_text())), &with(key));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let record = stage.settled();
    assert_eq!((record.key.as_str(), record.cost_nanodollars), (name, Nanodollars(COST_NANODOLLARS)));
}

fn is_unknown(stage: &Stage<'_>, key: &str) {
    expect_error(&stage.refused(&with(key)), 401, "invalid_api_key", "");
}

fn made_key(stage: &mut Stage<'_>) {
    let body = r#"{"name":"made","tenant":"made-tenant","models":["far-model"],"limits":[{"per":"month","requests":2}]}"#;
    let key = secret(&admin(stage, "POST", "/keys", body));
    is_served(stage, &key, "made");
    is_served(stage, &key, "made");
    expect_error(&stage.refused(&with(&key)), 429, "requests_limit_exceeded", "this key may send 2");
    let other = Call { authorization: Some(format!("Bearer {key}")), ..chat("own-model") };
    expect_error(&stage.refused(&other), 403, "model_not_allowed", "");
    admin(stage, "PATCH", "/keys/made", r#"{"limits":[{"per":"month","requests":3}]}"#);
    is_served(stage, &key, "made");
    let (_, listed) = admin(stage, "GET", "/keys", "");
    let names: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert!(names.contains(&"made".into()), "{listed}");
    let (_, revoked) = admin(stage, "DELETE", "/keys/made", "");
    assert!(revoked["key"]["revoked_at"].is_u64(), "{revoked}");
    is_unknown(stage, &key);
    let (_, audit) = admin(stage, "GET", "/keys/audit", "");
    let changes = audit["changes"].as_array().unwrap();
    let of_it = changes.iter().filter(|change| change["name"] == "made");
    let what: Vec<_> = of_it.map(|change| change["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["revoke", "limit", "make"]);
}

fn rotated_key(stage: &mut Stage<'_>) {
    let first = secret(&admin(stage, "POST", "/keys", r#"{"name":"rotated"}"#));
    let second = secret(&admin(stage, "POST", "/keys/rotated/rotate", ""));
    is_served(stage, &first, "rotated");
    is_served(stage, &second, "rotated");
    let third = secret(&admin(stage, "POST", "/keys/rotated/rotate", r#"{"overlap":0}"#));
    is_unknown(stage, &first);
    is_unknown(stage, &second);
    is_served(stage, &third, "rotated");
}

fn only_makers(stage: &mut Stage<'_>) {
    let body = r#"{"name":"once"}"#;
    admin(stage, "POST", "/keys", body);
    for (key, status, code) in [
        (ADMIN_KEY, 409, "key_name_taken"),
        (APP_KEY, 403, "makes_no_keys"),
        ("mg-wrong", 401, "invalid_api_key"),
    ] {
        expect_error(&stage.refused(&call("POST", "/keys", key, body)), status, code, "");
    }
    let wrong = call("POST", "/keys", ADMIN_KEY, r#"{"name":"x","colour":"red"}"#);
    expect_error(&stage.refused(&wrong), 400, "invalid_key", "colour");
}

//! Keys made at run time: made, used, limited, expired, rotated, revoked.

use contract::fixtures::{APP_KEY, TENANT_KEY};
use ledger::keys::{MINUTE_MS, SEEN_MS, answering, asked, code, made, secret, used, value, with, with_maker};
use ledger::{Setting, admin, body, by, client, said, status, text};
use moegate::gateway::Gateway;
use moegate::platform::fake::{Hazards, serve};
use serde_json::Value;

#[test]
fn a_key_is_made_used_limited_and_expires() {
    let setting = Setting::new();
    let got = asked(
        &setting,
        admin("POST", "/keys"),
        r#"{"name":"preview","tenant":"acme","models":["far"],"limits":[{"per":"day","requests":2}],"ttl":3600}"#,
    );
    let key = secret(&got);
    assert!(key.starts_with("mg-") && key.len() == 46, "{key}");
    let view = &value(&got)["key"];
    assert_eq!((view["name"].as_str(), view["made_by"].as_str()), (Some("preview"), Some("admin")));
    assert_eq!(view["expires_at"].as_u64().unwrap(), setting.world.now_ms() / 1000 + 3600);
    assert_eq!((used(&setting, &key), used(&setting, &key), used(&setting, &key)), (200, 200, 429));
    let other = asked(&setting, by(&key), &body("own"));
    assert_eq!((status(&other), code(&other).as_str()), (403, "model_not_allowed"));
    // Its records say whose they are, and are found by its tenant.
    let records = setting.records();
    assert!(records.iter().all(|record| record.key == "preview" && record.tenant == "acme"));
    assert_eq!(records.len(), 2);
    let usage = value(&setting.read("/usage?tenant=acme"));
    assert_eq!(usage["totals"]["requests"], 2, "{usage}");
    let found = setting.read(&format!("/requests/{}", records[0].request()));
    assert_eq!(status(&found), 200, "{}", text(&found));

    let patched =
        asked(&setting, admin("PATCH", "/keys/preview"), r#"{"limits":[{"per":"day","requests":3}]}"#);
    assert_eq!(status(&patched), 200, "{}", text(&patched));
    assert_eq!((used(&setting, &key), used(&setting, &key)), (200, 429));
    let patched = asked(&setting, admin("PATCH", "/keys/preview"), r#"{"limits":[],"models":null}"#);
    assert_eq!(status(&patched), 200, "{}", text(&patched));
    assert_eq!(status(&asked(&setting, by(&key), &body("own"))), 200);

    setting.world.pass_ms(3600 * 1000);
    let over = asked(&setting, by(&key), &body("far"));
    assert_eq!((status(&over), text(&over).contains("has expired")), (401, true), "{}", text(&over));
    let patched = asked(&setting, admin("PATCH", "/keys/preview"), r#"{"expires_at":null}"#);
    assert!(status(&patched) == 200 && value(&patched)["key"]["expires_at"].is_null(), "{}", text(&patched));
    assert_eq!(used(&setting, &key), 200);
    setting.adds_up("a key's life");
}

#[test]
fn rotation_overlaps_and_revocation_ends() {
    let setting = Setting::new();
    let first = made(&setting, r#"{"name":"k"}"#);
    let rotate = |body: &str| asked(&setting, admin("POST", "/keys/k/rotate"), body);
    let second = secret(&rotate(r#"{"overlap":600}"#));
    assert_eq!((used(&setting, &first), used(&setting, &second)), (200, 200));
    setting.world.pass_ms(600_000);
    assert_eq!((used(&setting, &first), used(&setting, &second)), (401, 200));
    let third = secret(&rotate(r#"{"overlap":0}"#));
    assert_eq!((used(&setting, &second), used(&setting, &third)), (401, 200));
    // Only so many at a time.
    let mut newest = third;
    for _ in 0..3 {
        newest = secret(&rotate(""));
    }
    assert_eq!(code(&rotate("")), "key_rotated_often");
    assert_eq!(used(&setting, &newest), 200);
    for _ in 0..2 {
        let got = asked(&setting, admin("DELETE", "/keys/k"), "");
        assert!(status(&got) == 200 && value(&got)["key"]["revoked_at"].is_u64(), "{}", text(&got));
        assert_eq!(used(&setting, &newest), 401);
    }
    for (method, path, body) in [
        ("POST", "/keys/k/rotate", ""),
        ("PATCH", "/keys/k", r#"{"limits":[]}"#),
        ("POST", "/keys", r#"{"name":"k"}"#),
    ] {
        assert_eq!(status(&asked(&setting, admin(method, path), body)), 409, "{method} {path}");
    }
    // Its records stay.
    assert!(setting.records().iter().all(|record| record.key == "k"));
    assert_eq!(setting.number("SELECT COUNT(*) FROM made_key WHERE published < version"), 0);
}

#[test]
fn a_revocation_is_seen_within_two_minutes() {
    let setting = Setting::new();
    let stale = Hazards { load_after_ms: MINUTE_MS, ..Hazards::default() };
    setting.world.hazards(stale);
    let key = made(&setting, r#"{"name":"k"}"#);
    setting.world.pass_ms(MINUTE_MS + 30_000);
    assert_eq!(used(&setting, &key), 200);
    // The worst case: the store still gives the old value in its last moment, and the instance goes by it.
    assert_eq!(status(&asked(&setting, admin("DELETE", "/keys/k"), "")), 200);
    let revoked_ms = setting.world.now_ms();
    // It reads it anew at 59.5 s.
    let mut last_ms = 0;
    setting.world.pass_ms(29_500);
    while setting.world.now_ms() < revoked_ms + SEEN_MS + 10_000 {
        if used(&setting, &key) == 200 {
            last_ms = setting.world.now_ms();
        }
        setting.world.pass_ms(1_000);
    }
    assert!(last_ms > revoked_ms + 80_000, "not the worst case: {}", last_ms - revoked_ms);
    assert!(last_ms < revoked_ms + SEEN_MS, "{}", last_ms - revoked_ms);
}

#[test]
fn a_maker_makes_weaker_keys_of_its_own() {
    let setting = with_maker(r#"[{ per = "day", requests = 3 }]"#);
    let make = |body: &str| asked(&setting, with("POST", "/keys", TENANT_KEY), body);
    let child = secret(&make(r#"{"name":"child","limits":[{"per":"day","requests":2}]}"#));
    let sibling = secret(&make(r#"{"name":"sibling"}"#));
    // Three in all, of which two may be the child's.
    assert_eq!((used(&setting, &child), used(&setting, &child)), (200, 200));
    let refused = asked(&setting, by(&child), &body("far"));
    assert!(status(&refused) == 429 && text(&refused).contains("this key may send 2"), "{}", text(&refused));
    assert_eq!(used(&setting, &sibling), 200);
    let refused = asked(&setting, by(&sibling), &body("far"));
    assert!(text(&refused).contains("the key that this one was made with may send 3"), "{}", text(&refused));
    assert_eq!((status(&refused), used(&setting, TENANT_KEY)), (429, 429));
    assert_eq!(said(&refused, "x-ratelimit-limit-requests"), "3");
    assert!(setting.records().iter().all(|record| record.tenant == "someone"));
    setting.adds_up("a maker's limits");
    // Its models are its maker's.
    let models = setting.ask(&answering(), with("GET", "/v1/models", &child), client(""));
    let listed: Vec<_> =
        value(&models)["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(listed, ["far"]);
    assert_eq!(status(&asked(&setting, by(&child), &body("own"))), 403);
    for (body, status_wanted, code_wanted) in [
        (r#"{"name":"x","tenant":"other"}"#, 403, "stronger_key"),
        (r#"{"name":"x","models":["own"]}"#, 403, "stronger_key"),
        (r#"{"name":"x","errors":"full","makes_keys":true}"#, 400, "invalid_key"),
        (r#"{"name":"child"}"#, 409, "key_name_taken"),
        (r#"{"name":"app"}"#, 409, "key_name_taken"),
    ] {
        let got = make(body);
        assert_eq!(
            (status(&got), code(&got).as_str()),
            (status_wanted, code_wanted),
            "{body}: {}",
            text(&got)
        );
    }
    // Others' keys are not its own; children and plain keys make none.
    made(&setting, r#"{"name":"admins"}"#);
    for path in ["/keys/admins", "/keys/app", "/keys/nobody"] {
        let got = asked(&setting, with("DELETE", path, TENANT_KEY), "");
        assert_eq!((status(&got), code(&got).as_str()), (404, "unknown_key"), "{path}");
    }
    for key in [&*child, APP_KEY] {
        let got = asked(&setting, with("POST", "/keys", key), r#"{"name":"y"}"#);
        assert_eq!((status(&got), code(&got).as_str()), (403, "makes_no_keys"), "{}", text(&got));
    }
    let names = |key: &str, path: &str, list: &str| -> Vec<String> {
        let got = setting.ask(&answering(), with("GET", path, key), client(""));
        let rows = value(&got)[list].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(TENANT_KEY, "/keys", "keys"), ["child", "sibling"]);
    assert_eq!(names(TENANT_KEY, "/keys/audit", "changes"), ["sibling", "child"]);
    assert_eq!(value(&setting.read("/keys"))["keys"].as_array().unwrap().len(), 3);
    assert_eq!(status(&asked(&setting, with("DELETE", "/keys/child", TENANT_KEY), "")), 200);
    assert_eq!((used(&setting, &child), used(&setting, &sibling)), (401, 429));
}

/// What the configuration says later holds for keys that are there.
#[test]
fn a_key_goes_with_its_maker_and_its_name() {
    let setting = with_maker("[]");
    let child = secret(&asked(&setting, with("POST", "/keys", TENANT_KEY), r#"{"name":"child"}"#));
    let other = made(&setting, r#"{"name":"other"}"#);
    let under = |change: &dyn Fn(Value) -> Value, key: &str| {
        let config = change(serde_json::to_value(setting.gateway.config()).unwrap());
        let gateway = Gateway::new(serde_json::from_value(config).unwrap());
        setting.world.answer(answering());
        let got = serve(&setting.world, &gateway, by(key), client(&body("far")));
        (status(&got), text(&got))
    };
    let at = |member: &'static str, to: Value| {
        move |mut config: Value| {
            config["keys"][1][member] = to.clone();
            config
        }
    };
    assert_eq!(under(&|config| config, &child).0, 200);
    assert_eq!(under(&at("makes_keys", false.into()), &child).0, 200);
    for (change, key, status, part) in [
        (at("name", "renamed".into()), &child, 401, "is gone"),
        (at("tenant", "elsewhere".into()), &child, 401, "is gone"),
        (at("models", serde_json::json!(["own"])), &child, 403, "may not use"),
        (at("name", "other".into()), &other, 401, "same name"),
    ] {
        let got = under(&change, key);
        assert!(got.0 == status && got.1.contains(part), "{got:?}");
    }
    assert_eq!(under(&at("name", "renamed".into()), &other).0, 200);
}

#[test]
fn every_change_is_in_the_audit_and_no_secret_is() {
    let setting = with_maker("[]");
    let mut secrets = vec![secret(&asked(&setting, with("POST", "/keys", TENANT_KEY), r#"{"name":"k"}"#))];
    for (method, path, body) in [
        (
            "PATCH",
            "/keys/k",
            r#"{"limits":[{"per":"day","requests":2}],"expires_at":"2099-01-01T00:00:00Z"}"#,
        ),
        ("POST", "/keys/k/rotate", ""),
        ("DELETE", "/keys/k", ""),
    ] {
        setting.world.pass_ms(1_000);
        let got = asked(&setting, admin(method, path), body);
        assert_eq!(status(&got), 200, "{}", text(&got));
        secrets.extend(value(&got)["secret"].as_str().map(str::to_owned));
    }
    let got = setting.read("/keys/audit");
    let changes = value(&got)["changes"].as_array().unwrap().clone();
    let rows: Vec<_> =
        changes.iter().map(|row| (row["what"].as_str().unwrap(), row["by"].as_str().unwrap())).collect();
    assert_eq!(rows, [("revoke", "admin"), ("rotate", "admin"), ("limit", "admin"), ("make", "tenant")]);
    assert!(changes[3]["before"].is_null() && changes[2]["before"] == changes[3]["after"]);
    assert_eq!(changes[2]["after"]["limits"][0]["requests"], 2);
    assert!(changes[1]["after"]["old_secrets_until"].is_u64() && changes[0]["after"]["revoked_at"].is_u64());
    let everywhere = text(&got) + &text(&setting.read("/keys")) + &setting.world.log().join("\n");
    for secret in secrets {
        let hash = moegate_config::key::hash(&secret);
        assert!(!everywhere.contains(&secret) && !everywhere.contains(&hash));
    }
    // Pages.
    for number in 0..105 {
        made(&setting, &format!(r#"{{"name":"n{number:03}"}}"#));
        setting.world.pass_ms(2);
    }
    for (path, list, total) in [("/keys", "keys", 106), ("/keys/audit", "changes", 109)] {
        let first = value(&setting.read(path));
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = value(&setting.read(&format!("{path}?cursor={cursor}")));
        let count = |page: &Value| page[list].as_array().unwrap().len();
        assert!(count(&first) == 100 && second["next_cursor"].is_null());
        assert_eq!(count(&first) + count(&second), total, "{path}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_no_refusal() {
    let setting = Setting::new();
    let key = made(&setting, r#"{"name":"k"}"#);
    setting.world.fail_store(1);
    let got = asked(&setting, by(&key), &body("far"));
    assert_eq!((status(&got), code(&got).as_str()), (503, "keys_unavailable"));
    assert_eq!(said(&got, "retry-after"), "1");
    assert_eq!(used(&setting, &key), 200);
    // While it is fresh nobody asks.
    setting.world.fail_store(1);
    assert_eq!((used(&setting, &key), used(&setting, APP_KEY)), (200, 200));
    setting.world.pass_ms(30_000);
    assert_eq!((used(&setting, &key), used(&setting, &key)), (503, 200));
    // Keys of another form are looked up nowhere.
    setting.world.fail_store(1);
    assert_eq!(used(&setting, "mg-wrong"), 401);
}

#[test]
fn without_a_ledger_there_are_none() {
    let setting = Setting::with(|config| config + "[ledger]\nstore = \"key-value\"\n");
    let got = asked(&setting, admin("POST", "/keys"), r#"{"name":"k"}"#);
    assert_eq!((status(&got), code(&got).as_str()), (400, "ledger_needed"), "{}", text(&got));
    assert_eq!(used(&setting, &format!("mg-{}", "A".repeat(43))), 401);
}

#[test]
fn paths_and_methods() {
    let setting = Setting::new();
    for (method, path, status_wanted, allow) in [
        ("PUT", "/keys", 405, "GET, HEAD, POST"),
        ("GET", "/keys/k", 405, "PATCH, DELETE"),
        ("GET", "/keys/k/rotate", 405, "POST"),
        ("DELETE", "/keys/k", 404, ""),
        ("DELETE", "/keys/", 405, "GET, HEAD, POST"),
        ("GET", "/keys?period=2026", 400, ""),
    ] {
        let got = asked(&setting, admin(method, path), "");
        assert_eq!((status(&got), said(&got, "allow").as_str()), (status_wanted, allow), "{method} {path}");
    }
    for (key, wanted) in [("mg-wrong", 401), (APP_KEY, 403)] {
        assert_eq!(status(&asked(&setting, with("GET", "/keys", key), "")), wanted);
    }
}

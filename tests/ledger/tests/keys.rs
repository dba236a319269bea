//! Keys made at run time: made, used, limited, expired, rotated, revoked; whatever goes wrong in between.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use contract::fixtures::{APP_KEY, Receipts, TENANT_KEY, answer_text, json, own};
use contract::in_process::InProcess;
use http::Request;
use ledger::{Setting, admin, body, by, client, said, status, text};
use moegate::gateway::Gateway;
use moegate::platform::fake::{Client, Got, Hazards, LedgerHazards, Responder, serve};
use moegate_wire::Ending;
use serde_json::Value;

const MINUTE_MS: u64 = 60_000;
/// A revocation is seen everywhere after this.
const SEEN_MS: u64 = 2 * MINUTE_MS;

fn answering() -> Responder {
    own(json(200, answer_text()), Receipts::Signed(Ending::Complete))
}

/// With the key `tenant` (of the tenant `someone`) as a maker, with these limits of its own.
fn with_maker(limits: &str) -> Setting {
    Setting::with(|config| {
        let name = "name = \"tenant\"\n";
        config.replacen(name, &format!("{name}makes_keys = true\nmodels = [\"far\"]\nlimits = {limits}\n"), 1)
    })
}

fn asked(setting: &InProcess, head: Request<()>, body: &str) -> Got {
    setting.ask(&answering(), head, client(body))
}

fn value(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or(Value::Null)
}

fn code(got: &Got) -> String {
    value(got)["error"]["code"].as_str().unwrap_or("").to_owned()
}

/// A secret made by the admin key.
fn made(setting: &InProcess, body: &str) -> String {
    secret(&asked(setting, admin("POST", "/keys"), body))
}

fn secret(got: &Got) -> String {
    assert_eq!(status(got), 200, "{}", text(got));
    value(got)["secret"].as_str().unwrap().to_owned()
}

/// What becomes of a chat completion.
fn used(setting: &InProcess, key: &str) -> u16 {
    status(&asked(setting, by(key), &body("far")))
}

fn with(method: &str, path: &str, key: &str) -> Request<()> {
    contract::in_process::by(Request::builder().method(method).uri(path).body(()).unwrap(), key)
}

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
    let mut last_ms = 0;
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

/// Each change, and whether the key then is good: with the secret that was given before, and with that of the answer.
const CHANGES: [(&str, &str, &str, bool); 4] = [
    ("POST", "/keys", r#"{"name":"new"}"#, true),
    ("PATCH", "/keys/k", r#"{"limits":[{"per":"day","requests":1}]}"#, true),
    ("POST", "/keys/k/rotate", r#"{"overlap":0}"#, false),
    ("DELETE", "/keys/k", "", false),
];

/// The change has been made, by whatever came of its first call, and nothing is left to be done.
fn is_made(setting: &Setting, number: usize, before: &str, got: &Got, what: &str) {
    let (_, _, _, old_is_good) = CHANGES[number];
    assert_eq!(status(got), 200, "{what}: {}", text(got));
    setting.world.pass_ms(SEEN_MS);
    assert_eq!(used(setting, before) == 200, old_is_good, "{what}: the key as it was");
    if let Some(secret) = value(got)["secret"].as_str() {
        assert_eq!(used(setting, secret), 200, "{what}: the new secret");
    }
    assert_eq!(setting.number("SELECT COUNT(*) FROM made_key WHERE published < version"), 0, "{what}");
}

/// The call again, until it is taken; where a name turns out to be given, its secret is made anew.
fn repeated(setting: &Setting, number: usize) -> Got {
    let (method, path, body, _) = CHANGES[number];
    for _ in 0..4 {
        let got = asked(setting, admin(method, path), body);
        match status(&got) {
            503 => setting.world.pass_ms(1_000),
            409 => return asked(setting, admin("POST", "/keys/new/rotate"), r#"{"overlap":0}"#),
            _ => return got,
        }
    }
    panic!("{method} {path} is never taken");
}

#[test]
fn a_store_that_fails_loses_nothing() {
    for (number, (method, path, body, _)) in CHANGES.into_iter().enumerate() {
        for (hazards, wanted) in [
            (Hazards { failing: 2, ..Hazards::default() }, 200),
            (Hazards { failing: 3, ..Hazards::default() }, 503),
            (Hazards { stored_but_failing: 3, ..Hazards::default() }, 503),
            (Hazards { hanging: 3, ..Hazards::default() }, 503),
        ] {
            let what = format!("{method} {path} with {hazards:?}");
            let setting = Setting::new();
            let before = made(&setting, r#"{"name":"k"}"#);
            setting.world.hazards(hazards);
            let got = asked(&setting, admin(method, path), body);
            assert_eq!(status(&got), wanted, "{what}: {}", text(&got));
            if wanted == 503 {
                assert_eq!(code(&got), "keys_not_published", "{what}");
                is_made(&setting, number, &before, &repeated(&setting, number), &what);
            } else {
                is_made(&setting, number, &before, &got, &what);
            }
        }
    }
}

#[test]
fn a_ledger_that_fails_at_any_call_loses_nothing() {
    for (number, (method, path, body, _)) in CHANGES.into_iter().enumerate() {
        for passing in 0..4 {
            for (failing, answer_lost, late, doubled) in
                [(3, 0, 0, 0), (1, 0, 0, 0), (0, 3, 0, 0), (0, 1, 0, 0), (0, 0, 3, 0), (0, 0, 0, 1)]
            {
                let hazards = LedgerHazards {
                    passing,
                    failing,
                    answer_lost,
                    late,
                    doubled,
                    ..LedgerHazards::default()
                };
                let what = format!("{method} {path} with {hazards:?}");
                let setting = Setting::new();
                let before = made(&setting, r#"{"name":"k"}"#);
                setting.world.ledger_hazards(hazards);
                let got = asked(&setting, admin(method, path), body);
                setting.world.ledger_hazards(LedgerHazards::default());
                let got = if status(&got) == 503 { repeated(&setting, number) } else { got };
                is_made(&setting, number, &before, &got, &what);
            }
        }
    }
}

#[test]
fn work_that_is_dropped_at_any_step_is_finished_by_the_next_call_or_by_upkeep() {
    for (number, (method, path, body, old_is_good)) in CHANGES.into_iter().enumerate() {
        let ask =
            |setting: &Setting, client: Client<'_>| setting.ask(&answering(), admin(method, path), client);
        let fresh = || {
            let setting = Setting::new();
            let before = made(&setting, r#"{"name":"k"}"#);
            (setting, before)
        };
        let steps = ask(&fresh().0, client(body)).steps;
        assert!(steps > 4, "{method} {path}: {steps}");
        for step in 0..steps {
            let what = format!("{method} {path}, dropped at step {step} of {steps}");
            let (setting, before) = fresh();
            ask(&setting, client(body).cancelled_at_step(step));
            setting.world.forget();
            is_made(&setting, number, &before, &repeated(&setting, number), &what);

            // Nobody calls again: what the ledger has taken comes to hold behind other requests.
            let what = format!("{what}, by upkeep");
            let (setting, before) = fresh();
            ask(&setting, client(body).cancelled_at_step(step));
            setting.world.forget();
            setting.world.pass_ms(MINUTE_MS);
            let taken = setting.number("SELECT COUNT(*) FROM key_audit") == 2;
            assert_eq!(used(&setting, APP_KEY), 200, "{what}");
            setting.world.pass_ms(SEEN_MS);
            assert_eq!(
                setting.number("SELECT COUNT(*) FROM made_key WHERE published < version"),
                0,
                "{what}"
            );
            assert_eq!(used(&setting, &before) == 200, old_is_good || !taken, "{what}");
        }
    }
}

/// Of changes at the same time the last one in the ledger holds, however slow the store is.
#[test]
fn changes_at_the_same_time_end_as_the_ledger_says() {
    for seed in 0..24 {
        let setting = Setting::new();
        let key = made(&setting, r#"{"name":"k"}"#);
        setting.world.hazards(Hazards { put_ms: 500 + 700 * (seed % 5), ..Hazards::default() });
        let limit = || (admin("PATCH", "/keys/k"), client(r#"{"limits":[{"per":"day","requests":9}]}"#));
        let requests = [limit(), (admin("DELETE", "/keys/k"), client("").starting_after(seed * 40)), limit()];
        let got = setting.ask_all(&answering(), requests.into_iter(), seed);
        assert!(got.iter().all(|got| matches!(status(got), 200 | 409 | 503)), "{got:?}");
        setting.world.hazards(Hazards::default());
        assert_eq!(status(&asked(&setting, admin("DELETE", "/keys/k"), "")), 200);
        assert_eq!(used(&setting, &key), 401, "seed {seed}");
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

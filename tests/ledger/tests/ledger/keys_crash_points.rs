//! Changes of keys whose calls fail, hang, are lost or dropped at any point: a later call finishes them, and nothing is lost.

use contract::fixtures::APP_KEY;
use ledger::keys::{MINUTE_MS, SEEN_MS, answering, asked, code, made, used, value};
use ledger::{Setting, admin, client, status, text};
use moegate::platform::fake::{Client, Got, Hazards, LedgerHazards};

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
    let mut answered = 0;
    for seed in 0..24 {
        let setting = Setting::new();
        let key = made(&setting, r#"{"name":"k"}"#);
        setting.world.hazards(Hazards { put_ms: 500 + 700 * (seed % 5), ..Hazards::default() });
        let limit = || (admin("PATCH", "/keys/k"), client(r#"{"limits":[{"per":"day","requests":9}]}"#));
        let requests = [limit(), (admin("DELETE", "/keys/k"), client("").starting_after(seed * 40)), limit()];
        let got = setting.ask_all(&answering(), requests.into_iter(), seed);
        assert!(got.iter().all(|got| matches!(status(got), 200 | 409 | 503)), "{got:?}");
        setting.world.hazards(Hazards::default());
        let revoked = status(&got[1]) == 200;
        answered += usize::from(revoked);
        for pass_ms in [0, MINUTE_MS] {
            setting.world.pass_ms(pass_ms);
            assert!(!revoked || used(&setting, &key) == 401, "seed {seed}: revoked, and good again");
        }
        assert_eq!(status(&asked(&setting, admin("DELETE", "/keys/k"), "")), 200);
        assert_eq!(used(&setting, &key), 401, "seed {seed}");
    }
    assert!(answered > 12, "{answered} revocations were answered at once");
}

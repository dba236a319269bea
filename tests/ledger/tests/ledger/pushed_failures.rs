//! A configuration is pushed, and something goes wrong.

use ledger::pushing::{
    MINUTE_MS, asked, error, json_of, push, pushed, put, state, versions, with_limit, with_route,
};
use ledger::{Setting, status, text};
use moegate::platform::fake::{Got, Hazards, LedgerHazards, serve_all};
use serde_json::{Value, json as value};

/// What an instance cannot read it leaves alone, says so once, and serves on; what comes after it is taken up.
#[test]
fn a_damaged_value_is_left_alone() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_route());
    let base = state(&setting)["base"].as_str().unwrap().to_owned();
    let good = json_of(&with_route());
    let copy = |version: u32, config: &Value| {
        value!({"version": version, "hash": "00", "base": base, "config": config}).to_string()
    };
    let mut bad_route = good.clone();
    bad_route["routes"][0]["origin"] = value!("nowhere");
    let mut other_origin = good.clone();
    other_origin["origins"][0]["url"] = value!("https://elsewhere.example/v1");
    for (damaged, part) in [
        ("{\"version\":".to_owned(), "EOF"),
        ("null".to_owned(), ""),
        (copy(9, &bad_route), "routes[0].origin: "),
        (copy(9, &other_origin), "origins[0].url: "),
        (copy(9, &value!({"unknown": 1})), "unknown"),
    ] {
        setting.world.set_value("config/current", &damaged);
        let before = setting.world.log().len();
        for _ in 0..6 {
            setting.world.pass_ms(MINUTE_MS);
            assert_eq!(asked(&setting, "new"), 200, "{damaged}");
        }
        let log = setting.world.log()[before..].to_vec();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("config/current") && log[0].contains(part), "{log:?}");
    }
    // A fresh instance has the deployed one to go on with.
    setting.world.forget();
    assert_eq!([asked(&setting, "new"), asked(&setting, "far")], [404, 200]);
    pushed(&setting, 1, &with_route());
    assert_eq!(asked(&setting, "new"), 200);
    setting.world.forget();
    assert_eq!(asked(&setting, "new"), 200);
}

/// A store that does not answer costs a second at most, and not for every request.
#[test]
fn a_store_that_is_not_there_leaves_the_last_good_one() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_route());
    for _ in 0..3 {
        setting.world.pass_ms(MINUTE_MS);
        setting.world.fail_store(1);
        assert_eq!(asked(&setting, "new"), 200);
    }
    setting.world.fail_store(0);
    // A fresh one whose store fails serves what is deployed, and asks again soon.
    setting.world.forget();
    setting.world.fail_store(1);
    assert_eq!(asked(&setting, "far"), 200);
    setting.world.pass_ms(5_000);
    assert_eq!(asked(&setting, "new"), 200);
}

#[test]
fn an_older_value_that_comes_again_is_left_alone() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_limit(5));
    let old = setting.world.value("config/current").unwrap();
    pushed(&setting, 1, &with_route());
    setting.world.set_value("config/current", &old);
    setting.world.pass_ms(MINUTE_MS);
    assert_eq!(asked(&setting, "new"), 200);
    assert_eq!(versions(&setting), [2]);
}

/// Every call that a push makes, gone wrong in every way: the caller is told, the same push again completes it, and what is
/// committed reaches instances in the end even if nobody pushes again.
#[test]
fn a_push_that_is_cut_off_is_completed() {
    let hazards = |passing: usize, kind: usize| {
        let many = usize::MAX / 2;
        let hazards = LedgerHazards { passing, ..LedgerHazards::default() };
        match kind {
            0 => LedgerHazards { failing: many, ..hazards },
            1 => LedgerHazards { answer_lost: many, ..hazards },
            2 => LedgerHazards { answer_lost: 1, ..hazards },
            3 => LedgerHazards { doubled: 1, ..hazards },
            _ => LedgerHazards { late: 1, ..hazards },
        }
    };
    for again in [true, false] {
        for kind in 0..5 {
            for passing in 0..4 {
                let what = format!("again {again}, kind {kind} after {passing}");
                let setting = Setting::new();
                assert_eq!(asked(&setting, "far"), 200);
                setting.world.ledger_hazards(hazards(passing, kind));
                let got = push(&setting, 0, &with_route());
                setting.world.ledger_hazards(LedgerHazards::default());
                completed(&setting, &got, again, &what);
            }
        }
        for hazards in [
            Hazards { failing: 1, ..Hazards::default() },
            Hazards { stored_but_failing: 1, ..Hazards::default() },
            Hazards { hanging: 1, ..Hazards::default() },
        ] {
            let what = format!("again {again}, {hazards:?}");
            let setting = Setting::new();
            assert_eq!(asked(&setting, "far"), 200);
            setting.world.hazards(hazards);
            let got = push(&setting, 0, &with_route());
            assert_eq!(
                (status(&got), error(&got)["code"].as_str()),
                (503, Some("config_not_published")),
                "{what}"
            );
            setting.world.hazards(Hazards::default());
            completed(&setting, &got, again, &what);
        }
    }
}

fn completed(setting: &Setting, got: &Got, again: bool, what: &str) {
    assert!(matches!(status(got), 200 | 503), "{what}: {}", text(got));
    let is_committed = setting.number("SELECT COUNT(*) FROM config_version") > 0;
    assert!(status(got) == 503 || is_committed, "{what}");
    if again {
        pushed(setting, 0, &with_route());
    }
    // A later request's upkeep, by another instance.
    setting.world.forget();
    assert_eq!(asked(setting, "far"), 200, "{what}");
    setting.world.pass_ms(2 * MINUTE_MS + 1);
    assert_eq!(asked(setting, "far"), 200, "{what}");
    setting.world.forget();
    assert_eq!(asked(setting, "new"), if is_committed || again { 200 } else { 404 }, "{what}");
    assert!(setting.number("SELECT COUNT(*) FROM config_version") <= 1, "{what}");
    setting.world.pass_ms(2 * MINUTE_MS + 1);
    assert_eq!(asked(setting, "far"), 200, "{what}");
    assert_eq!(setting.number("SELECT COUNT(*) FROM config_version WHERE published = 0"), 0, "{what}");
}

/// A writer that is slow does not leave its older value behind a newer one.
#[test]
fn a_slow_writer_leaves_the_latest() {
    for seed in 0..30 {
        let setting = Setting::new();
        setting.world.hazards(Hazards { put_ms: 3_000, ..Hazards::default() });
        let first = put(0, &json_of(&with_limit(1)));
        let second = put(1, &json_of(&with_route()));
        let got = serve_all(&setting.world, &setting.gateway, vec![first, second], seed);
        if status(&got[1]) == 409 {
            continue;
        }
        assert_eq!([status(&got[0]), status(&got[1])], [200, 200]);
        setting.world.forget();
        assert_eq!(asked(&setting, "new"), 200, "seed {seed}");
    }
}

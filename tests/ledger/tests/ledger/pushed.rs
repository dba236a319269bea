//! The configuration, changed without a deploy.

use contract::fixtures::{COST_NANODOLLARS, always, answer_text, json};
use http::Request;
use ledger::pushing::{
    MINUTE_MS, NEW_ROUTE, asked, dearer, deployed, error, json_of, parsed, push, pushed, put, records,
    roll_back, send, state, versions, with_limit, with_route,
};
use ledger::{CONFIG, Setting, admin, body, client, post, status, text};
use moegate::platform::fake::{Hazards, Script, serve_all};
use serde_json::{Value, json as value};

#[test]
fn a_pushed_route_is_served_at_once_where_it_was_taken_and_its_records_say_so() {
    let setting = Setting::new();
    assert_eq!(asked(&setting, "new"), 404);
    assert_eq!(asked(&setting, "far"), 200);
    pushed(&setting, 0, &with_route());
    assert_eq!(asked(&setting, "new"), 200);
    let records = records(&setting);
    assert_eq!(versions(&setting), [0, 1]);
    let hash = state(&setting)["hash"].as_str().unwrap().to_owned();
    let shown = records[1].config.unwrap().to_string();
    assert_eq!(shown, format!("1-{}", &hash[..8]));
    let one = setting.read(&format!("/requests/{}", records[1].id));
    assert_eq!(parsed(&one)["attempts"][0]["config"], shown);
    let csv = text(&setting.read("/usage/export?format=csv"));
    assert!(csv.lines().next().unwrap().ends_with(",config"), "{csv}");
    let line = csv.lines().find(|line| line.starts_with(&records[1].id)).unwrap();
    assert!(line.ends_with(&format!(",{shown}")), "{csv}");
    let state = state(&setting);
    assert_eq!(
        (&state["version"], &state["applies"], &state["running"]),
        (&value!(1), &value!(true), &value!(shown))
    );
    let versions = state["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!((versions[0]["who"].as_str(), versions[0]["note"].as_str()), (Some("admin"), Some("why")));
    assert_eq!(parsed(&setting.read("/config?version=1")), json_of(&with_route()));
    assert_eq!(parsed(&setting.read("/config?version=0")), json_of(CONFIG));
    assert_eq!(error(&setting.read("/config?version=2"))["code"], "unknown_version");
    assert_eq!(error(&setting.read("/config?versions=2"))["code"], "unknown_parameter");
}

/// Another instance, which has looked just before: the store shows a value after a minute, and it looks again within one.
#[test]
fn two_minutes_later_every_instance_has_it() {
    for looked_ms in [0, 1, 19_999, 20_000, 54_999, 55_000, 59_999, 60_000] {
        let setting = Setting::new();
        setting.world.hazards(Hazards { load_after_ms: MINUTE_MS, ..Hazards::default() });
        pushed(&setting, 0, &with_route());
        // Not the one that has taken it.
        setting.world.forget();
        setting.world.pass_ms(looked_ms);
        assert_eq!(asked(&setting, "far"), 200);
        setting.world.pass_ms(2 * MINUTE_MS - looked_ms);
        assert_eq!(asked(&setting, "new"), 200, "looked {looked_ms} ms after the push");
    }
}

/// Whatever requests come meanwhile.
#[test]
fn under_load_it_is_taken_up_behind_a_request() {
    let setting = Setting::new();
    setting.world.hazards(Hazards { load_after_ms: MINUTE_MS, ..Hazards::default() });
    pushed(&setting, 0, &with_route());
    setting.world.forget();
    let mut seconds = 0;
    while asked(&setting, "new") != 200 {
        setting.world.pass_ms(5_000);
        seconds += 5;
        assert!(seconds <= 120, "not taken up");
    }
    assert!(seconds >= 60, "{seconds}: the store did not show it yet");
}

#[test]
fn limits_and_prices_are_those_of_the_moment_and_the_past_keeps_its_own() {
    let setting = Setting::new();
    assert_eq!(asked(&setting, "far"), 200);
    pushed(&setting, 0, &dearer());
    assert_eq!(asked(&setting, "far"), 200);
    let costs: Vec<_> = records(&setting).iter().map(|record| record.cost_nanodollars.0).collect();
    assert_eq!(costs, [COST_NANODOLLARS, 10 * COST_NANODOLLARS]);
    let prices: Vec<_> = records(&setting).into_iter().map(|record| record.price).collect();
    assert_ne!(prices[0], prices[1]);
    assert_eq!(setting.totals()["cost_nanodollars"], 11 * COST_NANODOLLARS);
    // A limit counts from when it is there.
    pushed(&setting, 1, &with_limit(1));
    assert_eq!([asked(&setting, "far"), asked(&setting, "far")], [200, 429]);
    pushed(&setting, 2, CONFIG);
    assert_eq!(asked(&setting, "far"), 200);
    assert_eq!(versions(&setting), [0, 1, 2, 3]);
    setting.adds_up("after pushes");
}

/// A request that is under way ends with what it began with.
#[test]
fn a_request_under_way_keeps_its_configuration() {
    let setting = Setting::new();
    let slow = always(Script::After(500, Box::new(json(200, answer_text()).into())));
    setting.world.answer(slow);
    let (head, put_body) = put(0, &json_of(&dearer()));
    let requests = vec![(post(), client(&body("far"))), (head, put_body)];
    let got = serve_all(&setting.world, &setting.gateway, requests, 1);
    assert_eq!([status(&got[0]), status(&got[1])], [200, 200], "{}", text(&got[1]));
    let [record] = &setting.records()[..] else { panic!("one record") };
    assert_eq!((record.config.unwrap().number, record.cost_nanodollars.0), (0, COST_NANODOLLARS));
}

#[test]
fn a_bad_one_is_refused_with_path_and_reason_and_nothing_changes() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_route());
    let good = json_of(&with_route());
    let change = |path: &str, to: Value| {
        let mut config = good.clone();
        *config.pointer_mut(path).unwrap() = to;
        config
    };
    for (config, param, part) in [
        (change("/routes/0/origin", value!("nowhere")), "routes[0].origin", "nowhere"),
        (change("/keys/0/name", value!("a b")), "keys[0].name", "cannot be a name"),
        (
            change("/origins/0/url", value!("https://elsewhere.example/v1")),
            "origins[0].url",
            "deploy instead",
        ),
        (change("/origins/0/secret", value!("OTHER")), "origins[0].secret", "deploy instead"),
        (change("/keys/0/sha256_secret", value!("FAR_KEYS")), "keys[0].sha256_secret", "`FAR_KEYS`"),
        (change("/gateway/idempotency_s", value!(1)), "gateway", "deploy instead"),
        (change("/ledger/store", value!("key-value")), "ledger", "deploy instead"),
        (change("/admin", Value::Null), "admin", "deploy instead"),
        (change("/routes/0/budget", value!({"attempts": "x"})), "config", "expected u32"),
        (value!({"nonsense": 1}), "config", "nonsense"),
    ] {
        let got = send(&setting, put(1, &config));
        let error = error(&got);
        assert_eq!((status(&got), error["code"].as_str()), (400, Some("invalid_config")), "{error}");
        assert_eq!(error["param"], param, "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("{param}: ")) && message.contains(part), "{message}");
    }
    for (method, path, sent, code) in [
        ("PUT", "/config", "{", "invalid_config"),
        ("PUT", "/config", r#"{"if_version":1}"#, "invalid_config"),
        ("PUT", "/config", r#"{"config":{}}"#, "invalid_config"),
        ("PUT", "/config", r#"{"if_version":1,"config":{},"mine":1}"#, "invalid_config"),
        ("POST", "/config/rollback", r#"{"if_version":1}"#, "invalid_config"),
        ("POST", "/config/rollback", r#"{"if_version":1,"version":7}"#, "unknown_version"),
        ("POST", "/config", "{}", "method_not_allowed"),
        ("GET", "/config/rollback", "", "method_not_allowed"),
    ] {
        let got = send(&setting, (admin(method, path), client(sent)));
        assert_eq!(error(&got)["code"], code, "{method} {path} {sent}");
    }
    let too_large = "x".repeat(1_000_001);
    let got = send(&setting, (admin("PUT", "/config"), client(&too_large)));
    assert_eq!((status(&got), error(&got)["code"].as_str()), (413, Some("config_too_large")));
    for head in [Request::put("/config").body(()).unwrap(), Request::get("/config").body(()).unwrap()] {
        assert_eq!(status(&send(&setting, (head.clone(), client("")))), 401);
        let by_client = contract::in_process::by(head, contract::fixtures::APP_KEY);
        assert_eq!(status(&send(&setting, (by_client, client("")))), 401);
    }
    assert_eq!(state(&setting)["version"], 1);
    assert_eq!(asked(&setting, "new"), 200);
}

#[test]
fn without_a_ledger_it_needs_a_deploy() {
    let setting = Setting::with(|config| config + "[ledger]\nstore = \"key-value\"\n");
    for got in [setting.read("/config"), push(&setting, 0, CONFIG)] {
        assert_eq!((status(&got), error(&got)["code"].as_str()), (400, Some("ledger_needed")));
    }
}

#[test]
fn of_two_at_once_one_wins_and_the_other_is_told() {
    for seed in 0..20 {
        let setting = Setting::new();
        let requests = vec![put(0, &json_of(&with_route())), put(0, &json_of(&with_limit(5)))];
        let got = serve_all(&setting.world, &setting.gateway, requests, seed);
        let lost = got.iter().position(|got| status(got) == 409).unwrap_or_else(|| panic!("nobody lost"));
        assert_eq!(status(&got[1 - lost]), 200);
        let error = error(&got[lost]);
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["code"], "config_changed");
        assert!(message.contains("moegate config diff") && message.contains("`if_version` 1"), "{message}");
        let won = if lost == 0 { with_limit(5) } else { with_route() };
        assert_eq!(parsed(&setting.read("/config?version=1")), json_of(&won));
        setting.world.forget();
        assert_eq!(asked(&setting, "new"), if lost == 0 { 404 } else { 200 });
    }
}

#[test]
fn rolled_back_to_an_earlier_one_and_to_the_deployed_one() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_route());
    pushed(&setting, 1, &with_limit(1));
    assert_eq!([asked(&setting, "new"), asked(&setting, "far"), asked(&setting, "far")], [404, 200, 429]);
    assert_eq!(status(&send(&setting, roll_back(1, 1))), 409);
    let got = send(&setting, roll_back(2, 1));
    assert_eq!((status(&got), &parsed(&got)["version"]), (200, &value!(3)));
    assert_eq!([asked(&setting, "new"), asked(&setting, "far")], [200, 200]);
    let got = send(&setting, roll_back(3, 0));
    assert_eq!((status(&got), &parsed(&got)["version"]), (200, &value!(4)));
    assert_eq!([asked(&setting, "new"), asked(&setting, "far")], [404, 200]);
    let state = state(&setting);
    assert_eq!(state["hash"], state["deployed"]);
    let back: Vec<_> =
        state["versions"].as_array().unwrap().iter().map(|row| row["back_to"].as_u64()).collect();
    assert_eq!(back, [Some(0), Some(1), None, None]);
    setting.world.forget();
    assert_eq!(asked(&setting, "new"), 404);
}

#[test]
fn a_deploy_supersedes_what_was_pushed() {
    let setting = Setting::new();
    pushed(&setting, 0, &with_route());
    let other = CONFIG.replacen("seconds = 20", "seconds = 30", 1);
    let setting = deployed(setting, &other);
    assert_eq!([asked(&setting, "new"), asked(&setting, "far")], [404, 200]);
    let now = state(&setting);
    assert_eq!((&now["version"], &now["applies"]), (&value!(1), &value!(false)));
    assert!(now["running"].as_str().unwrap().starts_with("0-"));
    // The next one is pushed on top of it.
    pushed(&setting, 1, &format!("{other}{NEW_ROUTE}"));
    assert_eq!(asked(&setting, "new"), 200);
    assert_eq!(state(&setting)["applies"], true);
    setting.world.forget();
    assert_eq!(asked(&setting, "new"), 200);
}

#[test]
fn the_last_fifty_are_kept() {
    let setting = Setting::new();
    for version in 0..53 {
        pushed(&setting, version, &with_limit(u64::from(version) + 1));
    }
    let state = state(&setting);
    let versions = state["versions"].as_array().unwrap();
    assert_eq!(
        (versions.len(), &versions[0]["version"], &versions[49]["version"]),
        (50, &value!(53), &value!(4))
    );
    assert_eq!(status(&setting.read("/config?version=3")), 404);
    assert_eq!(status(&setting.read("/config?version=4")), 200);
}

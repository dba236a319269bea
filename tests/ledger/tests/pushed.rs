//! The configuration, changed without a deploy.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use contract::fixtures::{COST_NANODOLLARS, always, answer_text, json};
use contract::in_process::InProcess;
use http::Request;
use ledger::{CONFIG, Setting, admin, body, client, post, status, text};
use moegate::metering::record::Record;
use moegate::platform::fake::{Client, Got, Hazards, LedgerHazards, Responder, Script, serve, serve_all};
use moegate_config::authoring;
use serde_json::{Value, json as value};

const MINUTE_MS: u64 = 60_000;
const NEW_ROUTE: &str = "[[routes]]\nmodel = \"new\"\norigin = \"spare\"\norigin_model = \"far\"\n";

fn answering() -> Responder {
    always(json(200, answer_text()))
}

fn json_of(config: &str) -> Value {
    serde_json::to_value(authoring::parse(config).unwrap()).unwrap()
}

/// The usual configuration with another route.
fn with_route() -> String {
    format!("{CONFIG}{NEW_ROUTE}")
}

fn with_limit(requests: u64) -> String {
    let name = "name = \"app\"\n";
    CONFIG.replacen(name, &format!("{name}limits = [{{ per = \"hour\", requests = {requests} }}]\n"), 1)
}

fn dearer() -> String {
    CONFIG.replacen(
        "input = \"1\", cached_input = \"0.5\", output = \"2\"",
        "input = \"10\", cached_input = \"5\", output = \"20\"",
        1,
    )
}

fn put(if_version: u32, config: &Value) -> (Request<()>, Client<'static>) {
    let body = value!({"if_version": if_version, "note": "why", "config": config}).to_string();
    (admin("PUT", "/config"), client(&body))
}

fn roll_back(if_version: u32, version: u32) -> (Request<()>, Client<'static>) {
    let body = value!({"if_version": if_version, "version": version}).to_string();
    (admin("POST", "/config/rollback"), client(&body))
}

fn send(setting: &InProcess, (head, client): (Request<()>, Client<'_>)) -> Got {
    serve(&setting.world, &setting.gateway, head, client)
}

fn push(setting: &InProcess, if_version: u32, config: &str) -> Got {
    send(setting, put(if_version, &json_of(config)))
}

#[track_caller]
fn pushed(setting: &InProcess, if_version: u32, config: &str) {
    let got = push(setting, if_version, config);
    assert_eq!(status(&got), 200, "{}", text(&got));
    assert_eq!(parsed(&got)["version"], if_version + 1);
}

fn parsed(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or_else(|_| panic!("{}", text(got)))
}

fn error(got: &Got) -> Value {
    parsed(got)["error"].clone()
}

fn state(setting: &InProcess) -> Value {
    let got = setting.read("/config");
    assert_eq!(status(&got), 200, "{}", text(&got));
    parsed(&got)
}

fn asked(setting: &InProcess, model: &str) -> u16 {
    status(&setting.ask(&answering(), post(), client(&body(model))))
}

/// The records by their versions: ids of one millisecond are in no order.
fn records(setting: &InProcess) -> Vec<Record> {
    let mut records = setting.records();
    records.sort_by_key(|record| record.config.unwrap().number);
    records
}

/// The versions in the records.
fn versions(setting: &InProcess) -> Vec<u32> {
    records(setting).iter().map(|record| record.config.unwrap().number).collect()
}

/// The same world with another deployment: its instance knows nothing yet.
fn deployed(setting: Setting, config: &str) -> InProcess {
    let InProcess { world, .. } = setting.into_inner();
    world.forget();
    InProcess { world, gateway: moegate::gateway::Gateway::new(authoring::parse(config).unwrap()) }
}

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

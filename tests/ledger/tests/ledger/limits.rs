//! Limits and budgets: reserved at the bound, settled after, never exceeded.

use contract::fixtures::{COST_NANODOLLARS, Receipts, TENANT_KEY, answer_text, json, own};
use ledger::{Setting, body, by, client, post, said, status, text};
use moegate::platform::fake::{Got, Responder, Script};
use moegate_wire::Ending;
use serde_json::Value;

fn whole() -> Script {
    json(200, answer_text()).into()
}

fn answering() -> Responder {
    own(whole(), Receipts::Signed(Ending::Complete))
}

/// One that takes its time, so that requests at once are really at once.
fn slow() -> Responder {
    own(Script::After(500, Box::new(whole())), Receipts::Signed(Ending::Complete))
}

fn with_max_tokens(tokens: u64) -> String {
    body("far").replacen('{', &format!(r#"{{"max_tokens":{tokens},"#), 1)
}

fn error(got: &Got) -> Value {
    serde_json::from_slice::<Value>(&got.body).unwrap()["error"].clone()
}

#[test]
fn requests_of_a_window() {
    let setting = Setting::limited(r#"[{ per = "minute", requests = 2 }]"#);
    for left in [1, 0] {
        let got = setting.ask(&answering(), post(), client(&body("far")));
        assert_eq!(status(&got), 200);
        assert_eq!(said(&got, "x-ratelimit-limit-requests"), "2");
        assert_eq!(said(&got, "x-ratelimit-remaining-requests"), left.to_string());
        assert_eq!(said(&got, "x-ratelimit-reset-requests"), "1m0s");
    }
    let got = setting.ask(&answering(), post(), client(&body("far")));
    assert_eq!((status(&got), said(&got, "retry-after").as_str(), setting.calls()), (429, "60", 0));
    assert_eq!(error(&got)["code"], "requests_limit_exceeded");
    assert_eq!(said(&got, "x-ratelimit-limit-requests"), "2");
    assert_eq!(said(&got, "x-ratelimit-remaining-requests"), "0");
    assert_eq!(said(&got, "x-ratelimit-reset-requests"), "1m0s");
    setting.world.pass_ms(60_000);
    assert_eq!(status(&setting.ask(&answering(), post(), client(&body("far")))), 200);
    setting.adds_up("requests");
}

#[test]
fn what_is_not_used_is_given_back() {
    let request = with_max_tokens(50);
    // Two bounds do not fit at once, but many answers do one after the other: each takes 35 tokens.
    let bound = request.len() as u64 + 50;
    let setting = Setting::limited(&format!(r#"[{{ per = "hour", tokens = {} }}]"#, bound + 100));
    let got = setting.ask_all(&slow(), (0..2).map(|_| (post(), client(&request))), 1);
    let mut statuses: Vec<_> = got.iter().map(status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    for used in [35_u64, 70] {
        let left = 100 - used;
        let got = setting.ask(&answering(), post(), client(&request));
        assert_eq!((status(&got), said(&got, "x-ratelimit-remaining-tokens")), (200, left.to_string()));
    }
    let refused = setting.ask(&answering(), post(), client(&request));
    assert_eq!((status(&refused), error(&refused)["code"].as_str()), (429, Some("tokens_limit_exceeded")));
    // 105 of bound + 100 are used: five tokens too many, and the error says so.
    assert_eq!(said(&refused, "x-ratelimit-remaining-tokens"), (bound + 100 - 105).to_string());
    let told = text(&refused);
    assert!(told.contains("`max_tokens` of at most 45 "), "{told}");
    assert_eq!(status(&setting.ask(&answering(), post(), client(&with_max_tokens(45)))), 200);
    setting.adds_up("tokens");
}

#[test]
fn a_budget_is_a_402_that_says_what_would_fit() {
    let request = with_max_tokens(50);
    // The bound: a token for each byte at 1 dollar, 50 at 2 dollars a million.
    let bound = (request.len() as u64 + 100) * 1000;
    let budget = |nano: u64| format!("0.{nano:09}");
    let limits = format!(
        r#"[{{ per = "month", dollars = "{}", soft_percent = 20 }}]"#,
        budget(bound + COST_NANODOLLARS - 10_000)
    );
    let setting = Setting::limited(&limits);
    let got = setting.ask(&answering(), post(), client(&request));
    assert_eq!(status(&got), 200);
    let soft = said(&got, "x-moegate-budget");
    assert!(soft.starts_with("key;per=month;used="), "{soft}");
    let refused = setting.ask(&answering(), post(), client(&request));
    assert_eq!((status(&refused), setting.calls()), (402, 0), "{}", text(&refused));
    assert_eq!(error(&refused)["code"], "budget_exceeded");
    // 10,000 nano-dollars too many are five tokens.
    assert!(text(&refused).contains("`max_tokens` of at most 45 "), "{}", text(&refused));
    assert_eq!(status(&setting.ask(&answering(), post(), client(&with_max_tokens(45)))), 200);
    setting.adds_up("budget");
}

#[test]
fn of_500_at_once_as_many_are_served_as_the_budget_bounds() {
    let request = with_max_tokens(50);
    let bound = (request.len() as u64 + 100) * 1000;
    for seed in 0..4 {
        let setting = Setting::limited(&format!(r#"[{{ per = "day", dollars = "0.{:09}" }}]"#, bound * 100));
        let got = setting.ask_all(&slow(), (0..500).map(|_| (post(), client(&request))), seed);
        let count = |wanted| got.iter().filter(|got| status(got) == wanted).count();
        assert_eq!((count(200), count(402), setting.calls()), (100, 400, 100), "seed {seed}");
        setting.adds_up("500 at once");
        assert_eq!(setting.totals()["cost_nanodollars"], COST_NANODOLLARS * 100);
    }
}

#[test]
fn so_many_at_once_and_no_more() {
    for seed in 0..20 {
        let setting = Setting::limited("[{ concurrent = 3 }]");
        let got = setting.ask_all(&slow(), (0..8).map(|_| (post(), client(&body("far")))), seed);
        assert_eq!(got.iter().filter(|got| status(got) == 200).count(), 3, "seed {seed}");
        let refused = got.iter().find(|got| status(got) == 429).unwrap();
        assert_eq!(
            (error(refused)["code"].as_str(), said(refused, "retry-after")),
            (Some("concurrency_limit_exceeded"), "1".into())
        );
        assert_eq!(status(&setting.ask(&answering(), post(), client(&body("far")))), 200, "seed {seed}");
        setting.adds_up("concurrency");
    }
}

#[test]
fn keys_of_a_tenant_share_its_limits_and_others_do_not() {
    let setting = Setting::with(|config| {
        format!("{config}\n[[tenants]]\nname = \"someone\"\nlimits = [{{ per = \"day\", requests = 1 }}]\n")
    });
    let ask = |key| status(&setting.ask(&answering(), by(key), client(&body("far"))));
    assert_eq!((ask(TENANT_KEY), ask(TENANT_KEY)), (200, 429));
    assert_eq!(status(&setting.ask(&answering(), post(), client(&body("far")))), 200);
    setting.adds_up("tenant");
}

#[test]
fn an_origin_that_is_at_its_limit_is_left_out() {
    let setting = Setting::with(|config| {
        config.replacen("name = \"far\"\n", "name = \"far\"\nlimits = [{ per = \"day\", requests = 1 }]\n", 1)
    });
    let ask = || setting.ask(&answering(), post(), client(&body("fallback")));
    for origin in ["far", "spare", "spare"] {
        let got = ask();
        assert_eq!((status(&got), said(&got, "x-moegate-origin")), (200, origin.to_owned()));
    }
    // Where there is no other, the client is told.
    let got = setting.ask(&answering(), post(), client(&body("far")));
    assert_eq!((status(&got), error(&got)["code"].as_str()), (429, Some("requests_limit_exceeded")));
    setting.adds_up("origin");
}

#[test]
fn a_route_has_limits_over_all_keys() {
    let setting = Setting::with(|config| {
        config.replacen(
            "model = \"far\"\norigin = \"far\"\n",
            "model = \"far\"\norigin = \"far\"\nlimits = [{ per = \"day\", requests = 2 }, { concurrent = 1 }]\n",
            1,
        )
    });
    let ask = |key| status(&setting.ask(&answering(), by(key), client(&body("far"))));
    assert_eq!((ask(TENANT_KEY), ask(contract::fixtures::APP_KEY), ask(TENANT_KEY)), (200, 200, 429));
    setting.adds_up("route");
}

#[test]
fn a_request_counts_once_however_often_it_is_tried() {
    let setting = Setting::limited(r#"[{ per = "day", requests = 2 }]"#);
    let failing: Responder = std::sync::Arc::new(|arrived| {
        if arrived.authority == "far.example" { json(503, "{}").into() } else { whole() }
    });
    for left in ["1", "0"] {
        let got = setting.ask(&failing, post(), client(&body("fallback")));
        assert_eq!((status(&got), said(&got, "x-moegate-attempts")), (200, "2".into()));
        assert_eq!(said(&got, "x-ratelimit-remaining-requests"), left);
    }
    assert_eq!(status(&setting.ask(&failing, post(), client(&body("fallback")))), 429);
    let totals = setting.totals();
    assert_eq!((totals["requests"].as_u64(), totals["attempts"].as_u64()), (Some(2), Some(4)));
    setting.adds_up("tries");
}

#[test]
fn a_fallback_is_the_same_request_at_once() {
    let setting = Setting::limited("[{ concurrent = 1 }]");
    let failing: Responder = std::sync::Arc::new(|arrived| {
        if arrived.authority == "far.example" { json(503, "{}").into() } else { whole() }
    });
    let got = setting.ask(&failing, post(), client(&body("fallback")));
    assert_eq!((status(&got), said(&got, "x-moegate-attempts")), (200, "2".into()));
    setting.adds_up("fallback");
    // At an origin each attempt counts.
    let setting = Setting::with(|config| {
        let spare = "name = \"spare\"\n";
        config.replacen(spare, &format!("{spare}limits = [{{ per = \"day\", requests = 1 }}]\n"), 1)
    });
    let ask = || status(&setting.ask(&failing, post(), client(&body("fallback"))));
    assert_eq!((ask(), ask()), (200, 503));
    setting.adds_up("an origin's attempts");
}

/// Whatever a client writes, the bound is that of the limit that an origin might obey.
#[test]
fn a_client_cannot_make_its_bound_small() {
    let bound = |more: &str| {
        let setting = Setting::new();
        let request = body("far").replacen('{', &format!("{{{more},"), 1);
        setting.ask(&answering(), post(), client(&request));
        let tokens = setting.number("SELECT json_extract(record, '$.bound_tokens') FROM attempt");
        u64::try_from(tokens).unwrap() - request.len() as u64
    };
    for (more, answer) in [
        (r#""max_tokens":7"#, 7),
        (r#""max_tokens":1,"max_completion_tokens":90"#, 90),
        (r#""max_output_tokens":1"#, 100),
        (r#""max_tokens":1,"input":"x""#, 100),
        (r#""max_tokens":1,"max_completion_tokens":"90""#, 100),
        (r#""max_tokens":7,"n":3"#, 21),
        (r#""max_tokens":7,"n":"3""#, 21),
        (r#""max_tokens":7,"n":2,"best_of":5"#, 35),
    ] {
        assert_eq!(bound(more), answer, "{more}");
    }
}

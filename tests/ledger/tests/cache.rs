//! Answers that are given again out of a route's cache: whose, for how long, at what cost, and what is not kept.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use contract::fixtures::{
    APP_KEY, COST, COST_NANODOLLARS, DONE, Receipts, TENANT_KEY, USAGE_JSON, always, answer_text, delta,
    event, finish, json, own, stream, usage_event, usage_with_cost,
};
use http::{HeaderName, HeaderValue, Request};
use ledger::{Setting, body, by, client, post, said, status, streamed, text, with_key};
use moegate::metering::record::State;
use moegate::platform::fake::{End, Got, Hazards, Responder, Script, Scripted, serve};
use moegate_wire::{Ending, Nanodollars, Usage};
use serde_json::Value;

const ROUTES: &str = r#"
[[routes]]
model = "kept"
origin = "far"
origin_model = "far"
cache = { seconds = 300 }
budget = { attempts = 1, seconds = 20 }

[[routes]]
model = "kept-own"
origin = "own"
origin_model = "own"
cache = { seconds = 300, max_kib = 1 }
budget = { attempts = 1, seconds = 20 }

[[origins]]
name = "claude"
kind = "anthropic"
url = "https://far.example/claude/v1"
secret = "FAR_KEY"
models = [{ name = "claude", input = "1", output = "2", max_output_tokens = 100 }]

[[routes]]
model = "kept-claude"
origin = "claude"
origin_model = "claude"
cache = { seconds = 300 }
"#;

fn setting() -> Setting {
    Setting::with(|config| config + ROUTES)
}

fn whole() -> Responder {
    own(json(200, answer_text()), Receipts::Signed(Ending::Complete))
}

fn with(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
    request
}

/// Whether it came out of the cache: `hit`, `miss`; empty where there is none.
fn cache(got: &Got) -> String {
    assert_eq!(status(got), 200, "{}", text(got));
    said(got, "x-moegate-cache")
}

fn ask(setting: &Setting, request: &str) -> Got {
    setting.ask(&whole(), post(), client(request))
}

#[test]
fn the_same_request_is_answered_again_for_nothing() {
    let setting = setting();
    let first = ask(&setting, &body("kept"));
    assert_eq!((cache(&first).as_str(), setting.calls()), ("miss", 1));
    assert!(said(&first, "age").is_empty() && text(&first).contains(&usage_with_cost()));
    setting.world.pass_ms(7_900);
    let again = ask(&setting, &body("kept"));
    assert_eq!((cache(&again).as_str(), setting.calls()), ("hit", 0));
    assert_eq!(text(&again), text(&first).replace(&format!("\"cost\":{COST}"), "\"cost\":0"));
    for (name, expected) in [
        ("age", "7"),
        ("x-moegate-cost", "0"),
        ("x-moegate-attempts", "0"),
        ("x-moegate-origin", "far"),
        ("x-moegate-model", "far"),
        ("x-moegate-attempt-log", ""),
        ("content-type", "application/json"),
    ] {
        assert_eq!(said(&again, name), expected, "{name}");
    }
    let records = setting.records();
    let [made, hit] = &records[..] else { panic!("{records:?}") };
    assert_eq!((made.cache_hit, made.cost_nanodollars), (false, Nanodollars(COST_NANODOLLARS)));
    assert_eq!(hit.id, said(&again, "x-moegate-request-id"));
    assert_ne!(hit.id, made.id);
    assert!(hit.cache_hit && hit.metered && hit.last, "{hit:?}");
    assert_eq!(
        (hit.cost_nanodollars, hit.usage, hit.state, hit.ending),
        (Nanodollars(0), Usage::default(), State::Settled, Ending::Complete)
    );
    assert_eq!((hit.origin.as_str(), hit.served_model.as_str(), hit.route.as_str()), ("far", "far", "kept"));
    setting.adds_up("a hit");
    for query in ["", "?by=tag&tag=none", "?user=none"] {
        assert_eq!(status(&setting.read(&format!("/usage{query}"))), 200);
    }
    let report: Value = serde_json::from_slice(&setting.read("/usage").body).unwrap();
    for totals in [&report["totals"], &report["by_key"]["app"], &report["by_route"]["kept"]] {
        assert_eq!(
            [&totals["requests"], &totals["attempts"], &totals["cache_hits"], &totals["cost_nanodollars"]],
            [2, 1, 1, COST_NANODOLLARS]
        );
    }
    assert_eq!(report["by_ending"]["cached"]["requests"], 1);
    assert_eq!(report["by_ending"]["complete"]["requests"], 1);
    let csv = text(&setting.read("/usage/export?format=csv"));
    let last: Vec<_> = csv.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(last, ["cache_hit", "false", "true"]);
}

#[test]
fn sums_over_records_tell_hits_too() {
    let setting = setting();
    let tagged = || with(post(), "x-moegate-tag", "beta");
    for _ in 0..3 {
        setting.ask(&whole(), tagged(), client(&body("kept")));
    }
    let got = setting.read("/usage?tag=beta");
    let report: Value = serde_json::from_slice(&got.body).unwrap();
    let totals = &report["totals"];
    assert_eq!([&totals["requests"], &totals["attempts"], &totals["cache_hits"]], [3, 1, 2], "{report}");
    assert_eq!(report["by_ending"]["cached"]["requests"], 2);
}

#[test]
fn without_a_ledger_a_hit_is_a_record_too() {
    let setting = Setting::with(|config| config + ROUTES + "[ledger]\nstore = \"key-value\"\n");
    for expected in ["miss", "hit"] {
        assert_eq!(cache(&ask(&setting, &body("kept"))), expected);
    }
    let report: Value = serde_json::from_slice(&setting.read("/usage").body).unwrap();
    let totals = &report["totals"];
    assert_eq!([&totals["requests"], &totals["attempts"], &totals["cache_hits"]], [2, 1, 1], "{report}");
    assert_eq!(totals["cost_nanodollars"], COST_NANODOLLARS);
    assert_eq!(report["by_ending"]["cached"]["requests"], 1);
}

#[test]
fn other_routes_say_nothing_of_it() {
    let setting = setting();
    for _ in 0..2 {
        let got = ask(&setting, &body("far"));
        assert_eq!((cache(&got).as_str(), setting.calls()), ("", 1));
    }
    assert!(setting.world.values().is_empty());
}

#[test]
fn an_answer_is_kept_for_its_time() {
    let setting = setting();
    ask(&setting, &body("kept"));
    setting.world.pass_ms(298_000);
    assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
    // A hit does not make it younger.
    setting.world.pass_ms(2_000);
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
    // Another instance has it too.
    setting.world.forget();
    assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
}

#[test]
fn tenants_never_see_each_others() {
    let setting = setting();
    for expected in ["miss", "hit"] {
        for key in [APP_KEY, TENANT_KEY] {
            let got = setting.ask(&whole(), by(key), client(&body("kept")));
            assert_eq!((cache(&got).as_str(), setting.calls()), (expected, usize::from(expected == "miss")));
        }
    }
    let owners: Vec<_> = setting.records().into_iter().map(|record| record.tenant).collect();
    assert_eq!(owners.iter().filter(|tenant| *tenant == "app").count(), 2);
    // A key without a tenant is none of that name.
    let same = Setting::with(|config| config.replacen("\"someone\"", "\"app\"", 1) + ROUTES);
    for key in [APP_KEY, TENANT_KEY] {
        assert_eq!(cache(&same.ask(&whole(), by(key), client(&body("kept")))), "miss");
    }
}

/// The key `app` in the tenant of the other one.
fn shared(config: &str) -> String {
    config.replacen("name = \"app\"\n", "name = \"app\"\ntenant = \"someone\"\nerrors = \"full\"\n", 1)
        + ROUTES
}

#[test]
fn keys_of_a_tenant_share() {
    let setting = Setting::with(|config| shared(&config));
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    let got = setting.ask(&whole(), by(TENANT_KEY), client(&body("kept")));
    assert_eq!(cache(&got), "hit");
    // Not where the key decides where a request goes, or what it is told.
    let rule =
        r#"rule = { when = { key = ["app"] }, then = { origin = "far" }, otherwise = { origin = "spare" } }"#;
    for change in [
        |config: String, rule: &str| {
            config.replacen("model = \"kept\"\norigin = \"far\"", &format!("model = \"kept\"\n{rule}"), 1)
        },
        |config: String, _: &str| {
            config.replacen(
                "tenant = \"someone\"\nerrors = \"full\"\nsha256_secret = \"TENANT",
                "tenant = \"someone\"\nsha256_secret = \"TENANT",
                1,
            )
        },
    ] {
        let setting = Setting::with(|config| change(shared(&config), rule));
        assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
        let got = setting.ask(&whole(), by(TENANT_KEY), client(&body("kept")));
        assert_eq!(cache(&got), "miss");
    }
}

#[test]
fn whatever_shapes_the_answer_is_told_apart() {
    let setting = setting();
    ask(&setting, &body("kept"));
    let spaced = body("kept").replacen(':', ": ", 1);
    for other in [&spaced, &streamed("kept"), &body("kept-own")] {
        assert_ne!(cache(&ask(&setting, other)), "hit", "{other}");
    }
    let mut query = post();
    *query.uri_mut() = "/v1/chat/completions?x=1".parse().unwrap();
    let passed = with(post(), "openai-organization", "o");
    for request in [query, with(post(), "content-type", "application/json; charset=utf-8")] {
        assert_eq!(cache(&setting.ask(&whole(), request, client(&body("kept")))), "miss");
    }
    // What reaches no origin shapes nothing.
    assert_eq!(cache(&setting.ask(&whole(), passed, client(&body("kept")))), "hit");
    // What reaches one does.
    let answer = r#"{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":5}}"#;
    for (beta, expected) in [("a", "miss"), ("b", "miss"), ("a", "hit")] {
        let mut request = with(post(), "anthropic-beta", beta);
        *request.uri_mut() = "/v1/messages".parse().unwrap();
        let request_body = body("kept-claude").replacen('{', "{\"max_tokens\":5,", 1);
        let got = setting.ask(&always(json(200, answer)), request, client(&request_body));
        assert_eq!(cache(&got), expected, "{beta}");
    }
    // A header that a rule looks at does.
    let rule = r#"rule = { when = { header = { x-tier = ["fast"] } }, then = { origin = "far" }, otherwise = { origin = "spare" } }"#;
    let rules = Setting::with(|config| {
        (config + ROUTES).replacen(
            "model = \"kept\"\norigin = \"far\"",
            &format!("model = \"kept\"\n{rule}"),
            1,
        )
    });
    for (tier, expected) in [("slow", "miss"), ("fast", "miss"), ("slow", "hit"), ("fast", "hit")] {
        let got = rules.ask(&whole(), with(post(), "x-tier", tier), client(&body("kept")));
        assert_eq!(cache(&got), expected, "{tier}");
    }
}

#[test]
fn a_changed_route_or_origin_begins_anew() {
    let before = setting();
    ask(&before, &body("kept"));
    for (what, with) in [
        ("model = \"kept\"\norigin = \"far\"", "model = \"kept\"\norigin = \"spare\""),
        ("model = \"kept\"\n", "model = \"kept\"\ndrop_unsupported = true\n"),
        ("https://far.example/v1", "https://far.example/v2"),
        ("output = \"2\"", "output = \"3\""),
        ("model = \"kept\"\n", "model = \"kept\"\n"),
    ] {
        let after = Setting::with(|config| (config + ROUTES).replacen(what, with, 1));
        // In the same world.
        let got = serve(&before.world, &after.gateway, post(), client(&body("kept")));
        assert_eq!(cache(&got), if what == with { "hit" } else { "miss" }, "{with}");
    }
}

#[test]
fn a_stream_is_given_again_whole() {
    for (model, include) in [("kept", true), ("kept", false), ("kept-own", true)] {
        let setting = setting();
        let options = if include { "\"stream_options\":{\"include_usage\":true}," } else { "" };
        let request = streamed(model).replacen('{', &format!("{{{options}"), 1);
        let events = [delta("a"), delta("b"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
        let responder = own(stream(&events), Receipts::Signed(Ending::Complete));
        let first = setting.ask(&responder, post(), client(&request));
        assert_eq!(cache(&first), "miss");
        let again = setting.ask(&responder, post(), client(&request));
        assert_eq!((cache(&again).as_str(), setting.calls()), ("hit", 0));
        assert_eq!(text(&again), text(&first).replace(&format!("\"cost\":{COST}"), "\"cost\":0"));
        assert_eq!(text(&again).contains("\"cost\":0"), include);
        assert!(text(&again).ends_with(DONE));
        assert_eq!(said(&again, "content-type"), said(&first, "content-type"));
        let records = setting.records();
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|record| record.stream));
        assert_eq!(records[0].cost_nanodollars, Nanodollars(COST_NANODOLLARS));
        setting.adds_up("a stream");
    }
}

#[test]
fn a_hit_in_other_words_has_an_id_of_its_own() {
    let setting = setting();
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":30,"output_tokens":5}}"#;
    let responder = always(json(200, answer));
    let got: Vec<_> = (0..2).map(|_| setting.ask(&responder, post(), client(&body("kept-claude")))).collect();
    assert_eq!((cache(&got[0]), cache(&got[1])), ("miss".to_owned(), "hit".to_owned()));
    let ids = [&got[0], &got[1]].map(|got| said(got, "x-moegate-request-id"));
    assert!(text(&got[0]).contains(&ids[0]));
    assert!(text(&got[1]).contains(&ids[1]) && !text(&got[1]).contains(&ids[0]), "{}", text(&got[1]));
}

#[test]
fn only_whole_answers_are_kept() {
    let cut = Scripted { end: End::Reset, ..stream(&[delta("a")]) };
    let failed = stream(&[delta("a"), event(r#"{"error":{"message":"x","type":"server_error"}}"#)]);
    let unended = stream(&[delta("a")]);
    let large = format!("{{\"a\":\"{}\",{}", "x".repeat(257 * 1024), &answer_text()[1..]);
    for (what, script, request) in [
        ("cut", Script::from(cut), streamed("kept")),
        ("an error event", failed.into(), streamed("kept")),
        ("no end", unended.into(), streamed("kept")),
        ("500", json(500, "{}").into(), body("kept")),
        ("400", json(400, r#"{"error":{"message":"x"}}"#).into(), body("kept")),
        ("no answer", json(200, "<html>").into(), body("kept")),
        ("too large", json(200, large).into(), body("kept")),
    ] {
        let setting = setting();
        let responder = always(script);
        for _ in 0..2 {
            let got = setting.ask(&responder, post(), client(&request));
            assert_ne!(said(&got, "x-moegate-cache"), "hit", "{what}");
            assert_eq!(setting.calls(), 1, "{what}");
        }
        assert!(setting.world.values().is_empty(), "{what}");
    }
    // A client that leaves stops the stream.
    let setting = setting();
    let events = [delta("a"), delta("b"), finish(), DONE.to_owned()];
    let leaving = client(&streamed("kept")).staying_while(|body| body.is_empty());
    setting.ask(&always(stream(&events)), post(), leaving);
    assert!(setting.world.values().is_empty(), "left");
}

#[test]
fn clients_decide() {
    let setting = setting();
    let asked = |control: &str| {
        let got = setting.ask(&whole(), with(post(), "cache-control", control), client(&body("kept")));
        (cache(&got), setting.calls())
    };
    let (hit, miss) = (("hit".to_owned(), 0), ("miss".to_owned(), 1));
    assert_eq!(asked("no-store"), miss);
    assert!(setting.world.values().is_empty(), "nothing is kept");
    assert_eq!(asked("max-age=60"), miss);
    assert_eq!(asked("max-age=60"), hit);
    assert_eq!(asked("no-store"), miss);
    setting.world.pass_ms(200_000);
    assert_eq!(asked("max-age=201"), hit);
    // A fresh one takes its place.
    assert_eq!(asked("no-cache"), miss);
    assert_eq!(asked("max-age=5"), hit);
    setting.world.pass_ms(200_000);
    assert_eq!(asked("max-age=200"), miss);
}

#[test]
fn a_store_that_fails_or_is_damaged_costs_a_call_to_the_origin() {
    let setting = setting();
    setting.world.hazards(Hazards { hanging: 1, ..Hazards::default() });
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    setting.world.hazards(Hazards { lost: 1, ..Hazards::default() });
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    setting.world.fail_store(1);
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    let values = setting.world.values();
    let [(key, value)] = &values[..] else { panic!("{values:?}") };
    let other = value.replacen("\"content\":\"", "\"content\":\"0", 1);
    let gone = value.replacen("\"far\"", "\"elsewhere\"", 2);
    for damaged in ["", "{}", "null", &value[..value.len() / 2], other.as_str(), gone.as_str()] {
        setting.world.set_value(key, damaged);
        let got = ask(&setting, &body("kept"));
        assert_eq!((cache(&got).as_str(), setting.calls()), ("miss", 1), "{damaged}");
    }
    setting.world.set_value(key, value);
    assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
    setting.adds_up("a store that fails");
}

#[test]
fn what_is_kept_holds_no_request_and_no_key() {
    let setting = setting();
    ask(&setting, &body("kept"));
    let values = setting.world.values();
    let [(key, value)] = &values[..] else { panic!("{values:?}") };
    assert_eq!(key.len(), "cache/".len() + 64);
    for part in [APP_KEY, "Hello", "ratelimit"] {
        assert!(!value.contains(part), "{value}");
    }
}

#[test]
fn hits_count_against_limits_of_requests_alone() {
    let limits = r#"[{ per = "minute", requests = 3 }, { per = "day", tokens = 2000 }, { concurrent = 2 }]"#;
    let setting = Setting::limited_with(limits, ROUTES);
    for (expected, left) in [("miss", "2"), ("hit", "1"), ("hit", "0")] {
        let got = ask(&setting, &body("kept"));
        assert_eq!(
            (cache(&got).as_str(), said(&got, "x-ratelimit-remaining-requests").as_str()),
            (expected, left)
        );
    }
    let got = ask(&setting, &body("kept"));
    assert_eq!((status(&got), setting.calls()), (429, 0), "{}", text(&got));
    assert_eq!(said(&got, "x-moegate-cache"), "");
    let tokens = "SELECT tokens FROM usage WHERE to_ms - from_ms = 86400000";
    assert_eq!(setting.number(tokens), 35);
    assert_eq!(setting.records().len(), 3);
    setting.adds_up("limits");
}

#[test]
fn a_spent_budget_and_a_busy_origin_do_not_matter() {
    // The budget holds one bound and no more after what that cost.
    let dollars = format!("0.{:09}", (body("kept").len() + 200) * 1000);
    let budget = format!("limits = [{{ per = \"month\", dollars = \"{dollars}\" }}]\n");
    let at_origin = "limits = [{ per = \"day\", requests = 1 }]\n".to_owned();
    for (name, limits, refused) in [("app", budget, 402), ("far", at_origin, 429)] {
        let name = format!("name = \"{name}\"\n");
        let setting = Setting::with(|config| config.replacen(&name, &(name.clone() + &limits), 1) + ROUTES);
        assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
        assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
        let other = body("kept").replacen("Hello", "Other", 1);
        assert_eq!(status(&ask(&setting, &other)), refused);
        setting.adds_up(&limits);
    }
}

#[test]
fn a_ledger_that_is_down_keeps_limited_hits_back() {
    use moegate::platform::fake::LedgerHazards;
    let setting = Setting::limited_with(r#"[{ per = "minute", requests = 3 }]"#, ROUTES);
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    setting.world.ledger_hazards(LedgerHazards { failing: 100, ..LedgerHazards::default() });
    assert_eq!(status(&ask(&setting, &body("kept"))), 503);
    setting.world.ledger_hazards(LedgerHazards::default());
    assert_eq!(cache(&ask(&setting, &body("kept"))), "hit");
}

#[test]
fn repeats_with_a_key_get_the_hit_that_the_first_got() {
    let setting = setting();
    assert_eq!(cache(&ask(&setting, &body("kept"))), "miss");
    let hit = setting.ask(&whole(), with_key("order-7"), client(&body("kept")));
    assert_eq!(cache(&hit), "hit");
    // When the cache has nothing any more.
    setting.world.pass_ms(310_000);
    for _ in 0..2 {
        let again = setting.ask(&whole(), with_key("order-7"), client(&body("kept")));
        assert_eq!((said(&again, "x-moegate-replayed").as_str(), setting.calls()), ("true", 0));
        assert_eq!(
            (text(&again), said(&again, "x-moegate-request-id")),
            (text(&hit), said(&hit, "x-moegate-request-id"))
        );
        setting.world.forget();
    }
    assert_eq!(setting.records().len(), 2);
}

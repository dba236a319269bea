//! What an answer out of a route's cache costs and counts, and what a store that fails does.

use crate::cached::{ROUTES, ask, cache, setting, whole, with};
use contract::fixtures::{APP_KEY, COST, COST_NANODOLLARS, usage_with_cost};
use contract::in_process;
use http::Request;
use ledger::{Setting, body, client, post, said, status, text, with_key};
use moegate::metering::record::State;
use moegate::platform::fake::{Hazards, LedgerHazards};
use moegate_wire::{Ending, Nanodollars, Usage};
use serde_json::Value;

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
    let hits: Vec<_> = csv.lines().map(|line| line.rsplit(',').nth(1).unwrap()).collect();
    assert_eq!(hits, ["cache_hit", "false", "true"]);
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

/// The AI SDK's gateway protocol: the model and the form of the answer stand in headers.
#[test]
fn the_gateway_provider_is_told_that_a_hit_costs_nothing() {
    let setting = setting();
    let prompt = r#"{"prompt":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}"#;
    let ask = |model: &str| {
        let request = Request::post("/v4/ai/language-model").header("ai-language-model-id", model);
        let request = request.body(()).unwrap();
        setting.ask(&whole(), in_process::by(request, APP_KEY), client(prompt))
    };
    let (made, hit) = (ask("kept"), ask("kept"));
    assert_eq!((cache(&made).as_str(), cache(&hit).as_str()), ("miss", "hit"));
    let [made, again]: [Value; 2] = [&made, &hit].map(|got| serde_json::from_slice(&got.body).unwrap());
    let told = |answer: &Value| answer["providerMetadata"]["gateway"].clone();
    assert_eq!(told(&made)["cost"], Nanodollars(COST_NANODOLLARS).to_dollars());
    assert_ne!(made["usage"]["raw"]["cost"], 0);
    assert_eq!((&told(&again)["cost"], &again["usage"]["raw"]["cost"]), (&"0".into(), &0.into()));
    assert_eq!(told(&again)["generationId"], format!("gen_{}", said(&hit, "x-moegate-request-id")));
    assert_eq!(again["usage"]["inputTokens"], made["usage"]["inputTokens"]);
    assert_eq!(cache(&ask("kept-own")), "miss", "another model");
    assert_eq!(cache(&ask("kept")), "hit");
}

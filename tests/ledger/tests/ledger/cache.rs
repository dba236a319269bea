//! Answers that are given again out of a route's cache: which, to whom, for how long, and what is not kept.

use crate::cached::{ROUTES, ask, cache, setting, whole, with};
use contract::fixtures::{
    APP_KEY, COST, COST_NANODOLLARS, DONE, Receipts, TENANT_KEY, USAGE_JSON, always, answer_text, delta,
    event, finish, json, own, stream, usage_event,
};
use ledger::{Setting, body, by, client, post, said, streamed, text};
use moegate::platform::fake::{End, Script, Scripted, serve};
use moegate_wire::{Ending, Nanodollars};

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

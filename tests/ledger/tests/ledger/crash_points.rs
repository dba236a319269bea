//! The work of a request is dropped before each of its operations, and every call of the ledger goes wrong in every way: in

//! the end nothing is lost, nothing is counted twice, and nothing is pending.
use contract::fixtures::{
    COST_NANODOLLARS, DONE, Receipts, USAGE_JSON, answer_text, delta, finish, json, own, stream, usage_event,
};
use ledger::{Setting, body, client, post, status, streamed, text, with_key};
use moegate::metering::record::State;
use moegate::platform::fake::{LedgerHazards, Responder, Script};
use moegate_wire::Ending;

fn events() -> Script {
    stream(&[delta("one"), delta(" two"), finish(), usage_event(USAGE_JSON), DONE.to_owned()]).into()
}

/// Ways through the gateway: model, body, and what the origins answer.
fn forms() -> Vec<(&'static str, String, Responder)> {
    let whole = || Script::from(json(200, answer_text()));
    let signed = Receipts::Signed(Ending::Complete);
    let failing = own(whole(), signed);
    let fallback: Responder = std::sync::Arc::new(move |arrived| {
        if arrived.authority == "far.example" { json(500, "{}").into() } else { failing(arrived) }
    });
    vec![
        ("whole", body("far"), own(whole(), signed)),
        ("pumped", streamed("far"), own(events(), signed)),
        ("relayed", streamed("own"), own(events(), signed)),
        ("fallback", body("fallback"), fallback),
    ]
}

/// Past every deadline, so that what is left is overdue.
const LATER_MS: u64 = 3 * 60_000;

#[test]
fn work_that_is_dropped_before_any_step_is_accounted_for() {
    let many = r#"[{ concurrent = 2 }, { per = "day", tokens = 100000, dollars = "1" }]"#;
    for (limits, order) in [("[]", "first"), ("[]", "meanwhile"), (many, "first")] {
        let setting = || Setting::limited_with(limits, &format!("[ledger]\nreserve = \"{order}\"\n"));
        for (form, body, responder) in forms() {
            let steps = setting().ask(&responder, post(), client(&body)).steps;
            assert!(steps > 6, "{form}: {steps}");
            for step in 0..steps {
                let what = format!("{form}, limits {limits}, {order}, dropped at step {step} of {steps}");
                let setting = setting();
                setting.ask(&responder, post(), client(&body).cancelled_at_step(step));
                let called = setting.calls() as u64;
                // The instance is gone too, with all that it remembered.
                setting.world.forget();
                setting.world.pass_ms(LATER_MS);
                let totals = setting.totals();
                setting.adds_up(&what);
                let records = setting.records();
                let attempts = totals["attempts"].as_u64().unwrap();
                // A reservation whose attempt was never sent counts too: nobody can know that it was not.
                assert!(attempts >= called && attempts <= called + 1, "{what}: {called} calls, {totals}");
                assert_eq!(totals["requests"].as_u64(), Some(u64::from(attempts > 0)), "{what}");
                for record in records {
                    let cost = record.cost_nanodollars.0;
                    let exact = record.state == State::Settled && record.metered;
                    let bound = record.bound_nanodollars;
                    let of_receipt = record.origin == "own";
                    match record.state {
                        State::Settled if exact => assert_eq!(cost, COST_NANODOLLARS, "{what}"),
                        State::Estimated => assert!(cost == bound && bound > 0, "{what}: {record:?}"),
                        // A server that does not know the attempt has not computed it.
                        _ => assert!(of_receipt || cost == bound, "{what}: {record:?}"),
                    }
                }
            }
        }
    }
}

/// Every call of the ledger, and every way in which it goes wrong once.
#[test]
fn a_call_that_goes_wrong_changes_no_sum() {
    let hazards = |passing| {
        [
            ("fails", LedgerHazards { passing, failing: 1, ..LedgerHazards::default() }),
            ("fails for a while", LedgerHazards { passing, failing: 4, ..LedgerHazards::default() }),
            ("answer lost", LedgerHazards { passing, answer_lost: 1, ..LedgerHazards::default() }),
            ("answers lost", LedgerHazards { passing, answer_lost: 4, ..LedgerHazards::default() }),
            ("never answered", LedgerHazards { passing, hanging: 1, ..LedgerHazards::default() }),
            ("doubled", LedgerHazards { passing, doubled: 2, ..LedgerHazards::default() }),
            ("late", LedgerHazards { passing, late: 1, ..LedgerHazards::default() }),
            ("late for a while", LedgerHazards { passing, late: 4, ..LedgerHazards::default() }),
            ("slow", LedgerHazards { passing: 0, before_ms: 300, after_ms: 200, ..LedgerHazards::default() }),
        ]
    };
    let limits = r#"[{ concurrent = 2 }, { per = "day", tokens = 100000, dollars = "1" }]"#;
    for (form, body, responder) in forms() {
        let setting = Setting::limited(limits);
        setting.ask(&responder, post(), client(&body));
        let operations = setting.world.ledger_operations().len();
        let (attempts, cost) =
            (setting.totals()["attempts"].clone(), setting.totals()["cost_nanodollars"].clone());
        for passing in 0..operations {
            for (way, hazard) in hazards(passing) {
                let what = format!("{form}: call {passing} of {operations} {way}");
                let setting = Setting::limited(limits);
                setting.world.ledger_hazards(hazard);
                let got = setting.ask(&responder, post(), client(&body));
                setting.world.ledger_hazards(LedgerHazards::default());
                // What could not be told is told behind the next request.
                setting.ask(&responder, post(), client("{}"));
                setting.world.pass_ms(LATER_MS);
                let totals = setting.totals();
                setting.adds_up(&what);
                match status(&got) {
                    200 => {
                        assert_eq!(totals["attempts"], attempts, "{what}: {totals}");
                        assert_eq!(totals["cost_nanodollars"], cost, "{what}: {totals}");
                    }
                    // Refused before anything was sent.
                    503 => {
                        assert!(text(&got).contains("ledger"), "{what}: {}", text(&got));
                        assert_eq!(totals["attempts"], setting.calls(), "{what}: {totals}");
                    }
                    // The second attempt could not be reserved: the client gets what came of the first.
                    500 | 502 if form == "fallback" => assert_eq!(totals["attempts"], 1, "{what}"),
                    other => panic!("{what}: {other} {}", text(&got)),
                }
            }
        }
    }
}

#[test]
fn a_ledger_that_cannot_be_reached_costs_nothing_or_nobody_anything() {
    let (_, _, responder) = forms().remove(0);
    // Closed: with a limit nothing is sent, without one what was sent is not given.
    for (limits, order, sent) in
        [(r#"[{ per = "day", requests = 10 }]"#, "meanwhile", 0), ("[]", "first", 0), ("[]", "meanwhile", 1)]
    {
        let setting = Setting::limited_with(limits, &format!("[ledger]\nreserve = \"{order}\"\n"));
        setting.world.ledger_hazards(LedgerHazards { failing: 1000, ..LedgerHazards::default() });
        let got = setting.ask(&responder, post(), client(&body("far")));
        assert_eq!((status(&got), setting.calls()), (503, sent), "{limits}: {}", text(&got));
        let log = setting.world.log().join("\n");
        assert!(sent == 0 || log.contains("the ledger did not take this"), "{log}");
        // It comes back: what was sent is accounted for.
        setting.world.ledger_hazards(LedgerHazards::default());
        setting.ask(&responder, post(), client("{}"));
        assert_eq!(setting.totals()["attempts"], sent, "{limits}");
        setting.adds_up(limits);
    }
    // Open: it is served, and counts against the limit afterwards.
    let setting = Setting::limited(r#"[{ per = "day", requests = 1 }]"#);
    setting.world.ledger_hazards(LedgerHazards { failing: 1000, ..LedgerHazards::default() });
    assert_eq!(status(&setting.ask(&responder, post(), client(&body("open")))), 200);
    setting.world.ledger_hazards(LedgerHazards::default());
    assert_eq!(status(&setting.ask(&responder, post(), client("{}"))), 400);
    assert_eq!(setting.totals()["cost_nanodollars"], COST_NANODOLLARS);
    assert_eq!(status(&setting.ask(&responder, post(), client(&body("open")))), 429);
    setting.adds_up("open");
}

#[test]
fn a_repeat_is_answered_once_whatever_instance_it_comes_to() {
    let (_, body, responder) = forms().remove(0);
    let setting = Setting::new();
    let first = setting.ask(&responder, with_key("k"), client(&body));
    for _ in 0..3 {
        setting.world.forget();
        let again = setting.ask(&responder, with_key("k"), client(&body));
        assert_eq!((again.body.as_slice(), setting.calls()), (first.body.as_slice(), 0));
        assert_eq!(ledger::said(&again, "x-moegate-replayed"), "true");
    }
    let other = setting.ask(&responder, with_key("k"), client(&body.replace("Hello", "Bye")));
    assert_eq!(status(&other), 422);
    assert_eq!(setting.totals()["requests"], 1);
}

#[test]
fn repeats_at_the_same_time_at_several_instances_are_sent_once() {
    let (_, body, responder) = forms().remove(0);
    for step in 2..14 {
        let setting = Setting::new();
        // The first instance is gone in the middle; the second waits for the claim's end, and no longer.
        setting.ask(&responder, with_key("k"), client(&body).cancelled_at_step(step));
        setting.world.forget();
        let before_ms = setting.world.now_ms();
        let got = setting.ask(&responder, with_key("k"), client(&body));
        let waited_ms = setting.world.now_ms() - before_ms;
        assert!(waited_ms <= 21_000, "step {step}: {waited_ms}");
        assert!(matches!(status(&got), 200 | 409), "step {step}: {} {}", status(&got), text(&got));
    }
}

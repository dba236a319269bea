//! Whole answers.

use crate::fixtures::{
    COST, COST_NANODOLLARS, Receipts, USAGE, USAGE_JSON, always, answer_text, chat, json, own, post,
    usage_with_cost,
};
use crate::host::{Call, Ended};
use crate::stage::{Behaviour, Stage, expect_bound};
use moegate_wire::{Ending, Nanodollars};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "answer_of_own",
        "our own server's answer passes byte for byte, plus `usage.cost`; headers say who answered at what cost",
        of_own,
    ),
    Behaviour::new("answer_of_far", "a third party's answer passes byte for byte, plus `usage.cost`", of_far),
    Behaviour::new(
        "answer_without_usage",
        "an answer without counts passes as it is, and is recorded as unmetered, at the most that it can have cost",
        without_usage,
    ),
    Behaviour::new(
        "request_passes_unchanged",
        "unknown fields and odd numbers reach the origin byte for byte",
        unchanged,
    ),
    Behaviour::new(
        "model_is_renamed",
        "where the origin knows the model by another name, that name replaces the client's and nothing else changes",
        renamed,
    ),
    Behaviour::new("completions", "`/v1/completions` goes to the origin's `/completions`", completions),
];

fn passes_with_cost(stage: &mut Stage<'_>, model: &str, origin: &str) {
    let responder = own(json(200, answer_text()), Receipts::Missing);
    let reply = stage.play(responder, &chat(&format!("{model}-model")));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    assert_eq!(reply.text(), answer_text().replacen(USAGE_JSON, &usage_with_cost(), 1));
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-moegate-cost", COST),
        ("x-moegate-origin", origin),
        ("x-moegate-model", &format!("{model}-model")),
        ("x-moegate-attempts", "1"),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
    let record = stage.settled();
    assert_eq!(reply.header("x-moegate-request-id"), record.id);
    assert_eq!((record.key.as_str(), record.origin.as_str(), record.status), ("app", origin, 200));
    assert_eq!((record.ending, record.stream, record.metered), (Ending::Complete, false, true));
    assert_eq!((record.usage, record.cost_nanodollars), (USAGE, Nanodollars(COST_NANODOLLARS)));
}

fn of_own(stage: &mut Stage<'_>) {
    passes_with_cost(stage, "own", "own");
    assert_eq!(stage.host.arrived().len(), 1, "an answer that has its counts needs no receipt");
}

fn of_far(stage: &mut Stage<'_>) {
    passes_with_cost(stage, "far", "far");
}

fn without_usage(stage: &mut Stage<'_>) {
    for usage in ["null", "{}"] {
        let answer = answer_text().replacen(USAGE_JSON, usage, 1);
        let reply = stage.play(always(json(200, answer.clone())), &chat("far-model"));
        assert_eq!((reply.text(), reply.header("x-moegate-cost")), (answer, ""));
        let record = stage.settled();
        assert_eq!(record.ending, Ending::Complete);
        expect_bound(&record);
    }
}

const ODD: &str = r#" { "seed": 1.0e0,"big":123456789012345678901234567890,"x_new":{"a":[1,2 ],"b":"\u00e9é"},"model" : "MODEL","messages":[ ] }"#;

fn unchanged(stage: &mut Stage<'_>) {
    for model in ["own-model", "far-model"] {
        let body = ODD.replace("MODEL", model);
        stage.play(always(json(200, answer_text())), &post(body.clone()));
        assert_eq!(String::from_utf8_lossy(&stage.generation().body), body);
        stage.settled();
    }
}

fn renamed(stage: &mut Stage<'_>) {
    for (asked, served) in [("own-renamed", "own-model"), ("far-renamed", "far-model")] {
        let reply = stage.play(always(json(200, answer_text())), &post(ODD.replace("MODEL", asked)));
        assert_eq!(String::from_utf8_lossy(&stage.generation().body), ODD.replace("MODEL", served));
        assert_eq!(reply.header("x-moegate-model"), served);
        let record = stage.settled();
        assert_eq!((record.model.as_str(), record.served_model.as_str()), (asked, served));
    }
}

fn completions(stage: &mut Stage<'_>) {
    let call = Call { path: "/v1/completions".to_owned(), ..chat("far-model") };
    let reply = stage.play(always(json(200, answer_text())), &call);
    assert_eq!((reply.status, stage.generation().path.as_str()), (200, "/api/v1/completions"));
    stage.settled();
}

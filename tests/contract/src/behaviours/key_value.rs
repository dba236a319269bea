//! An account without a ledger: a record for each attempt under a key of its own.

use super::usage::adds_up;
use crate::fixtures::{ADMIN_KEY, COST_NANODOLLARS, always, answer_text, chat, get, json};
use crate::host::Needs;
use crate::stage::{Behaviour, Stage, expect_error};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::Script;
use moegate_wire::Nanodollars;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new("store_busy", "a store that fails three times gets the record all the same", busy)
        .needing(Needs::KeyValue),
    Behaviour::new(
        "store_down",
        "a store that keeps failing costs the client nothing, and the record is in the log",
        down,
    )
    .needing(Needs::KeyValue),
    Behaviour::new(
        "usage_fails_closed",
        "`/usage` gives no sums where the store does not answer",
        fails_closed,
    )
    .needing(Needs::KeyValue),
    Behaviour::new(
        "unknown_counts_cost_nothing",
        "an attempt of which nothing is known is unmetered and costs nothing: there is no bound to charge",
        unknown,
    )
    .needing(Needs::KeyValue),
    Behaviour::new(
        "ledger_needed",
        "single records, and sums by what the summaries do not hold, are 400 `ledger_needed`",
        ledger_needed,
    )
    .needing(Needs::KeyValue),
    Behaviour::new(
        "usage_adds_summaries_up",
        "`/usage` is the sum of every record's summary: in all, by key, model, origin and ending",
        adds_up,
    )
    .needing(Needs::KeyValue),
];

fn busy(stage: &mut Stage<'_>) {
    stage.host.fail_store(3);
    stage.play(always(json(200, answer_text())), &chat("far-model"));
    assert_eq!(stage.settled().cost_nanodollars, Nanodollars(COST_NANODOLLARS));
}

fn down(stage: &mut Stage<'_>) {
    stage.host.fail_store(4);
    let reply = stage.play(always(json(200, answer_text())), &chat("far-model"));
    assert_eq!(reply.status, 200);
    let id = reply.header("x-moegate-request-id");
    let said = stage.host.said();
    // Beside the record the line says what the host makes of it.
    let logged = said.lines().find(|line| line.contains(id)).expect("a line with the record");
    let json = &logged[logged.find('{').unwrap()..=logged.rfind('}').unwrap()];
    let logged: Record = serde_json::from_str(json).unwrap();
    assert_eq!((logged.id.as_str(), logged.cost_nanodollars), (id, Nanodollars(COST_NANODOLLARS)));
    stage.settle(0);
}

fn fails_closed(stage: &mut Stage<'_>) {
    stage.host.fail_store(1);
    expect_error(&stage.refused(&get("/usage", ADMIN_KEY)), 500, "store_unavailable", "try again");
}

fn unknown(stage: &mut Stage<'_>) {
    for script in [json(500, "{}").into(), Script::Silence] {
        stage.play(always(script), &chat("hasty-model"));
        let record = stage.settled();
        assert_eq!((record.state, record.metered), (State::Settled, false));
        assert_eq!((record.cost_nanodollars, record.bound_nanodollars), (Nanodollars(0), 0));
    }
}

fn ledger_needed(stage: &mut Stage<'_>) {
    for path in [
        "/usage?by=hour",
        "/usage?model=far-model",
        "/usage/export",
        "/requests/0",
        "/usage?period=2026-11-27T16",
    ] {
        expect_error(&stage.refused(&get(path, ADMIN_KEY)), 400, "ledger_needed", "key-value");
    }
}

//! Money.

use crate::fixtures::{
    DONE, Receipts, USAGE_JSON, always, answer_text, chat, finish, json, own, stream, streamed,
    streamed_with_usage, usage_event,
};
use crate::stage::{Behaviour, Stage};
use moegate_wire::Ending;

pub(super) const ALL: &[Behaviour] = &[Behaviour::new(
    "same_usage_same_cost",
    "the same usage costs the same unstreamed, pumped (asked for or not) and relayed",
    same_cost,
)];

fn same_cost(stage: &mut Stage<'_>) {
    let events = [finish(), usage_event(USAGE_JSON), DONE.to_owned()];
    let whole = || always(json(200, answer_text()));
    let pumped = || always(stream(&events));
    let relayed = own(stream(&[finish(), DONE.to_owned()]), Receipts::Signed(Ending::Complete));
    let mut settled = Vec::new();
    for (responder, call) in [
        (whole(), chat("own-model")),
        (whole(), chat("far-model")),
        (pumped(), streamed("far-model")),
        (pumped(), streamed_with_usage("far-model")),
        (pumped(), streamed("own-pumped")),
        (relayed, streamed("own-model")),
    ] {
        stage.play(responder, &call);
        let record = stage.settled();
        settled.push((record.usage, record.cost_nanodollars, record.ending, record.metered));
    }
    assert!(settled.iter().all(|one| *one == settled[0]), "{settled:?}");
}

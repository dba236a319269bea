//! Answers that are given again out of a route's cache.

use crate::fixtures::{
    COST, DONE, TENANT_KEY, USAGE_JSON, always, answer_text, chat, delta, finish, json, stream,
    streamed_with_usage, usage_event,
};
use crate::host::{Call, Ended, Reply};
use crate::stage::{Behaviour, Stage};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::Scripted;
use moegate_wire::{Nanodollars, Usage};
use std::time::Duration;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "cached_answer",
        "on a route with a `cache` the same request of the same tenant gets the same answer again, at no cost and \
         without a call to an origin; another tenant's does not, nor one with `Cache-Control: no-cache`",
        answer,
    ),
    Behaviour::new("cached_stream", "a whole stream is given again; one that was cut is not", streams),
];

/// What is kept is written behind the record.
const KEPT: Duration = Duration::from_millis(300);

/// An origin is asked.
fn made(stage: &mut Stage<'_>, script: &Scripted, call: &Call) -> Reply {
    let reply = stage.play(always(script.clone()), call);
    assert_eq!((reply.status, reply.header("x-moegate-cache")), (200, "miss"));
    assert_eq!(stage.generations().len(), 1);
    let record = stage.settled();
    assert!(!record.cache_hit);
    stage.host.pass(KEPT);
    reply
}

/// None is.
fn given_again(stage: &mut Stage<'_>, first: &Reply, call: &Call) {
    let reply = stage.play(always(json(500, "{}")), call);
    assert_eq!((reply.status, reply.header("x-moegate-cache"), reply.ended), (200, "hit", Ended::Whole));
    assert_eq!(stage.host.arrived(), []);
    assert_eq!(reply.text(), first.text().replace(&format!("\"cost\":{COST}"), "\"cost\":0"));
    for name in ["content-type", "x-moegate-model", "x-moegate-origin"] {
        assert_eq!(reply.header(name), first.header(name), "{name}");
    }
    let id = reply.header("x-moegate-request-id");
    assert_ne!(id, first.header("x-moegate-request-id"));
    assert!(reply.header("age").parse::<u64>().is_ok_and(|age_s| age_s < 600), "{reply:?}");
    let Record { id: recorded, state, cache_hit, usage, cost_nanodollars, .. } = stage.settled();
    assert_eq!((recorded.as_str(), state, cache_hit), (id, State::Settled, true));
    assert_eq!((usage, cost_nanodollars), (Usage::default(), Nanodollars(0)));
}

fn answer(stage: &mut Stage<'_>) {
    let (script, call) = (json(200, answer_text()), chat("far-cached"));
    let first = made(stage, &script, &call);
    given_again(stage, &first, &call);
    let other = Call { authorization: Some(format!("Bearer {TENANT_KEY}")), ..call.clone() };
    let others = made(stage, &script, &other);
    given_again(stage, &others, &other);
    made(stage, &script, &call.clone().with("cache-control", "no-cache"));
    given_again(stage, &first, &call);
}

fn streams(stage: &mut Stage<'_>) {
    let call = streamed_with_usage("far-cached");
    let cut = stage.play(always(stream(&[delta("a")])), &call);
    assert_eq!(cut.header("x-moegate-cache"), "miss");
    stage.settled();
    stage.host.pass(KEPT);
    let events = [delta("a"), delta("b"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
    let first = made(stage, &stream(&events), &call);
    assert!(first.text().contains(&format!("\"cost\":{COST}")));
    given_again(stage, &first, &call);
}

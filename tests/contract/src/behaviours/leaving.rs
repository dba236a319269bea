//! A client that leaves stops the origin.

use crate::fixtures::{Receipts, USAGE, always, answer_text, chat, delta, json, own, paced, streamed};
use crate::host::{Call, Ended, Needs, Parting};
use crate::stage::{Behaviour, Stage, expect_bound, expect_part};
use moegate::metering::record::Record;
use moegate::platform::fake::{End, Responder, Script, Scripted};
use moegate_wire::Ending;
use std::time::Duration;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "leaves_relayed_stream",
        "a client that leaves a relayed stream closes the origin's connection within a second, though the origin is silent; the receipt gives the record",
        relayed,
    )
    .needing(Needs::SeesClientLeave),
    Behaviour::new(
        "leaves_pumped_stream",
        "the same for a pumped stream, whose counts are then estimated",
        pumped,
    )
    .needing(Needs::SeesClientLeave),
    Behaviour::new(
        "closes_relayed_stream",
        "a client that only closes its side of a relayed stream is noticed as soon as the origin sends on",
        closes_relayed,
    ),
    Behaviour::new("closes_pumped_stream", "the same for a pumped stream", closes_pumped),
    Behaviour::new(
        "leaves_before_own_answer",
        "a client that leaves before our own server has answered closes its connection within a second; the receipt gives the record",
        before_own,
    )
    .needing(Needs::SeesClientLeave),
    Behaviour::new(
        "leaves_before_far_answer",
        "the same for a third party, whose counts are then not known: the most that it can have cost is charged",
        before_far,
    )
    .needing(Needs::SeesClientLeave),
    Behaviour::new(
        "leaves_before_stream",
        "the same where a stream was asked for and its first chunk has not come",
        before_stream,
    )
    .needing(Needs::SeesClientLeave),
    Behaviour::new(
        "serves_the_gone",
        "a client that leaves before the answer does not keep the origin from finishing it; what it used is recorded, as cancelled",
        serves_the_gone,
    )
    .needing(Needs::ServesTheGone),
];

const LIMIT: Duration = Duration::from_secs(1);

/// The machine may be busy with other things: one of three tries must be in time.
fn leave(stage: &mut Stage<'_>, responder: &Responder, call: &Call) -> Record {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = stage.play(responder.clone(), call);
        assert_eq!(reply.ended, Ended::Left);
        let dropped =
            stage.host.dropped_after(0).expect("the origin's connection stayed open for ten seconds");
        seen.push(dropped);
        let record = stage.settled();
        assert_eq!(record.ending, Ending::Cancelled);
        if dropped <= LIMIT {
            return record;
        }
    }
    panic!("the origin's connection was closed only after {seen:?}");
}

fn stalled(model: &str) -> (Script, Call) {
    let chunks = [delta("He"), delta("llo")];
    let whole = chunks.concat().len();
    (paced(&chunks, End::Stall).into(), streamed(model).staying_while(move |body| body.len() < whole))
}

fn relayed(stage: &mut Stage<'_>) {
    let (script, call) = stalled("own-model");
    let record = leave(stage, &own(script, Receipts::Signed(Ending::Cancelled)), &call);
    assert_eq!((record.metered, record.usage, record.status), (true, USAGE, 200));
}

fn pumped(stage: &mut Stage<'_>) {
    let (script, call) = stalled("far-model");
    let record = leave(stage, &always(script), &call);
    assert_eq!((record.inferred, record.status), (true, 200));
    expect_part(&record);
    assert_eq!(record.usage.completion, 2);
}

fn closing(model: &str) -> (Script, Call) {
    let (script, call) = stalled(model);
    let Script::Answer(scripted) = script else { unreachable!("a stream") };
    (Scripted { end: End::Endless, ..scripted }.into(), Call { parting: Parting::Orderly, ..call })
}

fn closes_relayed(stage: &mut Stage<'_>) {
    let (script, call) = closing("own-model");
    let record = leave(stage, &own(script, Receipts::Signed(Ending::Cancelled)), &call);
    assert_eq!((record.metered, record.usage), (true, USAGE));
}

fn closes_pumped(stage: &mut Stage<'_>) {
    let (script, call) = closing("far-model");
    expect_part(&leave(stage, &always(script), &call));
}

fn before_own(stage: &mut Stage<'_>) {
    let responder = own(Script::Silence, Receipts::Signed(Ending::Cancelled));
    let record = leave(stage, &responder, &chat("own-model").leaving_before_answer());
    assert_eq!((record.metered, record.usage, record.status), (true, USAGE, 499));
}

fn before_far(stage: &mut Stage<'_>) {
    let record = leave(stage, &always(Script::Silence), &chat("far-model").leaving_before_answer());
    assert_eq!(record.status, 499);
    expect_bound(&record);
}

fn before_stream(stage: &mut Stage<'_>) {
    let silent = paced::<&str>(&[], End::Stall);
    let record = leave(stage, &always(silent), &streamed("far-model").leaving_before_answer());
    assert_eq!(record.status, 499);
    expect_bound(&record);
}

fn serves_the_gone(stage: &mut Stage<'_>) {
    // The client leaves when the request has arrived.
    let late = Script::After(500, Box::new(json(200, answer_text()).into()));
    let reply = stage.play(always(late), &chat("far-model").leaving_before_answer());
    assert_eq!(reply.ended, Ended::Left);
    let record = stage.settled();
    assert_eq!((record.ending, record.metered, record.usage), (Ending::Cancelled, true, USAGE));
}

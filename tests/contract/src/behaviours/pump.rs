//! Streams of third parties: each event is looked at as it passes.

use crate::fixtures::{
    COST_NANODOLLARS, DONE, Receipts, TRUNCATED, USAGE, USAGE_JSON, always, delta, event, finish, own, paced,
    post, stream, streamed, streamed_with_usage, usage_event, usage_with_cost,
};
use crate::host::Ended;
use crate::stage::{Behaviour, Stage, expect_bound, expect_part};
use moegate::platform::fake::End;
use moegate_wire::{Ending, Nanodollars};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "stream_pumped_usage_removed",
        "usage the client did not ask for is asked of the origin, counted, and taken out again; all else passes byte for byte",
        usage_removed,
    ),
    Behaviour::new(
        "stream_pumped_usage_kept",
        "usage the client asked for is kept, with the cost",
        usage_kept,
    ),
    Behaviour::new(
        "stream_pumped_asks_for_usage",
        "the origin is asked for usage whatever the client's `stream_options` are, and the rest of the request stays",
        asks_for_usage,
    ),
    Behaviour::new(
        "stream_pumped_unbuffered",
        "the client has each event before the origin sends the next",
        unbuffered,
    ),
    Behaviour::new(
        "stream_pumped_split_events",
        "events that are split over chunks, within a character too, count and pass like whole ones",
        split,
    ),
    Behaviour::new(
        "stream_pumped_reset",
        "a reset mid-stream gives the client an error event and no `[DONE]`, and the record `truncated`",
        reset,
    ),
    Behaviour::new(
        "stream_pumped_cut",
        "a connection that closes before the stream's end counts like a reset",
        cut,
    ),
    Behaviour::new(
        "stream_pumped_reset_after_finish",
        "a reset after the finish reason and before `[DONE]` is a truncation: usage may be missing",
        reset_after_finish,
    ),
    Behaviour::new(
        "stream_pumped_no_end_mark",
        "a clean end without `[DONE]` or finish reason is a truncation too",
        no_end_mark,
    ),
    Behaviour::new("stream_pumped_half_event", "half an event is never passed on", half_event),
    Behaviour::new(
        "stream_pumped_error_event",
        "an error event passes and makes the record an error; a `[DONE]` after it is dropped",
        error_event,
    ),
    Behaviour::new(
        "stream_pumped_without_usage",
        "a stream without counts is recorded as unmetered, at the most that it can have cost",
        without_usage,
    ),
    Behaviour::new("stream_pumped_from_own", "a route may pump our own server's streams", from_own),
];

fn usage_removed(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), delta("llo é"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    let passed = [delta("He"), delta("llo é"), finish(), DONE.to_owned()];
    assert_eq!(reply.text(), passed.concat());
    let record = stage.settled();
    assert_eq!((record.ending, record.metered, record.stream), (Ending::Complete, true, true));
    assert_eq!((record.usage, record.cost_nanodollars), (USAGE, Nanodollars(COST_NANODOLLARS)));
}

fn usage_kept(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed_with_usage("far-model"));
    assert_eq!(reply.text(), chunks.concat().replacen(USAGE_JSON, &usage_with_cost(), 1));
    assert_eq!(stage.settled().usage, USAGE);
}

fn asks_for_usage(stage: &mut Stage<'_>) {
    let chunks = [finish(), DONE.to_owned()];
    for (sent, expected) in [
        (
            r#"{"model":"far-model","stream":true,"seed":1.0}"#,
            r#"{"stream_options":{"include_usage":true},"model":"far-model","stream":true,"seed":1.0}"#,
        ),
        (
            r#"{"model":"far-renamed","stream":true,"stream_options":{"include_usage":false,"x":1}}"#,
            r#"{"model":"far-model","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            r#"{"model":"far-model","stream":true,"stream_options":{"include_usage":true }}"#,
            r#"{"model":"far-model","stream":true,"stream_options":{"include_usage":true }}"#,
        ),
    ] {
        stage.play(always(stream(&chunks)), &post(sent));
        assert_eq!(String::from_utf8_lossy(&stage.generation().body), expected);
        stage.settled();
    }
}

fn unbuffered(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), delta("llo"), finish(), DONE.to_owned()];
    let reply = stage.play(always(paced(&chunks, End::Clean)), &streamed("far-model"));
    assert_eq!((reply.text(), reply.ended), (chunks.concat(), Ended::Whole));
    stage.settled();
}

fn split(stage: &mut Stage<'_>) {
    let whole = [delta("é🦀"), finish(), usage_event(USAGE_JSON), DONE.to_owned()].concat();
    let kept = whole.replacen(USAGE_JSON, &usage_with_cost(), 1);
    for size in [1, 7, 64] {
        let chunks: Vec<_> = whole.as_bytes().chunks(size).collect();
        let reply = stage.play(always(stream(&chunks)), &streamed_with_usage("far-model"));
        assert_eq!(reply.text(), kept, "chunks of {size}");
        assert_eq!(stage.settled().usage, USAGE);
    }
}

fn breaks(stage: &mut Stage<'_>, end: End) {
    let sent = [delta("He"), delta("llo")];
    let reply = stage.play(always(paced(&sent, end)), &streamed("far-model"));
    assert_eq!(reply.text(), sent.concat() + TRUNCATED);
    let record = stage.settled();
    // Its counts never came: two events are about two tokens.
    assert_eq!((record.ending, record.inferred), (Ending::Truncated, true));
    expect_part(&record);
    assert_eq!(record.usage.completion, 2);
}

fn reset(stage: &mut Stage<'_>) {
    breaks(stage, End::Reset);
}

fn cut(stage: &mut Stage<'_>) {
    breaks(stage, End::Cut);
}

fn reset_after_finish(stage: &mut Stage<'_>) {
    let sent = [delta("He"), finish()];
    let reply = stage.play(always(paced(&sent, End::Reset)), &streamed("far-model"));
    assert_eq!(reply.text(), sent.concat() + TRUNCATED);
    assert_eq!(stage.settled().ending, Ending::Truncated);
}

fn no_end_mark(stage: &mut Stage<'_>) {
    breaks(stage, End::Clean);
}

fn half_event(stage: &mut Stage<'_>) {
    let half = &finish()[..30];
    let script = stream(&[delta("He").as_str(), half]);
    let reply = stage.play(always(script), &streamed("far-model"));
    assert_eq!(reply.text(), delta("He") + TRUNCATED);
    assert_eq!(stage.settled().ending, Ending::Truncated);
}

fn error_event(stage: &mut Stage<'_>) {
    let error = event(r#"{"error":{"message":"overloaded","type":"server_error","code":null,"param":null}}"#);
    let chunks = [delta("He"), error.clone(), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!(reply.text(), delta("He") + &error);
    let record = stage.settled();
    assert_eq!((record.ending, record.status), (Ending::Error, 200));
}

fn without_usage(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), finish(), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!(reply.text(), chunks.concat());
    let record = stage.settled();
    assert_eq!(record.ending, Ending::Complete);
    expect_bound(&record);
}

fn from_own(stage: &mut Stage<'_>) {
    let usage = usage_event(&usage_with_cost());
    let chunks = [delta("He"), finish(), usage, DONE.to_owned()];
    let reply = stage
        .play(own(stream(&chunks), Receipts::Signed(Ending::Complete)), &streamed_with_usage("own-pumped"));
    assert_eq!(reply.text(), chunks.concat(), "the cost our own server wrote stays");
    let record = stage.settled();
    assert_eq!((record.usage, record.metered, record.ending), (USAGE, true, Ending::Complete));
}

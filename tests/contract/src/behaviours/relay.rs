//! Streams of our own server: the runtime's own pipe, metered by receipt.

use crate::fixtures::{
    COST_NANODOLLARS, DONE, Receipts, TRUNCATED, USAGE, delta, finish, own, paced, stream, streamed,
    streamed_with_usage,
};
use crate::host::Ended;
use crate::stage::{Behaviour, Stage, expect_bound};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::End;
use moegate_wire::{Ending, Nanodollars, Usage};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "stream_relayed_complete",
        "a relayed stream passes byte for byte, and its receipt gives the record",
        complete,
    ),
    Behaviour::new(
        "stream_relayed_unbuffered",
        "the client has each chunk before the origin sends the next",
        unbuffered,
    ),
    Behaviour::new(
        "stream_relayed_request_is_unchanged",
        "our own server is not asked for usage in the stream; the client's request passes as it is",
        request_is_unchanged,
    ),
    Behaviour::new(
        "stream_relayed_bytes_are_not_read",
        "not even a stream that is no text is touched",
        not_read,
    ),
    Behaviour::new(
        "receipt_missing",
        "where our own server knows nothing of its stream any more, nobody vouches for it: it is recorded as truncated, at the most that it can have cost",
        receipt_missing,
    ),
    Behaviour::new(
        "receipt_not_trusted",
        "a receipt by another key, changed after signing, or for another request is none: the record stays pending, at the most that it can have cost",
        receipt_not_trusted,
    ),
    Behaviour::new(
        "receipt_says_error",
        "a clean pipe whose receipt tells of an error is an error",
        receipt_says_error,
    ),
    Behaviour::new(
        "stream_relayed_reset",
        "a reset mid-stream gives the client an error event and no `[DONE]`, and the record `truncated`",
        reset,
    ),
    Behaviour::new(
        "stream_relayed_cut",
        "a connection that closes before the stream's end counts like a reset",
        cut,
    ),
];

fn chunks() -> Vec<String> {
    vec![": hello\n\n".to_owned(), delta("He"), delta("llo é"), finish(), DONE.to_owned()]
}

fn complete(stage: &mut Stage<'_>) {
    let reply =
        stage.play(own(stream(&chunks()), Receipts::Signed(Ending::Complete)), &streamed("own-model"));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    assert_eq!(reply.text(), chunks().concat());
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    assert_eq!((reply.header("x-moegate-origin"), reply.header("cache-control")), ("own", "no-store"));
    let record = stage.settled();
    assert_eq!(reply.header("x-moegate-request-id"), record.id);
    assert_eq!((record.ending, record.metered, record.stream), (Ending::Complete, true, true));
    assert_eq!((record.usage, record.cost_nanodollars), (USAGE, Nanodollars(COST_NANODOLLARS)));
    let time = record.origin_time.unwrap();
    assert_eq!((time.queue_us, time.prefill_us, time.decode_us), (11, 22, 33));
}

fn unbuffered(stage: &mut Stage<'_>) {
    // What comes before the first content comes along with it.
    let chunks = &chunks()[1..];
    let script = paced(chunks, End::Clean);
    let reply = stage.play(own(script, Receipts::Signed(Ending::Complete)), &streamed("own-model"));
    assert_eq!((reply.text(), reply.ended), (chunks.concat(), Ended::Whole));
    stage.settled();
}

fn request_is_unchanged(stage: &mut Stage<'_>) {
    for call in [streamed("own-model"), streamed_with_usage("own-model")] {
        stage.play(own(stream(&chunks()), Receipts::Signed(Ending::Complete)), &call);
        assert_eq!(stage.generation().body, call.body);
        stage.settled();
    }
}

fn not_read(stage: &mut Stage<'_>) {
    let begun = delta("x").into_bytes();
    let unread: Vec<u8> = (0..200_000u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let chunks: Vec<_> = std::iter::once(&begun[..]).chain(unread.chunks(7_001)).collect();
    let bytes = chunks.concat();
    let reply = stage.play(own(stream(&chunks), Receipts::Signed(Ending::Complete)), &streamed("own-model"));
    assert!(reply.body == bytes, "{} bytes", reply.body.len());
    stage.settled();
}

fn receipt_missing(stage: &mut Stage<'_>) {
    let record = unmetered(stage, Receipts::Missing);
    expect_bound(&record);
    assert_eq!(record.ending, Ending::Truncated);
}

fn receipt_not_trusted(stage: &mut Stage<'_>) {
    for receipts in [Receipts::SignedByAnother, Receipts::Tampered, Receipts::ForAnotherRequest] {
        let record = unmetered(stage, receipts);
        assert_eq!((record.state, record.metered, record.usage), (State::Pending, false, Usage::default()));
        assert_eq!(record.cost_nanodollars.0, record.bound_nanodollars, "{record:?}");
    }
}

fn unmetered(stage: &mut Stage<'_>, receipts: Receipts) -> Record {
    let reply = stage.play(own(stream(&chunks()), receipts), &streamed("own-model"));
    assert_eq!(reply.text(), chunks().concat());
    stage.settled()
}

fn receipt_says_error(stage: &mut Stage<'_>) {
    stage.play(own(stream(&chunks()), Receipts::Signed(Ending::Error)), &streamed("own-model"));
    assert_eq!(stage.settled().ending, Ending::Error);
}

fn breaks(stage: &mut Stage<'_>, end: End) {
    let sent = [delta("He"), delta("llo")];
    let responder = own(paced(&sent, end), Receipts::Signed(Ending::Cancelled));
    let reply = stage.play(responder, &streamed("own-model"));
    assert_eq!(reply.text(), sent.concat() + TRUNCATED);
    assert!(reply.text().contains("stream_truncated") && !reply.text().contains("[DONE]"));
    let record = stage.settled();
    assert_eq!((record.ending, record.metered, record.usage), (Ending::Truncated, true, USAGE));
}

fn reset(stage: &mut Stage<'_>) {
    breaks(stage, End::Reset);
}

fn cut(stage: &mut Stage<'_>) {
    breaks(stage, End::Cut);
}

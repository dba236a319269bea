//! What is too much.

use crate::faults::case::Forms::{Streamed, Whole};
use crate::faults::case::Got::{Answer, Broken, Error};
use crate::faults::case::Route::{Alone, Brief, Continue, Fallback};
use crate::faults::case::{Attempt, Chapter, Fault, breaks, case, fails, works};
use crate::faults::scripts::{Asked, begins};
use crate::fixtures::{DONE, delta, finish, json, paced};
use moegate::config::Failure::{self, Refused};
use moegate::platform::fake::{End, Piece, Script, Scripted};
use moegate_wire::Ending;

/// Bytes of one event.
const HUGE: usize = 10_000_000;

fn huge_text() -> String {
    "x".repeat(HUGE)
}

fn huge(asked: &Asked<'_>) -> Script {
    if !asked.streamed {
        return json(200, format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, huge_text())).into();
    }
    let events = [delta(&huge_text()), finish(), DONE.to_owned()];
    crate::fixtures::stream(&events).into()
}

/// More than is kept of one event, a word, and the end of the connection.
fn huge_then_reset() -> Script {
    let bytes = delta(&"x".repeat(300_000)) + &delta("one ");
    let chunks: Vec<_> = bytes.as_bytes().chunks(16 * 1024).collect();
    let mut script = crate::fixtures::stream(&chunks);
    script.pieces.push(Piece::Until(bytes.len()));
    Scripted { end: End::Reset, ..script }.into()
}

/// As fast as the client takes it.
fn endless() -> Script {
    let words = vec![delta("more "); 1_000];
    Scripted { end: End::Endless, ..paced(&words, End::Clean) }.into()
}

/// The time is over, which is not the origin's failure.
const LATE: Attempt = works("first").ends(Ending::Truncated);

pub(super) const CHAPTER: Chapter = Chapter {
    title: "It does not stop",
    what: "The limit for an unstreamed answer is 1 MiB here; two seconds in all where the route says so (`budget.seconds`).",
    faults: &[
        Fault::new(
            "huge",
            "an event, or an answer, of 10 MB",
            |asked| asked.first(|| huge(asked)),
            &[
                case(Alone, Streamed, Answer, &[works("first")]),
                case(Continue, Streamed, Answer, &[works("first")]),
                case(Alone, Whole, Error(502, "origin_answer_too_large"), &[fails("first", Refused)]),
                case(Fallback, Whole, Error(502, "origin_answer_too_large"), &[fails("first", Refused)]),
            ],
        )
        .saying(huge_text),
        Fault::new(
            "huge_then_reset",
            "an event of 300 kB, a word, and a reset: more than the gateway keeps, so nobody else can go on with it",
            |asked| asked.first(huge_then_reset),
            &[case(Continue, Streamed, Broken("stream_truncated"), &[breaks("first", Failure::Broken)])],
        ),
        Fault::new(
            "comments_for_ever",
            "two words, and then comments for ever",
            |asked| asked.first(|| begins(asked, 2, End::Endless)),
            &[case(Brief, Streamed, Broken("stream_timeout"), &[LATE]).within(3_000)],
        ),
        Fault::new(
            "content_for_ever",
            "content for ever",
            |asked| asked.first(endless),
            &[case(Brief, Streamed, Broken("stream_timeout"), &[LATE]).within(3_000)],
        ),
    ],
};

//! Streams that die when the client has some of them.

use crate::faults::case::Forms::Streamed;
use crate::faults::case::Got::{self, Answer, Broken, ErrorEvent};
use crate::faults::case::Route::{Alone, Continue, Fallback};
use crate::faults::case::{Case, Chapter, Fault, breaks, case, works};
use crate::faults::scripts::{ERROR, begins, begins_with};
use crate::fixtures::{DONE, event, finish};
use moegate::config::Failure;
use moegate::platform::fake::End;
use moegate_wire::Ending;

const TRUNCATED: Got = Broken("stream_truncated");

const BREAKS: &[Case] = &[
    case(Alone, Streamed, TRUNCATED, &[breaks("first", Failure::Broken)]),
    case(Fallback, Streamed, TRUNCATED, &[breaks("first", Failure::Broken)]),
    case(Continue, Streamed, Answer, &[breaks("first", Failure::Broken), works("second")]),
];

pub(super) const CHAPTER: Chapter = Chapter {
    title: "A stream dies in the middle",
    what: "The client has two words of eight. Only with `continue` can another origin go on: it gets the conversation with these two words, and says the other six.",
    faults: &[
        Fault::new(
            "reset",
            "resets the connection",
            |asked| asked.first(|| begins(asked, 2, End::Reset)),
            BREAKS,
        ),
        Fault::new(
            "reset_in_event",
            "resets the connection within an event",
            |asked| asked.first(|| begins_with(asked, 2, "data: {\"id\":\"c\",\"choi", End::Reset)),
            BREAKS,
        ),
        Fault::new(
            "cut",
            "closes the connection before the stream's end",
            |asked| asked.first(|| begins(asked, 2, End::Cut)),
            BREAKS,
        ),
        Fault::new(
            "no_end_mark",
            "ends the stream in an orderly way, without finish reason and `[DONE]`",
            |asked| asked.first(|| begins(asked, 2, End::Clean)),
            BREAKS,
        ),
        Fault::new(
            "error_event",
            "sends an error event, and `[DONE]` after it",
            |asked| asked.first(|| begins_with(asked, 2, &(event(ERROR) + DONE), End::Clean)),
            &[
                case(Alone, Streamed, ErrorEvent, &[ERRS]),
                case(Fallback, Streamed, ErrorEvent, &[ERRS]),
                case(Continue, Streamed, Answer, &[ERRS, works("second")]),
            ],
        ),
        Fault::new(
            "twice",
            "resets the connection, and so does `second` two words later; `third` says the rest",
            |asked| {
                let dies = asked.origin != "third";
                dies.then(|| begins(asked, 2, End::Reset))
            },
            &[case(
                Continue,
                Streamed,
                Answer,
                &[breaks("first", Failure::Broken), breaks("second", Failure::Broken), works("third")],
            )],
        ),
        Fault::new(
            "everywhere",
            "resets the connection, and so does every other origin",
            |asked| Some(begins(asked, 2, End::Reset)),
            &[case(
                Continue,
                Streamed,
                TRUNCATED,
                &[
                    breaks("first", Failure::Broken),
                    breaks("second", Failure::Broken),
                    breaks("third", Failure::Broken),
                ],
            )],
        ),
        Fault::new(
            "between_own",
            "resets the connection; both are servers of our own, so the second goes on with the very tokens",
            |asked| asked.at("own-1", || begins(asked, 2, End::Reset)),
            &[case(Continue, Streamed, Answer, &[breaks("own-1", Failure::Broken), works("own-2")])],
        )
        .of("own-1"),
        Fault::new(
            "after_finish",
            "resets the connection after the finish reason and before `[DONE]`",
            |asked| asked.first(|| begins_with(asked, 8, &finish(), End::Reset)),
            &[case(Alone, Streamed, TRUNCATED, &[breaks("first", Failure::Broken)])],
        ),
    ],
};

/// By an error event.
const ERRS: crate::faults::case::Attempt = breaks("first", Failure::ServerError).ends(Ending::Error);

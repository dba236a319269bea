//! Streams of our own servers where nobody goes on with them: relayed, unread after their beginning.

use crate::faults::case::Forms::Streamed;
use crate::faults::case::Got::{Answer, Broken, Error, Passed};
use crate::faults::case::Route::{Alone, Brief, Fallback};
use crate::faults::case::{Chapter, Fault, breaks, case, fails, works};
use crate::faults::scripts::{ERROR, begins, streams};
use crate::fixtures::{DONE, event};
use moegate::config::Failure::{self, ServerError, Timeout};
use moegate::platform::fake::{COMMENT, End};
use moegate_wire::Ending;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "A relayed stream fails",
    what: "Here `first` and `second` are servers of our own, whose streams are passed on unread once they have begun. So nothing knows of a silence between two chunks (the server sends a comment every few seconds); the time in all holds.",
    faults: &[
        Fault::new(
            "relayed_error_first",
            "status 200 and a stream whose first event is an error",
            |asked| asked.at("own-1", || streams(&(event(ERROR) + DONE), End::Clean)),
            &[
                case(
                    Alone,
                    Streamed,
                    Passed(502),
                    &[fails("own-1", ServerError), fails("own-1", ServerError)],
                ),
                case(Fallback, Streamed, Answer, &[fails("own-1", ServerError), works("own-2")]),
            ],
        )
        .of("own-1"),
        Fault::new(
            "relayed_comments_only",
            "sends comments for ever and no content",
            |asked| asked.at("own-1", || streams(COMMENT, End::Endless)),
            &[
                case(
                    Alone,
                    Streamed,
                    Error(504, "origin_timeout"),
                    &[fails("own-1", Timeout), fails("own-1", Timeout)],
                ),
                case(Fallback, Streamed, Answer, &[fails("own-1", Timeout), works("own-2")]),
            ],
        )
        .of("own-1"),
        Fault::new(
            "relayed_reset",
            "says two words and resets the connection",
            |asked| asked.at("own-1", || begins(asked, 2, End::Reset)),
            &[
                case(Alone, Streamed, Broken("stream_truncated"), &[breaks("own-1", Failure::Broken)]),
                case(Fallback, Streamed, Broken("stream_truncated"), &[breaks("own-1", Failure::Broken)]),
            ],
        )
        .of("own-1"),
        Fault::new(
            "relayed_for_ever",
            "says two words, and then comments for ever",
            |asked| asked.at("own-1", || begins(asked, 2, End::Endless)),
            &[case(Brief, Streamed, Broken("stream_timeout"), &[works("own-1").ends(Ending::Truncated)])
                .within(3_000)],
        )
        .of("own-1"),
    ],
};

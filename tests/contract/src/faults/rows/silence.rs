//! Origins that are too slow.

use crate::faults::case::Forms::{Both, Streamed};
use crate::faults::case::Got::{Answer, Broken, Error};
use crate::faults::case::Route::{Alone, Continue, Fallback};
use crate::faults::case::{Chapter, Fault, breaks, case, fails, works};
use crate::faults::scripts::{begins, streams};
use moegate::config::Failure::Timeout;
use moegate::platform::fake::{COMMENT, End, Script};

const TOO_LATE: crate::faults::case::Got = Error(504, "origin_timeout");

pub(super) const CHAPTER: Chapter = Chapter {
    title: "It is silent",
    what: "For longer than a second, which is the limit here for a stream's first content (`first_byte_s`), for an unstreamed answer, and for the time between two chunks (`idle_s`). The connection is closed then.",
    faults: &[
        Fault::new(
            "no_headers",
            "takes the request and says nothing",
            |asked| asked.first(|| Script::Silence),
            &[
                case(Alone, Both, TOO_LATE, &[fails("first", Timeout), fails("first", Timeout)]),
                case(Fallback, Both, Answer, &[fails("first", Timeout), works("second")]),
            ],
        )
        .of("silent"),
        Fault::new(
            "headers_only",
            "sends a stream's headers and nothing more",
            |asked| asked.first(|| begins(asked, 0, End::Stall)),
            &[
                case(Alone, Streamed, TOO_LATE, &[fails("first", Timeout), fails("first", Timeout)]),
                case(Fallback, Streamed, Answer, &[fails("first", Timeout), works("second")]),
            ],
        )
        .of("silent"),
        Fault::new(
            "comments_only",
            "sends comments for ever and no content",
            |asked| asked.first(|| streams(COMMENT, End::Endless)),
            &[
                case(Alone, Streamed, TOO_LATE, &[fails("first", Timeout), fails("first", Timeout)]),
                case(Fallback, Streamed, Answer, &[fails("first", Timeout), works("second")]),
            ],
        )
        .of("silent"),
        Fault::new(
            "between_chunks",
            "says two words and then nothing",
            |asked| asked.first(|| begins(asked, 2, End::Stall)),
            &[
                case(Alone, Streamed, Broken("stream_idle"), &[breaks("first", Timeout)]),
                case(Fallback, Streamed, Broken("stream_idle"), &[breaks("first", Timeout)]),
                case(Continue, Streamed, Answer, &[breaks("first", Timeout), works("second")]),
            ],
        )
        .of("silent"),
    ],
};

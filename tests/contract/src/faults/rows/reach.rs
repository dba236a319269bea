//! Origins that cannot be reached, or break off before the answer has begun.

use crate::faults::case::Forms::{Both, Streamed};
use crate::faults::case::Got::{Answer, Error, Passed};
use crate::faults::case::Route::{Alone, Fallback};
use crate::faults::case::{Chapter, Fault, case, fails, misses, works};
use crate::faults::scripts::{error, head_only};
use moegate::config::Failure::{Broken, Connect, ServerError};
use moegate::platform::fake::{End, Script};

const UNREACHABLE: crate::faults::case::Got = Error(502, "origin_unreachable");
const BROKE_OFF: crate::faults::case::Got = Error(502, "origin_broke_off");

pub(super) const CHAPTER: Chapter = Chapter {
    title: "It cannot be reached, or breaks off at once",
    what: "A call that is refused, or whose name or TLS fails, reaches nobody; it counts as an attempt and has its record.",
    faults: &[
        Fault::new(
            "refused",
            "nothing listens",
            |_| None,
            &[
                case(Alone, Both, UNREACHABLE, &[misses("refusing"), misses("refusing")]),
                case(Fallback, Both, Answer, &[misses("refusing"), works("second")]),
            ],
        )
        .of("refusing"),
        Fault::new(
            "no_such_name",
            "its name does not resolve",
            |_| None,
            &[
                case(Alone, Both, UNREACHABLE, &[misses("nowhere"), misses("nowhere")]),
                case(Fallback, Both, Answer, &[misses("nowhere"), works("second")]),
            ],
        )
        .of("nowhere"),
        Fault::new(
            "no_tls",
            "it speaks no TLS where `https` is configured",
            |_| None,
            &[
                case(Alone, Both, UNREACHABLE, &[misses("no-tls"), misses("no-tls")]),
                case(Fallback, Both, Answer, &[misses("no-tls"), works("second")]),
            ],
        )
        .of("no-tls"),
        Fault::new(
            "reset",
            "takes the request and resets the connection",
            |asked| asked.first(|| Script::Reset),
            &[
                case(Alone, Both, UNREACHABLE, &[fails("first", Connect), fails("first", Connect)]),
                case(Fallback, Both, Answer, &[fails("first", Connect), works("second")]),
            ],
        ),
        Fault::new(
            "reset_once",
            "resets the first connection and answers at the second",
            |asked| if asked.before == 0 { asked.first(|| Script::Reset) } else { None },
            &[case(Alone, Both, Answer, &[fails("first", Connect), works("first")])],
        ),
        Fault::new(
            "reset_after_headers",
            "sends status 200 and headers, then resets",
            |asked| asked.first(|| head_only(asked, End::Reset)),
            &[
                case(Alone, Both, BROKE_OFF, &[fails("first", Broken), fails("first", Broken)]),
                case(Fallback, Both, Answer, &[fails("first", Broken), works("second")]),
            ],
        ),
        Fault::new(
            "closed_after_headers",
            "sends status 200 and a stream's headers, then ends the stream in an orderly way",
            |asked| asked.first(|| head_only(asked, End::Clean)),
            &[
                case(Alone, Streamed, BROKE_OFF, &[fails("first", Broken), fails("first", Broken)]),
                case(Fallback, Streamed, Answer, &[fails("first", Broken), works("second")]),
            ],
        ),
        Fault::new(
            "all_down",
            "none works: nothing listens at the first, the second answers 500, the third 503",
            |asked| match asked.origin {
                "first" => Some(error(500, &[])),
                "third" => Some(error(503, &[])),
                _ => None,
            },
            &[case(
                Fallback,
                Both,
                Passed(503),
                &[misses("refusing"), fails("first", ServerError), fails("third", ServerError)],
            )],
        )
        .of("all"),
    ],
};

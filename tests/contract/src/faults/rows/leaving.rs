//! Clients that leave.

use crate::faults::case::Forms::{Both, Streamed};
use crate::faults::case::Got::Left;
use crate::faults::case::Leave::{AfterContinuation, BeforeAnswer, InPause, MidStream};
use crate::faults::case::Route::{Alone, Continue, Fallback};
use crate::faults::case::{Attempt, Chapter, Fault, breaks, case, fails, works};
use crate::faults::scripts::{begins, error};
use moegate::config::Failure::{Broken, RateLimited, Timeout};
use moegate::platform::fake::{End, Script};
use moegate_wire::Ending::Cancelled;

const fn is_left(origin: &'static str) -> Attempt {
    works(origin).ends(Cancelled)
}

pub(super) const CHAPTER: Chapter = Chapter {
    title: "The client leaves",
    what: "On Workers the gateway knows at once: the origin's connection is closed within a second, and no further call is made. In Spin it knows when it next writes to the client, so before the answer it does all it would have done.",
    faults: &[
        Fault::new(
            "before_the_answer",
            "says nothing; the client leaves",
            |asked| asked.first(|| Script::Silence),
            &[
                case(Alone, Both, Left, &[is_left("first")])
                    .leaving(BeforeAnswer)
                    .on_spin(Left, &[fails("first", Timeout), fails("first", Timeout).ends(Cancelled)]),
                case(Fallback, Both, Left, &[is_left("first")])
                    .leaving(BeforeAnswer)
                    .on_spin(Left, &[fails("first", Timeout), is_left("second")]),
            ],
        )
        .of("silent"),
        Fault::new(
            "in_a_pause",
            "429, `retry-after: 1`; the client leaves while the gateway waits",
            |asked| asked.first(|| error(429, &[("retry-after", "1")])),
            &[case(Alone, Both, Left, &[fails("first", RateLimited).ends(Cancelled)])
                .leaving(InPause)
                .on_spin(Left, &[fails("first", RateLimited), fails("first", RateLimited).ends(Cancelled)])],
        ),
        Fault::new(
            "mid_stream",
            "says two words, and then comments for ever; the client leaves",
            |asked| asked.first(|| begins(asked, 2, End::Endless)),
            &[
                case(Alone, Streamed, Left, &[is_left("first")]).leaving(MidStream),
                case(Continue, Streamed, Left, &[is_left("first")]).leaving(MidStream),
            ],
        ),
        Fault::new(
            "mid_stream_silent",
            "says two words, and then nothing; the client leaves",
            |asked| asked.first(|| begins(asked, 2, End::Stall)),
            &[case(Alone, Streamed, Left, &[is_left("first")])
                .leaving(MidStream)
                .on_spin(Left, &[breaks("first", Timeout)])],
        )
        .of("silent"),
        Fault::new(
            "after_a_continuation",
            "`first` resets after two words, `second` says one and then comments for ever; the client leaves",
            |asked| {
                Some(match asked.origin {
                    "first" => begins(asked, 2, End::Reset),
                    _ => begins(asked, 1, End::Endless),
                })
            },
            &[case(Continue, Streamed, Left, &[breaks("first", Broken), is_left("second")])
                .leaving(AfterContinuation)],
        ),
    ],
};

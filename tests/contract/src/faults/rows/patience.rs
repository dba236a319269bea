//! 429 and 503, with what they say of waiting.

use crate::faults::case::Forms::Both;
use crate::faults::case::Got::{Answer, Passed};
use crate::faults::case::Route::{Alone, Fallback};
use crate::faults::case::{Case, Chapter, Fault, case, fails, works};
use crate::faults::scripts::{Asked, error, error_of};
use moegate::config::Failure::{RateLimited, ServerError, Waking};
use moegate::platform::fake::Script;

const FAR_FUTURE: &str = "Fri, 31 Dec 2100 23:59:59 GMT";
const WAKING: &str =
    r#"{"error":{"message":"it is starting","type":"server_error","param":null,"code":"origin_waking"}}"#;
const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// What can be waited for.
const LIMITED_SHORT: &[Case] = &[
    case(Alone, Both, Passed(429), &[fails("first", RateLimited), fails("first", RateLimited)])
        .apart(200, 1_000),
    LIMITED_FALLBACK,
];
const LIMITED_SOON: &[Case] = &[
    case(Alone, Both, Passed(429), &[fails("first", RateLimited), fails("first", RateLimited)])
        .apart(0, 1_300),
    LIMITED_FALLBACK,
];
/// What cannot.
const LIMITED_LONG: &[Case] =
    &[case(Alone, Both, Passed(429), &[fails("first", RateLimited)]).within(1_000), LIMITED_FALLBACK];
const LIMITED_FALLBACK: Case =
    case(Fallback, Both, Answer, &[fails("first", RateLimited), works("second")]).within(1_500);

const BUSY_SHORT: &[Case] = &[
    case(Alone, Both, Passed(503), &[fails("first", ServerError), fails("first", ServerError)])
        .apart(200, 1_000),
    BUSY_FALLBACK,
];
const BUSY_SOON: &[Case] = &[
    case(Alone, Both, Passed(503), &[fails("first", ServerError), fails("first", ServerError)])
        .apart(0, 1_300),
    BUSY_FALLBACK,
];
const BUSY_LONG: &[Case] =
    &[case(Alone, Both, Passed(503), &[fails("first", ServerError)]).within(1_000), BUSY_FALLBACK];
const BUSY_FALLBACK: Case =
    case(Fallback, Both, Answer, &[fails("first", ServerError), works("second")]).within(1_500);

fn says(asked: &Asked<'_>, status: u16, header: &str, value: &str) -> Option<Script> {
    asked.first(|| error(status, &[(header, value)]))
}

pub(super) const CHAPTER: Chapter = Chapter {
    title: "It asks for patience",
    what: "Here at most two seconds are waited (`budget.longest_wait_s`). Where the client gets the error, it gets its `Retry-After` too. One that is no number and no date counts as none: then the usual pause is made, at random up to half a second at first.",
    faults: &[
        Fault::new(
            "limited_short",
            "429, `retry-after-ms: 200`",
            |asked| says(asked, 429, "retry-after-ms", "200"),
            LIMITED_SHORT,
        ),
        Fault::new(
            "limited_once",
            "429, `retry-after: 1`, and then an answer",
            |asked| if asked.before == 0 { says(asked, 429, "retry-after", "1") } else { None },
            &[case(Alone, Both, Answer, &[fails("first", RateLimited), works("first")]).apart(1_000, 1_800)],
        ),
        Fault::new(
            "limited_long",
            "429, `retry-after: 30`",
            |asked| says(asked, 429, "retry-after", "30"),
            LIMITED_LONG,
        ),
        Fault::new(
            "limited_for_ages",
            "429, `retry-after: 1000000000`",
            |asked| says(asked, 429, "retry-after", "1000000000"),
            LIMITED_LONG,
        ),
        Fault::new(
            "limited_until_2100",
            "429, `retry-after`: a date in the year 2100",
            |asked| says(asked, 429, "retry-after", FAR_FUTURE),
            LIMITED_LONG,
        ),
        Fault::new(
            "limited_until_1994",
            "429, `retry-after`: a date that has passed",
            |asked| says(asked, 429, "retry-after", PAST),
            LIMITED_SOON,
        ),
        Fault::new(
            "limited_negative",
            "429, `retry-after: -5`",
            |asked| says(asked, 429, "retry-after", "-5"),
            LIMITED_SOON,
        ),
        Fault::new(
            "limited_garbage",
            "429, `retry-after: soon`",
            |asked| says(asked, 429, "retry-after", "soon"),
            LIMITED_SOON,
        ),
        Fault::new(
            "waking",
            "503 with the code `origin_waking`, `retry-after: 30`",
            |asked| asked.first(|| error_of(503, WAKING, &[("retry-after", "30")])),
            &[
                case(Alone, Both, Passed(503), &[fails("first", Waking)]).within(1_000),
                case(Fallback, Both, Answer, &[fails("first", Waking), works("second")]).within(1_500),
            ],
        ),
        Fault::new(
            "busy_short",
            "503, `retry-after-ms: 200`",
            |asked| says(asked, 503, "retry-after-ms", "200"),
            BUSY_SHORT,
        ),
        Fault::new(
            "busy_long",
            "503, `retry-after: 30`",
            |asked| says(asked, 503, "retry-after", "30"),
            BUSY_LONG,
        ),
        Fault::new(
            "busy_for_ages",
            "503, `retry-after: 1000000000`",
            |asked| says(asked, 503, "retry-after", "1000000000"),
            BUSY_LONG,
        ),
        Fault::new(
            "busy_until_2100",
            "503, `retry-after`: a date in the year 2100",
            |asked| says(asked, 503, "retry-after", FAR_FUTURE),
            BUSY_LONG,
        ),
        Fault::new(
            "busy_until_1994",
            "503, `retry-after`: a date that has passed",
            |asked| says(asked, 503, "retry-after", PAST),
            BUSY_SOON,
        ),
        Fault::new(
            "busy_negative",
            "503, `retry-after: -5`",
            |asked| says(asked, 503, "retry-after", "-5"),
            BUSY_SOON,
        ),
        Fault::new(
            "busy_garbage",
            "503, `retry-after: soon`",
            |asked| says(asked, 503, "retry-after", "soon"),
            BUSY_SOON,
        ),
    ],
};

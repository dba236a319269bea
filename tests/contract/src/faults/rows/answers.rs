//! Answers that are none, and refusals.

use crate::faults::case::Forms::{Both, Streamed, Whole};
use crate::faults::case::Got::{Answer, Error, Passed};
use crate::faults::case::Route::{Alone, Fallback};
use crate::faults::case::{Chapter, Fault, case, fails, works};
use crate::faults::scripts::{ERROR, error, error_of, streams};
use crate::faults::setting::SPARE_KEY;
use crate::fixtures::{DONE, event};
use moegate::config::Failure::{
    BadAnswer, BadKey, Conflict, ContentFilter, ContextLength, ModelNotFound, Refused, ServerError,
};
use moegate::platform::fake::{End, Scripted};

const INVALID: crate::faults::case::Got = Error(502, "origin_answer_invalid");

const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
const FILTERED: &str =
    r#"{"error":{"message":"refused","type":"invalid_request_error","param":null,"code":"content_filter"}}"#;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Its answer is none, or a refusal",
    what: "A stream counts as begun with its first content: until then another origin can take over unseen.",
    faults: &[
        Fault::new(
            "error_event_first",
            "status 200 and a stream whose first event is an error",
            |asked| asked.first(|| streams(&(event(ERROR) + DONE), End::Clean)),
            &[
                case(Alone, Streamed, Passed(502), &[fails("first", ServerError), fails("first", ServerError)]),
                case(Fallback, Streamed, Answer, &[fails("first", ServerError), works("second")]),
            ],
        ),
        Fault::new(
            "error_under_200",
            "status 200 and an error as the body",
            |asked| asked.first(|| error(200, &[])),
            &[
                case(Alone, Whole, Passed(502), &[fails("first", ServerError), fails("first", ServerError)]),
                case(Fallback, Whole, Answer, &[fails("first", ServerError), works("second")]),
            ],
        ),
        Fault::new(
            "html",
            "status 200 and a page",
            |asked| {
                asked.first(|| Scripted::new(200, "text/html", "<html><body>Sign in</body></html>").into())
            },
            &[
                case(Alone, Both, INVALID, &[fails("first", BadAnswer), fails("first", BadAnswer)]),
                case(Fallback, Both, Answer, &[fails("first", BadAnswer), works("second")]),
            ],
        ),
        Fault::new(
            "garbage",
            "status 200 and a stream of something else",
            |asked| asked.first(|| streams("data: \u{7f}ELF not JSON\n\nwhat is this\n\n", End::Clean)),
            &[
                case(Alone, Streamed, INVALID, &[fails("first", BadAnswer), fails("first", BadAnswer)]),
                case(Fallback, Streamed, Answer, &[fails("first", BadAnswer), works("second")]),
            ],
        ),
        Fault::new(
            "server_error",
            "500",
            |asked| asked.first(|| error(500, &[])),
            &[
                case(Alone, Both, Passed(500), &[fails("first", ServerError), fails("first", ServerError)]),
                case(Fallback, Both, Answer, &[fails("first", ServerError), works("second")]),
            ],
        ),
        Fault::new(
            "conflict",
            "409 (408 and 425 likewise): the same origin is asked once more before the next",
            |asked| asked.first(|| error(409, &[])),
            &[
                case(Alone, Both, Passed(409), &[fails("first", Conflict), fails("first", Conflict)]),
                case(
                    Fallback,
                    Both,
                    Answer,
                    &[fails("first", Conflict), fails("first", Conflict), works("second")],
                ),
            ],
        ),
        Fault::new(
            "bad_request",
            "400: the request itself is at fault",
            |asked| asked.first(|| error(400, &[])),
            &[
                case(Alone, Both, Passed(400), &[fails("first", Refused)]),
                case(Fallback, Both, Passed(400), &[fails("first", Refused)]),
            ],
        ),
        Fault::new(
            "no_such_model",
            "404: it does not know the model",
            |asked| asked.first(|| error(404, &[])),
            &[
                case(Alone, Both, Passed(404), &[fails("first", ModelNotFound)]),
                case(Fallback, Both, Answer, &[fails("first", ModelNotFound), works("second")]),
            ],
        ),
        Fault::new(
            "content_filter",
            "400 `content_filter`",
            |asked| asked.first(|| error_of(400, FILTERED, &[])),
            &[case(Fallback, Both, Passed(400), &[fails("first", ContentFilter)])],
        ),
        Fault::new(
            "context_too_long",
            "400 `context_length_exceeded` from a model of 8,192 tokens; one of 4,096 at the same origin is left out, one of 131,072 at another works",
            |asked| asked.at("short", || error_of(400, TOO_LONG, &[])),
            &[
                case(Alone, Both, Passed(400), &[fails("short", ContextLength)]),
                case(Fallback, Both, Answer, &[fails("short", ContextLength), works("long")]),
            ],
        )
        .of("short"),
        Fault::new(
            "bad_key",
            "401 for the gateway's key",
            |asked| asked.first(|| error(401, &[])),
            &[
                case(Alone, Both, Error(502, "origin_refused_key"), &[fails("first", BadKey)]),
                case(Fallback, Both, Answer, &[fails("first", BadKey), works("second")]),
            ],
        ),
        Fault::new(
            "spare_key",
            "401 for the gateway's key; there is a spare one",
            |asked| {
                let spare = asked.arrived.header("authorization") == Some(&format!("Bearer {SPARE_KEY}"));
                (!spare).then(|| error(401, &[]))
            },
            // No pause: the other key is not to blame.
            &[case(Alone, Both, Answer, &[fails("two-keys", BadKey), works("two-keys")]).apart(0, 200)],
        )
        .of("two-keys"),
    ],
};

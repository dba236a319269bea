use super::*;
use crate::config::Failure::{
    BadKey, ContentFilter, ContextLength, ModelNotFound, RateLimited, Refused, ServerError,
};

/// Every origin's words for prompts that are too long, content that is refused, and keys.
#[path = "words_tests.rs"]
mod words;

/// And for rates, models that are not there, and what is beyond an origin.
#[path = "limits_tests.rs"]
mod limits;

fn of_answer(status: u16, body: &str) -> Failure {
    error_of(status, body.as_bytes()).map_or(Failure::BadAnswer, |error| error.failure)
}

fn check(cases: &[(&str, u16, &str, Failure)]) {
    for (source, status, body, expected) in cases {
        assert_eq!(of_answer(*status, body), *expected, "{source}: {status} {body}");
    }
}

/// A text as the error of an origin that has OpenAI's form.
fn check_texts(status: u16, expected: Failure, texts: &[(&str, &str)]) {
    for (source, text) in texts {
        let wrapped =
            serde_json::json!({"error": {"message": text, "type": "invalid_request_error"}}).to_string();
        let flat = serde_json::json!({"object": "error", "message": text, "code": status}).to_string();
        let list =
            serde_json::json!([{"error": {"code": status, "message": text, "status": "INVALID_ARGUMENT"}}])
                .to_string();
        let string = serde_json::json!({"error": text}).to_string();
        for body in [wrapped, flat, list, string] {
            assert_eq!(of_answer(status, &body), expected, "{source}: {status} {body}");
        }
    }
}

#[test]
fn statuses_and_bodies() {
    for (status, body, expected) in [
        (429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#, RateLimited),
        (429, r#"{"error":{"message":"no","code":"insufficient_quota"}}"#, BadKey),
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimited,
        ),
        (400, r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#, ContextLength),
        (400, r#"{"error":{"message":"no","code":"content_filter"}}"#, ContentFilter),
        (400, r#"{"error":{"message":"temperature must be a number"}}"#, Refused),
        (403, r#"{"error":{"message":"not with this key"}}"#, BadKey),
        (404, r#"{"error":{"message":"no such model"}}"#, ModelNotFound),
        (413, "too large", Refused),
        (413, r#"{"error":{"message":"too large"}}"#, ContextLength),
        (451, r#"{"error":{"message":"not here"}}"#, ContentFilter),
        (503, r#"{"error":{"code":"origin_waking","message":"starting"}}"#, Failure::Waking),
        (409, r#"{"error":{"code":"resume_mismatch","message":"other vocabulary"}}"#, ModelNotFound),
        (400, r#"{"error":{"code":"invalid_resume","message":"not of this request"}}"#, ModelNotFound),
        (503, r#"{"error":{"message":"busy"}}"#, ServerError),
        (529, r#"{"error":{"message":"overloaded"}}"#, ServerError),
        (522, "<html>", Failure::Connect),
        (522, r#"{"error":{"message":"mine"}}"#, ServerError),
        (524, "<html>", Failure::Timeout),
        (200, r#"{"error":{"message":"mid-stream","code":429}}"#, RateLimited),
        (200, r#"{"error":{"message":"mid-stream","code":"502"}}"#, ServerError),
        (200, r#"{"error":{"message":"mid-stream","code":"overloaded"}}"#, ServerError),
        (200, r#"{"error":"a text"}"#, ServerError),
        (200, "<html>", Failure::BadAnswer),
        (302, "", Failure::BadAnswer),
        (407, "error code: 1016", Failure::Connect),
        (408, "", Failure::RequestTimeout),
        (409, "", Failure::Conflict),
        (425, "", Failure::TooEarly),
    ] {
        assert_eq!(of_answer(status, body), expected, "{status} {body}");
    }
}

#[test]
fn codes_beat_types_and_statuses_and_these_beat_words() {
    check(&[
        (
            "Groq: gpt-researcher#985",
            413,
            r#"{"error":{"message":"Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit 6000, Requested 14368, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimited,
        ),
        ("OpenAI", 400, r#"{"error":{"message":"no","code":"model_not_found"}}"#, ModelNotFound),
        (
            "OpenAI, a project without access",
            403,
            r#"{"error":{"message":"Project `p` does not have access to model `m`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            ModelNotFound,
        ),
        (
            "Moonshot: kimi-code#1857",
            429,
            r#"{"error":{"message":"Your account is suspended","type":"exceeded_current_quota_error"}}"#,
            BadKey,
        ),
        (
            "a code before a type",
            400,
            r#"{"error":{"message":"no","type":"rate_limit_error","code":"content_filter"}}"#,
            ContentFilter,
        ),
        ("a status before words", 401, r#"{"error":{"message":"maximum context length"}}"#, BadKey),
        ("a status before words", 404, r#"{"error":{"message":"content_filter"}}"#, ModelNotFound),
        (
            "Anthropic under 200",
            200,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
            RateLimited,
        ),
    ]);
}

#[test]
fn who_refuses_the_question_for_counts() {
    for (source, status, body, expected) in [
        (
            "Azure: openai-python#1469",
            400,
            r#"{"error":{"code":null,"message":"Unrecognized request argument supplied: stream_options","param":null,"type":"invalid_request_error"}}"#,
            true,
        ),
        (
            "Azure: agno#1066",
            400,
            r#"{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error","param":"stream_options","code":"unknown_parameter"}}"#,
            true,
        ),
        (
            "Mistral: openai-agents-python#442",
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
            true,
        ),
        (
            "vLLM: gpustack#429",
            400,
            r#"[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]"#,
            true,
        ),
        (
            "a proxy: gpt-pilot#1022",
            400,
            r#"{"error":{"message":"Unrecognized request argument supplied: stream_options. Please contact us through an Azure support request","type":"invalid_request_error","param":"","code":null}}"#,
            true,
        ),
        (
            "FastAPI, of a request without messages",
            422,
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{"model":"m","stream_options":{"include_usage":true}}}]}"#,
            false,
        ),
        ("of something else", 400, r#"{"error":{"message":"Unknown parameter: 'logprobs'."}}"#, false),
        ("an outage", 500, r#"{"error":{"message":"stream_options"}}"#, false),
    ] {
        assert_eq!(refuses_stream_options(status, body.as_bytes()), expected, "{source}");
    }
}

#[test]
fn texts_of_pages() {
    let message = |status, body: &str| error_of(status, body.as_bytes()).unwrap().message;
    assert_eq!(message(500, "oops").as_deref(), Some("oops"));
    for unknown in [r#"{"what":"ever"}"#, r#"{"error":{"code":"x"}}"#, r#"{"code":5,"info":"what it is"}"#] {
        assert_eq!(message(500, unknown).as_deref(), Some(unknown));
    }
    assert_eq!(
        (message(502, "<html>nginx</html>"), message(500, " "), message(403, "error code: 1016")),
        (None, None, None)
    );
}

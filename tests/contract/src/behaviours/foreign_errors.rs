//! Errors that are not in OpenAI's form or not in its words.

use crate::fixtures::{
    DONE, FAR_KEY, TENANT_KEY, always, answer_text, chat, delta, event, finish, json, stream, streamed,
};
use crate::host::{Call, Reply};
use crate::stage::{Behaviour, Stage, error_of, expect_error};
use moegate::config::Failure;
use moegate::platform::fake::{Responder, Scripted};
use moegate_wire::Ending;
use std::sync::Arc;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "error_without_envelope",
        "an error without the envelope `error` keeps its class and its text: the next origin is asked, and alone the client gets it in OpenAI's form",
        flat,
    ),
    Behaviour::new(
        "error_in_an_array",
        "an error in an array (Gemini) counts by what is in it; a key that is refused with 400 is 502 `origin_refused_key`",
        array,
    ),
    Behaviour::new(
        "error_of_length_in_other_words",
        "a prompt that is too long is `context_length` in every origin's words, and another origin is asked",
        too_long,
    ),
    Behaviour::new(
        "error_of_moderation",
        "a flagged prompt goes to no other origin, whatever the status and the words",
        moderation,
    ),
    Behaviour::new(
        "error_codes_beat_statuses",
        "413 with `rate_limit_exceeded` is a rate limit, 400 with `model_not_found` a missing model: another origin is asked",
        codes,
    ),
    Behaviour::new(
        "error_texts_are_kept",
        "`error` as a text, `message`, `detail`, `errors[]` and the like give the client their text in OpenAI's form, under 200 too",
        texts,
    ),
    Behaviour::new(
        "error_texts_are_cleaned",
        "such a text is cut to 2 KiB, without control characters and without the origin's key, however it is escaped",
        cleaned,
    ),
    Behaviour::new(
        "error_texts_of_the_account",
        "a key with `errors = \"plain\"` gets texts about the request, and none about the account that the gateway uses",
        of_the_account,
    ),
    Behaviour::new(
        "error_events_in_other_forms",
        "an error event of another form ends the stream as an error, in OpenAI's form; before the first content it is the answer",
        events,
    ),
];

const TOO_LONG: &str = "The input (5000 tokens) is longer than the model's context length (4096 tokens).";

/// `first` fails at one port; elsewhere there is an answer.
pub(super) fn failing_at(port: u16, first: Scripted) -> Responder {
    Arc::new(move |arrived| {
        if arrived.authority.ends_with(&port.to_string()) {
            first.clone().into()
        } else if String::from_utf8_lossy(&arrived.body).contains("\"stream\":true") {
            stream(&[delta("hello"), finish(), DONE.to_owned()]).into()
        } else {
            json(200, answer_text()).into()
        }
    })
}

/// The first of two origins answers so: the second is asked, and the class is on record.
pub(super) fn goes_on(stage: &mut Stage<'_>, status: u16, body: &str, failure: Failure) {
    for call in [chat("far-then-hasty"), streamed("far-then-hasty")] {
        let reply = stage.play(failing_at(28712, json(status, body)), &call);
        assert_eq!((reply.status, reply.header("x-moegate-origin")), (200, "hasty"), "{body}: {reply:?}");
        let records = stage.settle(2);
        assert_eq!(records[0].failure, Some(failure), "{body}");
    }
}

/// The first of two origins answers so: the client gets it, and the second is not asked.
fn stops(stage: &mut Stage<'_>, status: u16, body: &str, failure: Failure) -> Reply {
    let reply = stage.play(failing_at(28712, json(status, body)), &chat("far-then-hasty"));
    assert_eq!((reply.status, reply.header("x-moegate-origin")), (status, "far"), "{body}: {reply:?}");
    assert_eq!(stage.settled().failure, Some(failure), "{body}");
    reply
}

/// The only origin answers so.
fn alone(stage: &mut Stage<'_>, status: u16, body: &str) -> Reply {
    let reply = stage.play(always(json(status, body)), &chat("far-model"));
    assert_eq!(stage.settled().ending, Ending::Error);
    reply
}

fn flat(stage: &mut Stage<'_>) {
    let sglang = format!(
        r#"{{"object":"error","message":"{TOO_LONG}","type":"BadRequestError","param":null,"code":400}}"#
    );
    goes_on(stage, 400, &sglang, Failure::ContextLength);
    let reply = alone(stage, 400, &sglang);
    assert_eq!(error_of(&reply), (400, "context_length_exceeded".to_owned(), TOO_LONG.to_owned()));
    let mistral = r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#;
    goes_on(stage, 400, mistral, Failure::ModelNotFound);
    expect_error(&alone(stage, 400, mistral), 400, "model_not_found", "Invalid model: x");
    let refused = r#"{"object":"error","message":"messages must not be empty","type":"BadRequestError","param":"messages","code":400}"#;
    let reply = stops(stage, 400, refused, Failure::Refused);
    expect_error(&reply, 400, "origin_error", "messages must not be empty");
    assert!(reply.text().contains(r#""param":"messages""#), "{reply:?}");
}

fn array(stage: &mut Stage<'_>) {
    let gemini = |code: u16, message: &str, status: &str| {
        format!(r#"[{{"error":{{"code":{code},"message":"{message}","status":"{status}"}}}}]"#)
    };
    let length = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    let too_long = gemini(400, length, "INVALID_ARGUMENT");
    goes_on(stage, 400, &too_long, Failure::ContextLength);
    expect_error(&alone(stage, 400, &too_long), 400, "context_length_exceeded", length);
    let limited = gemini(429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED");
    goes_on(stage, 429, &limited, Failure::RateLimited);
    expect_error(&alone(stage, 429, &limited), 429, "rate_limit_exceeded", "exhausted");
    let key = gemini(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT");
    goes_on(stage, 400, &key, Failure::BadKey);
    expect_error(&alone(stage, 400, &key), 502, "origin_refused_key", "your key is fine");
}

fn too_long(stage: &mut Stage<'_>) {
    let wrapped =
        |text: &str| format!(r#"{{"error":{{"message":"{text}","type":"invalid_request_error"}}}}"#);
    for body in [
        wrapped("The decoder prompt (length 5000) is longer than the maximum model length of 4096"),
        wrapped("Input is too long for requested model."),
        wrapped("`inputs` tokens + `max_new_tokens` must be <= 8193"),
        // Siblings: Anthropic, xAI, Groq, Ollama, Moonshot, Bedrock Mantle.
        wrapped("prompt is too long: 903884 tokens > 200000 maximum"),
        wrapped("This model's maximum prompt length is 131072 but the request contains 537812 tokens"),
        wrapped("Please reduce the length of the messages or completion."),
        wrapped("prompt too long; exceeded max context length by 100918 tokens"),
        wrapped("Your request exceeded model token limit: 262144 (requested: 300000)"),
        wrapped("prompt tokens (1200008) exceed model maximum (1050000) for m"),
    ] {
        goes_on(stage, 400, &body, Failure::ContextLength);
        let reply = alone(stage, 400, &body);
        assert_eq!(
            (reply.status, reply.text()),
            (400, body),
            "what OpenAI's clients can read passes as it is"
        );
    }
    let tgi = r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3997 `inputs` tokens and 100 `max_new_tokens`","error_type":"validation"}"#;
    goes_on(stage, 422, tgi, Failure::ContextLength);
    expect_error(&alone(stage, 422, tgi), 422, "context_length_exceeded", "must be <= 4096");
}

fn moderation(stage: &mut Stage<'_>) {
    let flagged = r#"{"error":{"code":403,"message":"Input flagged","metadata":{"reasons":["violence"]}}}"#;
    let reply = stops(stage, 403, flagged, Failure::ContentFilter);
    assert_eq!(reply.text(), flagged);
    for (status, body) in [
        (
            403,
            r#"{"code":"The caller does not have permission","error":"Content violates usage guidelines."}"#,
        ),
        (400, r#"{"detail":"Content Exists Risk"}"#),
        (400, r#"{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content."}"#),
    ] {
        let reply = stops(stage, status, body, Failure::ContentFilter);
        expect_error(&reply, status, "content_filter", "ont");
    }
    let azure = r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    assert_eq!(stops(stage, 400, azure, Failure::ContentFilter).text(), azure);
}

fn codes(stage: &mut Stage<'_>) {
    let limited = r#"{"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 14368","type":"tokens","code":"rate_limit_exceeded"}}"#;
    goes_on(stage, 413, limited, Failure::RateLimited);
    let missing =
        r#"{"error":{"message":"no such thing","type":"invalid_request_error","code":"model_not_found"}}"#;
    goes_on(stage, 400, missing, Failure::ModelNotFound);
    let spent = r#"{"error":{"message":"suspended","type":"exceeded_current_quota_error"}}"#;
    goes_on(stage, 429, spent, Failure::BadKey);
}

fn texts(stage: &mut Stage<'_>) {
    for (status, body, code, text) in [
        (
            404,
            r#"{"error":"model \"x\" not found, try pulling it first"}"#,
            "model_not_found",
            "try pulling it first",
        ),
        (418, r#"{"message":"a message"}"#, "origin_error", "a message"),
        (500, r#"{"detail":"a detail"}"#, "origin_error", "a detail"),
        (
            422,
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}"#,
            "origin_error",
            "body.messages: Field required",
        ),
        (
            503,
            r#"{"errors":[{"code":"x","message":"the first of errors"}]}"#,
            "origin_error",
            "the first of errors",
        ),
        (
            400,
            r#"{"status":400,"title":"Bad Request","detail":"DEGRADED function cannot be invoked"}"#,
            "origin_error",
            "DEGRADED",
        ),
        (402, r#"{"detail":"Insufficient balance"}"#, "origin_error", "Insufficient balance"),
        (
            403,
            r#"{"code":"denied","error":"Your newly created team doesn't have any credits yet."}"#,
            "origin_error",
            "any credits",
        ),
        (500, r#"{"what":"ever"}"#, "origin_error", r#"`far` answered 500: {"what":"ever"}"#),
    ] {
        expect_error(&alone(stage, status, body), status, code, text);
    }
    for (body, status, code, text) in [
        (r#"{"error":"a text"}"#, 502, "origin_error", "a text"),
        (r#"{"detail":"a detail"}"#, 502, "origin_error", "a detail"),
        (
            r#"{"choices":[{"index":0,"finish_reason":"error","error":{"code":502,"message":"of a choice"}}]}"#,
            502,
            "origin_error",
            "of a choice",
        ),
        (
            r#"{"object":"error","message":"maximum context length","code":400}"#,
            400,
            "context_length_exceeded",
            "maximum",
        ),
    ] {
        expect_error(&alone(stage, 200, body), status, code, text);
    }
}

fn cleaned(stage: &mut Stage<'_>) {
    let long = "é".repeat(4_000);
    let (.., message) = error_of(&alone(stage, 500, &format!(r#"{{"error":"{long}"}}"#)));
    assert_eq!(message, format!("{}…", "é".repeat(1_024)));
    let (.., message) = error_of(&alone(stage, 500, r#"{"error":"bell\u0007 and\nline"}"#));
    assert_eq!(message, "bell  and line");
    let escaped = format!("\\u{:04x}{}", u32::from(FAR_KEY.as_bytes()[0]), &FAR_KEY[1..]);
    let (.., message) = error_of(&alone(stage, 500, &format!(r#"{{"error":"the key {escaped} is"}}"#)));
    assert_eq!(message, "the key [secret] is");
    let wrapped = format!(r#"{{"error":{{"message":"the key {escaped} is"}}}}"#);
    expect_error(&alone(stage, 500, &wrapped), 502, "origin_leaked_secret", "withheld");
}

fn of_the_account(stage: &mut Stage<'_>) {
    let call = || Call { authorization: Some(format!("Bearer {TENANT_KEY}")), ..chat("far-model") };
    for (status, body, shown, code) in [
        (
            413,
            r#"{"error":{"message":"in organization `org_1`","type":"tokens","code":"rate_limit_exceeded"}}"#,
            429,
            "rate_limit_exceeded",
        ),
        (400, r#"{"error":{"message":"Your credit balance at org_1 is too low"}}"#, 502, "provider_error"),
        (400, r#"[{"error":{"code":400,"message":"API key not valid for org_1"}}]"#, 502, "provider_error"),
        (403, r#"{"error":"team org_1 has run out of credits"}"#, 403, "provider_refused"),
        (500, r#"{"detail":"org_1 is down"}"#, 500, "provider_error"),
    ] {
        let reply = stage.play(always(json(status, body)), &call());
        expect_error(&reply, shown, code, "request id");
        assert!(!reply.text().contains("org_1"), "{reply:?}");
        stage.settled();
    }
    for (status, body, part) in [
        (400, r#"{"object":"error","message":"maximum context length is 8"}"#, "maximum context length is 8"),
        (
            403,
            r#"{"error":{"message":"Input flagged","metadata":{"reasons":["violence"]}}}"#,
            "Input flagged",
        ),
        (422, r#"{"detail":"bad field"}"#, "bad field"),
    ] {
        let reply = stage.play(always(json(status, body)), &call());
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(part), "{reply:?}");
        stage.settled();
    }
}

fn events(stage: &mut Stage<'_>) {
    for error in [
        event(r#"{"object":"error","message":"boom","type":"InternalServerError","param":null,"code":500}"#),
        event(r#"{"error":"boom"}"#),
        event(r#"{"detail":"boom"}"#),
        event(r#"[{"error":{"code":500,"message":"boom","status":"INTERNAL"}}]"#),
        "event: error\ndata: {\"message\":\"boom\"}\n\n".to_owned(),
    ] {
        let chunks = [delta("He"), error.clone(), DONE.to_owned()];
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        let expected = event(
            r#"{"error":{"message":"boom","type":"upstream_error","param":null,"code":"origin_error"}}"#,
        );
        assert_eq!(reply.text(), delta("He") + &expected, "{error}");
        assert_eq!(stage.settled().ending, Ending::Error);
        let reply = stage.play(always(stream(&[error, DONE.to_owned()])), &streamed("far-model"));
        expect_error(&reply, 502, "origin_error", "boom");
        stage.settled();
    }
}

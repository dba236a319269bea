//! What origins refuse of a request that others would take.

use super::foreign_errors::{failing_at, goes_on};
use crate::fixtures::{DONE, always, delta, event, finish, json, post, stream, streamed};
use crate::stage::{Behaviour, Stage, expect_bound};
use moegate::config::Failure;
use moegate::platform::fake::{Arrived, Responder, Script};
use moegate_wire::Ending;
use std::sync::Arc;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "stream_options_refused",
        "an origin that refuses the `stream_options` which the gateway added is asked once more without them, beside the budget, and the next time at once; its streams are unmetered",
        stream_options,
    ),
    Behaviour::new(
        "stream_usage_estimated",
        "with `stream_usage = \"estimate\"` a stream without counts is counted by its events, and marked as inferred",
        estimated,
    ),
    Behaviour::new(
        "stream_usage_never",
        "with `stream_usage = \"never\"` the origin is not asked for counts; what it says by itself counts",
        never,
    ),
    Behaviour::new(
        "origin_cannot",
        "what an origin cannot do (tools at our own server, a parameter) is not the request's fault: another origin is asked",
        cannot,
    ),
];

/// Takes no `stream_options`, in the words of Azure, and tells no counts.
fn terse(arrived: &Arrived) -> Script {
    if String::from_utf8_lossy(&arrived.body).contains("stream_options") {
        let error = r#"{"error":{"code":null,"message":"Unrecognized request argument supplied: stream_options","param":null,"type":"invalid_request_error"}}"#;
        return json(400, error).into();
    }
    stream(&[delta("one"), delta(" two"), finish(), DONE.to_owned()]).into()
}

fn stream_options(stage: &mut Stage<'_>) {
    for calls in [2, 1] {
        let reply = stage.play(Arc::new(terse), &streamed("terse-model"));
        assert!(reply.text().starts_with(&[delta("one"), delta(" two")].concat()), "{}", reply.text());
        assert!(reply.text().ends_with(DONE), "{reply:?}");
        assert_eq!(stage.generations().len(), calls);
        let records = stage.settle(calls);
        let last = records.last().unwrap();
        assert_eq!(last.ending, Ending::Complete);
        expect_bound(last);
        if calls == 2 {
            assert_eq!((records[0].failure, records[0].last), (Some(Failure::Unsupported), false));
        }
    }
    // Where it fails without them too, they were not to blame: the next request is asked with them.
    let fails: Responder = Arc::new(|arrived| {
        let added = String::from_utf8_lossy(&arrived.body).contains("stream_options");
        let text = if added { "no stream_options" } else { "no messages" };
        json(400, format!(r#"{{"error":{{"message":"{text}"}}}}"#)).into()
    });
    for _ in 0..2 {
        let reply = stage.play(fails.clone(), &streamed("far-model"));
        assert_eq!((reply.status, stage.generations().len()), (400, 2));
        assert!(reply.text().contains("no messages"), "{reply:?}");
        stage.settle(2);
    }
    // The client's own are not taken away.
    let asks =
        r#"{"model":"terse-model","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let reply = stage.play(Arc::new(terse), &post(asks));
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(stage.settled().failure, Some(Failure::Unsupported));
}

fn estimated(stage: &mut Stage<'_>) {
    for calls in [2, 1] {
        let call = streamed("counted-model");
        let prompt = call.body.len() as u64 / 4;
        let reply = stage.play(Arc::new(terse), &call);
        assert_eq!(reply.status, 200);
        let record = stage.settle(calls).pop().unwrap();
        assert_eq!((record.metered, record.inferred), (true, true));
        assert_eq!((record.usage.prompt, record.usage.completion), (prompt, 2));
    }
}

fn never(stage: &mut Stage<'_>) {
    let usage = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#;
    let chunks = [delta("one"), event(usage), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed("unasked-model"));
    assert_eq!(reply.status, 200);
    assert!(!String::from_utf8_lossy(&stage.generation().body).contains("stream_options"));
    let record = stage.settled();
    assert_eq!((record.metered, record.usage.prompt), (true, 9));
}

fn cannot(stage: &mut Stage<'_>) {
    let tools = r#"{"error":{"message":"`tools`: this server has no tool calls","type":"invalid_request_error","param":"tools","code":"unsupported_parameter"}}"#;
    for streams in [false, true] {
        let body = format!(
            r#"{{"model":"own-then-far","stream":{streams},"tools":[{{"type":"function"}}],"messages":[]}}"#
        );
        let reply = stage.play(failing_at(28711, json(400, tools)), &post(body));
        assert_eq!((reply.status, reply.header("x-moegate-origin")), (200, "far"), "{reply:?}");
        assert_eq!(stage.settle(2)[0].failure, Some(Failure::Unsupported));
    }
    for body in [
        r#"{"code":"Client specified an invalid argument","error":"Argument not supported on this model: presencePenalty"}"#,
        r#"{"error":{"message":"registry.ollama.ai/library/gemma3:4b does not support tools","type":"api_error","param":null,"code":null}}"#,
        r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
    ] {
        goes_on(stage, 400, body, Failure::Unsupported);
    }
}

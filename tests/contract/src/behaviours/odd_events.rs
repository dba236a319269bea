//! Events within a stream that are not as OpenAI's.

use super::odd_streams::chunks_of;
use crate::fixtures::{
    DONE, TRUNCATED, USAGE, USAGE_JSON, always, chat, delta, event, finish, json, stream, streamed,
};
use crate::host::Ended;
use crate::stage::{Behaviour, Stage, error_of};
use moegate_wire::Ending;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "stream_bad_utf8",
        "a byte that is not UTF-8 is U+FFFD, in the first event, later, and in a whole answer, which passes as it is",
        bad_utf8,
    ),
    Behaviour::new(
        "stream_large_comment",
        "a comment of any length before the first event is skipped",
        large_comment,
    ),
    Behaviour::new(
        "stream_finish_reason_error",
        "the finish reason `error` is an error, with or without an error beside it",
        finish_reason_error,
    ),
    Behaviour::new(
        "answer_finish_reason_error",
        "the same of a whole answer: it is an error with a status, to who asked for a stream too",
        failed_answers,
    ),
    Behaviour::new(
        "stream_empty_finish_reason",
        "an empty finish reason, or the text `null`, on every chunk is none",
        empty_finish_reason,
    ),
    Behaviour::new(
        "stream_events_without_data",
        "events without data, which make SDKs fail, do not reach the client; comments do",
        events_without_data,
    ),
    Behaviour::new(
        "stream_errors_by_name",
        "what is an error by the event's name or the line's is one, whatever its data",
        errors_by_name,
    ),
];

fn bad_utf8(stage: &mut Stage<'_>) {
    let bad = |text: String| {
        text.into_bytes().into_iter().map(|b| if b == b'#' { 0xFF } else { b }).collect::<Vec<_>>()
    };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for chunks in [[delta("a#b"), delta("c"), finish()], [delta("a"), delta("b#c"), finish()]] {
        let chunks = chunks.map(bad);
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        assert_eq!((reply.status, shown(&reply.body)), (200, shown(&chunks.concat())));
        assert_eq!(stage.settled().ending, Ending::Complete);
    }
    let body = bad(format!(r#"{{"choices":[{{"message":{{"content":"a#b"}}}}],"usage":{USAGE_JSON}}}"#));
    let reply = stage.play(always(json(200, body.clone())), &chat("far-model"));
    assert_eq!((reply.status, &reply.body), (200, &body));
    assert_eq!(stage.settled().usage, USAGE);
}

fn large_comment(stage: &mut Stage<'_>) {
    let comment = format!(": {}\n\n", "x".repeat(300 * 1024));
    let chunks = [comment, delta("He"), finish(), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    assert!(reply.text().ends_with(&chunks[1..].concat()));
    assert_eq!(stage.settled().ending, Ending::Complete);
}

fn finish_reason_error(stage: &mut Stage<'_>) {
    let failed =
        event(r#"{"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#);
    let reply =
        stage.play(always(stream(&[delta("He"), failed.clone(), DONE.to_owned()])), &streamed("far-model"));
    assert!(!reply.text().contains("[DONE]"), "{}", reply.text());
    assert!(chunks_of(&reply).iter().any(|chunk| chunk["error"]["message"].is_string()), "{}", reply.text());
    assert_eq!(stage.settled().ending, Ending::Error);
    // Before any content the client gets the error's status.
    let reply = stage.play(always(stream(&[failed])), &streamed("far-model"));
    assert_eq!(error_of(&reply).0, 502, "{reply:?}");
    assert_eq!(stage.settled().ending, Ending::Error);
}

fn failed_answers(stage: &mut Stage<'_>) {
    // Of a whole answer too, whatever form was asked for.
    let body =
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"error"}]}"#;
    for call in [chat("far-model"), streamed("far-model")] {
        let reply = stage.play(always(json(200, body)), &call);
        assert_eq!((error_of(&reply).0, reply.ended), (502, Ended::Whole), "{reply:?}");
        assert_eq!(stage.settled().ending, Ending::Error);
    }
}

fn empty_finish_reason(stage: &mut Stage<'_>) {
    for reason in ["", "null"] {
        let word = |text: &str| {
            event(&format!(
                r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":"{reason}"}}]}}"#
            ))
        };
        let chunks = [word("a"), word("b")];
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        assert_eq!(reply.text(), chunks.concat() + TRUNCATED);
        assert_eq!(stage.settled().ending, Ending::Truncated);
        let chunks = [word("a"), word("b"), finish()];
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        assert_eq!(reply.text(), chunks.concat());
        assert_eq!(stage.settled().ending, Ending::Complete);
    }
}

fn events_without_data(stage: &mut Stage<'_>) {
    for nothing in [
        "data: \n\n",
        "data:\n\n",
        "retry: 3000\n\n",
        "id: 7\r\n\r\n",
        "event: ping\n\n",
        "event: ping\ndata:\n\n",
    ] {
        let chunks = [nothing.to_owned(), delta("a"), nothing.to_owned(), finish(), DONE.to_owned()];
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        assert_eq!(reply.text(), [delta("a"), finish(), DONE.to_owned()].concat(), "{nothing:?}");
        assert_eq!(stage.settled().ending, Ending::Complete);
    }
    let chunks = [": OPENROUTER PROCESSING\n\n".to_owned(), delta("a"), ": ping\n\n".to_owned(), finish()];
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!(reply.text(), chunks.concat());
    stage.settled();
}

fn errors_by_name(stage: &mut Stage<'_>) {
    let full = "the request exceeds the available context size";
    let llama =
        format!("error: {{\"code\":400,\"message\":\"{full}\",\"type\":\"exceed_context_size_error\"}}\n\n");
    for (sent, text, status) in [
        (llama.as_str(), full, 400),
        ("event: error\ndata: the model is gone\n\n", "the model is gone", 502),
        ("event: error\ndata: {\"code\":500,\"msg\":\"no memory\"}\n\n", "no memory", 502),
        ("event:error\ndata: {\"error\":\"Compute error.\"}\n\n", "Compute error.", 502),
    ] {
        let reply = stage.play(always(stream(&[sent])), &streamed("far-model"));
        assert_eq!((reply.status, reply.text().contains(text)), (status, true), "{sent}: {reply:?}");
        assert_eq!(stage.settled().ending, Ending::Error);
        let reply = stage
            .play(always(stream(&[delta("a"), sent.to_owned(), DONE.to_owned()])), &streamed("far-model"));
        let chunks = chunks_of(&reply);
        assert!(
            chunks.last().unwrap()["error"]["message"].as_str().unwrap().contains(text),
            "{sent}: {chunks:?}"
        );
        assert!(!reply.text().contains("[DONE]"));
        assert_eq!(stage.settled().ending, Ending::Error);
    }
}

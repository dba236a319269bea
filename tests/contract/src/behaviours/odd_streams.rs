//! Streams and bodies that are labelled or framed otherwise than OpenAI's, and clients' plainest loops over them.

use crate::fixtures::{
    DONE, TRUNCATED, USAGE, USAGE_JSON, always, answer_text, chat, delta, event, finish, json, paced, post,
    stream, streamed, streamed_with_usage, usage_event, usage_with_cost,
};
use crate::host::{Ended, Needs, Reply};
use crate::stage::{Behaviour, Stage, error_of, expect_error, expect_part};
use moegate::metering::record::Record;
use moegate::platform::fake::{End, Script, Scripted};
use moegate_wire::Ending;
use serde_json::Value;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "stream_under_any_label",
        "a stream is one by its first bytes, under whatever media type it comes, and is passed on as it comes",
        any_label,
    ),
    Behaviour::new(
        "stream_label_without_stream",
        "what has a stream's label and is none is read as what it is: an error with its class, an answer as a stream",
        label_without_stream,
    ),
    Behaviour::new(
        "answer_made_a_stream",
        "one whole answer to who asked for a stream is sent as a stream, with all its members, counted and priced",
        made_a_stream,
    ),
    Behaviour::new(
        "stream_made_an_answer",
        "a stream to who asked for one answer is put together to one, counted and priced; a cut one is no answer",
        made_an_answer,
    ),
    Behaviour::new(
        "stream_each_answer_finishes",
        "of several answers in a stream each has to finish: else it is cut, unless the end mark says that it is whole",
        each_finishes,
    ),
    Behaviour::new(
        "answer_with_a_member_twice",
        "an answer or event that has a member twice passes; the last one counts, as with most readers",
        member_twice,
    ),
    Behaviour::new("answer_with_bom", "a whole answer with a byte order mark passes and counts", with_bom),
    Behaviour::new(
        "encoded_error_keeps_status",
        "an error that is gzipped though that was not asked for keeps its status, and its text says so",
        encoded_error,
    )
    .needing(Needs::NoDecoding),
    Behaviour::new(
        "encoded_error_is_decoded",
        "where the runtime decodes, a gzipped error is as one that is not",
        decoded_error,
    )
    .needing(Needs::Decoding),
    Behaviour::new(
        "latin1_in_a_header",
        "a byte over 127 in an answer's header does not hurt the answer",
        latin1_header,
    ),
    Behaviour::new(
        "cut_streams_are_estimated",
        "what a client stops, or an origin breaks off, is counted by its events and marked as inferred: stopping is not free",
        cut_is_estimated,
    ),
];

fn labelled(label: &str, scripted: Scripted) -> Scripted {
    let headers =
        if label.is_empty() { Vec::new() } else { vec![("content-type".to_owned(), label.to_owned())] };
    Scripted { headers, ..scripted }
}

fn any_label(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), delta("llo"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
    for label in [
        "text/plain; charset=utf-8",
        "application/json",
        "",
        "Text/Event-Stream;Charset=UTF-8",
        "application/octet-stream",
    ] {
        let reply =
            stage.play(always(labelled(label, paced(&chunks[..3], End::Clean))), &streamed("far-model"));
        assert_eq!(reply.text(), chunks[..3].concat(), "{label:?}");
        assert!(reply.header("content-type").starts_with("text/event-stream"), "{label:?}: {reply:?}");
        stage.settled();
        let reply = stage.play(always(labelled(label, stream(&chunks))), &streamed_with_usage("far-model"));
        assert_eq!(reply.text(), chunks.concat().replacen(USAGE_JSON, &usage_with_cost(), 1), "{label:?}");
        let record = stage.settled();
        assert_eq!((record.ending, record.usage), (Ending::Complete, USAGE), "{label:?}");
    }
    // What comes before the first field leaves it open.
    for before in ["\n\n", "\u{feff}", ": hello\n\n", "event: message\n", "id: 1\r\n"] {
        let first = format!("{before}{}", delta("He"));
        let reply =
            stage.play(always(labelled("text/plain", stream(&[first, finish()]))), &streamed("far-model"));
        let texts: Vec<_> = chunks_of(&reply).iter().filter_map(text_of).collect();
        assert_eq!(texts, ["He"], "{before:?}: {}", reply.text());
        assert_eq!(stage.settled().ending, Ending::Complete, "{before:?}");
    }
}

/// The data of every event, as JSON.
pub(super) fn chunks_of(reply: &Reply) -> Vec<Value> {
    let text = reply.text();
    let lines =
        text.split(['\n', '\r']).filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("data:"));
    lines.filter(|data| data.trim() != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn text_of(chunk: &Value) -> Option<String> {
    chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
}

fn label_without_stream(stage: &mut Stage<'_>) {
    let label = "text/event-stream";
    let error = r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    let reply = stage.play(always(labelled(label, json(200, error))), &streamed("far-model"));
    assert_eq!(error_of(&reply).0, 429, "{reply:?}");
    assert_eq!(stage.settled().failure.map(|failure| failure.name()), Some("rate_limited"));
    let reply = stage.play(always(labelled(label, json(200, answer_text()))), &streamed("far-model"));
    assert_eq!(chunks_of(&reply).iter().filter_map(text_of).collect::<String>(), "Hé é");
    assert_eq!(stage.settled().usage, USAGE);
    for body in ["", "<html>no</html>", "hello"] {
        let reply = stage.play(always(labelled(label, json(200, body))), &streamed("far-model"));
        assert_eq!(error_of(&reply).0, 502, "{body}");
        stage.settled();
    }
}

fn made_a_stream(stage: &mut Stage<'_>) {
    let reply = stage.play(always(json(200, answer_text())), &streamed_with_usage("far-model"));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    assert!(reply.header("content-type").starts_with("text/event-stream"), "{reply:?}");
    assert!(reply.text().ends_with(DONE), "{}", reply.text());
    let chunks = chunks_of(&reply);
    assert_eq!(chunks.len(), 3, "{chunks:?}");
    assert_eq!(chunks[0]["choices"][0]["delta"], serde_json::json!({"role":"assistant","content":"Hé é"}));
    assert_eq!(chunks[0]["object"], "chat.completion.chunk");
    assert_eq!(chunks[0]["x_more"], serde_json::json!([1, 2]));
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[2]["usage"]["cost"], serde_json::json!(0.00003));
    let record = stage.settled();
    assert_eq!((record.ending, record.usage, record.metered), (Ending::Complete, USAGE, true));

    // Whoever did not ask for the counts has a choice in each chunk.
    let calls = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"},{"message":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let reply = stage.play(always(json(200, calls)), &streamed("far-model"));
    let chunks = chunks_of(&reply);
    assert!(chunks.iter().all(|chunk| !chunk["choices"].as_array().unwrap().is_empty()), "{chunks:?}");
    assert_eq!(chunks[0]["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
    assert_eq!(chunks[2]["choices"][0]["index"], 1);
    assert_eq!(stage.settled().ending, Ending::Complete);

    let text = r#"{"object":"text_completion","choices":[{"index":0,"text":"Hi","finish_reason":"length"}]}"#;
    let mut call = post(r#"{"model":"far-model","stream":true,"prompt":"a"}"#);
    call.path = "/v1/completions".to_owned();
    let reply = stage.play(always(json(200, text)), &call);
    assert_eq!(chunks_of(&reply)[0]["choices"][0]["text"], "Hi");
    stage.settled();
}

fn made_an_answer(stage: &mut Stage<'_>) {
    for label in ["text/event-stream", "text/plain"] {
        let chunks = [delta("He"), delta("llo"), finish(), usage_event(USAGE_JSON), DONE.to_owned()];
        let reply = stage.play(always(labelled(label, stream(&chunks))), &chat("far-model"));
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{reply:?}");
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert_eq!(answer["usage"]["cost"], serde_json::json!(0.00003));
        let record = stage.settled();
        assert_eq!((record.ending, record.usage), (Ending::Complete, USAGE));
        let reply = stage.play(always(labelled(label, stream(&[delta("He")]))), &chat("far-model"));
        assert_eq!(error_of(&reply).0, 502);
        stage.settled();
        let failed = event(r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#);
        let reply = stage.play(always(labelled(label, stream(&[failed]))), &chat("far-model"));
        assert_eq!(reply.status, 502, "{reply:?}");
        assert!(reply.text().contains("Overloaded"), "{}", reply.text());
        stage.settled();
    }
}

fn each_finishes(stage: &mut Stage<'_>) {
    let of =
        |index: u32, rest: &str| event(&format!(r#"{{"id":"c","choices":[{{"index":{index},{rest}}}]}}"#));
    let text = |index| of(index, r#""delta":{"content":"a"},"finish_reason":null"#);
    let last = |index| of(index, r#""delta":{},"finish_reason":"stop""#);
    let call = post(r#"{"model":"far-model","stream":true,"n":2,"messages":[]}"#);
    for (chunks, ending) in [
        (vec![text(0), text(1), last(0)], Ending::Truncated),
        (vec![text(0), last(0), text(1)], Ending::Truncated),
        (vec![text(0), text(1), last(1), last(0)], Ending::Complete),
        (vec![text(0), last(0)], Ending::Complete),
        (vec![text(0), text(1), last(0), DONE.to_owned()], Ending::Complete),
    ] {
        let reply = stage.play(always(stream(&chunks)), &call);
        assert_eq!(stage.settled().ending, ending, "{chunks:?}");
        let cut = if ending == Ending::Truncated { TRUNCATED } else { "" };
        assert_eq!(reply.text(), chunks.concat() + cut);
    }
}

fn member_twice(stage: &mut Stage<'_>) {
    let body = format!(
        r#"{{"usage":{{"prompt_tokens":1}},"choices":[{{"message":{{"content":"a"}}}}],"usage":{USAGE_JSON}}}"#
    );
    let reply = stage.play(always(json(200, body)), &chat("far-model"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(stage.settled().usage, USAGE);
    let both = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null,"usage":"#;
    let last = event(&format!("{both}{USAGE_JSON}}}"));
    let reply = stage.play(always(stream(&[delta("a"), last, DONE.to_owned()])), &streamed("far-model"));
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
    assert_eq!(stage.settled().usage, USAGE);
}

fn with_bom(stage: &mut Stage<'_>) {
    let reply = stage.play(always(json(200, format!("\u{feff}{}", answer_text()))), &chat("far-model"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.text().trim_start_matches('\u{feff}'),
        answer_text().replacen(USAGE_JSON, &usage_with_cost(), 1)
    );
    assert_eq!(stage.settled().usage, USAGE);
}

/// `{"error":{"message":"no such tool",…,"code":"bad_tool"}}`, gzipped.
const GZIPPED: &str = "1f8b08000000000002ff25cb510a80201045d1adc4fb76056e46261d2a189d1a358868ef61fd5eeeb9c1666af03732d74a0bc3a3e8547b5ca7a62a7068d73eea564e922d05e3a3736de1870e3b1965f8d2451ca2a6f1ce94c2a79fe7058fb370e662000000";

fn gzipped(status: u16) -> Scripted {
    let byte = |at: usize| u8::from_str_radix(&GZIPPED[at..at + 2], 16).unwrap();
    let mut scripted = json(status, (0..GZIPPED.len()).step_by(2).map(byte).collect::<Vec<_>>());
    scripted.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    scripted
}

fn gzipped_error(stage: &mut Stage<'_>, expected: &str) {
    for call in [chat("far-model"), streamed("far-model")] {
        let (status, _, message) = error_of(&stage.play(always(gzipped(400)), &call));
        assert_eq!(status, 400, "{message}");
        assert!(message.contains(expected), "{message}");
        stage.settled();
    }
}

fn encoded_error(stage: &mut Stage<'_>) {
    gzipped_error(stage, "encoded as `gzip`");
    // What is no error cannot be read either: the connection was not broken, and that is not said.
    let reply = stage.play(always(gzipped(200)), &chat("far-model"));
    expect_error(&reply, 502, "origin_answer_encoded", "`gzip`");
    stage.settled();
}

fn decoded_error(stage: &mut Stage<'_>) {
    gzipped_error(stage, "no such tool");
}

fn latin1_header(stage: &mut Stage<'_>) {
    for (scripted, call) in [
        (json(200, answer_text()), chat("far-model")),
        (stream(&[delta("He"), finish()]), streamed("far-model")),
    ] {
        let mut scripted = scripted;
        scripted.headers.push(("x-note".to_owned(), "caf\u{e9}".to_owned()));
        scripted.headers.push(("retry-after".to_owned(), "caf\u{e9}".to_owned()));
        let reply = stage.play(always(scripted), &call);
        assert_eq!((reply.status, reply.ended), (200, Ended::Whole));
        assert_eq!(stage.settled().ending, Ending::Complete);
    }
}

fn cut_is_estimated(stage: &mut Stage<'_>) {
    let check = |record: &Record, ending| {
        assert_eq!((record.ending, record.inferred), (ending, true), "{record:?}");
        // A quarter of the body's bytes, and a token for each event.
        assert_eq!((record.usage.prompt, record.usage.completion), (prompt(), 3), "{record:?}");
        expect_part(record);
    };
    let chunks = [delta("a"), delta("b"), delta("c")];
    for (end, ending) in [(End::Reset, Ending::Truncated), (End::Clean, Ending::Truncated)] {
        stage.play(always(paced(&chunks, end)), &streamed("far-model"));
        check(&stage.settled(), ending);
    }
    let whole = chunks.concat().len();
    let call = streamed("far-model").staying_while(move |body| body.len() < whole);
    let script: Script = Scripted { end: End::Endless, ..paced(&chunks, End::Stall) }.into();
    stage.play(always(script), &call);
    check(&stage.settled(), Ending::Cancelled);
    // Counts that came before hold, unless more has come since.
    let counted = [delta("a"), usage_event(USAGE_JSON), delta("b")];
    stage.play(always(paced(&counted, End::Reset)), &streamed_with_usage("far-model"));
    let record = stage.settled();
    assert_eq!((record.usage, record.inferred), (USAGE, false));
    let early = usage_event(r#"{"prompt_tokens":1000,"completion_tokens":1,"total_tokens":1001}"#);
    let counted = [delta("a"), early, delta("b"), delta("c")];
    stage.play(always(paced(&counted, End::Reset)), &streamed_with_usage("far-model"));
    let record = stage.settled();
    assert_eq!((record.usage.prompt, record.usage.completion, record.inferred), (1000, 3, true));
    // A stream to who asked for one answer that was cut.
    stage.play(always(stream(&chunks)), &chat("far-model"));
    let record = stage.settled();
    assert_eq!((record.usage.completion, record.inferred, record.metered), (3, true, false));
}

fn prompt() -> u64 {
    streamed("far-model").body.len() as u64 / 4
}

//! Origins that fail, each in its way.

use crate::fixtures::{
    ADMIN_KEY, DONE, Receipts, USAGE, always, answer_text, chat, delta, finish, get, json, own, paced,
    stream, streamed,
};
use crate::host::{Call, Ended, Needs, Reply};
use crate::stage::{Behaviour, Stage, expect_bound, expect_error};
use moegate::platform::fake::{End, Script, Scripted};
use moegate_wire::{Ending, Nanodollars, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "origin_refuses",
        "an origin where nothing listens is 502 `origin_unreachable`; it costs nothing, though a runtime cannot tell that from a reset, so it counts as unmetered",
        refuses,
    ),
    Behaviour::new(
        "origin_resets",
        "a connection that breaks before the answer is 502; what it cost is known only from our own server's receipt",
        resets,
    ),
    Behaviour::new(
        "origin_is_silent",
        "no first byte in time is 504 `origin_timeout`, and the origin's connection is closed",
        silent,
    ),
    Behaviour::new(
        "origin_is_silent_in_stream",
        "a stream whose first chunk does not come in time is 504 too",
        silent_in_stream,
    ),
    Behaviour::new(
        "origin_breaks_off",
        "an unstreamed answer that breaks off is 502 `origin_broke_off`, not half an answer",
        breaks_off,
    ),
    Behaviour::new(
        "own_origin_breaks_off",
        "our own server's receipt says what a broken answer has used",
        own_breaks_off,
    ),
    Behaviour::new(
        "empty_stream",
        "a stream that ends before its first chunk is 502, not an empty 200",
        empty_stream,
    ),
    Behaviour::new("origin_answers_html", "a page with status 200 is 502 `origin_answer_invalid`", html),
    Behaviour::new("origin_redirects", "a redirect is not followed: 502 `origin_redirects`", redirects),
    Behaviour::new(
        "origin_refuses_key",
        "401, and 403 without an error of OpenAI's form, are 502 `origin_refused_key`: the client's key is fine",
        refuses_key,
    ),
    Behaviour::new(
        "origin_error_passes",
        "an origin's error in OpenAI's form passes with its status and body",
        error_passes,
    ),
    Behaviour::new("rate_limit_passes", "429 passes with `retry-after` and `retry-after-ms`", rate_limit),
    Behaviour::new(
        "origin_error_without_json",
        "an origin's error that is a text keeps its status and its text, in OpenAI's form; a page keeps its status only",
        error_without_json,
    ),
    Behaviour::new(
        "error_with_status_200",
        "an error under 200 is 502, or the status of its class where it names one, with the body as it is where it has OpenAI's form",
        error_with_200,
    ),
    Behaviour::new(
        "origin_answer_too_large",
        "an unstreamed answer over the limit is 502 `origin_answer_too_large`",
        too_large,
    ),
    Behaviour::new(
        "panic_is_contained",
        "a request that fails inside the gateway is 500; streams in flight break off, none ends clean, and the next one works",
        panics,
    )
    .needing(Needs::Isolation),
    Behaviour::new(
        "panic_is_survived",
        "after a request that fails inside the gateway, which is told so with a 500, the next one works",
        panic_survived,
    )
    .needing(Needs::Panic),
    Behaviour::new(
        "panic_in_a_stream",
        "a stream whose reading fails inside the gateway breaks off and does not end clean; the next one works",
        panic_in_a_stream,
    )
    .needing(Needs::Panic),
    Behaviour::new(
        "panic_with_the_state",
        "a failure while the instance's memory is in use does not lock it: the next request is served",
        panic_with_the_state,
    )
    .needing(Needs::Panic),
];

fn refuses(stage: &mut Stage<'_>) {
    let reply = stage.play(always(Script::Refuse), &chat("dead-model"));
    expect_error(&reply, 502, "origin_unreachable", "`dead`");
    assert_eq!((reply.header("x-moegate-origin"), reply.ended), ("dead", Ended::Whole));
    let record = stage.settled();
    assert_eq!((record.ending, record.status, record.metered), (Ending::Error, 502, false));
    assert_eq!((record.usage, record.cost_nanodollars), (Usage::default(), Nanodollars(0)));
}

fn resets(stage: &mut Stage<'_>) {
    for call in [chat("far-model"), streamed("far-model")] {
        let reply = stage.play(always(Script::Reset), &call);
        assert_eq!(reply.status, 502);
        let record = stage.settled();
        assert_eq!((record.ending, record.status, record.usage), (Ending::Error, 502, Usage::default()));
        assert!(!record.metered);
    }
    let reply = stage.play(own(Script::Reset, Receipts::Signed(Ending::Cancelled)), &chat("own-model"));
    assert_eq!(reply.status, 502);
    let record = stage.settled();
    assert_eq!((record.ending, record.metered, record.usage), (Ending::Error, true, USAGE));
}

fn silent(stage: &mut Stage<'_>) {
    let reply = stage.play(always(Script::Silence), &chat("hasty-model"));
    expect_error(&reply, 504, "origin_timeout", "1 s");
    assert!(stage.host.dropped_after(0).is_some(), "the origin's connection stayed open");
    let record = stage.settled();
    assert_eq!((record.ending, record.status), (Ending::Error, 504));
    expect_bound(&record);
}

fn silent_in_stream(stage: &mut Stage<'_>) {
    let reply = stage.play(always(paced::<&str>(&[], End::Stall)), &streamed("hasty-model"));
    expect_error(&reply, 504, "origin_timeout", "1 s");
    assert!(stage.host.dropped_after(0).is_some(), "the origin's connection stayed open");
    assert_eq!(stage.settled().ending, Ending::Error);
}

fn breaks_off(stage: &mut Stage<'_>) {
    for end in [End::Cut, End::Reset] {
        let reply = stage.play(always(Scripted { end, ..json(200, answer_text()) }), &chat("far-model"));
        expect_error(&reply, 502, "origin_broke_off", "`far`");
        let record = stage.settled();
        assert_eq!(record.ending, Ending::Error);
        expect_bound(&record);
    }
}

fn own_breaks_off(stage: &mut Stage<'_>) {
    let script = Scripted { end: End::Reset, ..json(200, answer_text()) };
    let reply = stage.play(own(script, Receipts::Signed(Ending::Error)), &chat("own-model"));
    expect_error(&reply, 502, "origin_broke_off", "`own`");
    let record = stage.settled();
    assert_eq!((record.ending, record.metered, record.usage), (Ending::Error, true, USAGE));
}

fn empty_stream(stage: &mut Stage<'_>) {
    for end in [End::Clean, End::Cut] {
        let reply = stage.play(always(paced::<&str>(&[], end)), &streamed("far-model"));
        expect_error(&reply, 502, "origin_broke_off", "`far`");
        assert_eq!(stage.settled().ending, Ending::Error);
    }
}

fn html(stage: &mut Stage<'_>) {
    let page = Scripted::new(200, "text/html", "<html>Sign in</html>");
    let reply = stage.play(always(page), &chat("far-model"));
    expect_error(&reply, 502, "origin_answer_invalid", "`far`");
    assert!(!reply.text().contains("Sign in"));
    let record = stage.settled();
    assert_eq!(record.ending, Ending::Error);
    expect_bound(&record);
}

fn redirects(stage: &mut Stage<'_>) {
    for status in [301, 302, 307, 308] {
        let mut script = Scripted::new(status, "text/plain", "elsewhere");
        script.headers.push(("location".to_owned(), "http://127.0.0.1:28713/v1/chat/completions".to_owned()));
        let reply = stage.play(always(script), &chat("far-model"));
        expect_error(&reply, 502, "origin_redirects", &status.to_string());
        assert_eq!((stage.host.arrived().len(), reply.header("location")), (1, ""));
        assert_eq!(stage.settled().ending, Ending::Error);
    }
}

fn refuses_key(stage: &mut Stage<'_>) {
    for (status, body) in [(401, r#"{"error":{"message":"Incorrect API key"}}"#), (403, "Incorrect API key")]
    {
        let script = json(status, body);
        let reply = stage.play(always(script), &chat("far-model"));
        expect_error(&reply, 502, "origin_refused_key", &status.to_string());
        assert_eq!((reply.header("www-authenticate"), reply.text().contains("Incorrect")), ("", false));
        let record = stage.settled();
        assert_eq!((record.ending, record.metered, record.usage), (Ending::Error, true, Usage::default()));
    }
}

const ERROR: &str = r#"{ "error":{"message":"no","type":"t","param":null,"code":"c" }}"#;

fn error_passes(stage: &mut Stage<'_>) {
    for (call, status) in [(chat("far-model"), 403), (chat("own-model"), 404), (streamed("far-model"), 503)] {
        let reply = stage.play(own(json(status, ERROR), Receipts::Missing), &call);
        assert_eq!((reply.status, reply.text().as_str()), (status, ERROR));
        let record = stage.settled();
        assert_eq!((record.ending, record.status, record.metered), (Ending::Error, status, true));
    }
}

fn rate_limit(stage: &mut Stage<'_>) {
    let mut script = json(429, ERROR);
    script.headers.push(("retry-after".to_owned(), "7".to_owned()));
    script.headers.push(("retry-after-ms".to_owned(), "6500".to_owned()));
    let reply = stage.play(always(script), &chat("far-model"));
    assert_eq!((reply.status, reply.text().as_str()), (429, ERROR));
    assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), ("7", "6500"));
    stage.settled();
}

fn error_without_json(stage: &mut Stage<'_>) {
    for (status, body, text) in
        [(500, "oops", "`far` answered 500: oops"), (503, "<html>inside", "`far` answered 503 without")]
    {
        let reply = stage.play(always(Scripted::new(status, "text/html", body)), &chat("far-model"));
        expect_error(&reply, status, "origin_error", text);
        assert!(!reply.text().contains("inside"));
        assert_eq!(stage.settled().status, status);
    }
}

fn error_with_200(stage: &mut Stage<'_>) {
    let limited = r#"{"error":{"message":"slow down","code":429}}"#;
    for (body, status) in [(ERROR, 502), (limited, 429)] {
        let reply = stage.play(always(json(200, body)), &chat("far-model"));
        assert_eq!((reply.status, reply.text().as_str()), (status, body));
        assert_eq!(stage.settled().ending, Ending::Error);
    }
}

fn too_large(stage: &mut Stage<'_>) {
    let reply = stage.play(always(json(200, "x".repeat(1024 * 1024 + 1))), &chat("far-model"));
    expect_error(&reply, 502, "origin_answer_too_large", "`far`");
    let record = stage.settled();
    assert_eq!(record.ending, Ending::Error);
    expect_bound(&record);
}

fn panics(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), finish()];
    let panicked = Arc::new(AtomicBool::new(false));
    let reply = std::thread::scope(|scope| {
        let host = stage.host;
        let (begun, first_chunk) = std::sync::mpsc::channel();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        // The stream is under way while another request panics: the origin waits for the client, the client for the panic.
        let seen = Arc::clone(&panicked);
        let call = streamed("far-model").staying_while(move |_| {
            if !seen.load(Ordering::SeqCst) {
                begun.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            }
            true
        });
        host.answer(always(paced(&chunks, End::Clean)));
        let in_flight = scope.spawn(move || host.call(&call));
        first_chunk.recv().unwrap();
        let failed = host.call(&get("/__panic", ""));
        expect_error(&failed, 500, "internal", "failed on this request");
        assert!(!failed.text().contains("fault-injection"));
        panicked.store(true, Ordering::SeqCst);
        release.send(()).unwrap();
        let reply = in_flight.join().unwrap();
        // The instance is gone, with what it knew of the stream: the client must not take what it has got for whole.
        assert_eq!((reply.text().contains("[DONE]"), reply.ended), (false, Ended::Broken));
        reply
    });
    lost(stage, &reply);
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!((reply.status, reply.text()), (200, chunks.concat()));
    stage.settled();
}

/// Whoever served it is gone: nobody settles it before it is overdue. It is in the ledger all the same.
fn lost(stage: &mut Stage<'_>, reply: &Reply) {
    let id = reply.header("x-moegate-request-id");
    stage.lost(id);
    let shown = stage.host.call(&get(&format!("/requests/{id}"), ADMIN_KEY));
    assert!(shown.status == 200 && shown.text().contains("\"state\":\"pending\""), "{shown:?}");
}

fn panic_survived(stage: &mut Stage<'_>) {
    for _ in 0..3 {
        let failed = stage.host.call(&get("/__panic", ""));
        assert_eq!(failed.status, 500, "{failed:?}");
        assert!(!failed.text().contains("fault-injection"));
        let reply = stage.play(always(json(200, answer_text())), &chat("far-model"));
        assert_eq!(reply.status, 200, "{reply:?}");
        stage.settled();
    }
}

fn panic_in_a_stream(stage: &mut Stage<'_>) {
    let chunks = [delta("He"), delta("panic-in-scanner"), finish(), DONE.to_owned()];
    // The query marks it as one whose reply is the host's own.
    let call = Call { path: "/v1/chat/completions?__panic".to_owned(), ..streamed("far-model") };
    let reply = stage.play(always(paced(&chunks, End::Clean)), &call);
    assert_eq!(reply.status, 200);
    assert!(!reply.text().contains("[DONE]") && !reply.text().contains("\"stop\""), "{}", reply.text());
    lost(stage, &reply);
    served(stage);
}

fn panic_with_the_state(stage: &mut Stage<'_>) {
    let failed = stage.host.call(&get("/__panic_in_state", ""));
    assert_eq!(failed.status, 500, "{failed:?}");
    served(stage);
}

fn served(stage: &mut Stage<'_>) {
    for _ in 0..2 {
        let chunks = [delta("He"), finish()];
        let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
        assert_eq!((reply.status, reply.text()), (200, chunks.concat()));
        stage.settled();
    }
}

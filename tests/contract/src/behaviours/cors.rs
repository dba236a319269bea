//! What pages of other origins may do and read.

use crate::fixtures::{
    APP_KEY, DONE, Receipts, always, answer_text, chat, delta, finish, get, json, own, post, stream, streamed,
};
use crate::host::{Call, Needs, Reply};
use crate::stage::{Behaviour, Stage, expect_error};
use moegate_wire::Ending;
use std::time::Duration;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "cors_preflight",
        "with `gateway.cors` a listed page's preflight is 204 on any path, with the headers that it asks for; another page's is 403 without any CORS header; an `OPTIONS` that is no preflight is 405",
        preflight,
    ),
    Behaviour::new(
        "cors_answers",
        "a listed page may read every answer, errors and streams too, with the gateway's own headers; another page gets no CORS header",
        cors_answers,
    ),
    Behaviour::new(
        "cors_after_a_panic",
        "a listed page may read the 500 that follows a failure inside the gateway, too",
        cors_after_a_panic,
    )
    .needing(Needs::Isolation),
];

const PAGES: [&str; 2] = ["https://app.example", "http://localhost:3000"];
const OTHERS: [&str; 4] =
    ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"];

fn has_cors(reply: &Reply) -> bool {
    reply.headers.iter().any(|(name, _)| name.starts_with("access-control-"))
}

/// That a page of this origin may read the reply.
fn expect_readable(reply: &Reply, page: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), page, "{reply:?}");
    let exposed = reply.header("access-control-expose-headers");
    let own = reply.headers.iter().map(|(name, _)| name.as_str());
    for name in own.filter(|name| name.starts_with("x-") || name.starts_with("retry-")) {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name} is not in {exposed}");
    }
    assert!(reply.header("vary").to_ascii_lowercase().contains("origin"), "{reply:?}");
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}

fn asking(path: &str, page: &str) -> Call {
    Call { method: "OPTIONS", ..get(path, "") }
        .with("origin", page)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization,content-type,x-stainless-retry-count")
}

fn preflight(stage: &mut Stage<'_>) {
    for path in ["/v1/chat/completions", "/v1/models", "/v1/models/own-model", "/health", "/v1/typo"] {
        for page in PAGES {
            let reply = stage.refused(&asking(path, page));
            assert_eq!((reply.status, reply.text().as_str()), (204, ""), "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), page);
            assert!(reply.header("access-control-allow-methods").contains("POST"), "{reply:?}");
            assert_eq!(
                reply.header("access-control-allow-headers"),
                "authorization,content-type,x-stainless-retry-count"
            );
            assert_eq!(reply.header("access-control-max-age"), "7200");
        }
        for page in OTHERS {
            let reply = stage.refused(&asking(path, page));
            expect_error(&reply, 403, "page_not_allowed", page);
            assert!(!has_cors(&reply), "{reply:?}");
        }
    }
    let bare = Call { method: "OPTIONS", ..get("/v1/chat/completions", "") };
    let reply = stage.refused(&bare);
    expect_error(&reply, 405, "method_not_allowed", "POST");
    assert_eq!(reply.header("allow"), "POST");
}

fn cors_answers(stage: &mut Stage<'_>) {
    let from = |call: Call, page: &str| call.with("origin", page);
    let chunks = [delta("one"), finish(), DONE.to_owned()];
    for page in PAGES {
        for (call, status) in [
            (get("/health", ""), 200),
            (get("/v1/models", APP_KEY), 200),
            (get("/v1/models", "mg-wrong"), 401),
            (get("/nothing", ""), 404),
            (get("/v1/chat/completions", APP_KEY), 405),
            (chat("gpt-9"), 404),
            (post("hello"), 400),
        ] {
            let reply = stage.refused(&from(call, page));
            assert_eq!(reply.status, status, "{reply:?}");
            expect_readable(&reply, page);
        }
        let asked = from(chat("far-model"), page);
        let reply = stage.play(always(json(200, answer_text())), &asked);
        assert_eq!(reply.status, 200);
        expect_readable(&reply, page);
        stage.settled();
        let mut limited = json(429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#);
        limited.headers.push(("retry-after".to_owned(), "7".to_owned()));
        let reply = stage.play(always(limited), &asked);
        assert_eq!((reply.status, reply.header("retry-after")), (429, "7"));
        expect_readable(&reply, page);
        stage.settled();
        for (model, answer) in [
            ("far-model", always(stream(&chunks))),
            ("own-model", own(stream(&chunks), Receipts::Signed(Ending::Complete))),
        ] {
            let reply = stage.play(answer, &from(streamed(model), page));
            assert_eq!(reply.status, 200, "{model}");
            expect_readable(&reply, page);
            stage.settled();
        }
    }
    // What is given again is for whoever asks now.
    let key = chat("far-model").with("idempotency-key", "of-two-pages");
    let answer = always(json(200, answer_text()));
    assert_eq!(stage.play(answer.clone(), &from(key.clone(), PAGES[0])).status, 200);
    stage.settled();
    // It is left for other instances after its record.
    stage.host.pass(Duration::from_millis(300));
    let again = stage.play(answer.clone(), &from(key.clone(), PAGES[1]));
    assert_eq!(again.header("x-moegate-replayed"), "true");
    expect_readable(&again, PAGES[1]);
    let again = stage.play(answer.clone(), &from(key, OTHERS[0]));
    assert!(again.status == 200 && !has_cors(&again), "{again:?}");
    for page in OTHERS {
        for call in [get("/health", ""), get("/nothing", ""), chat("gpt-9")] {
            let reply = stage.refused(&from(call, page));
            assert!(!has_cors(&reply), "{reply:?}");
        }
        let reply = stage.play(answer.clone(), &from(chat("far-model"), page));
        assert!(reply.status == 200 && !has_cors(&reply), "{reply:?}");
        stage.settled();
    }
    assert!(!has_cors(&stage.refused(&get("/health", ""))), "no page asks");
}

fn cors_after_a_panic(stage: &mut Stage<'_>) {
    for (page, readable) in [(PAGES[0], true), (OTHERS[0], false)] {
        let reply = stage.host.call(&get("/__panic", "").with("origin", page));
        assert_eq!((reply.status, has_cors(&reply)), (500, readable), "{reply:?}");
        assert!(!readable || reply.header("access-control-allow-origin") == page, "{reply:?}");
    }
    // It complains, of course.
    stage.host.said();
}

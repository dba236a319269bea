//! What SDKs, proxies and people at a shell send.

use crate::fixtures::{
    ADMIN_KEY, APP_KEY, DONE, Receipts, always, answer_text, chat, delta, finish, get, json, own, post,
    stream,
};
use crate::host::Call;
use crate::stage::{Behaviour, Stage, error_of, expect_error};
use moegate_wire::Ending;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new("head", "`HEAD` is answered as `GET`, without a body", head),
    Behaviour::new(
        "path_spellings",
        "doubled slashes, one at the end, letters escaped for no reason and a query make no other path",
        path_spellings,
    ),
    Behaviour::new("long_names", "a long name that a client sends is cut in what tells of it", long_names),
    Behaviour::new(
        "encoded_body",
        "a compressed body is 415 and names the encoding; `identity` is none",
        encoded_body,
    ),
    Behaviour::new("model_times", "a model's `created` is when the gateway was built", model_times),
    Behaviour::new(
        "half_characters",
        "half a surrogate pair as an escape reaches the origin as it is, in streams too",
        half_characters,
    ),
    Behaviour::new(
        "odd_bodies",
        "explicit nulls, fields nested deeply and blanks pass as they are; a byte order mark passes without itself",
        odd_bodies,
    ),
    Behaviour::new(
        "content_types",
        "JSON is read whatever `Content-Type` says, or without one",
        content_types,
    ),
    Behaviour::new("bearer_spellings", "the scheme of `Authorization` is read in any case", bearer_spellings),
    Behaviour::new(
        "client_headers",
        "headers of SDKs, shells, browsers and proxies change nothing and go no further; `Expect: 100-continue` holds nothing up",
        client_headers,
    ),
];

fn head(stage: &mut Stage<'_>) {
    for (path, key, status) in [
        ("/health", "", 200),
        ("/v1/models", APP_KEY, 200),
        ("/v1/models/own-model", APP_KEY, 200),
        ("/usage", ADMIN_KEY, 200),
        ("/v1/models", "", 401),
        ("/v1/models/nothing", APP_KEY, 404),
        ("/nothing", "", 404),
        ("/v1/chat/completions", APP_KEY, 405),
    ] {
        let reply = stage.refused(&Call { method: "HEAD", ..get(path, key) });
        assert_eq!((reply.status, reply.text().as_str()), (status, ""), "{path}");
        assert_eq!(reply.header("content-type"), "application/json", "{path}");
    }
    for path in ["/v1/models", "/v1/models/own-model", "/health", "/usage"] {
        let reply = stage.refused(&Call { method: "DELETE", ..get(path, APP_KEY) });
        expect_error(&reply, 405, "method_not_allowed", "GET and HEAD");
        assert_eq!(reply.header("allow"), "GET, HEAD", "{path}");
    }
}

fn path_spellings(stage: &mut Stage<'_>) {
    for path in [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions//",
        "/v1/chat/%63ompletions",
        "/v1/chat/completions?",
        "/v1/chat/completions/?api-version=2024-10-21",
    ] {
        let call = Call { path: path.to_owned(), ..chat("far-model") };
        let reply = stage.play(always(json(200, answer_text())), &call);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(stage.generation().path, "/api/v1/chat/completions");
        stage.settled();
    }
    for path in ["/v1/models/", "//v1//models", "/v1/models?limit=20", "/v1/models/own-model/", "//health/"] {
        let reply = stage.refused(&get(path, APP_KEY));
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    // An escaped slash is none.
    assert_eq!(stage.refused(&get("/v1%2Fmodels", APP_KEY)).status, 404);
}

fn long_names(stage: &mut Stage<'_>) {
    const MOST: usize = 4096;
    let name = "m".repeat(200_000);
    let reply = stage.refused(&chat(&name));
    expect_error(&reply, 404, "model_not_found", "mmm…");
    assert!(reply.body.len() < MOST, "{} bytes", reply.body.len());
    assert!(reply.text().contains("own-model"), "{}", reply.text());
    for (_, value) in &reply.headers {
        assert!(value.len() < MOST, "{} bytes of a header", value.len());
    }
    let reply = stage.refused(&get(&format!("/v1/models/{}", &name[..3000]), APP_KEY));
    expect_error(&reply, 404, "model_not_found", "mmm…");
    assert!(reply.body.len() < 2000, "{} bytes", reply.body.len());
    // Names that the gateway compares without regard to `-` may be as long.
    let dashes = "-".repeat(200_000);
    for (body, code) in [
        (format!(r#"{{"model":"far-model","max_{dashes}tokens":5}}"#), "ambiguous_field"),
        (format!(r#"{{"model":"far-model","messages":[],"sto{dashes}re":true}}"#), "field_not_allowed"),
    ] {
        let reply = stage.refused(&post(body));
        let (status, seen, _) = error_of(&reply);
        assert_eq!((status, seen.as_str()), (400, code));
        assert!(reply.body.len() < MOST, "{code}: {} bytes", reply.body.len());
    }
}

fn encoded_body(stage: &mut Stage<'_>) {
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56, 2, 0];
    for encoding in ["gzip", "br", "deflate", "zstd", "x-gzip", "GZIP", "identity, gzip", "made-up"] {
        let reply = stage.refused(&post(gzip).with("content-encoding", encoding));
        expect_error(&reply, 415, "unsupported_content_encoding", &format!("`{encoding}`"));
        assert_eq!(reply.header("accept-encoding"), "identity");
    }
    for encoding in ["identity", "Identity"] {
        let call = chat("far-model").with("content-encoding", encoding);
        let reply = stage.play(always(json(200, answer_text())), &call);
        assert_eq!((reply.status, stage.generation().body), (200, call.body), "{encoding}");
        stage.settled();
    }
    let nobody = Call { authorization: None, ..post(gzip) }.with("content-encoding", "gzip");
    assert_eq!(stage.refused(&nobody).status, 401, "first of all, who asks");
}

fn model_times(stage: &mut Stage<'_>) {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = |path: &str| -> Value {
        let reply = stage.refused(&get(path, APP_KEY));
        serde_json::from_slice(&reply.body).unwrap()
    };
    let one = body("/v1/models/own-model")["created"].as_u64().unwrap();
    // 2020.
    assert!((1_577_836_800..=now_s).contains(&one), "{one}");
    let all = body("/v1/models");
    let times = all["data"].as_array().unwrap().iter().map(|model| model["created"].as_u64().unwrap());
    assert!(times.into_iter().all(|created| created == one), "{all}");
}

fn half_characters(stage: &mut Stage<'_>) {
    let body = |model: &str, stream: bool| {
        format!(
            r#"{{"model":"{model}","stream":{stream},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"a\ud83d b\udE00 \uD83D\uDE00","name":"\udfff"}}],"user":"\ud800","stop":["\udc00\ud800"]}}"#
        )
    };
    let chunks = [delta("one"), finish(), DONE.to_owned()];
    for (model, stream_it) in
        [("far-model", false), ("far-model", true), ("own-model", false), ("own-model", true)]
    {
        let body = body(model, stream_it);
        let answer = if stream_it { stream(&chunks) } else { json(200, answer_text()) };
        let reply = stage.play(own(answer, Receipts::Signed(Ending::Complete)), &post(body.clone()));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let arrived = stage.generation();
        assert_eq!(String::from_utf8(arrived.body).unwrap(), body, "{model}");
        stage.settled();
    }
}

fn odd_bodies(stage: &mut Stage<'_>) {
    const REST: &str = r#""model":"far-model","messages":[{"role":"user","content":"Hello"}]"#;
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{{REST},"metadata":{open}{close}}}"#)
    };
    let nulls = format!(
        r#"{{{REST},"stream":null,"stream_options":null,"n":null,"max_tokens":null,"tools":null,"seed":null,"store":null}}"#
    );
    for (sent, arrives) in [
        (nulls.clone(), nulls),
        (deep(200), deep(200)),
        (deep(50_000), deep(50_000)),
        (format!("\r\n\t {{{REST}}} \n"), format!("\r\n\t {{{REST}}} \n")),
        (format!("\u{feff}{{{REST}}}"), format!("{{{REST}}}")),
    ] {
        let reply = stage.play(always(json(200, answer_text())), &post(sent));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(stage.generation().body == arrives.as_bytes(), "the origin got another body");
        assert!(!stage.settled().stream);
    }
    expect_error(&stage.refused(&post("\u{feff}")), 400, "invalid_json", "JSON object");
    // Twice is once too often.
    expect_error(&stage.refused(&post("\u{feff}\u{feff}{}")), 400, "invalid_json", "JSON object");
}

fn content_types(stage: &mut Stage<'_>) {
    for content_type in [
        "",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
    ] {
        let call = chat("far-model").with("content-type", content_type);
        let reply = stage.play(always(json(200, answer_text())), &call);
        assert_eq!(reply.status, 200, "{content_type}: {}", reply.text());
        let arrived = stage.generation();
        assert_eq!(arrived.header("content-type"), Some("application/json"));
        assert_eq!(arrived.body, call.body);
        stage.settled();
    }
}

fn bearer_spellings(stage: &mut Stage<'_>) {
    for scheme in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
        let call = Call { authorization: Some(format!("{scheme}{APP_KEY}")), ..get("/v1/models", "") };
        assert_eq!(stage.refused(&call).status, 200, "{scheme:?}");
    }
}

fn client_headers(stage: &mut Stage<'_>) {
    let plain = chat("far-model");
    let call = [
        ("accept", "text/event-stream, application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("accept-language", "*"),
        ("cookie", "session=1"),
        ("expect", "100-continue"),
        ("openai-organization", "org-1"),
        ("openai-project", "proj-1"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/chat"),
        ("sec-fetch-mode", "cors"),
        ("user-agent", "OpenAI/JS 6.0.0"),
        ("via", "1.1 proxy"),
        ("x-api-key", "sk-of-another-api"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-stainless-retry-count", "0"),
    ]
    .into_iter()
    .fold(plain.clone(), |call, (name, value)| call.with(name, value));
    let reply = stage.play(always(json(200, answer_text())), &call);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let arrived = stage.generation();
    assert_eq!(arrived.body, plain.body);
    for (name, value) in call.headers.iter().filter(|(name, _)| !name.starts_with("accept")) {
        let seen = arrived.header(name).unwrap_or_default();
        assert!(seen != value.as_str(), "{name} went on to the origin");
    }
    stage.settled();
}

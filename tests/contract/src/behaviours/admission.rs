//! Who and what is let in.

use crate::fixtures::{ADMIN_KEY, APP_KEY, FAR_KEY, NARROW_KEY, always, answer_text, chat, get, json, post};
use crate::host::{Call, Framing};
use crate::stage::{Behaviour, Stage, error_of, expect_error};
use serde_json::Value;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new("health", "`GET /health` answers `{\"status\":\"ok\"}` without a key", health),
    Behaviour::new(
        "models",
        "`GET /v1/models` lists the models that the key may use, `/v1/models/{id}` gives one",
        models,
    ),
    Behaviour::new("unknown_model", "an unknown model is 404 and names those that there are", unknown_model),
    Behaviour::new(
        "unauthorized",
        "no, malformed and wrong keys are 401 with `www-authenticate`, on every path that wants a key",
        unauthorized,
    ),
    Behaviour::new(
        "keys_are_not_interchangeable",
        "the admin key is no client key, and the other way round",
        not_interchangeable,
    ),
    Behaviour::new("model_not_allowed", "a key with a list of models gets 403 for others", not_allowed),
    Behaviour::new("no_such_path", "an unknown path is 404, another method 405", no_such_path),
    Behaviour::new("bad_json", "a body that is not a JSON object is 400 `invalid_json`", bad_json),
    Behaviour::new("bad_fields", "a missing, mistyped or repeated field is 400 and named", bad_fields),
    Behaviour::new(
        "body_too_large_by_length",
        "a declared length over the limit is 413",
        too_large_by_length,
    ),
    Behaviour::new(
        "body_too_large_by_chunks",
        "a chunked body that grows over the limit is 413",
        too_large_by_chunks,
    ),
    Behaviour::new("chunked_body", "a chunked body under the limit passes like any other", chunked_body),
];

fn health(stage: &mut Stage<'_>) {
    let reply = stage.refused(&get("/health", ""));
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"status":"ok","missing_secrets":1}"#));
    assert_eq!(reply.header("content-type"), "application/json");
    let page = stage.refused(&get("/", ""));
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text().contains("href=health"), "{}", page.text());
}

fn models(stage: &mut Stage<'_>) {
    let ids = |key: &str| {
        let reply = stage.refused(&get("/v1/models", key));
        assert_eq!(reply.status, 200);
        let list: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(list["object"], "list");
        let ids =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let all = ids(APP_KEY);
    assert_eq!(all.len(), 17);
    assert!(all.contains(&"own-renamed".to_owned()));
    assert_eq!(ids(NARROW_KEY), ["far-model"]);
    let one = stage.refused(&get("/v1/models/far-model", NARROW_KEY));
    assert_eq!(one.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&one.body).unwrap()["id"], "far-model");
    expect_error(&stage.refused(&get("/v1/models/nothing", APP_KEY)), 404, "model_not_found", "nothing");
}

fn unknown_model(stage: &mut Stage<'_>) {
    let reply = stage.refused(&chat("gpt-9"));
    expect_error(&reply, 404, "model_not_found", "\"gpt-9\"");
    assert!(reply.text().contains("own-model") && reply.text().contains("far-renamed"), "{}", reply.text());
    let narrow = Call { authorization: Some(format!("Bearer {NARROW_KEY}")), ..chat("gpt-9") };
    assert!(!stage.refused(&narrow).text().contains("own-model"), "names of models it may not use");
}

fn unauthorized(stage: &mut Stage<'_>) {
    for (authorization, part) in [
        (None, "no key was sent"),
        (Some(APP_KEY.to_owned()), "Bearer"),
        (Some("Basic bWctYQ==".to_owned()), "Bearer"),
        (Some("Bearer".to_owned()), "Bearer"),
        (Some("Bearer mg-wrong".to_owned()), "not known"),
        (Some(format!("Bearer {APP_KEY}x")), "not known"),
        // The origin's own key is no client's key.
        (Some(format!("Bearer {FAR_KEY}")), "not known"),
    ] {
        for call in
            [chat("own-model"), get("/v1/models", ""), get("/v1/models/own-model", ""), get("/usage", "")]
        {
            let call = Call { authorization: authorization.clone(), ..call };
            let reply = stage.refused(&call);
            expect_error(&reply, 401, "invalid_api_key", part);
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
}

fn not_interchangeable(stage: &mut Stage<'_>) {
    for (path, key) in [("/v1/models", ADMIN_KEY), ("/usage", APP_KEY)] {
        expect_error(&stage.refused(&get(path, key)), 401, "invalid_api_key", "not known");
    }
}

fn not_allowed(stage: &mut Stage<'_>) {
    let call = Call { authorization: Some(format!("Bearer {NARROW_KEY}")), ..chat("own-model") };
    expect_error(&stage.refused(&call), 403, "model_not_allowed", "own-model");
}

fn no_such_path(stage: &mut Stage<'_>) {
    for path in ["/nothing", "/v1", "/v1/chat", "/chat/completions", "/V1/models", "/v1/engines"] {
        let (status, code, _) = error_of(&stage.refused(&get(path, APP_KEY)));
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
    }
    expect_error(&stage.refused(&get("/v1/chat/completions", APP_KEY)), 405, "method_not_allowed", "POST");
    for path in ["/v1/models", "/v1/models/own-model", "/usage", "/health"] {
        let call = Call { path: path.to_owned(), ..post("{}") };
        expect_error(&stage.refused(&call), 405, "method_not_allowed", "GET");
    }
}

fn bad_json(stage: &mut Stage<'_>) {
    for body in [
        &b""[..],
        b"hello",
        b"[1]",
        b"\"own-model\"",
        b"{\"model\":\"own-model\"",
        b"{\"model\":\"\xff\"}",
        b"{} {}",
    ] {
        let reply = stage.refused(&post(body));
        let (status, code, _) = error_of(&reply);
        assert_eq!((status, code.as_str()), (400, "invalid_json"), "{body:?}: {}", reply.text());
    }
}

fn bad_fields(stage: &mut Stage<'_>) {
    for (body, code, param) in [
        (r#"{"messages":[]}"#, "missing_field", "model"),
        (r#"{"model":7}"#, "wrong_type", "model"),
        (r#"{"model":null}"#, "wrong_type", "model"),
        (r#"{"model":"own-model","stream":"yes"}"#, "wrong_type", "stream"),
        (r#"{"model":"own-model","stream_options":[]}"#, "wrong_type", "stream_options"),
    ] {
        let reply = stage.refused(&post(body));
        expect_error(&reply, 400, code, param);
        assert!(reply.text().contains(&format!("\"param\":\"{param}\"")), "{}", reply.text());
    }
    // Gateway and origin might read different ones.
    for body in
        [r#"{"model":"own-model","model":"far-model"}"#, r#"{"model":"own-model","mod\u0065l":"far-model"}"#]
    {
        expect_error(&stage.refused(&post(body)), 400, "invalid_json", "duplicate field");
    }
}

/// A valid request of this size.
fn of_size(model: &str, bytes: usize) -> Vec<u8> {
    let (head, tail) = (format!(r#"{{"model":"{model}","messages":[{{"content":""#), "\"}]}");
    let padding = "x".repeat(bytes - head.len() - tail.len());
    [head.as_str(), &padding, tail].concat().into_bytes()
}

const LIMIT: usize = 1024 * 1024;

fn too_large_by_length(stage: &mut Stage<'_>) {
    expect_error(&stage.refused(&post(of_size("far-model", LIMIT + 1))), 413, "body_too_large", "1 MiB");
    let reply = stage.play(always(json(200, answer_text())), &post(of_size("far-model", LIMIT)));
    assert_eq!((reply.status, stage.generation().body.len()), (200, LIMIT), "the limit itself passes");
    stage.settled();
}

fn too_large_by_chunks(stage: &mut Stage<'_>) {
    let call = Call { framing: Framing::Chunked, ..post(of_size("far-model", LIMIT + 1)) };
    expect_error(&stage.refused(&call), 413, "body_too_large", "1 MiB");
}

fn chunked_body(stage: &mut Stage<'_>) {
    let body = of_size("far-model", 200_000);
    let call = Call { framing: Framing::Chunked, ..post(body.clone()) };
    let reply = stage.play(always(json(200, answer_text())), &call);
    assert_eq!(reply.status, 200);
    assert!(stage.generation().body == body, "the origin got another body");
    stage.settled();
}

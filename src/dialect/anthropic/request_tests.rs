use super::*;
use crate::dialect::anthropic::fixtures::{FEATURES, fixture, json, origin};
use crate::dialect::anthropic::{Anthropic, MESSAGES as PATH};
use crate::dialect::{AnswerContext, ClientDialect, Exchange, Operation};
use crate::payload::edited;
use http::Method;
use serde_json::json;

fn encoded(
    endpoint: &'static str,
    body: &str,
    origin: &crate::config::Origin,
    resume: Option<Resume<'_>>,
) -> Result<(String, String), CannotEncode> {
    let request = Request::parse(endpoint, body.as_bytes()).unwrap();
    let model = &origin.models[0];
    let changes = Changes { origin, model, ask_usage: true, drop_unsupported: false, resume };
    let encoded = request.encode(&changes)?;
    let bytes = match encoded.body {
        EncodedBody::Edited(edits) | EncodedBody::Form(edits) => edited(body.as_bytes(), edits),
        EncodedBody::Own(bytes) => bytes,
    };
    Ok((encoded.path.into_owned(), String::from_utf8(bytes).unwrap()))
}

#[test]
fn facts_are_read() {
    let body =
        r#"{"model":"m","max_tokens":7,"stream":true,"messages":[{"role":"user","content":"hi"}],"x":1}"#;
    let request = Request::parse(PATH, body.as_bytes()).unwrap();
    let facts = request.facts();
    assert_eq!((&*facts.model, facts.stream, facts.include_usage), ("m", true, true));
    assert_eq!(facts.size.max_tokens, Some(7));
    assert_eq!(&body[facts.conversation.clone()], r#"[{"role":"user","content":"hi"}]"#);
    for (body, param) in [
        (r#"{"messages":[]}"#, Some("model")),
        (r#"{"model":"m","stream":1}"#, Some("stream")),
        (r#"{"model":"m","Max-Tokens":1}"#, Some("max_tokens")),
        (r#"{"model":"m","model":"n"}"#, None),
    ] {
        let error = Request::parse(PATH, body.as_bytes()).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, param), "{body}");
    }
}

#[test]
fn the_end_user_and_what_is_no_text() {
    for (body, user, media) in [
        (r#"{"model":"m","metadata":{"user_id":"u1"}}"#, Some("u1"), 0),
        (r#"{"model":"m","metadata":{"user_id":null}}"#, None, 0),
        (r#"{"model":"m","metadata":null}"#, None, 0),
        (r#"{"model":"m","metadata":"u1"}"#, None, 0),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}},{"type":"document","source":{"type":"file","file_id":"f"}},{"type":"text","text":"image"}]}]}"#,
            None,
            2,
        ),
    ] {
        let request = Request::parse(PATH, body.as_bytes()).unwrap();
        let facts = request.facts();
        assert_eq!((facts.user.as_deref(), facts.size.media), (user, media), "{body}");
    }
}

#[test]
fn for_the_same_api_only_the_models_name_changes() {
    let far = origin("anthropic", "claude-x");
    for (body, expected) in [
        (r#"{"model":"claude-x", "new":{"a" : 1}}"#, r#"{"model":"claude-x", "new":{"a" : 1}}"#),
        (r#"{ "model": "m" ,"new":[1e3]}"#, r#"{ "model": "claude-x" ,"new":[1e3]}"#),
    ] {
        assert_eq!(encoded(PATH, body, &far, None).unwrap(), (PATH.to_owned(), expected.to_owned()));
    }
    for feature in FEATURES {
        let body = fixture(feature, "request.json");
        let own = origin("anthropic", "claude-sonnet-4-5");
        assert_eq!(encoded(PATH, &body, &own, None).unwrap().1, body, "{feature}");
    }
    let counted = encoded(COUNT, r#"{"model":"m"}"#, &far, None).unwrap();
    assert_eq!(counted, (COUNT.to_owned(), r#"{"model":"claude-x"}"#.to_owned()));
    let denied = encoded(PATH, r#"{"model":"m","service_tier":"priority"}"#, &far, None);
    assert_eq!(denied, Err(CannotEncode::Field("service_tier".to_owned())));
}

#[test]
fn on_vertex_the_model_is_in_the_path() {
    let far = origin("vertex", "claude-y@1");
    let models = "/publishers/anthropic/models";
    for (endpoint, body, path, expected) in [
        (
            PATH,
            r#"{"model":"m","max_tokens":1}"#,
            "claude-y@1:rawPredict",
            r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1}"#,
        ),
        (
            PATH,
            r#"{"max_tokens":1,"model":"m","stream":true}"#,
            "claude-y@1:streamRawPredict",
            r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1,"stream":true}"#,
        ),
        (
            PATH,
            r#"{"anthropic_version":"vertex-2023-10-16","model":"m"}"#,
            "claude-y@1:rawPredict",
            r#"{"anthropic_version":"vertex-2023-10-16"}"#,
        ),
        (
            COUNT,
            r#"{"model":"m","messages":[]}"#,
            "count-tokens:rawPredict",
            r#"{"anthropic_version":"vertex-2023-10-16","model":"claude-y@1","messages":[]}"#,
        ),
    ] {
        let (own, body) = encoded(endpoint, body, &far, None).unwrap();
        assert_eq!((own, json(&body)), (format!("{models}/{path}"), json(expected)));
    }
}

#[test]
fn thoughts_that_anthropic_has_not_signed_go() {
    let far = origin("anthropic", "claude-x");
    let foreign = r#"{"type":"thinking","thinking":"t","signature":"google-gemini-v1:S"}"#;
    let unsigned = r#"{"type":"thinking","thinking":"t","signature":""}"#;
    let own = r#"{"type":"thinking","thinking":"t","signature":"S"}"#;
    let redacted = r#"{"type":"redacted_thinking","data":"openai-responses-v1:D"}"#;
    let text = r#"{"type":"text","text":"x"}"#;
    let body = |blocks: &[&str]| {
        format!(
            r#"{{"model":"claude-x","messages":[{{"role":"user","content":"hi"}}, {{"role":"assistant","content":[{}]}}]}}"#,
            blocks.join(" , ")
        )
    };
    for (blocks, expected) in [
        (&[own, text][..], Some(&[own, text][..])),
        (&[foreign, text], Some(&[text])),
        (&[text, unsigned], Some(&[text])),
        (&[foreign, unsigned, text, redacted, own, unsigned], Some(&[text, own])),
        (&[foreign, unsigned], None),
    ] {
        let (_, written) = encoded(PATH, &body(blocks), &far, None).unwrap();
        let messages = &json(&written)["messages"];
        let expected = expected.map(|blocks| blocks.iter().map(|block| json(block)).collect::<Vec<_>>());
        assert_eq!(messages[1]["content"].as_array(), expected.as_ref(), "{written}");
    }
}

#[test]
fn an_answer_that_has_begun() {
    let far = origin("anthropic", "claude-haiku-4-5");
    let body = r#"{"model":"m","max_tokens":20,"thinking":{"type":"enabled"},"messages":[{"role":"user","content":"hi"}]}"#;
    let mut partial = Partial::default();
    (partial.text, partial.events) = ("so far ".to_owned(), 3);
    let resume = Some(Resume::Text(&partial, Prefill::Assistant));
    let (_, written) = encoded(PATH, body, &far, resume).unwrap();
    assert_eq!(
        json(&written),
        json!({"model": "claude-haiku-4-5", "max_tokens": 17, "messages": [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": "so far"}]})
    );
    for (body, model) in [
        (body, "claude-opus-4-6"),
        (
            r#"{"model":"m","messages":[],"output_config":{"format":{"type":"json_schema"}}}"#,
            "claude-haiku-4-5",
        ),
    ] {
        let far = origin("anthropic", model);
        assert_eq!(encoded(PATH, body, &far, resume), Err(CannotEncode::Resume));
    }
}

#[test]
fn in_another_apis_words() {
    let far = origin("openai", "gpt");
    let body = r#"{"model":"m","max_tokens":20,"stream":true,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"so"}]}"#;
    let (path, written) = encoded(PATH, body, &far, None).unwrap();
    assert_eq!(path, "/chat/completions");
    let written = json(&written);
    assert_eq!((&written["model"], &written["stream"]), (&json!("gpt"), &json!(true)));
    assert_eq!(written["messages"][1], json!({"role": "assistant", "content": "so"}));
    assert_eq!(encoded(COUNT, r#"{"model":"m"}"#, &far, None), Err(CannotEncode::Dialect));
    let wrong = r#"{"model":"m","messages":[],"container":"c"}"#;
    assert!(matches!(encoded(PATH, wrong, &far, None), Err(CannotEncode::Invalid(_))));
    let more = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"container":"c"}"#;
    assert_eq!(encoded(PATH, more, &far, None), Err(CannotEncode::Unsupported(vec!["container".to_owned()])));
}

#[test]
fn paths_and_headers() {
    let asked = |method: Method, path: &str, header: Option<&str>| {
        let mut head = http::Request::builder().method(method);
        if let Some(name) = header {
            head = head.header(name, "2023-06-01");
        }
        Anthropic.operation(&head.body(()).unwrap(), path).map(|found| found.map_err(|error| error.status))
    };
    let own = Some("anthropic-version");
    assert_eq!(asked(Method::POST, "/v1/messages", None), Some(Ok(Operation::Generate(PATH.into()))));
    let count = Some(Ok(Operation::Generate(COUNT.into())));
    assert_eq!(asked(Method::POST, "/v1/messages/count_tokens", own), count);
    assert_eq!(asked(Method::GET, "/v1/messages", own), Some(Err(405)));
    assert_eq!(asked(Method::GET, "/v1/models", own), Some(Ok(Operation::ListModels)));
    assert_eq!(asked(Method::GET, "/v1/models", Some("x-api-key")), Some(Ok(Operation::ListModels)));
    let one = Some(Ok(Operation::GetModel("a/b".to_owned())));
    assert_eq!(asked(Method::GET, "/v1/models/a/b", own), one);
    // OpenAI's.
    assert_eq!(asked(Method::GET, "/v1/models", None), None);
    assert_eq!(asked(Method::POST, "/v1/chat/completions", own), None);
}

#[test]
fn exchanges_by_origin() {
    let anthropic = origin("anthropic", "claude-x");
    let vertex = origin("vertex", "claude-x");
    let openai = origin("openai", "gpt");
    for (origin, model, endpoint, passes) in [
        (&anthropic, "claude-x", PATH, Some(true)),
        (&vertex, "claude-x", PATH, Some(true)),
        (&vertex, "gemini-3", PATH, Some(false)),
        (&openai, "gpt", PATH, Some(false)),
        (&anthropic, "claude-x", COUNT, Some(true)),
        (&openai, "gpt", COUNT, None),
    ] {
        let exchange = Anthropic.exchange(endpoint, origin, model);
        assert_eq!(exchange.map(Exchange::passes), passes, "{model} {endpoint}");
    }
    let count = Anthropic.exchange(COUNT, &anthropic, "claude-x").unwrap();
    let context = AnswerContext::default();
    let facts = count.answer(br#"{"input_tokens":2095}"#, &context).unwrap();
    assert_eq!(facts.counts, Some(crate::dialect::counts::Counts::default()));
    assert!(count.answer(br#"{"type":"error"}"#, &context).is_none());
    // The cost goes into the counts.
    let same = Anthropic.exchange(PATH, &anthropic, "claude-x").unwrap();
    let body = fixture("text", "answer.json");
    let facts = same.answer(body.as_bytes(), &context).unwrap();
    let bytes = edited(body.as_bytes(), facts.edits);
    let written = json(std::str::from_utf8(&bytes).unwrap());
    assert_eq!(
        (written["usage"]["output_tokens"].as_u64(), written["usage"]["cost"].as_f64()),
        (Some(15), Some(0.0))
    );
}

#[test]
fn only_its_own_errors_pass() {
    let same = Anthropic.exchange(PATH, &origin("anthropic", "claude-x"), "claude-x").unwrap();
    for (body, readable) in [
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
            true,
        ),
        (r#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}"#, false),
    ] {
        let error = same.error(529, body.as_bytes()).unwrap();
        assert_eq!((error.readable, error.message.as_deref()), (readable, Some("Overloaded")));
    }
}

use super::*;
use crate::config::Origin;
use crate::payload::edited;

#[test]
fn requests() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, ("m", false, false)),
        (r#" {"messages":[{"model":"no"}],"model":"a\u0062","stream":true}"#, ("ab", true, false)),
        (r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#, ("m", true, true)),
        (r#"{"model":"m","stream":null,"stream_options":null}"#, ("m", false, false)),
        (
            r#"{"model":"m","n":null,"max_tokens":null,"stream_options":{"include_usage":null}}"#,
            ("m", false, false),
        ),
        ("\u{feff} {\"model\":\"m\"}", ("m", false, false)),
    ] {
        let request = Request::parse("/chat/completions", body.as_bytes()).unwrap();
        let facts = request.facts();
        assert_eq!((&*facts.model, facts.stream, facts.include_usage), expected, "{body}");
    }
}

#[test]
fn bad_ones_name_the_field() {
    for (body, code, param) in [
        (&b""[..], "invalid_json", None),
        (b"[1]", "invalid_json", None),
        (b"\"model\"", "invalid_json", None),
        (b"{\"model\":\"m\"", "invalid_json", None),
        (b"{\"model\":\"m\"} x", "invalid_json", None),
        (b"{\"model\":\"\xff\"}", "invalid_json", None),
        (b"{}", "missing_field", Some("model")),
        (b"{\"model\":null}", "wrong_type", Some("model")),
        (b"{\"model\":7}", "wrong_type", Some("model")),
        (b"{\"model\":\"m\",\"stream\":\"yes\"}", "wrong_type", Some("stream")),
        (b"{\"model\":\"m\",\"stream_options\":true}", "wrong_type", Some("stream_options")),
        (b"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}", "wrong_type", Some("stream_options")),
        (b"{\"model\":\"m\",\"mod\\u0065l\":\"n\"}", "invalid_json", None),
    ] {
        let error = Request::parse("/chat/completions", body).unwrap_err();
        assert_eq!((error.status, error.code, error.param.as_deref()), (400, code, param), "{error:?}");
    }
}

fn origin(kind: &str, fields: &str) -> Origin {
    let text = format!(
        "[[origins]]\nname = \"o\"\nkind = \"{kind}\"\nurl = \"https://o.example/v1\"\nsecret = \"O\"\n{fields}\n\
         [[origins.models]]\nname = \"m\"\ninput = \"1\"\noutput = \"1\"\n"
    );
    crate::config::authoring::parse(&text).unwrap().origins.remove(0)
}

/// The body as that origin gets it.
fn encoded(body: &str, origin: &Origin, model: &str, ask_usage: bool) -> Result<String, CannotEncode> {
    let request = Request::parse("/chat/completions", body.as_bytes()).unwrap();
    let model = &crate::config::Model { name: model.to_owned(), ..origin.models[0].clone() };
    let changes = Changes { origin, model, ask_usage, drop_unsupported: false, resume: None };
    let EncodedBody::Edited(edits) = request.encode(&changes)?.body else { panic!("another body") };
    Ok(String::from_utf8(edited(body.as_bytes(), edits)).unwrap())
}

#[test]
fn a_byte_order_mark_goes_no_further() {
    let far = origin("openai", "");
    for (body, model, ask_usage, expected) in [
        ("\u{feff}{\"model\":\"m\"}", "m", false, r#"{"model":"m"}"#),
        (
            "\u{feff}\n{\"model\":\"a\",\"stream\":true}",
            "m",
            true,
            "\n{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}",
        ),
    ] {
        assert_eq!(encoded(body, &far, model, ask_usage).unwrap(), expected, "{body}");
    }
}

#[test]
fn names_that_differ_in_case_are_refused_by_name() {
    for (body, param) in [
        (r#"{"model":"cheap","Model":"dear"}"#, "model"),
        (r#"{"model":"m","Stream":true}"#, "stream"),
        (r#"{"model":"m","MAX_TOKENS":5}"#, "max_tokens"),
        (r#"{"model":"m","\u004d\u006fdel":"n"}"#, "model"),
        (r#"{"model":"m","\u017ftream":true}"#, "stream"),
        (r#"{"model":"m","maxTokens":5}"#, "max_tokens"),
    ] {
        let error = Request::parse("/chat/completions", body.as_bytes()).unwrap_err();
        assert_eq!((error.status, error.code, error.param.as_deref()), (400, "ambiguous_field", Some(param)));
    }
}

#[test]
fn counts_are_read_however_they_are_written() {
    for (body, max_tokens, choices) in [
        (r#"{"model":"m"}"#, None, 1),
        (r#"{"model":"m","max_tokens":1e5,"n":100}"#, Some(100_000), 100),
        (r#"{"model":"m","max_tokens":7.0,"max_completion_tokens":5}"#, Some(7), 1),
        (r#"{"model":"m","input":"x","max_output_tokens":9,"max_tokens":1}"#, Some(9), 1),
        (r#"{"model":"m","messages":[],"max_output_tokens":9}"#, None, 1),
        (r#"{"model":"m","messages":[],"input":"x","max_tokens":9}"#, None, 1),
        (r#"{"model":"m","max_tokens":9,"max_completion_tokens":"50"}"#, None, 1),
        (r#"{"model":"m","prompt":["a","b","c"],"n":2,"max_tokens":9}"#, Some(9), 6),
        (r#"{"model":"m","prompt":[1,2,3],"best_of":"4","max_tokens":9}"#, Some(9), 4),
        (r#"{"model":"m","max_tokens":null,"n":null}"#, None, 1),
    ] {
        let request = Request::parse("/chat/completions", body.as_bytes()).unwrap();
        let size = request.facts().size;
        assert_eq!((size.max_tokens, size.choices), (max_tokens, choices), "{body}");
    }
}

#[test]
fn the_end_user_and_what_is_no_text() {
    let long = "ü".repeat(200);
    let long_body = format!(r#"{{"model":"m","user":"{long}"}}"#);
    for (endpoint, body, user, media) in [
        ("/chat/completions", r#"{"model":"m","user":"u1"}"#, Some("u1"), 0),
        ("/chat/completions", r#"{"model":"m","user":"u1","safety_identifier":"s\u0031"}"#, Some("s1"), 0),
        ("/responses", r#"{"model":"m","safety_identifier":"s1"}"#, Some("s1"), 0),
        ("/chat/completions", r#"{"model":"m","user":""}"#, None, 0),
        ("/chat/completions", r#"{"model":"m","user":7}"#, None, 0),
        ("/chat/completions", &long_body, Some(&long[..256]), 0),
        (
            "/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}},{"type": "input_audio","input_audio":{"data":"QQ=="}},{"type":"file","file":{"file_id":"f"}},{"type":"text","text":"\"type\":\"image_url\""}]}]}"#,
            None,
            3,
        ),
        (
            "/responses",
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,QQ=="},{"type":"input_file","file_url":"https://a.example/b.pdf"},{"type":"input_text","text":"a"}]}]}"#,
            None,
            2,
        ),
    ] {
        let request = Request::parse(endpoint, body.as_bytes()).unwrap();
        let facts = request.facts();
        assert_eq!((facts.user.as_deref(), facts.size.media, facts.size.images), (user, media, 0), "{body}");
    }
}

#[test]
fn members_that_choose_elsewhere_are_not_sent() {
    let third = origin("openai", "");
    for field in ["models", "provider", "service_tier", "store", "Provider"] {
        let body = format!(r#"{{"model":"m","{field}":["x"]}}"#);
        assert_eq!(encoded(&body, &third, "m", false), Err(CannotEncode::Field(field.to_owned())));
        assert_eq!(encoded(&body, &origin("moegate", ""), "m", false).unwrap(), body, "our own server");
    }
    let harmless = r#"{"model":"m","store":false,"service_tier":"auto","provider":null}"#;
    assert_eq!(encoded(harmless, &third, "m", false).unwrap(), harmless);
    let allowed = origin("openai", "fields = { allow = [\"store\"], deny = [\"seed\"] }");
    assert_eq!(
        encoded(r#"{"model":"m","store":true}"#, &allowed, "m", false).unwrap(),
        r#"{"model":"m","store":true}"#
    );
    assert!(encoded(r#"{"model":"m","seed":1}"#, &allowed, "m", false).is_err());
    let dropping = origin("openai", "fields = { denied = \"drop\" }");
    for (body, expected) in [
        (r#"{"model":"m","store":true,"provider":{"order":["a"]},"x":1}"#, r#"{"model":"m","x":1}"#),
        (r#"{"store":true,"model":"m"}"#, r#"{"model":"m"}"#),
        (r#"{"store":true,"provider":1,"model":"m"}"#, r#"{"model":"m"}"#),
        (r#"{"model":"m","store":true,"provider":1}"#, r#"{"model":"m"}"#),
    ] {
        assert_eq!(encoded(body, &dropping, "m", false).unwrap(), expected, "{body}");
    }
}

#[test]
fn models_that_refuse_max_tokens_get_the_limit_under_its_other_name() {
    let body = r#"{"max_tokens" : 9,"model":"m"}"#;
    for (kind, served, expected) in [
        ("openai", "gpt-5-mini", r#"{"max_completion_tokens" : 9,"model":"gpt-5-mini"}"#),
        ("openai", "o3", r#"{"max_completion_tokens" : 9,"model":"o3"}"#),
        ("openai", "gpt-4.1", r#"{"max_tokens" : 9,"model":"gpt-4.1"}"#),
        ("openai", "gpt-oss-120b", r#"{"max_tokens" : 9,"model":"gpt-oss-120b"}"#),
        ("openai", "olmo", r#"{"max_tokens" : 9,"model":"olmo"}"#),
        ("vllm", "gpt-5-mini", r#"{"max_tokens" : 9,"model":"gpt-5-mini"}"#),
    ] {
        assert_eq!(encoded(body, &origin(kind, ""), served, false).unwrap(), expected);
    }
    let both = r#"{"max_tokens":9,"max_completion_tokens":8,"model":"o3"}"#;
    assert_eq!(
        encoded(both, &origin("openai", ""), "o3", false).unwrap(),
        both,
        "the origin says what is wrong"
    );
}

#[test]
fn what_other_providers_left_in_a_conversation_does_not_go_to_openai() {
    let body = r#"{"model":"gpt-5","messages":[{"reasoning_content":"t","role":"assistant","reasoning_details":[{"text":"t"}],"tool_calls":[{"id":"c__thought__QUJD","type":"function"}]},{"role":"tool","tool_call_id":"c__thought__QUJD","reasoning":"x"},{"role":"assistant","content":"a","reasoning":null}]}"#;
    let expected = r#"{"model":"gpt-5","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]},{"role":"tool","tool_call_id":"c","reasoning":"x"},{"role":"assistant","content":"a"}]}"#;
    assert_eq!(encoded(body, &origin("openai", ""), "gpt-5", false).unwrap(), expected);
    assert_eq!(encoded(body, &origin("vllm", ""), "gpt-5", false).unwrap(), body);
}

#[test]
fn only_what_must_differ_is_rewritten() {
    let origin = origin("openai", "");
    let rewritten = |body: &str, served: &str, ask| {
        let out = encoded(body, &origin, served, ask).unwrap();
        (out != body).then_some(out)
    };
    let plain = r#"{"seed": 1.0e0,"model":"m", "x":"é"}"#;
    assert_eq!(rewritten(plain, "m", true), None);
    assert_eq!(rewritten(plain, "a\"b", true).unwrap(), r#"{"seed": 1.0e0,"model":"a\"b", "x":"é"}"#);
    let stream = r#"{ "model":"m","stream":true}"#;
    assert_eq!(rewritten(stream, "m", false), None);
    assert_eq!(
        rewritten(stream, "n", true).unwrap(),
        r#"{"stream_options":{"include_usage":true}, "model":"n","stream":true}"#
    );
    let options = r#"{"model":"m","stream_options":{"include_usage":false,"k":[1]},"stream":true}"#;
    assert_eq!(
        rewritten(options, "m", true).unwrap(),
        r#"{"model":"m","stream_options":{"include_usage":true,"k":[1]},"stream":true}"#
    );
    let other = r#"{"model":"m","stream":true,"stream_options": { "z":1,"a":2}}"#;
    assert_eq!(
        rewritten(other, "m", true).unwrap(),
        r#"{"model":"m","stream":true,"stream_options": {"include_usage":true, "z":1,"a":2}}"#
    );
    let empty = r#"{"model":"m","stream":true,"stream_options":{ }}"#;
    assert_eq!(
        rewritten(empty, "m", true).unwrap(),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true }}"#
    );
    let null = r#"{"stream_options":null,"model":"m","stream":true}"#;
    assert_eq!(
        rewritten(null, "m", true).unwrap(),
        r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
    );
    let asked = r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;
    assert_eq!(rewritten(asked, "m", true), None);
}

use super::*;

#[test]
fn requests() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, ("m", false, false)),
        (r#" {"messages":[{"model":"no"}],"model":"a\u0062","stream":true}"#, ("ab", true, false)),
        (
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
            ("m", true, true),
        ),
        (r#"{"model":"m","stream":null,"stream_options":null}"#, ("m", false, false)),
    ] {
        let request = Request::parse(body.as_bytes()).unwrap();
        assert_eq!((&*request.model, request.stream, request.include_usage), expected, "{body}");
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
        (
            b"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}",
            "wrong_type",
            Some("stream_options"),
        ),
        (b"{\"model\":\"m\",\"mod\\u0065l\":\"n\"}", "invalid_json", None),
    ] {
        let error = Request::parse(body).unwrap_err();
        assert_eq!((error.status, error.code, error.param), (400, code, param), "{error:?}");
    }
}

#[test]
fn only_what_must_differ_is_rewritten() {
    let rewritten = |body: &str, served: &str, ask| {
        let out = Request::parse(body.as_bytes()).unwrap().rewritten(Changes {
            served,
            ask_usage: ask,
            resume: None,
        });
        out.unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
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

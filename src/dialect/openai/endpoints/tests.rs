use super::*;
use crate::config::authoring;
use crate::dialect::request::{CannotEncode, Changes, EncodedBody};
use crate::dialect::{AnswerContext, StreamOptions};
use crate::payload::edited;
use crate::stream::Scanner;

fn origin(kind: &str, fields: &str) -> Origin {
    let text = format!(
        "[[origins]]\nname = \"o\"\nkind = \"{kind}\"\nurl = \"https://o.example/v1\"\nsecret = \"O\"\n{fields}\n\
         [[origins.models]]\nname = \"there\"\ninput = \"1\"\noutput = \"1\"\n"
    );
    authoring::parse(&text).unwrap().origins.remove(0)
}

const TRANSCRIPTIONS: &str = "/audio/transcriptions";
const FORM: &str = "multipart/form-data; boundary=x-y";

/// A form of parts of that name, head and content.
fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, more, content) in parts {
        body.extend(
            format!("--x-y\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n").bytes(),
        );
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--x-y--\r\n");
    body
}

fn parsed<'a>(
    endpoint: &'static str,
    content_type: &str,
    body: &'a [u8],
) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
    Endpoints.parse_as(&endpoint.into(), content_type, body)
}

fn encoded(request: &dyn ClientRequest, body: &[u8], origin: &Origin) -> Result<Vec<u8>, CannotEncode> {
    let model = &origin.models[0];
    let changes = Changes { origin, model, ask_usage: true, drop_unsupported: false, resume: None };
    match request.encode(&changes)?.body {
        EncodedBody::Form(edits) | EncodedBody::Edited(edits) => Ok(edited(body, edits)),
        EncodedBody::Own(_) => panic!("another body"),
    }
}

const FILE: &str = "; filename=\"a \\\"b\\\".wav\"\r\nContent-Type: audio/wav";

#[test]
fn the_model_s_part_is_replaced_and_nothing_else() {
    // A file's bytes may be anything, also what looks like a part.
    let file = b"\0\xff--x-y\r\n\r\n--x-\r\nname=\"model\"\r\n--";
    for (first, last) in [("model", "file"), ("file", "model")] {
        let parts = |model: &'static str| {
            let all = [("model", "", model.as_bytes()), ("file", FILE, &file[..])];
            let mut all: Vec<_> =
                [first, last].map(|name| *all.iter().find(|own| own.0 == name).unwrap()).into();
            all.push(("response_format", "", b"text"));
            form(&all)
        };
        let body = parts("whisper");
        let request = parsed(TRANSCRIPTIONS, FORM, &body).unwrap();
        assert_eq!((request.facts().model.as_str(), request.facts().stream), ("whisper", false));
        assert_eq!(request.facts().size.body_bytes, "whisper".len() + "text".len());
        assert_eq!(encoded(&*request, &body, &origin("openai", "")).unwrap(), parts("there"));
        assert_eq!(encoded(&*request, &body, &origin("anthropic", "")), Err(CannotEncode::Dialect));
    }
}

#[test]
fn a_form_s_denied_parts_do_not_go_along() {
    let body = form(&[("service_tier", "", b"priority"), ("model", "", b"m"), ("store", "", b"false")]);
    let request = parsed(TRANSCRIPTIONS, FORM, &body).unwrap();
    let refused = encoded(&*request, &body, &origin("openai", ""));
    assert_eq!(refused, Err(CannotEncode::Field("service_tier".into())));
    let dropped = encoded(&*request, &body, &origin("openai", "fields = { denied = \"drop\" }"));
    assert_eq!(dropped.unwrap(), form(&[("model", "", b"there"), ("store", "", b"false")]));
}

#[test]
fn what_could_be_read_differently_is_refused() {
    let part = |head: &str, content: &str| format!("--x-y\r\n{head}\r\n\r\n{content}\r\n--x-y--\r\n");
    let model = "Content-Disposition: form-data; name=\"model\"";
    assert!(parsed(TRANSCRIPTIONS, FORM, part(model, "m").as_bytes()).is_ok());
    assert!(
        parsed(TRANSCRIPTIONS, "Multipart/Form-Data ; Boundary=\"x-y\"", part(model, "m").as_bytes()).is_ok()
    );
    for body in [
        String::new(),
        "preamble\r\n".to_owned() + &part(model, "m"),
        part(model, "m") + "epilogue",
        part(model, "m").replace("--x-y--\r\n", ""),
        part(model, "m").replace("--x-y--", "--x-yz"),
        part(model, "m").replacen("--x-y\r\n", "--x-y \r\n", 1),
        part(model, "m").replace('\r', ""),
        part("Content-Disposition: form-data", "m"),
        part("Content-Disposition: attachment; name=\"model\"", "m"),
        part("Content-Disposition: form-data; name=\"model\"; name=\"file\"", "m"),
        part("Content-Disposition: form-data; name*=UTF-8''model", "m"),
        part("Content-Disposition: form-data;\r\n name=\"model\"", "m"),
        part("Content-Disposition: form-data; name=\"model", "m"),
        part(&format!("{model}\r\n{model}"), "m"),
        part(&format!("{model}\r\nContent-Transfer-Encoding: base64"), "bQ=="),
        part(&format!("{model}\r\nX: {}", "x".repeat(5000)), "m"),
    ] {
        let error = parsed(TRANSCRIPTIONS, FORM, body.as_bytes()).err().unwrap_or_else(|| panic!("{body}"));
        assert_eq!((error.status, error.code), (400, "invalid_form"), "{body}");
    }
    let many: Vec<_> = (0..65).map(|_| ("image[]", "", &b"x"[..])).collect();
    assert_eq!(parsed(TRANSCRIPTIONS, FORM, &form(&many)).err().unwrap().code, "invalid_form");
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x-y; boundary=z",
        "multipart/form-data; boundary=\"x\u{e9}\"",
        "multipart/form-data; boundary=\"x\\\"y\"",
    ] {
        let error = parsed(TRANSCRIPTIONS, content_type, part(model, "m").as_bytes()).err().unwrap();
        assert_eq!(error.code, "invalid_form", "{content_type}");
    }
}

#[test]
fn the_error_names_the_part() {
    for (parts, code, param) in [
        (&[("file", FILE, &b"x"[..])][..], "missing_field", "model"),
        (&[("model", "", b"")], "wrong_type", "model"),
        (&[("model", "", b"\xff")], "wrong_type", "model"),
        (&[("model", FILE, b"m")], "wrong_type", "model"),
        (&[("model", "", b"m"), ("model", "", b"n")], "ambiguous_field", "model"),
        (&[("model", "", b"m"), ("Model", "", b"n")], "ambiguous_field", "model"),
        (&[("model", "", b"m"), ("stream", "", b"maybe")], "wrong_type", "stream"),
    ] {
        let error = parsed(TRANSCRIPTIONS, FORM, &form(parts)).err().unwrap();
        assert_eq!((error.status, error.code, error.param.as_deref()), (400, code, Some(param)));
    }
    for (stream, expected) in [(&b"true"[..], true), (b"false", false), (b"True", true)] {
        let body = form(&[("model", "", b"m"), ("stream", "", stream)]);
        assert_eq!(parsed(TRANSCRIPTIONS, FORM, &body).unwrap().facts().stream, expected);
    }
}

#[test]
fn json_passes_with_another_model() {
    for (endpoint, body, stream) in [
        (EMBEDDINGS, r#"{"model":"m","input":["a","b"],"dimensions":3,"new":{"x":[1]}}"#, false),
        (MODERATIONS, r#"{"model":"m","input":"a"}"#, false),
        ("/images/generations", r#"{"model":"m","prompt":"a","n":2,"stream":true}"#, true),
        ("/audio/speech", r#"{"model":"m","input":"a","voice":"b","stream_format":"sse"}"#, true),
        ("/audio/speech", r#"{"model":"m","input":"a","voice":"b","stream_format":"audio"}"#, false),
    ] {
        let request = parsed(endpoint, "application/json", body.as_bytes()).unwrap();
        assert_eq!(request.facts().stream, stream, "{body}");
        let out = encoded(&*request, body.as_bytes(), &origin("openai", "")).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), body.replace("\"m\"", "\"there\""));
        for kind in ["anthropic", "moegate"] {
            let out = encoded(&*request, body.as_bytes(), &origin(kind, ""));
            assert_eq!(out, Err(CannotEncode::Dialect), "{kind}");
            assert!(Endpoints.exchange(endpoint, &origin(kind, ""), "there").is_none());
        }
    }
}

const PASSED: answer::Passed = answer::Passed { images: false };
const IMAGES: answer::Passed = answer::Passed { images: true };

#[test]
fn images_are_counted() {
    let price = moegate_wire::Rates { image: 40_000_000, ..Default::default() }.into();
    let context = AnswerContext { price, ..AnswerContext::default() };
    for (body, counts, told) in [
        (r#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#, Some((0, 2)), None),
        (
            r#"{"created":1,"data":[{"b64_json":"QQ=="}],"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}"#,
            Some((5, 1)),
            Some("\"cost\":0.04}"),
        ),
        (r#"{"created":1,"data":[]}"#, None, None),
        (r#"{"created":1,"data":null}"#, None, None),
    ] {
        let facts = IMAGES.answer(body.as_bytes(), &context).unwrap();
        assert_eq!(facts.counts.map(|counts| (counts.usage.prompt, counts.usage.images)), counts, "{body}");
        let cost = facts.edits.first().map(|edit| edit.text.clone() + "}");
        assert_eq!(cost.as_deref().map(|text| text.trim_start_matches(',')), told, "{body}");
    }
    let list =
        br#"{"object":"list","data":[{"embedding":[1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    assert_eq!(PASSED.answer(list, &context).unwrap().counts.unwrap().usage.images, 0);
    for (endpoint, images) in [("/images/generations", 1), ("/images/edits", 1), ("/embeddings", 0)] {
        let exchange = Endpoints.exchange(endpoint, &origin("openai", ""), "there").unwrap();
        let told = exchange.answer(br#"{"data":[1],"usage":{"input_tokens":5}}"#, &context).unwrap();
        assert_eq!(told.counts.unwrap().usage.images, images, "{endpoint}");
    }
    let event = |name: &str| {
        format!(
            "data: {{\"type\":\"{name}\",\"b64_json\":\"QQ==\",\"usage\":{{\"input_tokens\":5,\"output_tokens\":7,\"total_tokens\":12}}}}\n\n"
        )
    };
    let mut scanner = Scanner::new(IMAGES.stream(StreamOptions::default()));
    for name in ["image_edit.partial_image", "image_edit.completed", "image_generation.completed"] {
        scanner.push(event(name).as_bytes());
    }
    let usage = scanner.seen().usage.unwrap().usage;
    assert_eq!((usage.prompt, usage.completion, usage.images), (5, 7, 2));
}

#[test]
fn the_number_of_images_that_are_asked_for() {
    let size = |endpoint, content_type: &str, body: &[u8]| {
        parsed(endpoint, content_type, body).map(|request| request.facts().size.images)
    };
    let json = "application/json";
    assert_eq!(size("/images/generations", json, br#"{"model":"m","prompt":"a"}"#), Ok(1));
    assert_eq!(size("/images/generations", json, br#"{"model":"m","prompt":"a","n":4}"#), Ok(4));
    assert_eq!(size("/embeddings", json, br#"{"model":"m","input":"a","n":4}"#), Ok(0));
    let edit = |n: &'static [u8]| form(&[("model", "", b"m"), ("n", "", n), ("user", "", b"u1")]);
    assert_eq!(size("/images/edits", FORM, &edit(b"3")), Ok(3));
    assert_eq!(size("/audio/transcriptions", FORM, &edit(b"3")), Ok(0));
    assert!(size("/images/edits", FORM, &edit(b"many")).is_err());
    let body = edit(b"1");
    assert_eq!(parsed("/images/edits", FORM, &body).unwrap().facts().user.as_deref(), Some("u1"));
}

#[test]
fn answers() {
    let context = AnswerContext::default();
    for (body, counts) in [
        (
            &br#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#[..],
            Some((8, 0)),
        ),
        (
            br#"{"created":1,"data":[],"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}"#,
            Some((5, 7)),
        ),
        (br#"{"text":"Hi","usage":{"type":"duration","seconds":3}}"#, None),
        (br#"{"id":"modr-1","model":"m","results":[]}"#, None),
        (b"ID3\x04\0\xff\xfb", None),
        (b"data: is what he said", None),
        (b"WEBVTT\n", None),
    ] {
        let facts = PASSED.answer(body, &context).unwrap();
        let told = facts.counts.map(|counts| (counts.usage.prompt, counts.usage.completion));
        assert_eq!(told, counts, "{}", String::from_utf8_lossy(body));
        assert_eq!(PASSED.error(200, body), None);
    }
    assert_eq!(PASSED.answer(b"<!DOCTYPE html><p>Proxy</p>", &context), None);
    let error = br#"{"error":{"message":"No","type":"server_error"}}"#;
    assert!(PASSED.answer(error, &context).unwrap().dubious);
    assert_eq!(PASSED.error(200, error).unwrap().message.as_deref(), Some("No"));
}

// *Create image*, streaming; *Create transcription*, streaming.
#[test]
fn streams_pass_and_are_counted() {
    for (stream, counts, ended) in [
        (
            "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"QQ==\"}\n\n\
             event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"QQ==\",\"usage\":{\"input_tokens\":5,\"output_tokens\":7,\"total_tokens\":12}}\n\n",
            Some((5, 7)),
            true,
        ),
        (
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":1,\"total_tokens\":15}}\n\n",
            Some((14, 1)),
            true,
        ),
        ("data: {\"type\":\"speech.audio.delta\",\"audio\":\"QQ==\"}\n\n", None, false),
    ] {
        let mut scanner = Scanner::new(PASSED.stream(StreamOptions::default()));
        assert!(
            matches!(scanner.push(stream.as_bytes()), crate::stream::Forward::Whole),
            "it passes as it is"
        );
        let seen = scanner.seen();
        assert_eq!(
            seen.usage.map(|counts| (counts.usage.prompt, counts.usage.completion)),
            counts,
            "{stream}"
        );
        assert_eq!(seen.finished, ended, "{stream}");
    }
    let mut codec = PASSED.stream(StreamOptions::default());
    let (read, _) =
        codec.event(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"No\"}}\n\n", true);
    assert_eq!(PASSED.error(200, &read.error.unwrap()).unwrap().message.as_deref(), Some("No"));
}

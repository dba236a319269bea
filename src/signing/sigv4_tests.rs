//! The tables (`fixtures/`, one request a line, with the `authorization` it must get):
//! - `sigv4_suite.jsonl`: AWS's own test suite (`aws-signing-test-suite/v4` in awslabs/aws-c-auth), all cases that normalise
//!   paths and sign the session token; Bedrock wants both.
//! - `sigv4_botocore.jsonl`: random requests, signed by botocore 1.44 (`SigV4Auth`).

use super::*;
use crate::payload::Edit;
use serde_json::Value;

fn secret(value: &Value) -> Option<Secret> {
    value.as_str().and_then(Secret::new)
}

fn signed_as_in(table: &str) -> usize {
    let mut rows = 0;
    for line in table.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap();
        let mut headers = HeaderMap::new();
        for pair in row["headers"].as_array().unwrap() {
            let name = HeaderName::try_from(pair[0].as_str().unwrap()).unwrap();
            headers.append(name, HeaderValue::try_from(pair[1].as_str().unwrap()).unwrap());
        }
        let (id, key, token) = (secret(&row["id"]), secret(&row["secret"]), secret(&row["token"]));
        let credentials = Credentials {
            access_key_id: id.as_ref().unwrap(),
            secret_access_key: key.as_ref().unwrap(),
            session_token: token.as_ref(),
        };
        let scope = Scope { region: text("region"), service: text("service") };
        let request = Request { method: text("method"), url: text("url"), headers: &headers };
        let body = Payload::Passed(text("body").as_bytes());
        let now_ms = row["time_s"].as_u64().unwrap() * 1000 + 999;
        let added = sign(&request, &body, &credentials, &scope, now_ms).unwrap();
        assert_eq!(added[header::AUTHORIZATION], text("authorization"), "{line}");
        assert_eq!(added.get(TOKEN).map(HeaderValue::as_bytes), row["token"].as_str().map(str::as_bytes));
        assert!(added.values().all(HeaderValue::is_sensitive));
        rows += 1;
    }
    rows
}

#[test]
fn as_in_the_suite_of_aws() {
    assert_eq!(signed_as_in(include_str!("fixtures/sigv4_suite.jsonl")), 30);
}

#[test]
fn as_botocore_signs() {
    assert_eq!(signed_as_in(include_str!("fixtures/sigv4_botocore.jsonl")), 40);
}

fn example(url: &str, body: &Payload<&[u8]>, id: &str, token: Option<&str>) -> Result<HeaderMap, Unsignable> {
    let [id, key] = [id, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"].map(|text| Secret::new(text).unwrap());
    let token = token.and_then(Secret::new);
    let credentials =
        Credentials { access_key_id: &id, secret_access_key: &key, session_token: token.as_ref() };
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let request = Request { method: "POST", url, headers: &HeaderMap::new() };
    sign(&request, body, &credentials, &scope, 1_440_938_160_000)
}

const URL: &str = "https://bedrock-runtime.us-east-1.amazonaws.com/model/a/converse";

#[test]
fn a_body_in_pieces_is_the_same_body() {
    let edit = |span, text: &str| Edit { span, text: text.to_owned() };
    let authorization = |body: Payload<&[u8]>| {
        example(URL, &body, "AKIDEXAMPLE", None).unwrap()[header::AUTHORIZATION].clone()
    };
    let whole = authorization(Payload::Own(b"one two".to_vec()));
    assert_eq!(authorization(Payload::Passed(b"one two")), whole);
    let edits = vec![edit(0..1, "one"), edit(2..2, "t"), edit(3..5, "o")];
    assert_eq!(authorization(Payload::Edited(b"1 w__", edits)), whole);
    assert_eq!(authorization(Payload::Empty), authorization(Payload::Own(vec![])));
    assert_ne!(authorization(Payload::Empty), whole);
}

#[test]
fn names_are_escaped_once_in_the_path_and_twice_in_what_is_signed() {
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.model-v1:0";
    let segment = path_segment(arn);
    assert_eq!(segment, "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.model-v1%3A0");
    let twice = "/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ainference-profile%252Fus.model-v1%253A0/converse";
    assert_eq!(canonical_path(&format!("/model/{segment}/converse")), twice);
    assert_eq!(path_segment("é ~"), "%C3%A9%20~");
}

/// The caller's own `host`, `authorization` or `x-amz-date` is not what is signed.
#[test]
fn what_it_adds_itself_is_signed_once() {
    let id = Secret::new("AKIDEXAMPLE").unwrap();
    let credentials = Credentials { access_key_id: &id, secret_access_key: &id, session_token: None };
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let signed = |headers: &HeaderMap| {
        let request = Request { method: "POST", url: URL, headers };
        sign(&request, &Payload::Passed(&b""[..]), &credentials, &scope, 0).unwrap()
    };
    let mut headers = HeaderMap::new();
    for name in ["host", "authorization", "x-amz-date"] {
        headers.insert(name, HeaderValue::from_static("other"));
    }
    assert_eq!(signed(&headers), signed(&HeaderMap::new()));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    assert_ne!(signed(&headers), signed(&HeaderMap::new()));
}

#[test]
fn what_cannot_be_signed_is_named_and_not_shown() {
    for (url, id, token, expected) in [
        ("bedrock-runtime.us-east-1.amazonaws.com/model", "AKID", None, Unsignable::Url),
        ("https://user@example.com/", "AKID", None, Unsignable::Url),
        (URL, "AK\nID", None, Unsignable::AccessKeyId),
        (URL, "AKID", Some("to\nken"), Unsignable::SessionToken),
    ] {
        assert_eq!(example(url, &Payload::Empty, id, token), Err(expected));
        assert!(expected.to_string().contains(": set "));
    }
}

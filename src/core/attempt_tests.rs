use super::*;
use crate::core::config::{Config, authoring};
use crate::core::route;
use crate::core::secret::{Secret, Secrets};
use moegate_wire::{Ending, Nanodollars};

fn config() -> Config {
    let origin = |name: &str, kind: &str, secret: &str| {
        format!(
            r#"
            [[origins]]
            name = "{name}"
            kind = "{kind}"
            url = "https://{name}.example/v1"
            secret = "{secret}"
            first_byte_timeout_s = 7
            [[origins.models]]
            name = "{name}-model"
            input = "1"
            output = "2"
            [[routes]]
            model = "{name}"
            origin = "{name}"
            origin_model = "{name}-model"
            "#
        )
    };
    let key = "[[keys]]\nname = \"k\"\nsha256_secret = \"K\"\n";
    authoring::parse(
        &[origin("own", "moegate", "OWN"), origin("far", "openai", "FAR"), key.to_owned()].concat(),
    )
    .unwrap()
}

fn with<T>(model: &str, f: impl FnOnce(&Target<'_>, &OriginSecrets<'_>) -> T) -> T {
    let config = config();
    let target = route::plan(&config, &config.keys[0], model).unwrap();
    let mut secrets = Secrets::default();
    for (name, value) in [("OWN", "sk-own-0123456789"), ("FAR", "sk-far-0123456789")] {
        secrets.insert(name, Secret::new(value).unwrap());
    }
    f(&target, &OriginSecrets::of(target.origin, &secrets).ok().unwrap())
}

fn sent(model: &str, body: &str) -> Outbound {
    let request_ = Request::parse(body.as_bytes()).unwrap();
    with(model, |target, secrets| request(target, secrets, "/chat/completions", &request_, "id1", 5_000))
}

fn header_of<'a>(outbound: &'a Outbound, name: &str) -> Option<&'a str> {
    outbound.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

#[test]
fn to_our_own_server_goes_a_ticket() {
    let outbound = sent("own", r#"{"model":"own-model","stream":true}"#);
    assert_eq!(outbound.url, "https://own.example/v1/chat/completions");
    assert_eq!(outbound.body, OutboundBody::AsReceived);
    assert_eq!(header_of(&outbound, "authorization"), Some("Bearer sk-own-0123456789"));
    let ticket =
        Ticket::decode(header_of(&outbound, header::TICKET).unwrap(), b"sk-own-0123456789", 5).unwrap();
    assert_eq!((ticket.request_id.as_str(), ticket.price.output), ("id1", 2_000_000_000));
    assert_eq!(outbound.first_byte_timeout_ms, 7_000);
}

#[test]
fn a_third_party_gets_none_but_is_asked_for_usage() {
    let outbound = sent("far", r#"{"model":"far","stream":true}"#);
    assert_eq!(header_of(&outbound, header::TICKET), None);
    assert_eq!(header_of(&outbound, "authorization"), Some("Bearer sk-far-0123456789"));
    let OutboundBody::Bytes(body) = outbound.body else { panic!("the body must differ") };
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"stream_options":{"include_usage":true},"model":"far-model","stream":true}"#
    );
}

#[test]
fn answers_are_judged() {
    let code = |status, body: &str| {
        with("far", |target, secrets| match judge(target, secrets, status, body.as_bytes()) {
            Judgement::Pass { .. } => (status, "pass"),
            Judgement::PassError(status) => (status, "pass error"),
            Judgement::Replace(error) => (error.status, error.code),
        })
    };
    for (status, body, expected) in [
        (200, r#"{"choices":[]}"#, (200, "pass")),
        (200, r#"{"choices":[],"error":null}"#, (200, "pass")),
        (200, "<html>", (502, "origin_answer_invalid")),
        (200, r#"{"error":{"message":"x"}}"#, (502, "pass error")),
        (400, r#"{"error":{"message":"x"}}"#, (400, "pass error")),
        (429, r#"{"error":{"message":"x"}}"#, (429, "pass error")),
        (503, "busy", (503, "origin_error")),
        (500, r#"{"error":"stack trace"}"#, (500, "origin_error")),
        (401, r#"{"error":{"message":"x"}}"#, (502, "origin_refused_key")),
        (403, "", (502, "origin_refused_key")),
        (403, r#"{"error":{"message":"moderation"}}"#, (403, "pass error")),
        (403, "error code: 1003", (502, "origin_unreachable")),
        (520, "", (502, "origin_broke_off")),
        (524, "", (504, "origin_timeout")),
        (302, "", (502, "origin_redirects")),
        (530, "error code: 1016", (502, "origin_unreachable")),
        (522, "", (502, "origin_unreachable")),
        (101, "", (502, "origin_answer_invalid")),
        (400, r#"{"error":{"message":"bad key sk-far-0123456789"}}"#, (502, "origin_leaked_secret")),
        (200, r#"{"choices":[],"headers":"Bearer sk-far-0123456789"}"#, (502, "origin_leaked_secret")),
    ] {
        assert_eq!(code(status, body), expected, "{status} {body}");
    }
}

#[test]
fn the_answer_says_what_it_cost() {
    let body = r#"{"usage":{"prompt_tokens":3,"completion_tokens":5 } ,"x":1}"#;
    let Judgement::Pass { usage, body: Some(out) } =
        with("far", |target, secrets| judge(target, secrets, 200, body.as_bytes()))
    else {
        panic!("must pass with a cost")
    };
    assert_eq!(usage.map(|u| (u.prompt, u.completion)), Some((3, 5)));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"usage":{"prompt_tokens":3,"completion_tokens":5 ,"cost":0.000013} ,"x":1}"#
    );
}

#[test]
fn a_receipt_counts_only_with_its_signature_and_id() {
    let receipt = Receipt {
        id: "id1".into(),
        model: "own-model".into(),
        usage: Usage::default(),
        ending: Ending::Complete,
        finish_reason: Some("stop".into()),
        created_ms: 1,
        queue_us: 2,
        prefill_us: 3,
        decode_us: 4,
        cost: Nanodollars(5),
    };
    let body = serde_json::to_vec(&receipt).unwrap();
    let read = |key: &[u8], id: &str| {
        let headers = AnswerHeaders {
            signature: moegate_wire::receipt::sign_body(key, &body),
            ..AnswerHeaders::default()
        };
        with("own", |_, secrets| read_receipt(&headers, &body, secrets, id))
    };
    assert_eq!(read(b"sk-own-0123456789", "id1"), Some(receipt.clone()));
    assert_eq!(read(b"sk-far-0123456789", "id1"), None);
    assert_eq!(read(b"sk-own-0123456789", "id2"), None);
}

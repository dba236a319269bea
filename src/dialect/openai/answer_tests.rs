use super::*;
use crate::dialect::openai::Request;
use crate::config::{Config, authoring};
use crate::secret::{Secret, Secrets};
use crate::stream::Scanner;
use moegate_wire::{Ending, Nanodollars, Price};

const NOW: u64 = 5_000;

/// Own server and third party; the routes `…-on` have a stream that broke off continued, in little time.
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
            [[routes]]
            model = "{name}-on"
            origin = "{name}"
            origin_model = "{name}-model"
            continue = true
            timeouts = {{ first_byte_s = 3, idle_s = 4 }}
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
    let route = config.routes.iter().find(|route| route.model == model).unwrap();
    let origin = route.origin.as_deref().unwrap();
    let target = Target::of(&config, route, origin, route.model_at(None)).unwrap();
    let mut secrets = Secrets::default();
    for (name, value) in [("OWN", "sk-own-0123456789"), ("FAR", "sk-far-0123456789")] {
        secrets.insert(name, Secret::new(value).unwrap());
    }
    f(&target, &OriginSecrets::of(target.origin, 0, &secrets).ok().unwrap())
}

fn sent(model: &str, body: &str) -> Outbound {
    resumed(model, body, None).unwrap()
}

fn resumed(model: &str, body: &str, partial: Option<&Partial>) -> Result<Outbound, NoResume> {
    let parsed = Request::parse(body.as_bytes()).unwrap();
    let attempt = Attempt {
        path: "/chat/completions",
        id: "id1",
        now_ms: NOW,
        deadline_ms: NOW + 10_000,
        way: StreamMode::Pump,
        partial,
    };
    with(model, |target, secrets| {
        request(target, secrets, &parsed, Attempt { way: target.stream_way(), ..attempt })
    })
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
    assert_eq!(header_of(&outbound, header::RESUME), None);
    let timeouts = Timeouts { first_byte_ms: 7_000, idle_ms: 60_000, total_ms: 10_000 };
    assert_eq!(outbound.timeouts, timeouts);
}

#[test]
fn the_route_s_time_limits_go_before_the_origin_s_and_the_budget_before_both() {
    let parsed = Request::parse(br#"{"model":"far-on"}"#).unwrap();
    for (now_ms, expected) in [
        (0, Timeouts { first_byte_ms: 3_000, idle_ms: 4_000, total_ms: 10_000 }),
        (9_000, Timeouts { first_byte_ms: 1_000, idle_ms: 4_000, total_ms: 1_000 }),
        // A timer of 0 would be none.
        (10_000, Timeouts { first_byte_ms: 1, idle_ms: 4_000, total_ms: 1 }),
        (12_000, Timeouts { first_byte_ms: 1, idle_ms: 4_000, total_ms: 1 }),
    ] {
        let attempt =
            Attempt { path: "/x", id: "i", now_ms, deadline_ms: 10_000, way: StreamMode::Pump, partial: None };
        let sent = with("far-on", |target, secrets| request(target, secrets, &parsed, attempt));
        assert_eq!(sent.ok().unwrap().timeouts, expected, "{now_ms}");
    }
}

fn partial(events: &str) -> Partial {
    let mut scanner = Scanner::new(Price::default(), true).with_partial(Partial::default());
    scanner.push(events.as_bytes());
    scanner.take_partial().unwrap()
}

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"One\"}}]}\n\n";
const TOKENS: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"One\"}}],\"moegate\":{\"tokens\":[5],\"vocab\":\"v\"}}\n\n";
const TOOL: &str = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n";

#[test]
fn our_own_server_is_asked_for_a_handle_where_another_may_have_to_go_on() {
    let wanted = |model, body| header_of(&sent(model, body), header::RESUME).map(str::to_owned);
    assert_eq!(wanted("own-on", r#"{"model":"own-on","stream":true}"#).as_deref(), Some("1"));
    assert_eq!(wanted("own-on", r#"{"model":"own-on"}"#), None);
    assert_eq!(wanted("far-on", r#"{"model":"far-on","stream":true}"#), None);
}

#[test]
fn who_can_go_on() {
    for (events, own, far) in
        [("", true, true), (TEXT, false, true), (TOKENS, true, true), (TOOL, false, false)]
    {
        let partial = partial(events);
        let able = |model| with(model, |target, _| can_resume(target, &partial));
        assert_eq!((able("own-on"), able("far-on")), (own, far), "{events}");
    }
}

#[test]
fn the_answer_so_far_goes_along() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Count"}],"stream":true}"#;
    for (model, expected) in [
        (
            "own-on",
            r#"{"stream_options":{"include_usage":true},"moegate_resume":{"tokens":[5],"vocab":"v"},"model":"own-model","messages":[{"role":"user","content":"Count"}],"stream":true}"#,
        ),
        (
            "far-on",
            r#"{"stream_options":{"include_usage":true},"model":"far-model","messages":[{"role":"user","content":"Count"},{"role":"assistant","content":"One"}],"stream":true}"#,
        ),
    ] {
        let Ok(Outbound { body: OutboundBody::Bytes(sent), .. }) =
            resumed(model, body, Some(&partial(TOKENS)))
        else {
            panic!("{model}: the body must differ")
        };
        assert_eq!(String::from_utf8(sent).unwrap(), expected);
    }
    assert!(resumed("far-on", r#"{"model":"m","stream":true}"#, Some(&partial(TEXT))).is_err());
}

/// Platforms let go of the received bytes when the reply begins.
#[test]
fn what_goes_on_never_counts_on_the_received_body() {
    let thoughts = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    let body = r#"{"model":"far-model","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(sent("far-on", body).body, OutboundBody::AsReceived);
    let again = resumed("far-on", body, Some(&partial(thoughts))).unwrap();
    assert!(matches!(again.body, OutboundBody::Bytes(bytes) if bytes == body.as_bytes()));
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

#[test]
fn an_error_under_200_is_an_error_and_keeps_its_counts() {
    let body =
        br#"{"error":{"message":"gone"},"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let judged = with("far", |target, secrets| judge(target, secrets, 200, body));
    assert_eq!(judged, Judgement::PassError(502));
    assert_eq!(counts(body), Some(Usage { prompt: 7, completion: 2, ..Usage::default() }));
    assert_eq!((counts(b"{\"error\":{}}"), counts(b"<html>")), (None, None));
}

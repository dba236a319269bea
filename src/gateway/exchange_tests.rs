//! What goes to an origin and what its answer means.

use super::judge::{self, Judgement};
use super::send::{Outgoing, Timeouts};
use crate::config::{Config, authoring};
use crate::dialect::partial::Partial;
use crate::dialect::request::CannotEncode;
use crate::dialect::{AnswerContext, Endpoint, Operation, StreamOptions, registry};
use crate::metering::receipt;
use crate::payload::{Payload, edited};
use crate::routing::{Target, can_resume};
use crate::secret::{OriginSecrets, Secret, Secrets};
use crate::stream::Scanner;
use http::Request;
use moegate_wire::{Ending, Nanodollars, Receipt, Ticket, Usage, header};

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

fn head() -> Request<()> {
    Request::post("/v1/chat/completions").body(()).unwrap()
}

type Sent<'b> = Request<Payload<&'b [u8]>>;

fn resumed<'b>(model: &str, body: &'b str, partial: Option<&Partial>) -> Result<Sent<'b>, CannotEncode> {
    let endpoint = registry::endpoint(&head(), "/v1/chat/completions");
    let Some(Ok(Endpoint { dialect, operation: Operation::Generate(call) })) = endpoint else {
        panic!("no chat completions")
    };
    let parsed = dialect.parse(&call, body.as_bytes()).unwrap();
    with(model, |target, secrets| {
        let mode = target.stream_mode();
        Outgoing {
            target,
            secrets,
            id: "id1",
            tenant: "acme",
            now_ms: NOW,
            mode,
            ask_usage: true,
            passed: None,
            partial,
        }
        .request(&*parsed, &body.as_bytes())
        .map(|(request, _)| request)
    })
}

fn sent<'b>(model: &str, body: &'b str) -> Sent<'b> {
    resumed(model, body, None).unwrap()
}

fn header_of<'r>(request: &'r Sent<'_>, name: &str) -> Option<&'r str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}

fn body_of(request: Sent<'_>) -> String {
    String::from_utf8(request.into_body().into_vec()).unwrap()
}

fn judged(target: &Target<'_>, secrets: &OriginSecrets<'_>, status: u16, body: &[u8]) -> Judgement {
    let exchange = registry::chat_exchange();
    let context = AnswerContext { price: target.price_at(NOW), ..AnswerContext::default() };
    judge::answer(target, secrets, exchange, status, body, &context)
}

#[test]
fn to_our_own_server_goes_a_ticket() {
    let request = sent("own", r#"{"model":"own-model","stream":true}"#);
    assert_eq!(request.uri(), "https://own.example/v1/chat/completions");
    assert!(matches!(request.body(), Payload::Passed(_)), "as it came");
    assert_eq!(header_of(&request, "authorization"), Some("Bearer sk-own-0123456789"));
    let ticket =
        Ticket::decode(header_of(&request, header::TICKET).unwrap(), b"sk-own-0123456789", 5).unwrap();
    assert_eq!((ticket.request_id.as_str(), ticket.price.rates.output), ("id1", 2_000_000_000));
    assert_eq!(header_of(&request, header::RESUME), None);
}

#[test]
fn the_route_s_time_limits_go_before_the_origin_s_and_the_budget_before_both() {
    for (model, now_ms, head_until_ms, idle_ms) in [
        ("own", 0, 7_000, 60_000),
        ("far-on", 0, 3_000, 4_000),
        ("far-on", 9_000, 10_000, 4_000),
        ("far-on", 12_000, 10_000, 4_000),
    ] {
        let timeouts = with(model, |target, _| Timeouts::of(target, now_ms, 10_000));
        assert_eq!(timeouts, Timeouts { head_until_ms, idle_ms, until_ms: 10_000 }, "{model} {now_ms}");
    }
}

fn partial(events: &str) -> Partial {
    let exchange = registry::chat_exchange();
    let mut scanner = Scanner::new(exchange.stream(StreamOptions {
        include_usage: true,
        partial: Some(Partial::default()),
        ..StreamOptions::default()
    }));
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
        assert_eq!(body_of(resumed(model, body, Some(&partial(TOKENS))).unwrap()), expected);
    }
    let nothing_to_go_on = r#"{"model":"m","stream":true}"#;
    assert_eq!(resumed("far-on", nothing_to_go_on, Some(&partial(TEXT))).err(), Some(CannotEncode::Resume));
}

#[test]
fn a_third_party_gets_none_but_is_asked_for_usage() {
    let request = sent("far", r#"{"model":"far","stream":true}"#);
    assert_eq!(header_of(&request, header::TICKET), None);
    assert_eq!(header_of(&request, "authorization"), Some("Bearer sk-far-0123456789"));
    assert_eq!(
        body_of(request),
        r#"{"stream_options":{"include_usage":true},"model":"far-model","stream":true}"#
    );
}

#[test]
fn answers_are_judged() {
    let code = |status, body: &str| {
        with("far", |target, secrets| match judged(target, secrets, status, body.as_bytes()) {
            Judgement::Pass { .. } => (status, "pass"),
            Judgement::PassError { status, .. } => (status, "pass error"),
            Judgement::Replace(error, _) => (error.status, error.code),
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
        (200, r#"{"error":"text"}"#, (502, "origin_error")),
        (200, r#"{"error":{}}"#, (502, "origin_error")),
        (
            200,
            r#"{"choices":[{"error":{"code":429,"message":"x"}}],"usage":{}}"#,
            (429, "rate_limit_exceeded"),
        ),
        (200, r#"{"choices":[{"message":{"content":"\"error\":"}}]}"#, (200, "pass")),
        (200, r#"{"error":{"code":429,"message":"x"}}"#, (429, "pass error")),
        (400, r#"{"object":"error","message":"maximum context length"}"#, (400, "context_length_exceeded")),
        (400, r#"[{"error":{"message":"API key not valid"}}]"#, (502, "origin_refused_key")),
        (400, r#"{"error":{"message":"API key not valid"}}"#, (502, "origin_refused_key")),
        (403, r#"{"error":"You have run out of credits"}"#, (403, "origin_error")),
        (404, r#"{"error":"model not found, try pulling it first"}"#, (404, "model_not_found")),
        (400, r#"{"error":{"message":"bad key \u0073k-far-0123456789"}}"#, (502, "origin_leaked_secret")),
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
fn foreign_errors_keep_their_text() {
    let text = |status, body: &str| {
        with("far", |target, secrets| match judged(target, secrets, status, body.as_bytes()) {
            Judgement::Replace(error, _) => error.message.into_owned(),
            other => panic!("{other:?}"),
        })
    };
    let long = "é".repeat(5_000);
    for (status, body, expected) in [
        (500, "oops\r\n\tat line 1", "origin `far` answered 500: oops   at line 1"),
        (500, "<html>secret inside</html>", "origin `far` answered 500 without an error that can be read"),
        (418, r#"{"detail":"teapot"}"#, "teapot"),
        (400, r#"{"what":"ever"}"#, r#"origin `far` answered 400: {"what":"ever"}"#),
        (500, r#"{"error":"a\u0007b\nc"}"#, "a b c"),
        (500, r#"{"error":"key \u0073k-far-0123456789 in it"}"#, "key [secret] in it"),
        (500, &format!(r#"{{"error":"{long}"}}"#), &format!("{}…", &long[..2048])),
    ] {
        assert_eq!(text(status, body), expected, "{body:.80}");
    }
}

#[test]
fn the_answer_says_what_it_cost() {
    let body = r#"{"usage":{"prompt_tokens":3,"completion_tokens":5 } ,"x":1}"#;
    let Judgement::Pass { counts, edits, .. } =
        with("far", |target, secrets| judged(target, secrets, 200, body.as_bytes()))
    else {
        panic!("must pass with a cost")
    };
    assert_eq!(counts.map(|counts| (counts.usage.prompt, counts.usage.completion)), Some((3, 5)));
    assert_eq!(
        String::from_utf8(edited(body.as_bytes(), edits)).unwrap(),
        r#"{"usage":{"prompt_tokens":3,"completion_tokens":5 ,"cost":0.000013} ,"x":1}"#
    );
}

#[test]
fn an_error_under_200_is_an_error_and_keeps_its_counts() {
    let counted = |body: &[u8]| match with("far", |target, secrets| judged(target, secrets, 200, body)) {
        Judgement::PassError { status: 502, counts, .. } => counts,
        other => panic!("{other:?}"),
    };
    let body =
        br#"{"error":{"message":"gone"},"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    assert_eq!(counted(body), Some(Usage { prompt: 7, completion: 2, ..Usage::default() }.into()));
    assert_eq!(counted(b"{\"error\":{\"message\":\"gone\"}}"), None);
}

fn receipt_of(prompt: u64) -> Receipt {
    Receipt {
        id: "id1".into(),
        model: "own-model".into(),
        usage: Usage { prompt, ..Usage::default() },
        ending: Ending::Complete,
        finish_reason: Some("stop".into()),
        created_ms: 1,
        queue_us: 2,
        prefill_us: 3,
        decode_us: 4,
        busy_us: 4,
        cost: Nanodollars(5),
    }
}

fn read(receipt: &Receipt, key: &[u8], id: &str) -> Option<Receipt> {
    let body = serde_json::to_vec(receipt).unwrap();
    let signature = moegate_wire::receipt::sign_body(key, &body);
    with("own", |_, secrets| receipt::read(&signature, &body, secrets, id))
}

#[test]
fn a_receipt_counts_only_with_its_signature_and_id() {
    let receipt = receipt_of(0);
    assert_eq!(read(&receipt, b"sk-own-0123456789", "id1"), Some(receipt.clone()));
    assert_eq!(read(&receipt, b"sk-far-0123456789", "id1"), None);
    assert_eq!(read(&receipt, b"sk-own-0123456789", "id2"), None);
}

#[test]
fn a_receipt_with_counts_that_cannot_be_is_none() {
    for (prompt, reads) in
        [(1 << 40, true), ((1 << 40) + 1, false), ((1 << 53) + 1, false), (u64::MAX, false)]
    {
        assert_eq!(read(&receipt_of(prompt), b"sk-own-0123456789", "id1").is_some(), reads, "{prompt}");
    }
}

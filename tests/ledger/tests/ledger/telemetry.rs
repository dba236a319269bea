//! Traces: what origins are told, and what the collector gets.

use contract::fixtures::{APP_KEY, OWN_KEY, Receipts, USAGE, answer_text, is_receipt, json, receipt};
use contract::in_process::{InProcess, NOW_MS};
use http::{HeaderValue, Request};
use ledger::{CONFIG, body, client, post, status};
use moegate::gateway::Gateway;
use moegate::platform::fake::{Arrived, Responder, Script, World};
use moegate_wire::{Ending, sign};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const COLLECTOR: &str = "collector.example";
const COLLECTOR_KEY: &str = "Basic collector-key-0123456789";

const OTLP: &str = r#"otlp = "https://collector.example/v1/traces"
secret_headers = { authorization = "COLLECTOR_KEY", x-team = "COLLECTOR_TEAM" }
"#;

/// First a third party, then our own server.
const ROUTE: &str = r#"
[[routes]]
model = "both"
rule = { order = [{ origin = "far", model = "far" }, { origin = "own", model = "own" }] }
budget = { attempts = 2, seconds = 20 }
"#;

fn setting(telemetry: &str) -> InProcess {
    let secrets = [
        ("APP_KEY_SHA256", sign::to_hex(&Sha256::digest(APP_KEY))),
        ("FAR_KEY", "far-key-0123456789".to_owned()),
        ("OWN_KEY", OWN_KEY.to_owned()),
        ("COLLECTOR_KEY", COLLECTOR_KEY.to_owned()),
        ("COLLECTOR_TEAM", "the-team-0123456789".to_owned()),
    ];
    let secrets = BTreeMap::from(secrets.map(|(name, value)| (name.to_owned(), value)));
    let config = format!("{CONFIG}{ROUTE}\n[telemetry]\n{telemetry}");
    let config = moegate_config::authoring::parse(&config).unwrap();
    InProcess { world: World::new(NOW_MS, secrets), gateway: Gateway::new(config) }
}

/// The third party fails, our own server answers, and the collector says that status.
fn world(collector: Script) -> Responder {
    Arc::new(move |arrived| match &*arrived.authority {
        "far.example" => json(500, r#"{"error":{"message":"down"}}"#).into(),
        COLLECTOR => collector.clone(),
        _ if is_receipt(arrived) => receipt(arrived, Receipts::Signed(Ending::Complete)),
        _ => json(200, answer_text()).into(),
    })
}

fn taken() -> Script {
    json(200, "{}").into()
}

fn with(traceparent: &str, tracestate: &str) -> Request<()> {
    let mut request = post();
    for (name, value) in [("traceparent", traceparent), ("tracestate", tracestate)] {
        if !value.is_empty() {
            request.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
        }
    }
    request
}

fn given(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// What arrived at a host, receipts aside.
fn at(setting: &InProcess, host: &str) -> Vec<Arrived> {
    let arrived = setting.world.arrived().into_iter();
    arrived.filter(|arrived| arrived.authority == host && !is_receipt(arrived)).collect()
}

fn told<'a>(arrived: &'a [Arrived], name: &str) -> Vec<Option<&'a str>> {
    arrived.iter().map(|arrived| arrived.header(name)).collect()
}

fn spans(setting: &InProcess) -> Vec<Value> {
    let exports = at(setting, COLLECTOR);
    let [export] = &exports[..] else { panic!("{} exports", exports.len()) };
    assert_eq!(export.path, "/v1/traces");
    assert_eq!(export.header("content-type"), Some("application/json"));
    assert_eq!(export.header("authorization"), Some(COLLECTOR_KEY));
    assert_eq!(export.header("x-team"), Some("the-team-0123456789"));
    let text = String::from_utf8(export.body.clone()).unwrap();
    assert!(!text.contains("Hello") && !text.contains("Bonjour"), "content in a span: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array().unwrap();
    let value = &attributes.iter().find(|attribute| attribute["key"] == key)?["value"];
    Some(value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap().to_owned())
}

#[test]
fn a_trace_goes_on_to_own_origins_alone() {
    let setting = setting("");
    let got = setting.ask(&world(taken()), with(&given("01"), "congo=t61"), client(&body("both")));
    assert_eq!(status(&got), 200);
    assert_eq!(told(&at(&setting, "far.example"), "traceparent"), [None]);
    assert_eq!(told(&at(&setting, "far.example"), "tracestate"), [None]);
    // There are no spans of the gateway's that it could name.
    assert_eq!(told(&at(&setting, "own.example"), "traceparent"), [Some(&*given("01"))]);
    assert_eq!(told(&at(&setting, "own.example"), "tracestate"), [Some("congo=t61")]);
    // Nothing is made up, and what is invalid goes nowhere.
    for bad in ["", "00-0-0-01", &given("01").to_uppercase()] {
        setting.ask(&world(taken()), with(bad, "congo=t61"), client(&body("own")));
        assert_eq!(told(&at(&setting, "own.example"), "traceparent"), [None], "{bad}");
        assert_eq!(told(&at(&setting, "own.example"), "tracestate"), [None], "{bad}");
    }
    assert_eq!(at(&setting, COLLECTOR).len(), 0);
}

#[test]
fn or_to_all_or_none() {
    let all = setting(r#"traceparent = "all""#);
    all.ask(&world(taken()), with(&given("00"), "congo=t61"), client(&body("both")));
    assert_eq!(told(&at(&all, "far.example"), "traceparent"), [Some(&*given("00"))]);
    assert_eq!(told(&at(&all, "far.example"), "tracestate"), [None]);
    let none = setting(r#"traceparent = "none""#);
    none.ask(&world(taken()), with(&given("01"), "congo=t61"), client(&body("both")));
    for host in ["far.example", "own.example"] {
        assert_eq!(told(&at(&none, host), "traceparent"), [None], "{host}");
        assert_eq!(told(&at(&none, host), "tracestate"), [None], "{host}");
    }
}

#[test]
fn each_attempt_has_its_span() {
    let setting = setting(OTLP);
    let got = setting.ask(&world(taken()), with(&given("01"), ""), client(&body("both")));
    assert_eq!(status(&got), 200);
    let spans = spans(&setting);
    let [first, second, request] = &spans[..] else { panic!("{spans:?}") };
    for span in &spans {
        assert_eq!(span["traceId"], TRACE);
    }
    assert_eq!(request["parentSpanId"], PARENT);
    assert_eq!((&first["parentSpanId"], &second["parentSpanId"]), (&request["spanId"], &request["spanId"]));
    assert!(first["spanId"] != second["spanId"] && first["spanId"] != request["spanId"]);
    // The origin's parent is the span of the attempt that asked it.
    let span = second["spanId"].as_str().unwrap();
    let parent = format!("00-{TRACE}-{span}-01");
    assert_eq!(told(&at(&setting, "own.example"), "traceparent"), [Some(&*parent)]);
    for (span, expected) in [
        (
            first,
            [
                ("gen_ai.operation.name", Some("chat")),
                ("gen_ai.provider.name", Some("openai")),
                ("gen_ai.request.model", Some("far")),
                ("server.address", Some("far.example")),
                ("http.response.status_code", Some("500")),
                ("error.type", Some("server_error")),
                ("moegate.origin", Some("far")),
            ],
        ),
        (
            second,
            [
                ("gen_ai.operation.name", Some("chat")),
                ("gen_ai.provider.name", Some("moegate")),
                ("gen_ai.request.model", Some("own")),
                ("server.address", Some("own.example")),
                ("http.response.status_code", Some("200")),
                ("error.type", None),
                ("moegate.origin", Some("own")),
            ],
        ),
        (
            request,
            [
                ("gen_ai.request.model", Some("both")),
                ("http.response.status_code", Some("200")),
                ("error.type", None),
                ("moegate.origin", None),
                ("gen_ai.provider.name", None),
                ("server.address", None),
                ("gen_ai.usage.input_tokens", None),
            ],
        ),
    ] {
        for (key, value) in expected {
            assert_eq!(attribute(span, key).as_deref(), value, "{key} of {}", span["name"]);
        }
    }
    assert_eq!(attribute(second, "gen_ai.usage.input_tokens"), Some(USAGE.prompt.to_string()));
    assert_eq!(attribute(second, "gen_ai.usage.output_tokens"), Some(USAGE.completion.to_string()));
    assert_eq!(
        (&first["name"], &first["kind"], &first["status"]["code"]),
        (&"chat far".into(), &3.into(), &2.into())
    );
    assert_eq!((&request["kind"], &request["status"]), (&2.into(), &Value::Null));
}

#[test]
fn who_is_sampled() {
    let exports = |telemetry: &str, traceparent: &str| {
        let setting = setting(&format!("{OTLP}{telemetry}"));
        setting.ask(&world(taken()), with(traceparent, ""), client(&body("own")));
        let told = told(&at(&setting, "own.example"), "traceparent")[0].map(str::to_owned);
        (at(&setting, COLLECTOR).len(), told)
    };
    // The client's flag decides, and one that is not recorded names no span of ours.
    assert_eq!(exports("", &given("00")), (0, Some(given("00"))));
    assert_eq!(exports("sample_percent = 0", &given("01")).0, 1);
    assert_eq!(exports("sample_percent = 0", ""), (0, None));
    let (count, told) = exports("", "");
    assert_eq!((count, told.unwrap().len()), (1, 55));
    // A share of those without.
    let half = setting(&format!("{OTLP}sample_percent = 25"));
    let mut sampled = 0;
    for _ in 0..200 {
        half.ask(&world(taken()), post(), client(&body("own")));
        sampled += at(&half, COLLECTOR).len();
    }
    assert!((25..=80).contains(&sampled), "{sampled}");
}

#[test]
fn a_request_without_an_origin_has_a_span_too() {
    let setting = setting(OTLP);
    let responder: Responder = Arc::new(|arrived| match &*arrived.authority {
        COLLECTOR => json(200, "{}").into(),
        _ => Script::Refuse,
    });
    let got = setting.ask(&responder, with(&given("01"), ""), client(&body("far")));
    let code = status(&got);
    assert!(code >= 500, "{code}");
    let spans = spans(&setting);
    let request = spans.last().unwrap();
    assert_eq!(attribute(request, "http.response.status_code"), Some(code.to_string()));
    assert_eq!(request["status"]["code"], 2);
}

#[test]
fn a_collector_that_fails_harms_no_request() {
    for (collector, why) in [
        (Script::Refuse, "cannot be reached"),
        (Script::Silence, "in time"),
        (json(401, "{}").into(), "refused"),
    ] {
        let setting = setting(OTLP);
        let responder = world(collector);
        let got = setting.ask(&responder, post(), client(&body("own")));
        assert_eq!((status(&got), got.is_whole), (200, true), "{why}");
        let said = || setting.world.log().iter().filter(|line| line.contains(why)).count();
        assert_eq!(said(), 1, "{why}");
        // For ten seconds none is sent, and nothing more is said.
        setting.ask(&responder, post(), client(&body("own")));
        assert_eq!((said(), at(&setting, COLLECTOR).len()), (1, 0), "{why}");
        setting.world.pass_ms(10_000);
        setting.ask(&responder, post(), client(&body("own")));
        assert_eq!(said(), 2, "{why}");
    }
}

//! Traces: what origins are told, and the gateway's spans at a collector.

use crate::fixtures::{
    APP_KEY, FAR_KEY, OWN_KEY, Receipts, USAGE, USAGE_JSON, always, answer_text, chat, delta, finish,
    is_export, json, own, stream, streamed, usage_event,
};
use crate::host::{Ended, Reply};
use crate::stage::{Behaviour, Stage};
use moegate::platform::fake::{Arrived, Responder, Script};
use serde_json::Value;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "trace_spans",
        "with a `traceparent` that is recorded, the collector gets a span of the request below the app's and one of each attempt below that; our own origin is told its attempt's, and a third party nothing; there is no content in them, and no key",
        spans,
    ),
    Behaviour::new(
        "trace_of_a_stream",
        "a relayed stream's spans come when it has ended, with its counts",
        of_a_stream,
    ),
    Behaviour::new(
        "trace_unrecorded",
        "one that is not recorded goes on to our own origin as it is, an invalid one goes nowhere, and neither has spans",
        unrecorded,
    ),
    Behaviour::new("trace_collector_down", "a collector that fails costs the client nothing", collector_down),
];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// The export comes after the reply, and a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

fn traceparent(span: &str, flags: &str) -> String {
    format!("00-{TRACE}-{span}-{flags}")
}

/// A collector beside those origins.
fn with_collector(collector: impl Into<Script>, origins: Responder) -> Responder {
    let collector = collector.into();
    Arc::new(move |arrived| if is_export(arrived) { collector.clone() } else { origins(arrived) })
}

fn exports(stage: &Stage<'_>, count: usize) -> Vec<Arrived> {
    let until = Instant::now() + if stage.host.is_done_at_once() { Duration::ZERO } else { PATIENCE };
    loop {
        let exports: Vec<_> = stage.host.arrived().into_iter().filter(is_export).collect();
        if exports.len() >= count || Instant::now() >= until {
            assert_eq!(exports.len(), count, "{exports:?}");
            return exports;
        }
        sleep(Duration::from_millis(20));
    }
}

/// The spans of the one export, in which there is nothing of what was said and no key.
fn spans_of(stage: &Stage<'_>, said: &[&str]) -> Vec<Value> {
    let export = exports(stage, 1).remove(0);
    assert_eq!(
        (export.path.as_str(), export.header("content-type")),
        ("/otlp/v1/traces", Some("application/json"))
    );
    assert_eq!(export.header("authorization"), None);
    let text = String::from_utf8(export.body).unwrap();
    for secret in said.iter().chain(&[APP_KEY, FAR_KEY, OWN_KEY]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let mut body: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(spans) = body["resourceSpans"][0]["scopeSpans"][0]["spans"].take() else {
        panic!("{text}")
    };
    spans
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s str {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    let value = attributes.find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"]);
    value.and_then(|value| value["stringValue"].as_str().or(value["intValue"].as_str())).unwrap_or("")
}

/// The `traceparent` that the origin at that port has got.
fn told(stage: &Stage<'_>, port: u16) -> Option<String> {
    let generations = stage.generations();
    let there = generations.iter().find(|arrived| arrived.authority.ends_with(&port.to_string()));
    there.unwrap_or_else(|| panic!("{generations:?}")).header("traceparent").map(str::to_owned)
}

fn is_good(reply: &Reply) {
    assert_eq!((reply.status, reply.ended), (200, Ended::Whole), "{}", reply.text());
}

fn spans(stage: &mut Stage<'_>) {
    let origins: Responder = Arc::new(|arrived| match arrived.authority.ends_with("28711") {
        true => json(500, r#"{"error":{"message":"down for Bonjour"}}"#).into(),
        false => json(200, answer_text()).into(),
    });
    let call = chat("own-then-far").with("traceparent", &traceparent(PARENT, "01"));
    let reply = stage.play(with_collector(json(200, "{}"), origins), &call);
    is_good(&reply);
    stage.settle(2);
    let spans = spans_of(stage, &["Hello", "Bonjour", "H\\u00e9"]);
    assert_eq!(spans.len(), 3, "{spans:?}");
    // Attempts are settled in any order.
    let of = |origin: &str| spans.iter().find(|span| attribute(span, "moegate.origin") == origin).unwrap();
    let (first, second, request) = (of("own"), of("far"), of(""));
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:?}");
    assert_eq!(request["parentSpanId"], PARENT);
    for attempt in [first, second] {
        assert_eq!(attempt["parentSpanId"], request["spanId"]);
    }
    let own = first["spanId"].as_str().unwrap();
    assert!(
        own.len() == 16 && own != PARENT && second["spanId"] != own && request["spanId"] != own,
        "{spans:?}"
    );
    assert_eq!(told(stage, 28711), Some(traceparent(own, "01")));
    assert_eq!(told(stage, 28712), None);
    assert_eq!(attribute(request, "moegate.request.id"), reply.header("x-moegate-request-id"));
    assert_eq!(attribute(request, "gen_ai.request.model"), "own-then-far");
    for (span, origin, status, error) in [(first, "own", "500", "server_error"), (second, "far", "200", "")] {
        assert_eq!(attribute(span, "moegate.origin"), origin);
        assert_eq!(attribute(span, "http.response.status_code"), status);
        assert_eq!(attribute(span, "error.type"), error);
        let [start, end] = ["startTimeUnixNano", "endTimeUnixNano"]
            .map(|name| span[name].as_str().unwrap().parse::<u64>().unwrap());
        assert!(start > 0 && start <= end, "{span}");
    }
    assert_eq!(attribute(second, "gen_ai.usage.input_tokens"), USAGE.prompt.to_string());
    assert_eq!(attribute(second, "gen_ai.usage.output_tokens"), USAGE.completion.to_string());
}

fn of_a_stream(stage: &mut Stage<'_>) {
    let events = [delta("Bonjour"), finish(), usage_event(USAGE_JSON), "data: [DONE]\n\n".to_owned()];
    let origins = own(stream(&events), Receipts::Signed(moegate_wire::Ending::Complete));
    let call = streamed("own-model").with("traceparent", &traceparent(PARENT, "01"));
    is_good(&stage.play(with_collector(json(200, "{}"), origins), &call));
    stage.settle(1);
    let spans = spans_of(stage, &["Hello", "Bonjour"]);
    let [attempt, request] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&request["parentSpanId"], &attempt["parentSpanId"]), (&PARENT.into(), &request["spanId"]));
    assert_eq!(told(stage, 28711), Some(traceparent(attempt["spanId"].as_str().unwrap(), "01")));
    assert_eq!(attribute(attempt, "gen_ai.usage.output_tokens"), USAGE.completion.to_string());
}

fn unrecorded(stage: &mut Stage<'_>) {
    let mut told_of = |header: &str, exported: usize| {
        let origins = with_collector(json(200, "{}"), always(json(200, answer_text())));
        is_good(&stage.play(origins, &chat("own-model").with("traceparent", header)));
        stage.settle(1);
        exports(stage, exported);
        told(stage, 28711)
    };
    assert_eq!(told_of(&traceparent(PARENT, "00"), 0), Some(traceparent(PARENT, "00")));
    assert_eq!(told_of("00-0-0-01", 0), None);
    assert_eq!(told_of(&traceparent(PARENT, "01").to_uppercase(), 0), None);
    // What comes late would be among those that are counted here.
    assert!(told_of(&traceparent(PARENT, "01"), 1).is_some());
}

fn collector_down(stage: &mut Stage<'_>) {
    let origins = with_collector(Script::Reset, always(json(200, answer_text())));
    let call = chat("own-model").with("traceparent", &traceparent(PARENT, "01"));
    is_good(&stage.play(origins, &call));
    stage.settle(1);
    exports(stage, 1);
}

//! Traces: W3C Trace Context (<https://www.w3.org/TR/trace-context/>), and spans as OTLP's JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>). Spans hold names and numbers, no content. Pure.

use http::HeaderValue;
use std::fmt::Write;

/// Longer ones are dropped: so much of it everybody has to pass on.
const LONGEST_STATE: usize = 512;
/// Flag: it is recorded.
const SAMPLED: u8 = 1;
/// Flags that are known: recorded, random trace id.
const KNOWN_FLAGS: u8 = 3;

/// The trace that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    /// The client's span; 0: there is none.
    parent: u64,
    flags: u8,
    /// The request's own span, where spans are written.
    own: Option<u64>,
}

impl Trace {
    /// As a client gives it, in any version; `None` where it is invalid.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let text = traceparent.as_bytes();
        let hex = |range: std::ops::Range<usize>| {
            let digits = traceparent.get(range)?;
            let good = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if good { u128::from_str_radix(digits, 16).ok() } else { None }
        };
        let (version, trace_id, parent, flags) = (hex(0..2)?, hex(3..35)?, hex(36..52)? as u64, hex(53..55)?);
        // A later version may have more behind a dash.
        let end = text.len() == 55 || version > 0 && text.get(55) == Some(&b'-');
        let good =
            [2, 35, 52].iter().all(|&at| text[at] == b'-') && version != 0xff && trace_id != 0 && parent != 0;
        (good && end).then_some(Self { trace_id, parent, flags: flags as u8 & KNOWN_FLAGS, own: None })
    }

    /// One that begins here, and is recorded.
    #[must_use]
    pub fn begin(trace_id: u128) -> Self {
        Self { trace_id: trace_id.max(1), parent: 0, flags: KNOWN_FLAGS, own: None }
    }

    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// With a span of its own.
    #[must_use]
    pub fn with_span(self, random: u64) -> Self {
        Self { own: Some(random), ..self }
    }

    /// Whether spans are written.
    #[must_use]
    pub fn has_spans(&self) -> bool {
        self.own.is_some()
    }

    /// The span of an attempt (1, 2, …), or of the request (0). Where none are written, the client's.
    fn span(&self, number: u32) -> u64 {
        // 0 is no span.
        self.own.map_or(self.parent, |own| own.wrapping_add(u64::from(number)).max(1))
    }

    /// The header for an attempt's origin.
    #[must_use]
    pub fn traceparent(&self, attempt: u32) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span(attempt), self.flags)
    }
}

/// Whether a `tracestate` is passed on.
#[must_use]
pub fn is_state(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=LONGEST_STATE).contains(&bytes.len()) && bytes.iter().all(|b| (b' '..=b'~').contains(b))
}

/// Spans of one request, as they are written.
#[derive(Debug, Default)]
pub struct Spans(String);

/// What kind of work a span is, by OTLP's numbers.
#[derive(Debug, Clone, Copy)]
pub enum SpanKind {
    Server = 2,
    Client = 3,
}

impl Spans {
    /// Begins a span, of an attempt (1, 2, …) or of the request (0); its attributes follow, and then [`Self::end`].
    pub fn begin(
        &mut self,
        trace: &Trace,
        number: u32,
        kind: SpanKind,
        name: &str,
        from_ms: u64,
        to_ms: u64,
    ) {
        let parent = if number == 0 { trace.parent } else { trace.span(0) };
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            self.0,
            "{comma}{{\"traceId\":\"{:032x}\",\"spanId\":\"{:016x}\",",
            trace.trace_id,
            trace.span(number)
        );
        if parent != 0 {
            let _ = write!(self.0, "\"parentSpanId\":\"{parent:016x}\",");
        }
        self.0.push_str("\"name\":");
        quote(&mut self.0, name);
        let (kind, to_ms) = (kind as u8, to_ms.max(from_ms));
        let _ = write!(
            self.0,
            ",\"kind\":{kind},\"startTimeUnixNano\":\"{from_ms}000000\",\"endTimeUnixNano\":\"{to_ms}000000\",\"attributes\":["
        );
    }

    /// An attribute with a text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key, "string");
        quote(&mut self.0, value);
        self.0.push_str("}}");
    }

    /// An attribute with a number; OTLP's JSON writes 64 bits as text.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key, "int");
        let _ = write!(self.0, "\"{value}\"}}}}");
    }

    fn key(&mut self, key: &str, of: &str) {
        let comma = if self.0.ends_with('[') { "" } else { "," };
        let _ = write!(self.0, "{comma}{{\"key\":\"{key}\",\"value\":{{\"{of}Value\":");
    }

    pub fn end(&mut self, is_error: bool) {
        self.0.push_str(if is_error { "],\"status\":{\"code\":2}}" } else { "]}" });
    }

    /// The body of the request to the collector.
    #[must_use]
    pub fn body(self) -> String {
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\"moegate\"}}}},{{\"key\":\"service.version\",\"value\":{{\"stringValue\":\"{}\"}}}}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"moegate\"}},\"spans\":[{}]}}]}}]}}",
            env!("CARGO_PKG_VERSION"),
            self.0
        )
    }
}

fn quote(into: &mut String, text: &str) {
    into.push_str(&serde_json::Value::from(text).to_string());
}

/// How many exports of an instance run, and since when its collector fails.
#[derive(Debug, Default)]
pub struct Exports {
    running: u8,
    pause_until_ms: u64,
}

impl Exports {
    /// What is exported beyond that at the same time is dropped.
    const AT_ONCE: u8 = 8;
    /// After a failure, spans are dropped for so long.
    const PAUSE_MS: u64 = 10_000;

    /// Whether one more may begin.
    pub fn begin(&mut self, now_ms: u64) -> bool {
        let may = self.running < Self::AT_ONCE && now_ms >= self.pause_until_ms;
        self.running += u8::from(may);
        may
    }

    pub fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub fn failed(&mut self, now_ms: u64) {
        self.pause_until_ms = now_ms + Self::PAUSE_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid() {
        let trace = Trace::parse(GIVEN).unwrap();
        assert!(trace.is_sampled() && !trace.has_spans());
        assert_eq!(trace.traceparent(1), GIVEN, "without spans of its own, the client's stays the parent");
        let own = trace.with_span(0xa);
        assert_eq!(own.traceparent(2), "00-4bf92f3577b34da6a3ce929d0e0e4736-000000000000000c-01");
        // A later version is taken as this one, with the flags that are known.
        let later = GIVEN.replacen("00", "cc", 1).replace("-01", "-09-what-the-future-brings");
        assert_eq!(Trace::parse(&later), Trace::parse(GIVEN));
        assert!(!Trace::parse(&GIVEN.replace("-01", "-02")).unwrap().is_sampled());
        for end in [u64::MAX, u64::MAX - 1] {
            assert!(!Trace::begin(0).with_span(end).traceparent(1).contains("-0000000000000000-"));
        }
    }

    #[test]
    fn what_is_dropped() {
        for bad in [
            "",
            "00",
            &GIVEN[..54],
            &format!("{GIVEN}-00"),
            &format!("{GIVEN}0"),
            &format!("{GIVEN}, {GIVEN}"),
            &GIVEN.to_uppercase(),
            &GIVEN.replacen("00", "ff", 1),
            &GIVEN.replacen("00", "0x", 1),
            &GIVEN.replacen('-', "_", 1),
            &GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "0000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            &GIVEN.replace("-01", "-0g"),
            &format!("cc{}x", &GIVEN[2..]),
            &GIVEN.replace("00f067aa0ba902b7", "00f067aa0ba902\u{df}"),
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
        let state = |text: &str| is_state(&HeaderValue::from_bytes(text.as_bytes()).unwrap());
        assert!(state("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"));
        assert!(!state("") && !state("a=\t") && !state("a=\u{e4}") && !state(&"a".repeat(513)));
    }

    #[test]
    fn spans_are_json() {
        let trace = Trace::parse(GIVEN).unwrap().with_span(7);
        let mut spans = Spans::default();
        spans.begin(&trace, 1, SpanKind::Client, "chat \"m\"", 5, 4);
        spans.text("a", "b\n");
        spans.number("c", u64::MAX);
        spans.end(true);
        spans.begin(&trace, 0, SpanKind::Server, "s", 1, 2);
        spans.end(false);
        let body: serde_json::Value = serde_json::from_str(&spans.body()).unwrap();
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["parentSpanId"], spans[1]["spanId"]);
        assert_eq!(spans[1]["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(spans[0]["name"], "chat \"m\"");
        assert_eq!(
            spans[0]["endTimeUnixNano"], spans[0]["startTimeUnixNano"],
            "no span ends before it begins"
        );
        assert_eq!(spans[0]["attributes"][1]["value"]["intValue"], u64::MAX.to_string());
        assert_eq!(spans[0]["status"]["code"], 2);
    }

    #[test]
    fn exports_are_bounded() {
        let mut exports = Exports::default();
        assert!((0..Exports::AT_ONCE).all(|_| exports.begin(0)) && !exports.begin(0));
        exports.end();
        exports.failed(5);
        assert!(!exports.begin(10_004) && exports.begin(10_005));
    }
}

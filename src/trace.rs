//! The trace that a request belongs to, and how many exports of spans run. Pure.

use moegate_wire::spans::{Place, SpanKind, Spans};
use moegate_wire::trace::TraceParent;

/// The trace that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The client's.
    parent: TraceParent,
    /// The request's own span, where spans are written.
    own: Option<u64>,
}

impl Trace {
    #[must_use]
    pub fn new(parent: TraceParent) -> Self {
        Self { parent, own: None }
    }

    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.parent.is_sampled()
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
        self.own.map_or(self.parent.span_id, |own| own.wrapping_add(u64::from(number)).max(1))
    }

    /// The header for an attempt's origin.
    #[must_use]
    pub fn traceparent(&self, attempt: u32) -> String {
        self.parent.with_span(self.span(attempt)).to_string()
    }

    /// Begins the span of an attempt (1, 2, …) or of the request (0). Unix time in milliseconds.
    pub fn begin(
        &self,
        spans: &mut Spans,
        number: u32,
        kind: SpanKind,
        name: &str,
        from_ms: u64,
        to_ms: u64,
    ) {
        let place = Place {
            trace_id: self.parent.trace_id,
            span_id: self.span(number),
            parent: if number == 0 { self.parent.span_id } else { self.span(0) },
            from_us: from_ms * 1_000,
            to_us: to_ms * 1_000,
        };
        spans.begin(&place, kind, name);
    }
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
    fn spans_of_a_request() {
        let trace = Trace::new(TraceParent::parse(GIVEN).unwrap());
        assert!(trace.is_sampled() && !trace.has_spans());
        assert_eq!(trace.traceparent(1), GIVEN, "without spans of its own, the client's stays the parent");
        let own = trace.with_span(0xa);
        assert_eq!(own.traceparent(2), "00-4bf92f3577b34da6a3ce929d0e0e4736-000000000000000c-01");
        for end in [u64::MAX, u64::MAX - 1] {
            let begun = Trace::new(TraceParent::begin(0)).with_span(end);
            assert!(!begun.traceparent(1).contains("-0000000000000000-"));
        }
        let mut spans = Spans::default();
        own.begin(&mut spans, 1, SpanKind::Client, "a", 5, 6);
        spans.end(false);
        own.begin(&mut spans, 0, SpanKind::Server, "b", 4, 7);
        spans.end(false);
        let body: serde_json::Value = serde_json::from_str(&spans.body("moegate", "1")).unwrap();
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["parentSpanId"], spans[1]["spanId"]);
        assert_eq!(spans[1]["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(spans[0]["startTimeUnixNano"], "5000000");
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

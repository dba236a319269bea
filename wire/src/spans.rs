//! Spans as OTLP's JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>). They hold names and numbers, no
//! content.

use std::fmt::Write;

/// Spans as they are written, any number of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(String);

/// What kind of work a span is, by OTLP's numbers.
#[derive(Debug, Clone, Copy)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// Where a span belongs, and when it was. Times are micro-seconds of Unix time.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub trace_id: u128,
    /// Not 0.
    pub span_id: u64,
    /// 0: there is none.
    pub parent: u64,
    pub from_us: u64,
    pub to_us: u64,
}

impl Spans {
    /// Begins a span; its attributes follow, and then [`Self::end`]. None ends before it begins.
    pub fn begin(&mut self, place: &Place, kind: SpanKind, name: &str) {
        let Place { trace_id, span_id, parent, from_us, to_us } = *place;
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.0, "{comma}{{\"traceId\":\"{trace_id:032x}\",\"spanId\":\"{span_id:016x}\",");
        if parent != 0 {
            let _ = write!(self.0, "\"parentSpanId\":\"{parent:016x}\",");
        }
        self.0.push_str("\"name\":");
        quote(&mut self.0, name);
        let (kind, to_us) = (kind as u8, to_us.max(from_us));
        let _ = write!(
            self.0,
            ",\"kind\":{kind},\"startTimeUnixNano\":\"{from_us}000\",\"endTimeUnixNano\":\"{to_us}000\",\"attributes\":["
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

    /// Takes those of another request along.
    pub fn append(&mut self, more: &Self) {
        if !self.0.is_empty() && !more.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&more.0);
    }

    /// The body of the request to the collector, from a service of that name and version.
    #[must_use]
    pub fn body(&self, service: &str, version: &str) -> String {
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\"{service}\"}}}},{{\"key\":\"service.version\",\"value\":{{\"stringValue\":\"{version}\"}}}}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"{service}\"}},\"spans\":[{}]}}]}}]}}",
            self.0
        )
    }
}

fn quote(into: &mut String, text: &str) {
    into.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_json() {
        let inner = Place { trace_id: 1, span_id: 8, parent: 7, from_us: 5, to_us: 4 };
        let mut spans = Spans::default();
        spans.begin(&inner, SpanKind::Client, "chat \"m\"");
        spans.text("a", "b\n");
        spans.number("c", u64::MAX);
        spans.end(true);
        let mut outer = Spans::default();
        outer.begin(&Place { span_id: 7, parent: 0, from_us: 1, to_us: 2, ..inner }, SpanKind::Server, "s");
        outer.end(false);
        spans.append(&Spans::default());
        spans.append(&outer);
        let mut alone = Spans::default();
        alone.append(&outer);
        assert_eq!(alone, outer);
        let body: serde_json::Value = serde_json::from_str(&spans.body("moegate", "1.2")).unwrap();
        let of = &body["resourceSpans"][0];
        assert_eq!(of["resource"]["attributes"][0]["value"]["stringValue"], "moegate");
        assert_eq!(of["resource"]["attributes"][1]["value"]["stringValue"], "1.2");
        let spans = &of["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["parentSpanId"], spans[1]["spanId"]);
        assert_eq!(spans[1]["parentSpanId"], serde_json::Value::Null);
        assert_eq!(spans[0]["traceId"], "00000000000000000000000000000001");
        assert_eq!(spans[0]["name"], "chat \"m\"");
        assert_eq!(spans[0]["startTimeUnixNano"], "5000");
        assert_eq!(
            spans[0]["endTimeUnixNano"], spans[0]["startTimeUnixNano"],
            "no span ends before it begins"
        );
        assert_eq!(spans[0]["attributes"][1]["value"]["intValue"], u64::MAX.to_string());
        assert_eq!(spans[0]["status"]["code"], 2);
    }
}

//! The trace of a request: what goes on to origins, and the gateway's spans, which are sent when the client is served.

use super::authenticate::look_up;
use super::context::RequestContext;
use super::reply::header_text;
use super::send::{build, our_headers};
use super::stream::Watch;
use crate::config::{Kind, Telemetry, TraceTo};
use crate::metering::record::Record;
use crate::platform::{Payload, Platform};
use crate::routing::Target;
use crate::trace::Trace;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use moegate_wire::spans::{SpanKind, Spans};
use moegate_wire::trace::{self, TraceParent, is_state};
use std::cell::RefCell;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static(trace::TRACEPARENT);
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static(trace::TRACESTATE);

/// What the collector may take.
const EXPORT_MS: u64 = 5_000;

/// What dialects' endpoints have in them, and `gen_ai.operation.name`: OpenTelemetry has names for the first two and lets others be
/// chosen.
const OPERATIONS: [(&str, &str); 8] = [
    ("embed", "embeddings"),
    ("/completions", "text_completion"),
    ("rerank", "rerank"),
    ("moderation", "moderation"),
    ("image", "image_generation"),
    ("speech", "speech"),
    ("transcription", "transcription"),
    ("translation", "translation"),
];

/// What is asked for at a dialect's endpoint: mostly a chat.
fn operation(endpoint: &str) -> &'static str {
    let found =
        OPERATIONS.iter().find(|(part, _)| endpoint.contains(part) && !endpoint.starts_with("/chat/"));
    found.map_or("chat", |(_, name)| name)
}

/// A request's trace, and its spans.
#[derive(Default)]
pub(super) struct Traced {
    trace: Option<Trace>,
    state: Option<HeaderValue>,
    spans: RefCell<Spans>,
}

/// The client's trace, or one that begins here.
pub(super) fn traced<P: Platform>(platform: &P, telemetry: &Telemetry, head: &Request<()>) -> Traced {
    if !telemetry.reads_traceparent() {
        return Traced::default();
    }
    let given = TraceParent::parse(header_text(head.headers(), TRACEPARENT.as_str()));
    let state =
        head.headers().get(TRACESTATE).filter(|state| given.is_some() && is_state(state.as_bytes())).cloned();
    let mut trace = given.map(Trace::new);
    let may_be_sampled = trace.as_ref().map_or(telemetry.sample_percent > 0, Trace::is_sampled);
    if telemetry.otlp.is_some() && may_be_sampled {
        let mut random = [0; 26];
        platform.random(&mut random);
        let number = random.iter().fold(0, |number: u128, &byte| number << 8 | u128::from(byte));
        let mut own = [0; 8];
        own.copy_from_slice(&random[..8]);
        let draw = u32::from(u16::from_be_bytes([random[8], random[9]]));
        if trace.is_none() && draw * 100 < telemetry.sample_percent << 16 {
            // The last sixteen bytes.
            trace = Some(Trace::new(TraceParent::begin(number)));
        }
        trace = trace.map(|trace| match trace.is_sampled() {
            true => trace.with_span(u64::from_be_bytes(own)),
            false => trace,
        });
    }
    Traced { trace, state, spans: RefCell::default() }
}

/// By the semantic conventions for generative AI (`gen_ai.provider.name`).
fn provider(kind: Kind) -> &'static str {
    match kind {
        Kind::Gemini => "gcp.gemini",
        Kind::Vertex => "gcp.vertex_ai",
        Kind::Bedrock => "aws.bedrock",
        Kind::AzureOpenai => "azure.ai.openai",
        kind => kind.name(),
    }
}

/// An export that is under way; its runtime may drop it.
struct Running<'p, P: Platform>(&'p P);

impl<P: Platform> Drop for Running<'_, P> {
    fn drop(&mut self) {
        self.0.state(|state| state.exports.end());
    }
}

impl<P: Platform> RequestContext<'_, P> {
    /// What an attempt's origin is told of the trace.
    pub(super) fn trace_headers(&self, target: &Target<'_>, headers: &mut HeaderMap) {
        let Some(trace) = &self.traced.trace else { return };
        let own = target.origin.kind == Kind::Moegate;
        match self.config.telemetry.traceparent {
            TraceTo::All => {}
            TraceTo::Own if own => {}
            TraceTo::Own | TraceTo::None => return,
        }
        let number = self.attempts.len() as u32 + 1;
        if let Ok(value) = HeaderValue::try_from(trace.traceparent(number)) {
            headers.insert(TRACEPARENT, value);
        }
        if own && let Some(state) = &self.traced.state {
            headers.insert(TRACESTATE, state.clone());
        }
    }

    fn operation(&self) -> &'static str {
        operation(self.endpoint)
    }

    /// The span of an attempt, of what its record says.
    pub(super) fn trace_attempt(&self, record: &Record, target: &Target<'_>) {
        let Some(trace) = self.traced.trace.as_ref().filter(|trace| trace.has_spans()) else { return };
        let mut spans = self.traced.spans.borrow_mut();
        let operation = self.operation();
        let name = format!("{operation} {}", record.served_model);
        let end_ms = record.started_ms + record.ended_after_ms;
        trace.begin(&mut spans, record.attempt, SpanKind::Client, &name, record.started_ms, end_ms);
        spans.text("gen_ai.operation.name", operation);
        spans.text("gen_ai.provider.name", provider(target.origin.kind));
        spans.text("gen_ai.request.model", &record.served_model);
        if let Some(authority) = target.origin.authority() {
            spans.text("server.address", authority.host());
        }
        if record.metered {
            spans.number("gen_ai.usage.input_tokens", record.usage.prompt);
            spans.number("gen_ai.usage.output_tokens", record.usage.completion);
        }
        spans.number("http.response.status_code", record.status.into());
        if let Some(failure) = record.failure {
            spans.text("error.type", failure.name());
        }
        spans.text("moegate.origin", &record.origin);
        spans.text("moegate.attempt.id", &record.id);
        spans.number("moegate.head_after_ms", record.head_after_ms);
        spans.number("moegate.cost_nanodollars", record.cost_nanodollars.0);
        spans.end(record.failure.is_some());
    }

    /// Sends the spans, with the request's own. What the collector does not take is dropped.
    pub(super) async fn export_spans(&self, status: u16) {
        let telemetry = &self.config.telemetry;
        let trace = self.traced.trace.as_ref().filter(|trace| trace.has_spans());
        let (Some(trace), Some(url)) = (trace, telemetry.otlp.as_deref()) else { return };
        let now_ms = self.platform.now_ms();
        if !self.platform.state(|state| state.exports.begin(now_ms)) {
            return;
        }
        let _running = Running(self.platform);
        let mut spans = self.traced.spans.take();
        let end_ms = self.attempts.last().map_or(now_ms, |attempt| attempt.ended_ms);
        trace.begin(&mut spans, 0, SpanKind::Server, self.operation(), self.started_ms, end_ms);
        spans.text("gen_ai.request.model", &self.facts.model);
        spans.number("http.response.status_code", status.into());
        spans.text("moegate.request.id", &self.id);
        spans.end(status >= 500);
        if let Err(why) = self.export(telemetry, url, spans.body("moegate", env!("CARGO_PKG_VERSION"))).await
        {
            self.platform.state(|state| state.exports.failed(now_ms));
            self.platform.log(&format!("spans were dropped: {why}")).await;
        }
    }

    async fn export(&self, telemetry: &Telemetry, url: &str, body: String) -> Result<(), &'static str> {
        let mut headers = our_headers();
        let names = telemetry.secret_headers.values().map(String::as_str);
        let secrets =
            look_up(self.platform, names).await.map_err(|_| "the platform's secrets cannot be read")?;
        for (header, name) in &telemetry.secret_headers {
            let value = secrets.get(name).and_then(|secret| secret.header_value(""));
            let header = HeaderName::try_from(header.as_str()).ok();
            let (Some(header), Some(value)) = (header, value) else {
                return Err("a secret of [telemetry] is missing, or holds a line break");
            };
            headers.insert(header, value);
        }
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = build(Method::POST, url, headers, Payload::Own(body.into_bytes()));
        let request = request.ok_or("the collector's URL is none")?;
        let until_ms = self.platform.now_ms() + EXPORT_MS;
        match Watch::new(self.platform).run_unattended(self.platform.fetch(request), until_ms).await {
            Some(Ok(answer)) if answer.status().is_success() => Ok(()),
            Some(Ok(_)) => Err("the collector refused them"),
            Some(Err(_)) => Err("the collector cannot be reached"),
            None => Err("the collector did not answer in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::operation;

    #[test]
    fn operations_have_their_names() {
        for (endpoint, name) in [
            ("/chat/completions", "chat"),
            ("/responses", "chat"),
            ("/messages", "chat"),
            ("streamGenerateContent", "chat"),
            ("language-model 4", "chat"),
            ("/completions", "text_completion"),
            ("/embeddings", "embeddings"),
            ("embedding-model", "embeddings"),
            ("/rerank", "rerank"),
            ("reranking-model", "rerank"),
            ("/moderations", "moderation"),
            ("/images/edits", "image_generation"),
            ("image-model", "image_generation"),
            ("/audio/speech", "speech"),
            ("/audio/transcriptions", "transcription"),
            ("/audio/translations", "translation"),
        ] {
            assert_eq!(operation(endpoint), name, "{endpoint}");
        }
    }
}

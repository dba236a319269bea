//! The spans of one request, of what its receipt says.

use super::Telemetry;
use crate::http::now;
use moegate_wire::spans::{Place, SpanKind, Spans};
use moegate_wire::trace::TraceParent;
use moegate_wire::{Ending, Receipt};
use std::time::Instant;

/// A request that is recorded.
#[derive(Debug, Clone)]
pub struct RequestTrace {
    telemetry: Telemetry,
    parent: TraceParent,
    /// Its own span.
    span_id: u64,
    /// `gen_ai.operation.name`.
    operation: &'static str,
    /// By both clocks: lengths are of the monotonic one.
    arrived_us: u64,
    arrived: Instant,
    /// When it began to wait for its turn, in micro-seconds since it came.
    queued_after_us: u64,
}

impl RequestTrace {
    /// From now on. `span_id` is not 0.
    pub(super) fn new(
        telemetry: Telemetry,
        parent: TraceParent,
        span_id: u64,
        operation: &'static str,
    ) -> Self {
        let arrived_us = u64::try_from(now().as_micros()).unwrap_or(u64::MAX);
        Self {
            telemetry,
            parent,
            span_id,
            operation,
            arrived_us,
            arrived: Instant::now(),
            queued_after_us: 0,
        }
    }

    fn passed_us(&self) -> u64 {
        u64::try_from(self.arrived.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// It was refused before it had a place in the queue.
    pub fn refused(&self, id: &str, status: u16, code: &str) {
        let mut spans = Spans::default();
        self.begin(&mut spans, self.operation);
        spans.number("http.response.status_code", status.into());
        spans.text("error.type", code);
        spans.text("moegate.request.id", id);
        spans.end(status >= 500);
        self.telemetry.post(spans);
    }

    /// It is read, and waits for its turn from now on.
    #[must_use]
    pub fn queued(self) -> Self {
        Self { queued_after_us: self.passed_us(), ..self }
    }

    /// It has ended. Its parts follow each other from when it was [`Self::queued`].
    pub fn ended(&self, receipt: &Receipt) {
        let mut spans = Spans::default();
        self.begin(&mut spans, &format!("{} {}", self.operation, receipt.model));
        spans.text("gen_ai.operation.name", self.operation);
        spans.text("gen_ai.provider.name", "moe-server");
        spans.text("gen_ai.request.model", &receipt.model);
        spans.number("gen_ai.usage.input_tokens", receipt.usage.prompt);
        spans.number("gen_ai.usage.output_tokens", receipt.usage.completion);
        spans.number("gen_ai.usage.cache_read.input_tokens", receipt.usage.cached);
        spans.text("moegate.request.id", &receipt.id);
        spans.number("moe_server.busy_us", receipt.busy_us);
        if let Some(finish) = &receipt.finish_reason {
            spans.text("moe_server.finish_reason", finish);
        }
        let is_error = match receipt.ending {
            Ending::Error | Ending::Truncated => {
                spans.text("error.type", "generation_failed");
                true
            }
            Ending::Cancelled => {
                spans.text("error.type", "cancelled");
                false
            }
            Ending::Complete | Ending::Running => false,
        };
        spans.end(is_error);
        let mut from_us = self.arrived_us + self.queued_after_us;
        let parts =
            [("queue", receipt.queue_us), ("prefill", receipt.prefill_us), ("decode", receipt.decode_us)];
        for (number, (name, us)) in (1..).zip(parts) {
            if us == 0 {
                continue;
            }
            let place = Place {
                trace_id: self.parent.trace_id,
                span_id: self.span_id.wrapping_add(number).max(1),
                parent: self.span_id,
                from_us,
                to_us: from_us + us,
            };
            spans.begin(&place, SpanKind::Internal, name);
            spans.end(false);
            from_us += us;
        }
        self.telemetry.post(spans);
    }

    /// Begins the span of the request, which ends now.
    fn begin(&self, spans: &mut Spans, name: &str) {
        let place = Place {
            trace_id: self.parent.trace_id,
            span_id: self.span_id,
            parent: self.parent.span_id,
            from_us: self.arrived_us,
            to_us: self.arrived_us + self.passed_us(),
        };
        spans.begin(&place, SpanKind::Server, name);
    }
}

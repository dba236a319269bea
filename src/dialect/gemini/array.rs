//! `streamGenerateContent` without `alt=sse`: a JSON array that grows by what events would hold.

use crate::dialect::answer::{AnswerFacts, OriginError};
use crate::dialect::event::{Output, StreamEvent};
use crate::dialect::exchange::{AnswerContext, Exchange, Gathered, StreamCodec, StreamOptions};
use crate::dialect::partial::Partial;
use crate::dialect::registry::{self, Api, Client};
use crate::error::ApiError;
use crate::stream::sse;
use std::cell::Cell;
use std::fmt::Write;

/// The ways to every origin's API whose streams are said so.
pub(super) fn growing(api: Api) -> &'static dyn Exchange {
    static GROWING: [Growing; 4] =
        [Growing(Api::Chat), Growing(Api::Anthropic), Growing(Api::Gemini), Growing(Api::Bedrock)];
    &GROWING[api as usize]
}

/// The exchange with origins of that API, otherwise as it is.
struct Growing(Api);

impl Growing {
    fn inner(&self) -> &'static dyn Exchange {
        match self.0 {
            Api::Gemini => &super::SAME,
            api => registry::through(Client::Gemini, api),
        }
    }
}

impl Exchange for Growing {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        self.inner().answer(body, context)
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        self.inner().error(status, body)
    }

    fn passes(&self) -> bool {
        false
    }

    fn streamed(&self, body: &[u8], context: &AnswerContext) -> Option<Vec<u8>> {
        self.inner().streamed(body, context)
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        self.inner().gathered(stream)
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        let begun = options.partial.as_ref().is_some_and(|partial| partial.resumed && partial.events > 0);
        Box::new(Codec { inner: self.inner().stream(options), begun: Cell::new(begun) })
    }
}

struct Codec {
    inner: Box<dyn StreamCodec>,
    /// The bracket is out.
    begun: Cell<bool>,
}

impl Codec {
    /// Events as elements.
    fn elements(&self, events: &[u8]) -> String {
        let mut out = String::with_capacity(events.len());
        let mut start = 0;
        while start < events.len() {
            let end = sse::end(events, start).unwrap_or(events.len());
            if let Some(data) = sse::data(&events[start..end]) {
                let before = if self.begun.replace(true) { "\n,\n" } else { "[" };
                // Writing to a String cannot fail.
                let _ = write!(out, "{before}{}", String::from_utf8_lossy(&data));
            }
            start = end;
        }
        out
    }

    /// The last of them, and the bracket.
    fn last(&self, events: &str) -> String {
        let mut out = self.elements(events.as_bytes());
        out.push_str(if self.begun.replace(true) { "\n]" } else { "[]" });
        out
    }
}

impl StreamCodec for Codec {
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let (read, output) = self.inner.event(event, begun);
        let mut out = match output {
            Output::Drop => String::new(),
            Output::Pass => self.elements(event),
            Output::Replace(events) => self.elements(&events),
        };
        // Where another origin may go on the error is not the client's last.
        if read.end || read.error.is_some() && !self.inner.keeps_partial() {
            out.push_str(&self.last(""));
        }
        (read, if out.is_empty() { Output::Drop } else { Output::Replace(out.into_bytes()) })
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn finish(&mut self) -> String {
        let events = self.inner.finish();
        self.last(&events)
    }

    fn most_held(&self) -> usize {
        8 * 1024 * 1024
    }

    fn may_pass_unread(&self) -> bool {
        false
    }

    fn lost(&mut self) {
        self.inner.lost();
    }

    fn take_partial(&mut self) -> Option<Partial> {
        self.inner.take_partial()
    }

    fn keeps_partial(&self) -> bool {
        self.inner.keeps_partial()
    }

    fn origin_error_event(&self, data: &[u8]) -> String {
        self.last(&self.inner.origin_error_event(data))
    }

    fn error_event(&self, error: &ApiError) -> String {
        self.last(&self.inner.error_event(error))
    }
}

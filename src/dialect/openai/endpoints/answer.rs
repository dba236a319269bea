//! What comes back from these endpoints: JSON, which may say its counts; a sound or a text as it is; or a stream of events
//! that are of each endpoint's own kind.

use super::super::answer;
use crate::dialect::answer::{AnswerFacts, OriginError};
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{Destination, EventKind, EventReader, OriginFormat};
use crate::dialect::json::{pick, says_something, string};
use crate::dialect::passing::PassingCodec;
use crate::dialect::{AnswerContext, Exchange, Gathered, StreamCodec, StreamOptions, errors, usage};
use std::borrow::Cow;

/// Answers pass as they are.
pub(super) struct Passed {
    /// Whether what is generated are images, which are counted.
    pub(super) images: bool,
}

impl Exchange for Passed {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        if body.trim_ascii_start().starts_with(b"{") {
            return answer::read(body, &context.price, self.images);
        }
        // A page of something before the origin is no answer.
        let start = body.trim_ascii_start().get(..5).unwrap_or_default().to_ascii_lowercase();
        let is_page = matches!(&start[..], b"<!doc" | b"<html");
        (!is_page && !body.is_empty()).then(AnswerFacts::default)
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        // A text may begin as an error does; under 200 only an object is one.
        let is_text = (200..300).contains(&status) && !body.trim_ascii_start().starts_with(b"{");
        if is_text { None } else { errors::error_of(status, body) }
    }

    fn keeps_content_type(&self) -> bool {
        true
    }

    fn streamed(&self, _body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        None
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        // It only looks like one: a text.
        Gathered::Answer(stream.to_vec())
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        Box::new(PassingCodec::new(&super::Endpoints, &Events, options.plain_errors, ""))
    }
}

/// `image_generation.partial_image`, `image_generation.completed`, `transcript.text.delta`, `transcript.text.done`,
/// `speech.audio.delta`, `speech.audio.done` and the like (*Streaming events* of each endpoint).
struct Events;

impl OriginFormat for Events {
    fn path(&self, _to: &Destination<'_>, _stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("")
    }

    fn encode(&self, _request: &Request<'_>, _to: &Destination<'_>, _: &mut Unsupported) -> Vec<u8> {
        // No generation is said in this form.
        Vec::new()
    }

    fn answer<'b>(&self, _body: &'b str) -> Option<Vec<Delta<'b>>> {
        None
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(Reader::default())
    }
}

#[derive(Default)]
struct Reader {
    /// How many are whole.
    images: u64,
}

impl EventReader for Reader {
    fn event<'e>(&mut self, name: &'e str, data: &'e str, deltas: &mut Vec<Delta<'e>>) -> EventKind<'e> {
        let data = data.trim_ascii();
        if data == "[DONE]" {
            // Servers whose events have other names tell the end by this alone.
            deltas.push(Delta::Stop(Stop::End));
            return EventKind::End;
        }
        let Some([kind, error, counts]) = pick(data, &["type", "error", "usage"]) else {
            return EventKind::Malformed;
        };
        let kind = kind.and_then(string).unwrap_or(Cow::Borrowed(name));
        if kind == "error" || error.is_some_and(says_something) {
            let told = error.map_or(data, |error| error.get());
            return EventKind::Error(Cow::Owned(format!("{{\"error\":{told}}}")));
        }
        // Several images have an end each.
        if kind.ends_with(".completed") || kind.ends_with(".done") {
            deltas.push(Delta::Stop(Stop::End));
        } else {
            // Some of the answer, whatever is in it.
            deltas.push(Delta::Media { media_type: Cow::Borrowed(""), base64: Cow::Borrowed("") });
        }
        let counts = counts.and_then(usage::read).map(|reading| reading.counts);
        if kind.starts_with("image_") && kind.ends_with(".completed") {
            self.images += 1;
            let mut counts = counts.unwrap_or_default();
            counts.usage.images = self.images;
            deltas.push(Delta::Usage(counts));
        } else {
            deltas.extend(counts.map(Delta::Usage));
        }
        EventKind::Data
    }
}

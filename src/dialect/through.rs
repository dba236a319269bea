//! Between two APIs: everything is read, and said anew.

use super::answer::{AnswerFacts, OriginError};
use super::canonical::answer::Answer;
use super::canonical::delta::Delta;
use super::canonical::request::{Content, Message, Request, Role};
use super::canonical::stop::Stop;
use super::canonical::unsupported::Unsupported;
use super::counts::Counts;
use super::event::{Output, StreamEvent};
use super::exchange::{AnswerContext, Exchange, Gathered, StreamCodec, StreamOptions};
use super::format::{ClientFormat, Destination, EventKind, EventReader, EventWriter, OriginFormat};
use super::json_writer::JsonWriter;
use super::partial::{KeptWriter, Partial};
use super::request::{CannotEncode, Changes, Encoded, EncodedBody, Resume};
use crate::config::Prefill;
use crate::error::ApiError;
use crate::stream::sse;
use std::borrow::Cow;

/// A client's format towards an origin's.
pub(super) struct Through {
    pub(super) client: &'static dyn ClientFormat,
    pub(super) origin: &'static dyn OriginFormat,
}

/// A request in the canonical form as an origin of another API shall get it.
///
/// # Errors
/// What cannot be said to that origin.
pub(super) fn encode(
    mut request: Request<'_>,
    changes: &Changes<'_>,
    format: &dyn OriginFormat,
) -> Result<Encoded, CannotEncode> {
    let to = Destination { origin: changes.origin, model: changes.model, ask_usage: changes.ask_usage };
    // What is gone on with would begin anew, in the form that was asked for.
    if request.format.is_some() && changes.resume.is_some_and(|resume| resume.has_text()) {
        return Err(CannotEncode::Resume);
    }
    match changes.resume {
        None => {}
        // Nothing but thoughts so far, if anything: the answer begins anew.
        Some(Resume::Text(partial, _) | Resume::Tokens(partial)) if partial.text.is_empty() => {}
        Some(Resume::Text(_, Prefill::None) | Resume::Tokens(_)) => return Err(CannotEncode::Resume),
        Some(Resume::Text(..)) if !format.can_resume(&to) => return Err(CannotEncode::Resume),
        Some(Resume::Text(partial, prefill)) => {
            let text = Content::Text(Cow::Owned(partial.text.clone()));
            request.messages.push(Message { role: Role::Assistant, parts: vec![text.into()] });
            request.resume = Some(prefill);
            // What the first origin wrote counts too; an event is about a token.
            let most = &mut request.sampling.max_tokens;
            *most = most.map(|most| most.saturating_sub(partial.events).max(1));
        }
    }
    let mut unsupported = Unsupported::default();
    unsupported.extend(&request.others);
    let body = format.encode(&request, &to, &mut unsupported);
    let dropped = unsupported.into_paths();
    if !dropped.is_empty() && !changes.drop_unsupported {
        return Err(CannotEncode::Unsupported(dropped));
    }
    let path = format.path(&to, request.stream);
    Ok(Encoded { path, body: EncodedBody::Own(body), dropped })
}

/// The name of the one event that a whole answer is sent to [`ThroughCodec`] as.
pub(super) const WHOLE: &str = "moegate.answer";

/// The data of an event that cannot be read.
const UNREADABLE: &str = r#"{"error":{"message":"the origin's stream has an event that cannot be read"}}"#;

/// The largest event or whole answer that is read: all of it stands in memory several times.
pub(super) const LARGEST: usize = 8 * 1024 * 1024;

impl Through {
    /// The deltas of a whole answer; also of one that came as a stream, whole.
    pub(super) fn gather(&self, body: &[u8]) -> Result<Answer, Gathered> {
        let text = String::from_utf8_lossy(body);
        if sse::begins(body) != Some(true) {
            return self.origin.answer(&text).map(Answer::of).ok_or(Gathered::Malformed);
        }
        let mut answer = Answer::default();
        let mut reader = self.origin.reader();
        let mut start = 0;
        while let Some(end) = sse::end(text.as_bytes(), start) {
            let event = &text.as_bytes()[start..end];
            start = end;
            let Some((name, data)) = parts_of(event) else { continue };
            let mut deltas = Vec::new();
            let kind = reader.event(&name, &data, &mut deltas);
            deltas.into_iter().for_each(|delta| answer.take(delta));
            match kind {
                EventKind::Data => {}
                EventKind::End => break,
                EventKind::Error(data) => return Err(Gathered::Error(data.into_owned().into_bytes())),
                EventKind::Malformed => return Err(Gathered::Malformed),
            }
        }
        // An end without a finish reason is none, as in a stream that passes.
        if answer.stop.is_some() {
            return Ok(answer);
        }
        Err(Gathered::Truncated(answer.counts, answer.events))
    }
}

impl Exchange for Through {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        let answer = self.gather(body).ok()?;
        let dubious = matches!(answer.stop, Some(Stop::Failed(_)));
        let own = Some(self.client.answer(&answer, context));
        Some(AnswerFacts { counts: answer.counts, own, dubious, ..AnswerFacts::default() })
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        if (200..300).contains(&status) {
            let stop = self.gather(body).ok().and_then(|answer| answer.stop);
            if let Some(Stop::Failed(reason)) = stop {
                let data = failed_with(&reason);
                return self
                    .origin
                    .error(200, data.as_bytes())
                    .map(|error| OriginError { readable: false, ..error });
            }
            if sse::begins(body) == Some(true) {
                return None;
            }
        }
        let error = self.origin.error(status, body)?;
        // It is in another API's form, whatever it looks like.
        Some(OriginError { readable: false, ..error })
    }

    fn passes(&self) -> bool {
        false
    }

    fn streamed(&self, body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).ok()?;
        self.origin.answer(text)?;
        let mut event = format!("event: {WHOLE}\n");
        for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
            event.push_str("data: ");
            event.push_str(line);
            event.push('\n');
        }
        event.push('\n');
        Some(event.into_bytes())
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        match self.gather(stream) {
            Ok(_) => Gathered::Answer(stream.to_vec()),
            Err(gathered) => gathered,
        }
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        Box::new(ThroughCodec::new(self.client, self.origin, options))
    }
}

/// The error that an answer ended with, as an event's data.
fn failed_with(reason: &str) -> String {
    let mut json = JsonWriter::default();
    let message = format!("the model's answer failed ({reason})");
    json.object(|json| json.key("error").object(|json| json.member("message", &message)));
    json.into_string()
}

/// An event's name and data; `None` for one without data.
pub(super) fn parts_of(event: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let data = match sse::data(event)? {
        Cow::Borrowed(data) => String::from_utf8_lossy(data),
        Cow::Owned(data) => Cow::Owned(String::from_utf8_lossy(&data).into_owned()),
    };
    let name = sse::name(event).map(String::from_utf8_lossy).unwrap_or_default();
    (!data.trim_ascii().is_empty()).then_some((name, data))
}

/// One stream.
pub(super) struct ThroughCodec {
    origin: &'static dyn OriginFormat,
    reader: Box<dyn EventReader>,
    writer: Box<dyn EventWriter>,
    options: StreamOptions,
    counts: Option<Counts>,
    /// The finish reason has come.
    finished: bool,
    /// The client's end has been written.
    ended: bool,
    /// White space that the client has got, but that the origin which goes on was not told of: it may say it again.
    known: String,
}

impl ThroughCodec {
    pub(super) fn new(
        client: &'static dyn ClientFormat,
        origin: &'static dyn OriginFormat,
        mut options: StreamOptions,
    ) -> Self {
        let kept = options.partial.as_mut().and_then(|partial| partial.writer.take());
        let writer = match (kept, &options.partial) {
            (Some(KeptWriter(writer)), _) => writer,
            (None, partial) => {
                let mut writer = client.writer(&options.context, options.include_usage);
                if let Some(partial) = partial.as_ref().filter(|partial| partial.resumed) {
                    writer.resume(partial);
                }
                writer
            }
        };
        let resumed = options.partial.as_ref().filter(|partial| partial.resumed && origin.trims_prefill());
        let text = resumed.map_or("", |partial| &partial.text);
        let known = text[text.trim_end().len()..].to_owned();
        let reader = origin.reader();
        Self { origin, reader, writer, options, counts: None, finished: false, ended: false, known }
    }

    fn end(&mut self, out: &mut String) {
        if !std::mem::replace(&mut self.ended, true) {
            self.writer.end(self.options.note.as_ref(), out);
        }
    }

    fn deltas(&mut self, deltas: &[Delta<'_>], read: &mut StreamEvent, out: &mut String) {
        for delta in deltas {
            read.content |= delta.is_content();
            let rest = match delta {
                Delta::Text(text) if !self.known.is_empty() => Some(self.unknown(text)),
                _ => None,
            };
            let rest = rest.map(|rest| Delta::Text(rest.into()));
            let delta = rest.as_ref().unwrap_or(delta);
            match delta {
                Delta::Usage(counts) => self.counts.get_or_insert_default().grow(*counts),
                Delta::Stop(_) => self.finished = true,
                _ => {}
            }
            if let Some(partial) = &mut self.options.partial {
                partial.take(delta);
            }
            self.writer.delta(delta, out);
        }
    }

    /// What of a text the client has not got yet.
    fn unknown<'t>(&mut self, text: &'t str) -> &'t str {
        let same = self.known.chars().zip(text.chars()).take_while(|(own, new)| own == new);
        let length = same.map(|(c, _)| c.len_utf8()).sum();
        if length == text.len() {
            self.known.drain(..length);
        } else {
            self.known.clear();
        }
        &text[length..]
    }

    fn error_of_origin(&self, data: &[u8]) -> ApiError {
        if let Some(id) = &self.options.plain_errors {
            return super::errors::plain(id);
        }
        match self.origin.error(200, data) {
            Some(error) => super::errors::told(error, 502),
            None => ApiError::upstream(502, "origin_error", "the origin reported an error without a text"),
        }
    }
}

impl StreamCodec for ThroughCodec {
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let mut read = StreamEvent::default();
        let Some((name, data)) = parts_of(event) else {
            // The line's end behind an event may come by itself.
            let is_blank = event.iter().all(|b| matches!(b, b'\r' | b'\n'));
            let comment = if begun && !is_blank { self.writer.keep_alive() } else { "" };
            return (read, if comment.is_empty() { Output::Drop } else { Output::Replace(comment.into()) });
        };
        let mut deltas = Vec::new();
        let kind = if name == WHOLE {
            match self.origin.answer(&data) {
                Some(all) => {
                    deltas = all;
                    EventKind::End
                }
                None => EventKind::Malformed,
            }
        } else {
            self.reader.event(&name, &data, &mut deltas)
        };
        let mut out = String::new();
        let failed = deltas.iter().find_map(|delta| match delta {
            Delta::Stop(Stop::Failed(reason)) => Some(failed_with(reason)),
            _ => None,
        });
        let kind = match kind {
            // What is dropped here would be missing in an answer that looks whole.
            EventKind::Malformed if begun => EventKind::Error(UNREADABLE.into()),
            kind => failed.map_or(kind, |data| EventKind::Error(data.into())),
        };
        if matches!(kind, EventKind::Error(_)) {
            // The event does not reach the client where another origin may go on.
            let kept = self.options.partial.is_some();
            deltas.retain(|delta| !(matches!(delta, Delta::Stop(_)) || kept && delta.is_content()));
        }
        self.deltas(&deltas, &mut read, &mut out);
        read.usage = self.counts;
        read.begun = !begun && (read.content || self.finished);
        match kind {
            EventKind::Data => {}
            EventKind::End => {
                // An end without a finish reason is none.
                read.end = self.finished;
                read.malformed = !self.finished;
                if self.finished {
                    self.end(&mut out);
                }
            }
            EventKind::Error(data) => {
                let bytes = data.into_owned().into_bytes();
                out.push_str(&self.writer.error(&self.error_of_origin(&bytes)));
                read.error = Some(bytes);
            }
            EventKind::Malformed => read.malformed = true,
        }
        let output = if out.is_empty() { Output::Drop } else { Output::Replace(out.into_bytes()) };
        (read, output)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(&mut self) -> String {
        let mut out = String::new();
        self.end(&mut out);
        out
    }

    fn most_held(&self) -> usize {
        LARGEST
    }

    fn may_pass_unread(&self) -> bool {
        false
    }

    fn lost(&mut self) {
        self.options.partial.iter_mut().for_each(Partial::lose);
    }

    fn take_partial(&mut self) -> Option<Partial> {
        let mut partial = self.options.partial.take()?;
        partial.id = Some(self.writer.id());
        partial.writer = Some(KeptWriter(self.writer.fork()));
        Some(partial)
    }

    fn keeps_partial(&self) -> bool {
        self.options.partial.is_some()
    }

    fn origin_error_event(&self, data: &[u8]) -> String {
        self.writer.error(&self.error_of_origin(data))
    }

    fn error_event(&self, error: &ApiError) -> String {
        self.writer.error(error)
    }
}

#[cfg(test)]
#[path = "through_tests.rs"]
mod tests;

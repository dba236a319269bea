//! The same API on both sides: the bytes pass, and are read for what the gateway must know.

use super::answer::{AnswerFacts, OriginError};
use super::canonical::delta::Delta;
use super::canonical::stop::Stop;
use super::counts::Counts;
use super::event::{Output, StreamEvent};
use super::exchange::{AnswerContext, Exchange, Gathered, StreamCodec, StreamOptions};
use super::format::{ClientFormat, EventKind, EventReader, EventWriter, OriginFormat};
use super::partial::{KeptWriter, Partial};
use super::through::{LARGEST, Through, ThroughCodec};
use super::{ClientDialect, errors};
use crate::error::ApiError;
use crate::payload::{Edit, edited};
use crate::stream::sse;
use std::borrow::Cow;

/// See the module.
pub(super) struct Passing {
    pub(super) dialect: &'static dyn ClientDialect,
    pub(super) client: &'static dyn ClientFormat,
    pub(super) origin: &'static dyn OriginFormat,
    /// What of an answer, or of the data of a stream's event, has to change to say its cost.
    pub(super) edits: CostEdits,
    /// The event behind a stream's finish reason; empty where the API has none.
    pub(super) end_mark: &'static str,
}

pub(super) type CostEdits = fn(&str, &Counts, &AnswerContext) -> Vec<Edit>;

impl Passing {
    fn through(&self) -> Through {
        Through { client: self.client, origin: self.origin }
    }
}

impl Exchange for Passing {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        if sse::begins(body) == Some(true) {
            return self.through().answer(body, context);
        }
        let text = std::str::from_utf8(body).ok()?;
        let deltas = self.origin.answer(text)?;
        let mut counts: Option<Counts> = None;
        let mut dubious = false;
        for delta in deltas {
            match delta {
                Delta::Usage(more) => counts.get_or_insert_default().grow(more),
                Delta::Stop(Stop::Failed(_)) => dubious = true,
                _ => {}
            }
        }
        let edits = counts.map(|counts| (self.edits)(text, &counts, context)).unwrap_or_default();
        Some(AnswerFacts { counts, dubious, edits, own: None })
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        if (200..300).contains(&status) && sse::begins(body) == Some(true) {
            return None;
        }
        self.origin.error(status, body)
    }

    fn streamed(&self, body: &[u8], context: &AnswerContext) -> Option<Vec<u8>> {
        let answer = self.through().gather(body).ok()?;
        let mut writer = self.client.writer(context, true);
        let mut out = String::new();
        for delta in answer.deltas() {
            writer.delta(&delta, &mut out);
        }
        writer.end(None, &mut out);
        Some(out.into_bytes())
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        self.through().gathered(stream)
    }

    fn stream(&self, mut options: StreamOptions) -> Box<dyn StreamCodec> {
        // What goes on with another origin's answer has that one's id, and its parts are counted on.
        if options.partial.as_ref().is_some_and(|partial| partial.resumed) {
            return Box::new(ThroughCodec::new(self.client, self.origin, options));
        }
        let mut codec = PassingCodec::new(self.dialect, self.origin, options.plain_errors, self.end_mark);
        // With several answers at once no other origin can go on.
        let partial = options.partial.take().filter(|_| !options.several);
        codec.kept =
            partial.map(|partial| Kept { partial, writer: self.client.writer(&options.context, true) });
        codec.cost = Some((self.edits, options.context));
        Box::new(codec)
    }
}

/// Where another origin may have to go on.
struct Kept {
    /// What the client has got.
    partial: Partial,
    /// As if it had written that: it writes what follows.
    writer: Box<dyn EventWriter>,
}

impl Kept {
    /// Takes in an event that passes. `false`: nobody can go on any more.
    fn take(&mut self, name: &str, data: &str, deltas: &[Delta<'_>]) -> bool {
        deltas.iter().for_each(|delta| self.partial.take(delta));
        self.partial.has_text_only() && self.writer.passed(name, data, deltas)
    }
}

/// One stream whose events pass as they are.
pub(super) struct PassingCodec {
    dialect: &'static dyn ClientDialect,
    origin: &'static dyn OriginFormat,
    reader: Box<dyn EventReader>,
    plain_errors: Option<String>,
    end_mark: &'static str,
    counts: Option<Counts>,
    finished: bool,
    kept: Option<Kept>,
    /// What writes the cost beside the counts, once all of the answer has come.
    cost: Option<(CostEdits, AnswerContext)>,
}

impl PassingCodec {
    pub(super) fn new(
        dialect: &'static dyn ClientDialect,
        origin: &'static dyn OriginFormat,
        plain_errors: Option<String>,
        end_mark: &'static str,
    ) -> Self {
        let reader = origin.reader();
        Self {
            dialect,
            origin,
            reader,
            plain_errors,
            end_mark,
            counts: None,
            finished: false,
            kept: None,
            cost: None,
        }
    }

    /// The event with its cost, where it tells the counts of all that was generated. Not one whose data has several lines,
    /// or is not UTF-8: it passes as it is. `data`: its part of the event, if it is one.
    fn with_cost(&self, event: &[u8], data: Option<&str>, deltas: &[Delta<'_>]) -> Option<Vec<u8>> {
        let tells = self.finished && deltas.iter().any(|delta| matches!(delta, Delta::Usage(_)));
        let (true, Some((edits, context)), Some(counts), Some(data)) =
            (tells, &self.cost, &self.counts, data)
        else {
            return None;
        };
        let before = data.as_ptr() as usize - event.as_ptr() as usize;
        let mut edits = edits(data, counts, context);
        for edit in &mut edits {
            edit.span = edit.span.start + before..edit.span.end + before;
        }
        (!edits.is_empty()).then(|| edited(event, edits))
    }
}

impl StreamCodec for PassingCodec {
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let mut read = StreamEvent::default();
        let Some((name, data)) = super::through::parts_of(event) else { return (read, Output::Pass) };
        let mut deltas = Vec::new();
        let kind = self.reader.event(&name, &data, &mut deltas);
        for delta in &deltas {
            read.content |= delta.is_content();
            match delta {
                Delta::Usage(counts) => self.counts.get_or_insert_default().grow(*counts),
                Delta::Stop(_) => self.finished = true,
                _ => {}
            }
        }
        if !matches!(kind, EventKind::Error(_))
            && let Some(kept) = &mut self.kept
            && (kind == EventKind::Malformed || !kept.take(&name, &data, &deltas))
        {
            self.kept = None;
        }
        read.usage = self.counts;
        read.begun = !begun && (read.content || self.finished);
        let is_part = matches!(kind, EventKind::Data | EventKind::End);
        let within = match &data {
            Cow::Borrowed(data) => Some(*data),
            Cow::Owned(_) => None,
        };
        let priced = if is_part { self.with_cost(event, within, &deltas) } else { None };
        let mut output = priced.map_or(Output::Pass, Output::Replace);
        match kind {
            EventKind::Data => {}
            EventKind::End if self.finished => read.end = true,
            // An end without a finish reason is none, and would make a broken stream look whole.
            EventKind::End => {
                read.malformed = true;
                output = Output::Drop;
            }
            EventKind::Malformed => read.malformed = true,
            EventKind::Error(data) => {
                let bytes = data.into_owned().into_bytes();
                if self.plain_errors.is_some() {
                    output = Output::Replace(self.origin_error_event(&bytes).into_bytes());
                }
                read.error = Some(bytes);
            }
        }
        (read, output)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(&mut self) -> String {
        self.end_mark.to_owned()
    }

    /// The last event of a Responses stream repeats all of the answer and of the instructions.
    fn most_held(&self) -> usize {
        LARGEST
    }

    fn lost(&mut self) {
        self.kept = None;
    }

    fn take_partial(&mut self) -> Option<Partial> {
        let Kept { mut partial, writer } = self.kept.take()?;
        partial.id = Some(writer.id());
        partial.writer = Some(KeptWriter(writer));
        Some(partial)
    }

    fn keeps_partial(&self) -> bool {
        self.kept.is_some()
    }

    fn origin_error_event(&self, data: &[u8]) -> String {
        let error = match (&self.plain_errors, self.origin.error(200, data)) {
            (Some(id), _) => errors::plain(id),
            (None, Some(error)) => errors::told(error, 502),
            (None, None) => {
                ApiError::upstream(502, "origin_error", "the origin reported an error without a text")
            }
        };
        self.dialect.error_event(&error)
    }

    fn error_event(&self, error: &ApiError) -> String {
        self.dialect.error_event(error)
    }
}

//! One stream of OpenAI's chunks, passed on to clients that speak the same.

use super::chunk::Chunk;
use super::form;
use super::partial::{Edited, take_in, with_data};
use super::prefilter::is_interesting;
use crate::dialect::answer::OriginError;
use crate::dialect::counts::Counts;
use crate::dialect::event::{Output, StreamEvent};
use crate::dialect::json::{pick, says_something, whole_number};
use crate::dialect::partial::Partial;
use crate::dialect::{AttemptNote, StreamCodec, StreamOptions, errors, usage};
use crate::error::ApiError;
use crate::json::from_bytes;
use crate::payload::{Edit, edited};
use crate::stream::sse;
use memchr::{memchr, memmem};
use serde_json::value::RawValue;

pub(super) struct Codec {
    options: StreamOptions,
    /// So far.
    counts: Option<Counts>,
    /// The client has seen counts.
    told: bool,
    /// The answers, by their index: those that have begun, and those that have their finish reason.
    begun: Answers,
    finished: Answers,
}

/// A bit for each index; the last one stands for all that are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Answers(u128);

impl Answers {
    fn insert(&mut self, index: u64) {
        self.0 |= 1 << index.min(127);
    }
}

impl Codec {
    pub(super) fn new(options: StreamOptions) -> Self {
        Self { options, counts: None, told: false, begun: Answers(0), finished: Answers(0) }
    }

    fn read(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let taken = match &mut self.options.partial {
            Some(partial) => sse::data(event).map_or(Edited::Same, |data| take_in(partial, &data)),
            None => Edited::Same,
        };
        match taken {
            Edited::Same => self.data(event, begun),
            Edited::Drop => (StreamEvent::default(), Output::Drop),
            Edited::Data(data) => {
                let event = with_data(event, &data);
                let (read, output) = self.data(&event, begun);
                (read, if output == Output::Pass { Output::Replace(event) } else { output })
            }
        }
    }

    /// What the event's data means, and what to send instead of it.
    fn data(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        if begun && !self.options.several && !is_interesting(event) {
            return (StreamEvent { content: true, ..StreamEvent::default() }, Output::Pass);
        }
        let Some(data) = sse::data(event) else { return self.without_data(event) };
        let trimmed = data.trim_ascii();
        // Nobody dispatches an event without data (WHATWG HTML, 9.2.6) but SDKs, which fail on it (copilot-api#88).
        if trimmed.is_empty() {
            return (StreamEvent::default(), Output::Drop);
        }
        if trimmed == b"[DONE]" {
            return (StreamEvent { end: true, ..StreamEvent::default() }, Output::Pass);
        }
        let named = sse::is_named_error(event);
        let Some(chunk) = Chunk::read(&data) else {
            return match self.error(trimmed).or_else(|| named.then(|| self.wrapped(trimmed))) {
                // Gemini's error is an array of one.
                Some(failed) if named || trimmed.starts_with(b"[") => failed,
                _ => (StreamEvent { malformed: true, ..StreamEvent::default() }, Output::Pass),
            };
        };
        let mut read = StreamEvent::default();
        let mut finishes = false;
        let mut has_error = chunk.error.is_some_and(says_something);
        for choice in chunk.choices.iter().flatten() {
            let names = ["index", "delta", "text", "finish_reason", "error"];
            let Some([index, delta, text, reason, error]) = pick(choice.get(), &names) else { continue };
            // OpenRouter ends an answer with it, with and without an error beside it.
            has_error |= error.is_some_and(says_something) || reason.is_some_and(is_error);
            let finished = reason.is_some_and(is_reason);
            let index = index.and_then(whole_number).unwrap_or(0);
            self.begun.insert(index);
            if finished && !has_error {
                self.finished.insert(index);
                finishes = true;
            }
            read.content |= text.is_some_and(says_something)
                || delta.is_some_and(|delta| has_content(delta.get().as_bytes()));
            read.begun |= !begun && (finished || read.content);
        }
        let choices = chunk.choices.as_deref().unwrap_or_default();
        let found = usage::find(chunk.usage, chunk.counts, choices);
        if let Some(found) = &found {
            self.counts.get_or_insert_default().grow(found.reading.counts);
        }
        read.usage = self.counts;
        let is_chunk = chunk.choices.is_some() || chunk.usage.is_some();
        if (has_error || !is_chunk)
            && let Some((failed, output)) =
                self.error(trimmed).or_else(|| named.then(|| self.wrapped(trimmed)))
        {
            return (StreamEvent { error: failed.error, ..read }, output);
        }
        let note = if finishes { self.options.note.take() } else { None };
        let output = self.output(event, &data, &chunk, found, note);
        (read, output)
    }

    /// An event of other fields and comments.
    fn without_data(&self, event: &[u8]) -> (StreamEvent, Output) {
        let mut comments = event.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        for line in sse::other_lines(event) {
            match memchr(b':', line) {
                Some(0) => comments = true,
                // llama.cpp until September 2025 (llama.cpp#16104).
                Some(at) if &line[..at] == b"error" => return self.wrapped(line[at + 1..].trim_ascii()),
                Some(_) => {}
                // Fields and comments have a colon; anything else is not this format.
                None if matches!(line, b"data" | b"event" | b"id" | b"retry") => {}
                None => return (StreamEvent { malformed: true, ..StreamEvent::default() }, Output::Pass),
            }
        }
        // OpenAI's SDK for Python reads JSON from an event that only has other fields (openai-python#2721).
        (StreamEvent::default(), if comments { Output::Pass } else { Output::Drop })
    }

    /// What an event says that is an error by its name only.
    fn wrapped(&self, said: &[u8]) -> (StreamEvent, Output) {
        let data = form::wrapped_error(said);
        let output = Output::Replace(self.origin_error_event(&data).into_bytes());
        (StreamEvent { error: Some(data), ..StreamEvent::default() }, output)
    }

    /// The event of an error, if it is one.
    fn error(&self, data: &[u8]) -> Option<(StreamEvent, Output)> {
        let OriginError { readable, .. } = errors::error_of(200, data)?;
        let output = if readable && self.options.plain_errors.is_none() {
            Output::Pass
        } else {
            Output::Replace(self.origin_error_event(data).into_bytes())
        };
        Some((StreamEvent { error: Some(data.to_vec()), ..StreamEvent::default() }, output))
    }

    /// What the client gets of an event, by what it asked for.
    fn output(
        &mut self,
        event: &[u8],
        data: &[u8],
        chunk: &Chunk<'_>,
        found: Option<usage::Found<'_>>,
        note: Option<AttemptNote>,
    ) -> Output {
        let is_extra = chunk.usage.is_some() && chunk.choices.as_ref().is_none_or(Vec::is_empty);
        if is_extra && !self.options.include_usage {
            return Output::Drop;
        }
        let mut edits = match (found, self.counts) {
            (Some(found), Some(counts)) if found.usual => {
                self.told = true;
                usage::cost_edits(data, &found.reading, counts.cost(&self.options.context.price))
            }
            // What the client asked for, which this origin puts elsewhere.
            (Some(_), Some(counts)) if self.options.include_usage && chunk.usage.is_none() && !self.told => {
                self.told = true;
                let brace = data.iter().position(|&b| b == b'{').unwrap_or(0) + 1;
                let cost = counts.cost(&self.options.context.price);
                let text = format!("{},", usage::member(&counts.usage, cost));
                vec![Edit { span: brace..brace, text }]
            }
            _ => Vec::new(),
        };
        if let (Some(note), Some(brace)) = (note, data.iter().rposition(|&b| b == b'}')) {
            edits.push(Edit { span: brace..brace, text: form::note_member(&note) });
        }
        if edits.is_empty() { Output::Pass } else { Output::Replace(with_data(event, &edited(data, edits))) }
    }
}

impl StreamCodec for Codec {
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let (read, output) = self.read(event, begun);
        // A byte that is not UTF-8 is U+FFFD to every client, and to JSON's readers an error.
        if read.malformed && std::str::from_utf8(event).is_err() {
            let text = String::from_utf8_lossy(event).into_owned().into_bytes();
            let (read, output) = self.read(&text, begun);
            return (read, if output == Output::Pass { Output::Replace(text) } else { output });
        }
        (read, output)
    }

    fn is_finished(&self) -> bool {
        self.finished != Answers(0) && self.finished == self.begun
    }

    fn lost(&mut self) {
        self.options.partial.iter_mut().for_each(Partial::lose);
    }

    fn take_partial(&mut self) -> Option<Partial> {
        self.options.partial.take()
    }

    fn keeps_partial(&self) -> bool {
        self.options.partial.is_some()
    }

    fn origin_error_event(&self, data: &[u8]) -> String {
        if let Some(id) = &self.options.plain_errors {
            return form::error_event(&errors::plain(id));
        }
        match errors::error_of(200, data) {
            Some(error) if !error.readable => form::error_event(&errors::told(error, 502)),
            _ => format!("data: {}\n\n", String::from_utf8_lossy(data)),
        }
    }

    fn error_event(&self, error: &ApiError) -> String {
        form::error_event(error)
    }
}

/// Whether it is a finish reason: some origins send an empty text, or `"null"`, with every chunk (sglang#3912, ollama#4357,
/// AIShell#350).
fn is_reason(reason: &RawValue) -> bool {
    reason.get().starts_with('"') && !matches!(reason.get(), "\"\"" | "\"null\"")
}

/// Whether a finish reason says that the answer failed.
fn is_error(reason: &RawValue) -> bool {
    reason.get() == "\"error\""
}

/// Whether a delta has any member besides the role that is neither null nor empty.
fn has_content(delta: &[u8]) -> bool {
    // The usual case, without a parse: a single text that is not empty.
    if let Some(at) = memmem::find(delta, b"\"content\":\"") {
        return delta.get(at + b"\"content\":\"".len()) != Some(&b'"') || other_members(delta);
    }
    other_members(delta)
}

fn other_members(delta: &[u8]) -> bool {
    let members: Result<std::collections::BTreeMap<&str, &RawValue>, _> = from_bytes(delta);
    // What cannot be read with borrowed names is no bare role.
    members.map_or(true, |members| {
        members.into_iter().any(|(name, value)| name != "role" && says_something(value))
    })
}

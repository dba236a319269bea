//! One stream of OpenAI's chunks, passed on to clients that speak the same.

use super::partial::{Edited, take_in, with_data};
use super::{form, usage};
use crate::dialect::event::{Output, StreamEvent};
use crate::dialect::json::says_something;
use crate::dialect::partial::Partial;
use crate::dialect::{AttemptNote, StreamCodec, StreamOptions};
use crate::error::ApiError;
use crate::stream::sse;
use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) struct Codec {
    options: StreamOptions,
    note: Option<AttemptNote>,
    /// An error came: its end mark is none.
    failed: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl Codec {
    pub(super) fn new(options: StreamOptions) -> Self {
        Self { options, note: None, failed: false }
    }

    /// What the event's data means, and what to send instead of it.
    fn data(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        // Most events hold nothing of interest: a few searches, no parse.
        if begun && !is_interesting(event) {
            return (StreamEvent::default(), Output::Pass);
        }
        let Some(data) = sse::data(event) else {
            // Fields and comments have a colon or are known names; anything else is not this format.
            let malformed = sse::other_lines(event).any(|line| memchr(b':', line).is_none());
            return (StreamEvent { malformed, ..StreamEvent::default() }, Output::Pass);
        };
        let trimmed = data.trim_ascii();
        if trimmed == b"[DONE]" {
            return (StreamEvent { end: true, ..StreamEvent::default() }, self.end_mark(event));
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&data) else {
            return (StreamEvent { malformed: true, ..StreamEvent::default() }, Output::Pass);
        };
        let error = chunk.error.filter(|error| error.get() != "null");
        let mut read = StreamEvent::default();
        for choice in chunk.choices.iter().flatten() {
            let Ok(choice) = serde_json::from_str::<Choice<'_>>(choice.get()) else { continue };
            let finished = choice.finish_reason.is_some_and(|reason| reason.get().starts_with('"'));
            // Beside an error it is no end of an answer (OpenRouter: `"finish_reason":"error"`).
            read.finished |= finished && error.is_none();
            read.begun |= !begun
                && (finished
                    || choice.text.is_some_and(says_something)
                    || choice.delta.is_some_and(|delta| has_content(delta.get().as_bytes())));
        }
        if error.is_some() {
            self.failed = true;
            read.error = Some(trimmed.to_vec());
            if self.options.plain_errors.is_some() {
                return (read, Output::Replace(self.origin_error_event(trimmed).into_bytes()));
            }
        }
        let counted = chunk.usage.and_then(|raw| Some((raw, usage::parse(raw)?)));
        let Some((raw, usage)) = counted else { return (read, Output::Pass) };
        read.usage = Some(usage);
        let empty = chunk.choices.is_some_and(|choices| choices.is_empty());
        if !self.options.include_usage && empty && error.is_none() {
            return (read, Output::Drop);
        }
        let output = match usage::cost_insertion(&data, raw, self.options.price.cost(&usage)) {
            None => Output::Pass,
            Some(edit) => Output::Replace(with_data(event, &crate::payload::edited(&data, vec![edit]))),
        };
        (read, output)
    }

    fn end_mark(&mut self, event: &[u8]) -> Output {
        match self.note.take().filter(|_| !self.failed) {
            None => Output::Pass,
            Some(note) => Output::Replace([form::note_event(&note).as_bytes(), event].concat()),
        }
    }
}

impl StreamCodec for Codec {
    fn event(&mut self, event: &[u8], begun: bool) -> (StreamEvent, Output) {
        let taken = match (&mut self.options.partial, sse::data(event)) {
            (Some(partial), Some(data)) => take_in(partial, &data),
            _ => Edited::Same,
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

    fn set_note(&mut self, note: AttemptNote) {
        self.note = Some(note);
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
            let text = format!(
                "the provider of this model failed; the gateway's operator finds the reason under the request id {id}"
            );
            return form::error_event(&ApiError::upstream(502, "provider_error", text));
        }
        format!("data: {}\n\n", String::from_utf8_lossy(data))
    }

    fn error_event(&self, error: &ApiError) -> String {
        form::error_event(error)
    }
}

/// Whether an event may hold counts, an error, a finish reason or the end mark. `"usage":null` and `"finish_reason":null`,
/// which OpenAI's every chunk has, are none.
fn is_interesting(event: &[u8]) -> bool {
    memmem::find(event, b"[DONE]").is_some()
        || [&b"\"usage\""[..], b"\"error\"", b"\"finish_reason\""].iter().any(|name| is_given(event, name))
}

/// Whether some member of that name has a value other than null.
fn is_given(event: &[u8], name: &[u8]) -> bool {
    let mut rest = event;
    while let Some(at) = memmem::find(rest, name) {
        rest = &rest[at + name.len()..];
        let value = rest.trim_ascii_start();
        let Some(value) = value.strip_prefix(b":") else { continue };
        if !value.trim_ascii_start().starts_with(b"null") {
            return true;
        }
    }
    false
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
    let members: Result<std::collections::BTreeMap<&str, &RawValue>, _> = serde_json::from_slice(delta);
    // What cannot be read with borrowed names is no bare role.
    members.map_or(true, |members| {
        members.into_iter().any(|(name, value)| name != "role" && says_something(value))
    })
}

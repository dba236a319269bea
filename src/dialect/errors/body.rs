//! Reads the body of an error, whatever its shape.
//!
//! Seen in the field: `{"error":{…}}` (OpenAI), the same without the envelope (SGLang, vLLM up to 0.9, Mistral, Fireworks), an
//! array of one (Gemini), a text as `error` (TGI, Ollama, xAI), `message`, `detail` as text or FastAPI's list, `errors[]`,
//! RFC 9457 (NVIDIA NIM), AWS's `__type`, JSON as text within `message` or `metadata.raw` (proxies, OpenRouter), and an
//! `error` on a choice (OpenRouter).

use crate::dialect::json::{list, pick, says_something, string, whole_number};
use serde_json::value::RawValue;

/// Errors within errors are followed so far.
const DEEPEST: usize = 6;
/// A body over this is not taken apart: a list of many small things would fill the instance's memory.
const LARGEST: usize = 256 * 1024;
/// More complaints than this about one request are not shown.
const MOST_DETAILS: usize = 3;

/// What a body says of an error.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    /// It has OpenAI's form: an object `error` with a text as its `message`.
    pub(super) readable: bool,
    /// The text for people.
    pub(super) message: Option<String>,
    /// The field of the request it is about.
    pub(super) param: Option<String>,
    /// Codes, in lower case, the more specific first.
    pub(super) codes: Vec<String>,
    /// Types, in lower case.
    pub(super) types: Vec<String>,
    /// The status that it names.
    pub(super) status: Option<u64>,
    /// All texts, in lower case.
    pub(super) texts: Vec<String>,
}

/// `None` where it is not JSON, or says nothing of an error. `succeeded`: by its status it is an answer; an answer that has
/// choices or counts is an error only by a member `error`, of its own or of a choice.
pub(super) fn read(body: &[u8], succeeded: bool) -> Option<ErrorBody> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    if succeeded && !is_error(text) {
        return None;
    }
    let mut error = ErrorBody::default();
    if text.len() <= LARGEST {
        error.take(text, 0);
    }
    let known = error.message.is_some() || !error.codes.is_empty() || !error.types.is_empty();
    (known || succeeded).then_some(error)
}

fn is_error(text: &str) -> bool {
    let names = ["error", "choices", "usage", "object", "message", "detail", "errors"];
    let Some([error, choices, usage, object, message, detail, errors]) = pick(text, &names) else {
        // Gemini's error is the only answer that is an array.
        let short = text.len() <= LARGEST;
        let elements = short.then(|| serde_json::from_str::<Vec<&RawValue>>(text).ok()).flatten();
        let elements = elements.unwrap_or_default();
        return elements
            .first()
            .is_some_and(|element| element.get().starts_with('{') && is_error(element.get()));
    };
    if error.is_some_and(|error| says_something(error) || choices.is_none())
        || choices.is_some_and(|choices| of_choice(choices).is_some() || has_failed(choices))
    {
        return true;
    }
    let is_text = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get().starts_with('"'));
    choices.is_none()
        && usage.is_none()
        && (object.and_then(string).is_some_and(|object| object.eq_ignore_ascii_case("error"))
            || is_text(message)
            || detail.is_some_and(says_something)
            || errors.is_some_and(says_something))
}

/// The error of a choice, beside which others may be fine (genkit#6259).
fn of_choice(choices: &RawValue) -> Option<&RawValue> {
    // Most answers have none, and then nothing is taken apart.
    let text = choices.get();
    if text.len() > LARGEST || memchr::memmem::find(text.as_bytes(), b"\"error\"").is_none() {
        return None;
    }
    list(choices)?.into_iter().find_map(|choice| {
        let [error] = pick(choice.get(), &["error"])?;
        error.filter(|error| says_something(error))
    })
}

/// Whether an answer's finish reason is that it failed, with or without an error beside it (OpenRouter).
fn has_failed(choices: &RawValue) -> bool {
    if choices.get().len() > LARGEST || !choices.get().contains("\"error\"") {
        return false;
    }
    list(choices).unwrap_or_default().into_iter().any(|choice| {
        let reason = pick(choice.get(), &["finish_reason"]).and_then(|[reason]| reason);
        reason.is_some_and(|reason| reason.get() == "\"error\"")
    })
}

const NAMES: [&str; 23] = [
    "error",
    "errors",
    "message",
    "detail",
    "msg",
    "Message",
    "title",
    "code",
    "type",
    "status",
    "error_type",
    "error_code",
    "reason",
    "param",
    "loc",
    "metadata",
    "innererror",
    "details",
    "__type",
    "raw",
    "reasons",
    "error_message",
    "choices",
];

impl ErrorBody {
    fn take(&mut self, text: &str, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let Some(found) = pick(text, &NAMES) else {
            if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
                for element in elements.into_iter().take(MOST_DETAILS) {
                    self.take_value(element, depth + 1);
                }
            }
            return;
        };
        let [
            error,
            errors,
            message,
            detail,
            msg,
            capital,
            title,
            code,
            kind,
            status,
            error_type,
            error_code,
            reason,
            param,
            loc,
            metadata,
            inner,
            details,
            aws_type,
            raw,
            reasons,
            error_message,
            choices,
        ] = found;
        if depth == 0 {
            self.readable = error.is_some_and(is_readable);
        }
        // What stands deeper is more specific, so it goes first.
        for nested in [error, errors, choices.and_then(of_choice), inner, metadata, raw].into_iter().flatten()
        {
            self.take_value(nested, depth + 1);
        }
        // OpenRouter's moderation says why, and nothing else has this list.
        if reasons.is_some_and(|reasons| reasons.get().starts_with('[')) {
            self.codes.push("moderation".to_owned());
        }
        // Google's list of facts; others' `details` is a text.
        for detail in details.and_then(list).into_iter().flatten() {
            if let Some([reason]) = pick(detail.get(), &["reason"]) {
                push(&mut self.codes, reason);
            }
        }
        for code in [code, error_code, reason] {
            self.status = self.status.or_else(|| code.and_then(status_of));
            push(&mut self.codes, code);
        }
        self.status = self.status.or_else(|| status.and_then(status_of));
        push(&mut self.codes, status);
        for kind in [kind, error_type, aws_type] {
            push(&mut self.types, kind);
        }
        if let Some(param) = param.and_then(string) {
            // Some put the sentence there (AQBot#93).
            if param.contains(' ') {
                self.texts.push(param.to_lowercase());
            }
            self.param.get_or_insert_with(|| param.into_owned());
        }
        if loc.is_some_and(|loc| loc.get().starts_with('[')) {
            self.located(loc, msg);
            return;
        }
        for text in [message, detail, msg, capital, error_message, title].into_iter().flatten() {
            self.take_value(text, depth + 1);
        }
    }

    /// One element of FastAPI's list: where in the request, and what.
    fn located(&mut self, loc: Option<&RawValue>, msg: Option<&RawValue>) {
        let parts = loc.and_then(list).unwrap_or_default();
        let place: Vec<_> =
            parts.into_iter().map(|part| string(part).unwrap_or_else(|| part.get().into())).collect();
        let text = format!("{}: {}", place.join("."), msg.and_then(string).unwrap_or_default());
        match &mut self.message {
            Some(message) if message.contains(&text) => {}
            Some(message) => {
                message.push_str("; ");
                message.push_str(&text);
            }
            None => self.message = Some(text.clone()),
        }
        self.texts.push(text.to_lowercase());
    }

    fn take_value(&mut self, value: &RawValue, depth: usize) {
        let Some(text) = string(value) else { return self.take(value.get(), depth) };
        let trimmed = text.trim();
        // Proxies put the whole error they got into their own as text.
        if trimmed.starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(trimmed).is_ok() {
            let before = self.texts.len();
            self.take(trimmed, depth + 1);
            if self.texts.len() > before {
                return;
            }
        }
        self.say(trimmed);
    }

    /// A text for people; the first is shown.
    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.texts.push(text.to_lowercase());
        self.message.get_or_insert_with(|| text.to_owned());
    }
}

/// An object whose `message` is a text.
fn is_readable(error: &RawValue) -> bool {
    let message = pick(error.get(), &["message"]).and_then(|[message]| message);
    message.and_then(string).is_some_and(|message| !message.trim().is_empty())
}

/// A status, as a number or as text.
fn status_of(raw: &RawValue) -> Option<u64> {
    let number = whole_number(raw).or_else(|| string(raw)?.parse().ok());
    number.filter(|status| (400..600).contains(status))
}

/// A code or type, in lower case, without the namespace that AWS puts before it.
fn push(into: &mut Vec<String>, raw: Option<&RawValue>) {
    let Some(raw) = raw else { return };
    let text = match string(raw) {
        Some(text) => text.rsplit('#').next().unwrap_or_default().to_ascii_lowercase(),
        None if raw.get().starts_with(|first: char| first.is_ascii_digit()) => raw.get().to_owned(),
        None => return,
    };
    if !text.is_empty() {
        into.push(text);
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

//! One attempt, from its sending to its end.

use crate::core::config::{Failure, Kind};
use crate::core::health::Shown;
use crate::core::route::Target;
use crate::core::secret::OriginSecrets;
use moegate_wire::{Ending, Usage};
use serde::Serialize;
use std::fmt::Write;

pub(super) struct Tried<'a> {
    pub(super) target: Target<'a>,
    pub(super) secrets: OriginSecrets<'a>,
    /// Of this attempt; the first one's is the request's.
    pub(super) id: String,
    /// As it was when the attempt began.
    pub(super) breaker: Shown,
    pub(super) began_ms: u64,
    /// When the answer's head came, or the attempt failed without one.
    pub(super) head_ms: u64,
    pub(super) ended_ms: u64,
    /// What the client gets, or would have got.
    pub(super) status: u16,
    pub(super) failure: Option<Failure>,
    pub(super) ending: Ending,
    /// What the answer itself says.
    pub(super) usage: Option<Usage>,
    /// Whether these counts are all: not so where a stream broke off that told of them as it went.
    pub(super) counted: bool,
    /// Its stream was not read: only a receipt knows how it ended.
    pub(super) relayed: bool,
}

/// As answers tell it.
#[derive(Serialize)]
struct Entry<'a> {
    origin: &'a str,
    model: &'a str,
    reason: &'a str,
    ms: u64,
    breaker: &'a str,
}

#[derive(Serialize)]
struct Note<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: [(); 0],
    moegate: Facts<'a>,
}

#[derive(Serialize)]
struct Facts<'a> {
    model_asked: &'a str,
    model: &'a str,
    origin: &'a str,
    attempts: Vec<Entry<'a>>,
}

impl Tried<'_> {
    /// Whether only our own server's receipt says what it used.
    pub(super) fn needs_receipt(&self) -> bool {
        self.relayed || self.usage.is_none() && self.target.origin.kind == Kind::Moegate
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            origin: &self.target.origin.name,
            model: &self.target.model.name,
            reason: match (self.failure, self.ending) {
                (Some(failure), _) => failure.name(),
                (None, Ending::Cancelled) => "cancelled",
                (None, _) => "ok",
            },
            ms: self.head_ms.saturating_sub(self.began_ms),
            breaker: self.breaker.name(),
        }
    }
}

/// The header `x-moegate-attempt-log`: a list with parameters (RFC 8941).
pub(super) fn log(tried: &[Tried<'_>]) -> String {
    let mut text = String::with_capacity(96 * tried.len());
    for (number, tried) in tried.iter().enumerate() {
        let Entry { origin, model, reason, ms, breaker } = tried.entry();
        let comma = if number > 0 { ", " } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{origin};model=\"");
        for character in model.chars() {
            // The two that a quoted string escapes; the validator lets no control characters through.
            if matches!(character, '\\' | '"') {
                text.push('\\');
            }
            text.push(character);
        }
        let _ = write!(text, "\";reason={reason};ms={ms};breaker={breaker}");
    }
    text
}

/// The event that tells the same within a stream.
pub(super) fn note(tried: &[Tried<'_>], asked: &str, id: &str, chat: bool) -> String {
    let Some(last) = tried.last() else { return String::new() };
    let note = Note {
        id,
        object: if chat { "chat.completion.chunk" } else { "text_completion" },
        created: last.began_ms / 1000,
        model: asked,
        choices: [],
        moegate: Facts {
            model_asked: asked,
            model: &last.target.model.name,
            origin: &last.target.origin.name,
            attempts: tried.iter().map(Tried::entry).collect(),
        },
    };
    // Plain strings and numbers always serialise.
    format!("data: {}\n\n", serde_json::to_string(&note).unwrap_or_default())
}

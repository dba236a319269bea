//! One attempt at one origin, from its sending to its end.

use super::context::Skipped;
use super::reserve::Reservation;
use crate::config::{Failure, Kind};
use crate::dialect::counts::Counts;
use crate::dialect::{AttemptEntry, AttemptNote};
use crate::resilience::health::BreakerState;
use crate::routing::Target;
use crate::secret::OriginSecrets;
use moegate_wire::{Ending, Nanodollars};
use std::fmt::Write;

pub(super) struct Attempt<'a> {
    pub(super) target: Target<'a>,
    pub(super) secrets: OriginSecrets<'a>,
    /// Of this attempt; the first one's is the request's.
    pub(super) id: String,
    /// As it was when the attempt began.
    pub(super) breaker: BreakerState,
    pub(super) began_ms: u64,
    /// When the answer's head came, or the attempt failed without one.
    pub(super) head_ms: u64,
    pub(super) ended_ms: u64,
    /// What the client gets, or would have got.
    pub(super) status: u16,
    pub(super) failure: Option<Failure>,
    pub(super) ending: Ending,
    /// What the answer itself says.
    pub(super) counts: Option<Counts>,
    /// Whether these counts are all: not so where a stream broke off that told of them as it went.
    pub(super) counted: bool,
    /// Its stream was not read: only a receipt knows how it ended.
    pub(super) relayed: bool,
    /// What the ledger holds for it; none where there is no ledger.
    pub(super) reservation: Option<Reservation>,
}

impl Attempt<'_> {
    /// Whether only our own server's receipt says what it used.
    pub(super) fn needs_receipt(&self) -> bool {
        self.relayed || self.counts.is_none() && self.target.origin.kind == Kind::Moegate
    }

    /// What it costs, by the price that held when it began.
    pub(super) fn cost(&self, counts: &Counts) -> Nanodollars {
        counts.cost(&self.target.price_at(self.began_ms))
    }

    fn reason(&self) -> &'static str {
        match (self.failure, self.ending) {
            (Some(failure), _) => failure.name(),
            (None, Ending::Cancelled) => "cancelled",
            (None, _) => "ok",
        }
    }

    fn head_after_ms(&self) -> u64 {
        self.head_ms.saturating_sub(self.began_ms)
    }
}

/// The header `x-moegate-attempt-log`: a list with parameters (RFC 8941), of the attempts and of the targets that were not
/// asked, in their order.
pub(super) fn log(attempts: &[Attempt<'_>], skipped: &[Skipped<'_>]) -> String {
    let mut text = String::with_capacity(96 * (attempts.len() + skipped.len()));
    for number in 0..=attempts.len() {
        for Skipped { target, params, .. } in skipped.iter().filter(|skipped| skipped.before == number) {
            entry(&mut text, target);
            text.push_str("\";reason=unsupported;params=\"");
            quote(&mut text, &some_of(params, ","));
            text.push('"');
        }
        let Some(attempt) = attempts.get(number) else { break };
        entry(&mut text, &attempt.target);
        let (reason, ms, breaker) = (attempt.reason(), attempt.head_after_ms(), attempt.breaker.name());
        // Writing to a String cannot fail.
        let _ = write!(text, "\";reason={reason};ms={ms};breaker={breaker}");
    }
    text
}

/// So many names stand in a header at most: a client can send as many as it likes.
const MOST_NAMES: usize = 8;

/// The first of the names, and how many more there are.
pub(super) fn some_of(names: &[String], between: &str) -> String {
    let mut text = names[..names.len().min(MOST_NAMES)].join(between);
    if names.len() > MOST_NAMES {
        let _ = write!(text, "{between}+{}", names.len() - MOST_NAMES);
    }
    text
}

fn entry(text: &mut String, target: &Target<'_>) {
    let comma = if text.is_empty() { "" } else { ", " };
    // Writing to a String cannot fail.
    let _ = write!(text, "{comma}{};model=\"", target.origin.name);
    quote(text, &target.model.name);
}

/// A quoted string's inside: printable ASCII, with the two that it escapes.
fn quote(text: &mut String, inside: &str) {
    for character in inside.chars() {
        if matches!(character, '\\' | '"') {
            text.push('\\');
        }
        let is_shown = character == ' ' || character.is_ascii_graphic();
        text.push(if is_shown { character } else { '?' });
    }
}

/// The same within a stream, before the attempt whose stream it is has an answer.
pub(super) fn note(
    before: &[Attempt<'_>],
    target: &Target<'_>,
    breaker: BreakerState,
    began_ms: u64,
    asked: &str,
) -> AttemptNote {
    let entry = |attempt: &Attempt<'_>| AttemptEntry {
        origin: attempt.target.origin.name.clone(),
        model: attempt.target.model.name.clone(),
        reason: attempt.reason(),
        ms: attempt.head_after_ms(),
        breaker: attempt.breaker.name(),
        began_ms: attempt.began_ms,
        status: attempt.status,
    };
    let (origin, model) = (target.origin.name.clone(), target.model.name.clone());
    let own = AttemptEntry {
        origin: origin.clone(),
        model: model.clone(),
        reason: "ok",
        ms: 0,
        breaker: breaker.name(),
        began_ms,
        status: 200,
    };
    let attempts = before.iter().map(entry).chain([own]).collect();
    AttemptNote { asked_model: asked.to_owned(), model, origin, attempts }
}

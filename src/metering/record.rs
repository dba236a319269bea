//! The usage record: one per attempt.
//!
//! Without a ledger it is written once under a key of its own. Nothing is read before it is written, so concurrent
//! requests lose nothing. What sums need rides in the key's metadata (at most 1,024 bytes on Workers KV), so that
//! `GET /usage` lists without reading each record.

use super::config_version::ConfigVersion;
use crate::config::Failure;
use crate::ledger::operation::Amounts;
use crate::stream::Seen;
use moegate_wire::{Ending, Nanodollars, Receipt, Usage};
use serde::{Deserialize, Serialize};

/// Everything that is kept of one attempt; no content, no key, no URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the attempt: the request's, with `-2` and so on behind it for further attempts. Ids sort by time.
    pub id: String,
    #[serde(default)]
    pub state: State,
    /// Which attempt of the request it is: 1, 2, …
    #[serde(default = "first")]
    pub attempt: u32,
    /// Whether it is the last one: its answer is the client's.
    #[serde(default = "yes")]
    pub last: bool,
    /// Exhausted it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The client key's name.
    pub key: String,
    /// Its tenant; of a key without one, the key's name.
    #[serde(default)]
    pub tenant: String,
    /// The model the client asked for.
    pub model: String,
    /// The route's.
    #[serde(default)]
    pub route: String,
    /// The end user, as the client names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the client says that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The model's name at the origin.
    pub served_model: String,
    pub origin: String,
    pub stream: bool,
    /// The status the client got, or would have got if no attempt had followed.
    pub status: u16,
    pub ending: Ending,
    pub usage: Usage,
    /// Whether the counts are known. Where not (an origin died, a client left a third party's stream), they are zero
    /// here, and the origin may bill more.
    pub metered: bool,
    /// The origin did not say all of the counts, or said what cannot be: something of them was worked out or corrected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// By the configured price; of an estimate, see [`State`].
    pub cost_nanodollars: Nanodollars,
    /// The most that it could cost and the most tokens that it could take, as reserved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bound_nanodollars: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bound_tokens: u64,
    /// Which price it is counted by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub price: String,
    /// Which configuration it was served by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigVersion>,
    /// What the origin itself says that it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_cost_nanodollars: Option<Nanodollars>,
    /// Unix milliseconds.
    pub started_ms: u64,
    /// Milliseconds from the start to the answer's head, and to the end.
    pub head_after_ms: u64,
    pub ended_after_ms: u64,
    /// What the origin's receipt says of its own time, in micro-seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_time: Option<OriginTime>,
    /// The time that our own server's engine took for it, in micro-seconds: its share of every step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub busy_us: u64,
    /// It is an answer out of the cache: no origin was asked, and it cost nothing. Model and origin are those that made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache_hit: bool,
}

/// How far an attempt's account is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way; its cost is the upper bound.
    Pending,
    #[default]
    Settled,
    /// Nobody knows exactly what it used. Its cost is that of what was seen of it, or the upper bound where nothing was,
    /// until something exact comes.
    Estimated,
}

impl State {
    /// As it stands in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settled => "settled",
            Self::Estimated => "estimated",
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn first() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// From a receipt, in micro-seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginTime {
    pub queue_us: u64,
    pub prefill_us: u64,
    pub decode_us: u64,
}

impl From<&Receipt> for OriginTime {
    fn from(receipt: &Receipt) -> Self {
        Self { queue_us: receipt.queue_us, prefill_us: receipt.prefill_us, decode_us: receipt.decode_us }
    }
}

/// What sums need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    #[serde(rename = "k")]
    pub key: String,
    #[serde(rename = "m")]
    pub model: String,
    #[serde(rename = "o")]
    pub origin: String,
    #[serde(rename = "e")]
    pub ending: Ending,
    /// Prompt, cached, completion, reasoning tokens; cost in nano-dollars; 1 if metered.
    #[serde(rename = "n")]
    pub numbers: [u64; 6],
    /// An attempt that another one followed: no request of its own.
    #[serde(default, rename = "a", skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// An answer out of the cache.
    #[serde(default, rename = "h", skip_serializing_if = "std::ops::Not::not")]
    pub cache_hit: bool,
    /// What the origin says that it cost, in nano-dollars.
    #[serde(default, rename = "u", skip_serializing_if = "Option::is_none")]
    pub upstream_cost: Option<u64>,
}

/// How a relayed stream ended: what the gateway saw of the pipe, and what the origin's receipt says.
#[must_use]
pub fn relayed_ending(pipe: Ending, receipt: Option<&Receipt>) -> Ending {
    match (pipe, receipt.map(|receipt| receipt.ending)) {
        // The pipe closed cleanly though the origin had not finished, or saw its peer leave, or is gone: something
        // between them cut it. Nobody vouches for its being whole.
        (Ending::Complete, Some(Ending::Running | Ending::Cancelled) | None) => Ending::Truncated,
        (Ending::Complete, Some(ending)) => ending,
        (pipe, _) => pipe,
    }
}

/// How a pumped stream ended: what the gateway saw of the connections, and what the scanner saw. A client that closes at
/// the end mark, as some do, has everything.
#[must_use]
pub fn pumped_ending(connection: Ending, seen: Option<Seen>) -> Ending {
    match (connection, seen) {
        (Ending::Cancelled, Some(Seen { done: true, error: false, .. })) => Ending::Complete,
        (connection, _) => connection,
    }
}

const MOST_NANODOLLARS: u64 = (1 << 53) - 1;

impl Record {
    /// Where it is kept without a ledger: `usage/2026-11-21/<id>`.
    #[must_use]
    pub fn storage_key(&self) -> String {
        format!("{PREFIX}{}/{}", day(self.started_ms), self.id)
    }

    /// The request's id.
    #[must_use]
    pub fn request(&self) -> &str {
        self.id.split_once('-').map_or(&self.id, |(request, _)| request)
    }

    /// What it counts against limits.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        let used = self.usage.prompt.saturating_add(self.usage.completion);
        let tokens = match self.state {
            State::Settled => used,
            State::Estimated if used > 0 => used,
            State::Pending | State::Estimated => self.bound_tokens,
        };
        Amounts { requests: u64::from(self.attempt == 1), tokens, cost: self.cost_nanodollars.0 }
    }

    /// The same with what our own server says of it.
    #[must_use]
    pub fn settled_by(mut self, receipt: &Receipt) -> Self {
        self.ending = relayed_ending(self.ending, Some(receipt));
        self.state = State::Settled;
        self.usage = receipt.usage;
        self.metered = true;
        self.cost_nanodollars = receipt.cost;
        self.origin_time = Some(receipt.into());
        self.busy_us = receipt.busy_us;
        self
    }

    /// As it stands in JSON.
    #[must_use]
    pub fn ending_name(&self) -> &'static str {
        ending_name(self.ending)
    }

    /// What sums have it under: its ending, or that it is an answer out of the cache.
    #[must_use]
    pub fn ending_in_sums(&self) -> &'static str {
        if self.cache_hit { CACHED } else { self.ending_name() }
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        let Usage { prompt, cached, completion, reasoning, .. } = self.usage;
        // Metadata passes through JavaScript's numbers, which are exact up to here: nine million dollars.
        let cost = self.cost_nanodollars.0.min(MOST_NANODOLLARS);
        Summary {
            key: self.key.clone(),
            model: self.model.clone(),
            origin: self.origin.clone(),
            ending: self.ending,
            numbers: [prompt, cached, completion, reasoning, cost, u64::from(self.metered)],
            superseded: !self.last,
            cache_hit: self.cache_hit,
            upstream_cost: self.upstream_cost_nanodollars.map(|cost| cost.0.min(MOST_NANODOLLARS)),
        }
    }
}

/// What sums have answers out of the cache under, in an ending's place.
pub const CACHED: &str = "cached";

pub(super) fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Running => "running",
        Ending::Complete => "complete",
        Ending::Error => "error",
        Ending::Cancelled => "cancelled",
        Ending::Truncated => "truncated",
    }
}

/// What all storage keys begin with.
pub const PREFIX: &str = "usage/";

/// The UTC date of a unix time in milliseconds (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
#[must_use]
pub fn day(ms: u64) -> String {
    let z = ms / 86_400_000 + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A unix time in milliseconds as RFC 3339 has it, in UTC.
#[must_use]
pub fn moment(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!("{}T{:02}:{:02}:{:02}Z", day(ms), seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_735_689_599, "2024-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(day(seconds * 1000), expected);
        }
    }

    #[test]
    fn each_attempt_has_a_key_of_its_own_and_old_records_are_first_attempts() {
        let old = r#"{"id":"x","key":"k","model":"m","served_model":"m","origin":"o","stream":false,"status":200,
            "ending":"complete","usage":{"prompt":1,"cached":0,"completion":1,"reasoning":0},"metered":true,
            "cost_nanodollars":1,"started_ms":0,"head_after_ms":1,"ended_after_ms":2}"#;
        let first: Record = serde_json::from_str(old).unwrap();
        assert_eq!((first.attempt, first.last, first.failure), (1, true, None));
        assert_eq!(
            (first.storage_key(), first.summary().superseded),
            ("usage/1970-01-01/x".to_owned(), false)
        );
        let second =
            Record { id: "x-2".into(), attempt: 2, last: false, failure: Some(Failure::Timeout), ..first };
        assert_eq!(second.request(), "x");
        assert_eq!(
            (second.storage_key(), second.summary().superseded),
            ("usage/1970-01-01/x-2".to_owned(), true)
        );
        let text = serde_json::to_string(&second).unwrap();
        assert!(text.contains("\"failure\":\"timeout\""), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), second);
    }

    #[test]
    fn endings_of_relayed_streams() {
        let receipt = |ending| Receipt {
            id: String::new(),
            model: String::new(),
            usage: Usage::default(),
            ending,
            finish_reason: None,
            created_ms: 0,
            queue_us: 0,
            prefill_us: 0,
            decode_us: 0,
            busy_us: 0,
            cost: Nanodollars(0),
        };
        use Ending::{Cancelled, Complete, Error, Running, Truncated};
        for (pipe, receipt_ending, expected) in [
            (Complete, Some(Complete), Complete),
            (Complete, Some(Error), Error),
            (Complete, Some(Running), Truncated),
            (Complete, Some(Cancelled), Truncated),
            (Complete, None, Truncated),
            (Cancelled, Some(Complete), Cancelled),
            (Cancelled, None, Cancelled),
            (Truncated, Some(Complete), Truncated),
            (Truncated, None, Truncated),
        ] {
            let receipt = receipt_ending.map(receipt);
            assert_eq!(relayed_ending(pipe, receipt.as_ref()), expected, "{pipe:?} {receipt_ending:?}");
        }
    }

    #[test]
    fn a_client_that_closes_at_the_end_mark_has_everything() {
        let seen = |done, error| Some(Seen { done, error, ..Seen::default() });
        for (connection, seen, expected) in [
            (Ending::Cancelled, seen(true, false), Ending::Complete),
            (Ending::Cancelled, seen(false, false), Ending::Cancelled),
            (Ending::Cancelled, seen(true, true), Ending::Cancelled),
            (Ending::Cancelled, None, Ending::Cancelled),
            (Ending::Truncated, seen(true, false), Ending::Truncated),
        ] {
            assert_eq!(pumped_ending(connection, seen), expected);
        }
    }

    /// Workers KV takes 1,024 bytes of metadata.
    #[test]
    fn the_longest_summary_fits_the_metadata() {
        let summary = Summary {
            key: "k".repeat(64),
            model: "m".repeat(200),
            origin: "o".repeat(64),
            ending: Ending::Truncated,
            numbers: [u64::MAX; 6],
            superseded: true,
            cache_hit: true,
            upstream_cost: Some(u64::MAX),
        };
        assert!(serde_json::to_string(&summary).unwrap().len() <= 1_024);
    }
}

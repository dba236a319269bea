//! What a shard of the ledger is asked to do, and what it answers: JSON, one text each.
//!
//! Each operation can be repeated: one whose answer was lost is sent again as it was, and nothing counts twice.

use crate::metering::record::Record;
use crate::wake::{Answer, Ask, EndedWake};
use moegate_wire::Receipt;
use moegate_wire::period::Period;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Before an attempt is sent.
    Reserve(Reserve),
    /// What it has come to. The first settlement with exact counts holds.
    Settle(Box<Settle>),
    /// It was not sent after all.
    Release { id: String },
    /// The pending attempts whose deadline is over; they are not given again before `again_ms`.
    Overdue { now_ms: u64, again_ms: u64, limit: u32 },
    /// What our own server, the origin of that name, says of attempts of its own.
    Receipts { origin: String, receipts: Vec<Receipt> },
    /// What instances of our own server say of hours.
    ReportPeriods { origin: String, periods: Vec<Period> },
    /// A request with an idempotency key has come.
    Claim(Claim),
    /// It is answered; what is given again.
    Keep { key: String, owner: String, until_ms: u64, reply: String },
    /// It was not answered: the next one may try.
    Forget { key: String, owner: String },
    /// Sums.
    Totals(Totals),
    /// What the instances of an own origin did.
    Periods { origin: String, from_ms: u64, to_ms: u64 },
    /// Records, in the order of their ids.
    Rows(Rows),
    /// The records of one request.
    Request { id: String },
    /// Takes the end user's name out of all records.
    ForgetUser { user: String },
    /// Deletes records of attempts that began before `before_id`; the sums stay.
    Prune { before_id: String, now_ms: u64 },
    /// The hours whose sums have changed since they were published, with their sums.
    Publish,
    /// These have been published.
    Published,
    /// A new version of the configuration.
    PushConfig(PushConfig),
    /// The versions of the configuration, and the text of one.
    ReadConfig { version: Option<u32> },
    /// What has to be written for instances, and what has been.
    PublishConfig(PublishConfig),
    /// Keys made at run time.
    Keys(super::keys::KeyOperation),
    /// Of an origin that sleeps.
    Wake { origin: String, ask: Ask, now_ms: u64 },
    /// Its last wakes.
    Wakes { origin: String, limit: u32 },
}

/// Room for an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// Of the attempt.
    pub id: String,
    /// When it must be over.
    pub until_ms: u64,
    pub amounts: Amounts,
    /// What it is held against.
    pub holds: Vec<Hold>,
    /// The record as far as it is known, its cost the upper bound; none in a shard that only keeps limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Written>,
}

/// A record as JSON: a shard keeps it as it came, and neither reads it nor writes it anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl Written {
    /// `None` where it cannot be written, which every record can.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        serde_json::value::to_raw_value(record).ok().map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Written {}

/// What limits count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// 1 for the first attempt of a request, 0 for further ones. Of an origin's limits: 1 for each attempt.
    pub requests: u64,
    pub tokens: u64,
    /// Nano-dollars.
    pub cost: u64,
}

/// The limits of one scope in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// `key/app`, `tenant/acme`, `route/chat`, `origin/gpu`.
    pub scope: String,
    /// Unix milliseconds of the window's beginning and end. Of the attempts under way: zero both.
    pub from_ms: u64,
    pub to_ms: u64,
    /// The limits: requests, tokens, nano-dollars. In the window of what is under way `requests` are those at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

impl Hold {
    /// Whether it counts what is under way.
    pub fn is_of_concurrency(&self) -> bool {
        self.to_ms == 0
    }
}

/// The end of an attempt. With a record that is pending: it is over, but what it used has still to be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Of the attempt.
    pub id: String,
    pub amounts: Amounts,
    /// What it is held against, where it may be that nothing was reserved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// None in a shard that only keeps limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// When it is overdue, where it stays pending.
    #[serde(default)]
    pub again_ms: u64,
}

/// A request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A hash of the client key and the idempotency key.
    pub key: String,
    /// A hash of what is asked.
    pub content: String,
    /// Who asks: the request's id.
    pub owner: String,
    pub now_ms: u64,
    /// When the one that holds the claim must be over.
    pub until_ms: u64,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Sums over a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Unix milliseconds, whole hours; the end is not in it.
    pub from_ms: u64,
    pub to_ms: u64,
    /// By which further dimension, besides key, tenant, model, origin, route and ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    #[serde(default)]
    pub filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Hour,
    Day,
    /// Summed over the records themselves, as far back as they are kept.
    User,
    Tag,
}

/// Records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Behind this id, up to and without that one.
    pub after: String,
    pub before: String,
    pub limit: u32,
    #[serde(default)]
    pub filter: Filter,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Reserved, with what is left of each hold.
    Reserved {
        left: Vec<Left>,
    },
    /// Nothing is reserved.
    Refused(Refused),
    Done,
    Overdue {
        pending: Vec<Pending>,
    },
    Claimed(Claimed),
    Totals {
        sums: Vec<Sums>,
    },
    Periods(PeriodSums),
    Rows {
        records: Vec<Record>,
    },
    Published {
        hours: Vec<Sums>,
    },
    /// Whether the version that was expected was the latest, and which one is by now.
    Pushed {
        made: bool,
        latest: u32,
    },
    Configs(Configs),
    Keys(super::keys::KeyOutcome),
    Lifecycle(Box<Answer>),
    Wakes {
        wakes: Vec<EndedWake>,
    },
}

/// What is left of a hold after a reservation: the limits less everything that is used and reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

/// The limit that would be exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its place among the holds.
    pub hold: usize,
    pub what: Counted,
    /// What is used and reserved already.
    pub used: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    Requests,
    Tokens,
    Cost,
}

/// An attempt that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub id: String,
    pub amounts: Amounts,
    pub record: Option<Record>,
    /// What our own server has said of it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// What a request with an idempotency key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claimed {
    First,
    /// Another one is under way.
    Running,
    Again {
        reply: String,
    },
    /// The key belongs to another request.
    Differs,
}

/// Sums over attempts that are the same in these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    pub key: String,
    pub tenant: String,
    pub model: String,
    pub origin: String,
    pub route: String,
    pub ending: String,
    /// The hour or day (Unix milliseconds), user or tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    pub numbers: Numbers,
}

/// In this order: requests, attempts (answers out of the cache are none), unmetered attempts, estimated attempts, prompt, cached, cache-write, completion and
/// reasoning tokens, nano-dollars, what origins say that they charge, what our prices make of the same attempts, busy
/// micro-seconds.
pub type Numbers = [u64; 13];

/// What the instances of an own origin were doing, in micro-seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodSums {
    pub busy_us: u64,
    pub idle_us: u64,
    pub cold_us: u64,
}

/// A configuration that shall hold from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushConfig {
    /// The version that it replaces: the latest one, or nothing happens.
    pub expected: u32,
    /// Its own version follows from that.
    pub row: ConfigRow,
    /// JSON.
    pub config: String,
}

/// A version of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRow {
    pub version: u32,
    /// When and by whom it was made.
    pub at_ms: u64,
    pub who: String,
    /// What they say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The SHA-256 of its text, in hex digits, and of the compiled-in configuration that it was made for.
    pub hash: String,
    pub base: String,
    /// The version whose text it has again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<u32>,
}

/// A writer of what instances read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishConfig {
    /// The version that it has written, and the one whose writer it is.
    pub written: Option<u32>,
    pub own: Option<u32>,
    /// Whoever wrote a version of before then has come to an end.
    pub before_ms: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configs {
    pub rows: Vec<ConfigRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

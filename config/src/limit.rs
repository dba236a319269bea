//! Limits and budgets, and where the account is kept.

use crate::Dollars;
use serde::{Deserialize, Serialize};

/// What may be used within one window of time, or at once. A request is refused before it is sent if it could exceed one:
/// its tokens and its cost are reserved at their upper bound, and what it did not use is given back at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// The window, from its beginning in UTC: `minute`, `hour`, `day`, `month`. With `requests`, `tokens` or `dollars`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Window>,
    /// Requests; one counts once, however often it is tried. At an origin each attempt there counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens, of prompts and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars, as a string such as `"500"`: a budget. What exceeds it is answered 402.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars: Option<Dollars>,
    /// Percent of `dollars` from which answers carry the header `x-moegate-budget`, and a line is in the log. 1 to 99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_percent: Option<u32>,
    /// Requests at once; at an origin, attempts. Without `per`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
}

/// A window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// From the full minute.
    Minute,
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From the first of the month.
    Month,
}

impl Window {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What several keys share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// As in the keys' `tenant`. One without keys any more stays here until its records are not kept any longer: what does not
    /// stand in this file is not read.
    pub name: String,
    /// Limits of all of its keys together.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// Where the account of all attempts is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// The kind of store.
    pub store: LedgerStore,
    /// When an attempt is sent whose reservation no limit can refuse.
    pub reserve: ReserveOrder,
    /// Days for which the records of single attempts are kept; their sums by hour stay. 1 to 3650.
    pub keep_days: u32,
    /// Minutes for which our own server is asked for the receipt of an attempt that is not accounted for; after that its
    /// upper bound is charged, until the receipt comes after all. 1 to 10080.
    pub receipt_minutes: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            store: LedgerStore::default(),
            reserve: ReserveOrder::default(),
            keep_days: 90,
            receipt_minutes: 60,
        }
    }
}

/// The kind of store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LedgerStore {
    /// A database with transactions: a Durable Object for each tenant on Workers, the component's SQLite on Spin. Exact, and
    /// needed for limits.
    #[default]
    Database,
    /// A record under a key of its own, written when an answer has ended, for hosts without a database. A crash loses the
    /// records of what it interrupts, and there are no limits.
    KeyValue,
}

/// When an attempt is sent. Where a limit may refuse it, always after its reservation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReserveOrder {
    /// When its reservation is durable: nothing is sent that could be lost from the account. Costs the time to the ledger
    /// and back.
    #[default]
    First,
    /// At the same time; the client gets nothing before the reservation is durable. What is sent while the ledger cannot be
    /// reached, by an instance that then ends before it can be, stands in the log only. On Spin as `first`.
    Meanwhile,
}

/// What happens to requests while the ledger cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnLedgerFailure {
    /// They are answered 503: nothing is spent that is not accounted for.
    #[default]
    Closed,
    /// They are served, without limits; what they used is written down as soon as the ledger answers, or in the log.
    Open,
}

//! The answer of `GET /usage`: sums over the summaries of a period.

use super::record::{PREFIX, Summary, ending_name};
use crate::error::{ApiError, shown_name};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which records are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// `2026`, `2026-11`, `2026-11-21`; empty for all.
    pub period: String,
    /// Where an earlier answer left off.
    pub cursor: Option<String>,
}

impl Query {
    /// Reads the part of the path behind `?`.
    ///
    /// # Errors
    /// 400 for an unknown parameter or a period of another form.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("period", period) if is_period(period) => period.clone_into(&mut parsed.period),
                ("period", _) => {
                    return Err(ApiError::invalid(
                        "invalid_period",
                        Some("period"),
                        "`period` must be a year, month or day in UTC, such as 2026, 2026-11 or 2026-11-21",
                    ));
                }
                ("cursor", cursor) => {
                    parsed.cursor = Some(decode_cursor(cursor).ok_or_else(|| {
                        ApiError::invalid(
                            "invalid_cursor",
                            Some("cursor"),
                            "`cursor` must be the `next_cursor` of an earlier answer",
                        )
                    })?);
                }
                (name, _) => {
                    return Err(ApiError::invalid(
                        "unknown_parameter",
                        None,
                        format!(
                            "there is no parameter {}; there are `period` and `cursor`",
                            serde_json::Value::from(shown_name(name))
                        ),
                    ));
                }
            }
        }
        Ok(parsed)
    }

    /// What the storage keys begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        let whole = if self.period.is_empty() {
            ""
        } else if self.period.len() == 10 {
            "/"
        } else {
            "-"
        };
        format!("{PREFIX}{}{whole}", self.period)
    }
}

/// The store's cursor in hex, so that it passes through a URL whatever it holds.
#[must_use]
pub fn encode_cursor(cursor: &str) -> String {
    moegate_wire::sign::to_hex(cursor.as_bytes())
}

fn decode_cursor(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    String::from_utf8(bytes.collect::<Result<_, _>>().ok()?).ok()
}

fn is_period(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    matches!(parts.len(), 1..=3) && digits(parts[0], 4) && parts[1..].iter().all(|part| digits(part, 2))
}

/// Sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    pub requests: u64,
    /// Calls to origins: more than the requests where some were tried again.
    pub attempts: u64,
    /// Attempts whose counts are not known; they are zero in the sums.
    pub unmetered_attempts: u64,
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    pub reasoning_tokens: u64,
    pub cost_nanodollars: u64,
    /// What origins say that they charge for the attempts of which they say it, and what the configured prices make of the
    /// same attempts. Not there where no origin says anything.
    #[serde(skip_serializing_if = "is_zero")]
    pub upstream_cost_nanodollars: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_beside_upstream_nanodollars: u64,
}

impl Totals {
    fn add(&mut self, summary: &Summary) {
        let [prompt, cached, completion, reasoning, cost, metered] = summary.numbers;
        self.requests += u64::from(!summary.superseded);
        self.attempts += 1;
        self.unmetered_attempts += u64::from(metered == 0);
        self.prompt_tokens = self.prompt_tokens.saturating_add(prompt);
        self.cached_tokens = self.cached_tokens.saturating_add(cached);
        self.completion_tokens = self.completion_tokens.saturating_add(completion);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(reasoning);
        self.cost_nanodollars = self.cost_nanodollars.saturating_add(cost);
        if let Some(upstream) = summary.upstream_cost {
            self.upstream_cost_nanodollars = self.upstream_cost_nanodollars.saturating_add(upstream);
            self.cost_beside_upstream_nanodollars =
                self.cost_beside_upstream_nanodollars.saturating_add(cost);
        }
    }
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    pub period: String,
    pub totals: Totals,
    pub by_key: BTreeMap<String, Totals>,
    pub by_model: BTreeMap<String, Totals>,
    pub by_origin: BTreeMap<String, Totals>,
    pub by_ending: BTreeMap<&'static str, Totals>,
    /// What is stored under `usage/` and is no record of this gateway: it is in no sum.
    #[serde(skip_serializing_if = "is_zero")]
    pub foreign_values: u64,
    /// Present where there is more than one answer holds: ask again with `cursor=` this, and add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl Report {
    pub fn add(&mut self, summary: &Summary) {
        self.totals.add(summary);
        self.by_key.entry(summary.key.clone()).or_default().add(summary);
        self.by_model.entry(summary.model.clone()).or_default().add(summary);
        self.by_origin.entry(summary.origin.clone()).or_default().add(summary);
        self.by_ending.entry(ending_name(summary.ending)).or_default().add(summary);
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use moegate_wire::Ending;

    #[test]
    fn queries() {
        let prefix = |query| Query::parse(query).map(|q| (q.prefix(), q.cursor)).map_err(|e| e.code);
        let cursor = format!("period=2026-11-21&cursor={}", encode_cursor("a=/é"));
        assert_eq!(prefix(""), Ok(("usage/".into(), None)));
        assert_eq!(prefix("period=2026"), Ok(("usage/2026-".into(), None)));
        assert_eq!(prefix("period=2026-11"), Ok(("usage/2026-11-".into(), None)));
        assert_eq!(prefix(&cursor), Ok(("usage/2026-11-21/".into(), Some("a=/é".into()))));
        for query in ["cursor=", "cursor=x", "cursor=abc", "cursor=ff", "cursor=é1"] {
            assert_eq!(prefix(query), Err("invalid_cursor"), "{query}");
        }
        for query in ["period=", "period=26", "period=2026-1", "period=2026-11-21-00", "period=../.."] {
            assert_eq!(prefix(query), Err("invalid_period"), "{query}");
        }
        assert_eq!(prefix("day=1"), Err("unknown_parameter"));
    }

    #[test]
    fn sums() {
        let summary = |key: &str, ending, metered| Summary {
            key: key.into(),
            model: "m".into(),
            origin: "o".into(),
            ending,
            numbers: [10, 4, 2, 1, 77, metered],
            superseded: false,
            upstream_cost: None,
        };
        let mut report = Report::default();
        report.add(&summary("a", Ending::Complete, 1));
        report.add(&Summary { upstream_cost: Some(80), ..summary("a", Ending::Cancelled, 1) });
        // Another attempt followed: its tokens and its cost count, but the request is one.
        report.add(&Summary { superseded: true, ..summary("b", Ending::Error, 1) });
        report.add(&summary("b", Ending::Truncated, 0));
        let totals = Totals {
            requests: 3,
            attempts: 4,
            unmetered_attempts: 1,
            prompt_tokens: 40,
            cached_tokens: 16,
            completion_tokens: 8,
            reasoning_tokens: 4,
            cost_nanodollars: 308,
            upstream_cost_nanodollars: 80,
            cost_beside_upstream_nanodollars: 77,
        };
        assert_eq!(
            (&report.totals, &report.by_model["m"], &report.by_origin["o"]),
            (&totals, &totals, &totals)
        );
        assert_eq!((report.by_key["a"].requests, report.by_ending["truncated"].unmetered_attempts), (2, 1));
        assert_eq!((report.by_ending["error"].requests, report.by_ending["error"].attempts), (0, 1));
    }
}

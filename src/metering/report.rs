//! The answer of `GET /usage`: sums over a period, of the ledger or of the summaries of records.

use super::record::{CACHED, Summary, ending_name};
use crate::ledger::operation::{By, PeriodSums, Sums};
use serde::Serialize;
use std::collections::BTreeMap;

/// Sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    pub requests: u64,
    /// Those that were answered out of the cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_hits: u64,
    /// Calls to origins: more than the requests where some were tried again.
    pub attempts: u64,
    /// Attempts whose counts are not known; they are zero in the sums.
    pub unmetered_attempts: u64,
    /// Those whose cost is an estimate.
    #[serde(skip_serializing_if = "is_zero")]
    pub estimated_attempts: u64,
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    pub completion_tokens: u64,
    pub reasoning_tokens: u64,
    pub cost_nanodollars: u64,
    /// What origins say that they charge for the attempts of which they say it, and what the configured prices make of the
    /// same attempts. Not there where no origin says anything.
    #[serde(skip_serializing_if = "is_zero")]
    pub upstream_cost_nanodollars: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_beside_upstream_nanodollars: u64,
    /// The time that our own servers' engines took, in micro-seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub busy_us: u64,
}

impl Totals {
    fn add_sums(&mut self, sums: &Sums) {
        let places = [
            &mut self.requests,
            &mut self.attempts,
            &mut self.unmetered_attempts,
            &mut self.estimated_attempts,
            &mut self.prompt_tokens,
            &mut self.cached_tokens,
            &mut self.cache_write_tokens,
            &mut self.completion_tokens,
            &mut self.reasoning_tokens,
            &mut self.cost_nanodollars,
            &mut self.upstream_cost_nanodollars,
            &mut self.cost_beside_upstream_nanodollars,
            &mut self.busy_us,
        ];
        for (place, number) in places.into_iter().zip(sums.numbers) {
            *place = place.saturating_add(number);
        }
        if sums.ending == CACHED {
            self.cache_hits = self.cache_hits.saturating_add(sums.numbers[0]);
        }
    }

    fn add(&mut self, summary: &Summary) {
        let [prompt, cached, completion, reasoning, cost, metered] = summary.numbers;
        self.requests += u64::from(!summary.superseded);
        self.cache_hits += u64::from(summary.cache_hit);
        self.attempts += u64::from(!summary.cache_hit);
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
    pub by_ending: BTreeMap<String, Totals>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_tenant: BTreeMap<String, Totals>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_route: BTreeMap<String, Totals>,
    /// As asked for by `by`: hours and days are Unix milliseconds of their beginning.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_hour: BTreeMap<String, Totals>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_day: BTreeMap<String, Totals>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_user: BTreeMap<String, Totals>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_tag: BTreeMap<String, Totals>,
    /// What our own origins' servers did in the time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, PeriodSums>,
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
        let ending = if summary.cache_hit { CACHED } else { ending_name(summary.ending) };
        self.by_ending.entry(ending.to_owned()).or_default().add(summary);
    }

    /// Adds a row of the ledger's, which was summed by `by` too.
    pub fn add_sums(&mut self, sums: &Sums, by: Option<By>) {
        self.totals.add_sums(sums);
        for (totals, name) in [
            (&mut self.by_key, &sums.key),
            (&mut self.by_model, &sums.model),
            (&mut self.by_origin, &sums.origin),
            (&mut self.by_ending, &sums.ending),
            (&mut self.by_tenant, &sums.tenant),
            (&mut self.by_route, &sums.route),
        ] {
            totals.entry(name.clone()).or_default().add_sums(sums);
        }
        let further = match by {
            None => return,
            Some(By::Hour) => &mut self.by_hour,
            Some(By::Day) => &mut self.by_day,
            Some(By::User) => &mut self.by_user,
            Some(By::Tag) => &mut self.by_tag,
        };
        further.entry(sums.by.clone()).or_default().add_sums(sums);
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
    fn sums() {
        let summary = |key: &str, ending, metered| Summary {
            key: key.into(),
            model: "m".into(),
            origin: "o".into(),
            ending,
            numbers: [10, 4, 2, 1, 77, metered],
            superseded: false,
            cache_hit: false,
            upstream_cost: None,
        };
        let mut report = Report::default();
        report.add(&summary("a", Ending::Complete, 1));
        report.add(&Summary { upstream_cost: Some(80), ..summary("a", Ending::Cancelled, 1) });
        // Another attempt followed: its tokens and its cost count, but the request is one.
        report.add(&Summary { superseded: true, ..summary("b", Ending::Error, 1) });
        report.add(&summary("b", Ending::Truncated, 0));
        let hit =
            Summary { cache_hit: true, numbers: [0, 0, 0, 0, 0, 1], ..summary("c", Ending::Complete, 1) };
        report.add(&hit);
        let totals = Totals {
            requests: 4,
            cache_hits: 1,
            attempts: 4,
            unmetered_attempts: 1,
            estimated_attempts: 0,
            prompt_tokens: 40,
            cached_tokens: 16,
            cache_write_tokens: 0,
            completion_tokens: 8,
            reasoning_tokens: 4,
            cost_nanodollars: 308,
            upstream_cost_nanodollars: 80,
            cost_beside_upstream_nanodollars: 77,
            busy_us: 0,
        };
        assert_eq!(
            (&report.totals, &report.by_model["m"], &report.by_origin["o"]),
            (&totals, &totals, &totals)
        );
        assert_eq!((report.by_key["a"].requests, report.by_ending["truncated"].unmetered_attempts), (2, 1));
        assert_eq!((report.by_ending["cached"].requests, report.by_key["c"].cache_hits), (1, 1));
        assert_eq!((report.by_ending["error"].requests, report.by_ending["error"].attempts), (0, 1));
    }
}

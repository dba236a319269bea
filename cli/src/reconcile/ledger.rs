//! What the ledger has booked, by UTC day and model.

use super::figures::{Figures, NANODOLLAR, What};
use crate::rows::{self, Row, State};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Day and the model's name at the origin; without models an empty one.
    pub(super) lines: BTreeMap<(String, String), Booked>,
    /// Those whose attempts are here.
    pub(super) origins: BTreeSet<String>,
    pub(super) attempts: u64,
}

/// The attempts of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Booked {
    pub(super) figures: Figures,
    pub(super) unsettled: Unsettled,
    pub(super) reported: Reported,
}

/// Attempts whose amounts are not what the origin counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unsettled {
    pub(super) pending: u64,
    pub(super) estimated: u64,
    /// Settled without counts: what they used is not in the figures.
    pub(super) unmetered: u64,
    /// Nano-dollars that the pending and estimated ones are booked at, and that they can cost at most.
    pub(super) booked: u128,
    pub(super) highest: u128,
}

/// Where origins said themselves what an attempt costs: their sum, and what the ledger has for the same attempts, in
/// nano-dollars.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reported {
    pub(super) attempts: u64,
    pub(super) theirs: u128,
    pub(super) ours: u128,
}

/// # Errors
/// The file cannot be read, or is no export; no row is of that origin.
pub(super) fn read(file: &Path, origin: Option<&str>, by_model: bool) -> Result<Ledger, String> {
    let mut ledger = Ledger::default();
    let mut others = BTreeSet::new();
    rows::read(file, |row| {
        if origin.is_some_and(|origin| origin != row.origin) {
            others.insert(row.origin);
            return Ok(());
        }
        ledger.add(&row, by_model)
    })?;
    match origin {
        Some(origin) if ledger.attempts == 0 && !others.is_empty() => {
            let others: Vec<_> = others.into_iter().collect();
            Err(format!(
                "{} has no attempt at the origin `{origin}`; it has {}",
                rows::name(file),
                others.join(", ")
            ))
        }
        _ => Ok(ledger),
    }
}

impl Ledger {
    fn add(&mut self, row: &Row, by_model: bool) -> Result<(), String> {
        let day = moegate::metering::record::day(row.started_ms);
        let model = if by_model { row.served_model.clone() } else { String::new() };
        self.attempts += 1;
        if !self.origins.contains(&row.origin) {
            self.origins.insert(row.origin.clone());
        }
        self.lines.entry((day, model)).or_default().add(row)
    }
}

/// Nano-dollars: no attempt costs a hundred million dollars.
const MOST: u64 = 100_000_000 * 1_000_000_000;

impl Booked {
    fn add(&mut self, row: &Row) -> Result<(), String> {
        if row.booked().max(row.highest()) > MOST {
            return Err(format!(
                "the attempt {} costs {} nano-dollars: that cannot be",
                row.id,
                row.highest()
            ));
        }
        let counts = [
            (What::Requests, u64::from(is_request(row))),
            (What::Input, row.usage.prompt),
            (What::Cached, row.usage.cached),
            (What::CacheWrite, row.usage.cache_write),
            (What::Output, row.usage.completion),
        ];
        for (what, count) in counts {
            self.figures.add(what, i128::from(count))?;
        }
        self.figures.add(What::Cost, dollars(row.booked().into()))?;
        match row.state {
            State::Pending => self.unsettled.pending += 1,
            State::Estimated => self.unsettled.estimated += 1,
            State::Settled if !row.metered => self.unsettled.unmetered += 1,
            State::Settled => {}
        }
        if row.state != State::Settled {
            self.unsettled.booked += u128::from(row.booked());
            self.unsettled.highest += u128::from(row.highest());
        }
        if let (State::Settled, Some(theirs)) = (row.state, row.upstream_cost_nanodollars) {
            self.reported.attempts += 1;
            self.reported.theirs += u128::from(theirs);
            self.reported.ours += u128::from(row.cost_nanodollars);
        }
        Ok(())
    }

    /// # Errors
    /// A sum is too large.
    pub(super) fn add_all(&mut self, other: &Self) -> Result<(), String> {
        self.figures.add_all(&other.figures)?;
        self.unsettled.pending += other.unsettled.pending;
        self.unsettled.estimated += other.unsettled.estimated;
        self.unsettled.unmetered += other.unsettled.unmetered;
        self.unsettled.booked += other.unsettled.booked;
        self.unsettled.highest += other.unsettled.highest;
        self.reported.attempts += other.reported.attempts;
        self.reported.theirs += other.reported.theirs;
        self.reported.ours += other.reported.ours;
        Ok(())
    }
}

impl Unsettled {
    /// `2 pending, 1 estimated`.
    pub(super) fn text(&self) -> String {
        let of =
            [(self.pending, "pending"), (self.estimated, "estimated"), (self.unmetered, "without counts")];
        let parts = of.iter().filter(|(count, _)| *count > 0);
        parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

/// Providers count calls of a model: an attempt that was refused, or found nobody, is none.
fn is_request(row: &Row) -> bool {
    let is_answered = (200..300).contains(&row.status) && row.ending == "complete";
    row.state != State::Settled || !row.metered || row.used_something() || is_answered
}

/// From nano-dollars; more than can be added up becomes the most that there is.
pub(super) fn dollars(nano: u128) -> i128 {
    i128::try_from(nano).unwrap_or(i128::MAX).saturating_mul(NANODOLLAR)
}

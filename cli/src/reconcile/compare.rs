//! The comparison, line by line.

use super::figures::{Figures, What};
use super::invoice::Invoice;
use super::ledger::{Booked, Ledger, dollars};
use super::names::{self, Group};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Comparison {
    pub(super) differences: Vec<Difference>,
    /// One for each kind of figure that is compared; they decide nothing.
    pub(super) totals: Vec<Total>,
    /// Days × models that were compared.
    pub(super) lines: usize,
    pub(super) booked: Booked,
}

/// A figure that is not the same.
pub(super) struct Difference {
    pub(super) day: String,
    pub(super) group: Group,
    pub(super) what: What,
    /// `None`: that side has no such day and model.
    pub(super) invoice: Option<i128>,
    pub(super) ledger: Option<i128>,
    /// The attempts of the line that are not settled.
    pub(super) unsettled: String,
    /// The invoice's figure is one that the line's pending and estimated attempts can come to.
    pub(super) within_bounds: bool,
}

pub(super) struct Total {
    pub(super) what: What,
    pub(super) invoice: i128,
    pub(super) ledger: i128,
}

impl Difference {
    /// Positive: the invoice has more.
    pub(super) fn difference(&self) -> i128 {
        difference(self.invoice.unwrap_or_default(), self.ledger.unwrap_or_default())
    }
}

impl Total {
    pub(super) fn difference(&self) -> i128 {
        difference(self.invoice, self.ledger)
    }
}

fn difference(invoice: i128, ledger: i128) -> i128 {
    invoice.saturating_sub(ledger)
}

/// Amounts of money may differ by `tolerance` in a line.
///
/// # Errors
/// A sum is too large.
pub(super) fn compare(invoice: &Invoice, ledger: &Ledger, tolerance: i128) -> Result<Comparison, String> {
    let (billed, booked) = (by_day(&invoice.lines), by_day(&ledger.lines));
    let mut comparison =
        Comparison { differences: Vec::new(), totals: Vec::new(), lines: 0, booked: Booked::default() };
    let (mut invoice_sum, nothing) = (Figures::default(), BTreeMap::new());
    let days: BTreeSet<_> = billed.keys().chain(booked.keys()).collect();
    for day in days {
        let (billed, booked) = (billed.get(*day).unwrap_or(&nothing), booked.get(*day));
        let none = BTreeMap::new();
        let booked = booked.unwrap_or(&none);
        for group in names::groups(&billed.keys().copied().collect(), &booked.keys().copied().collect()) {
            let (theirs, ours) = (sum_of_invoice(billed, &group)?, sum_of_ledger(booked, &group)?);
            invoice_sum.add_all(&theirs.unwrap_or_default())?;
            comparison.booked.add_all(&ours.clone().unwrap_or_default())?;
            comparison.lines += 1;
            for what in invoice.measures.iter().copied() {
                comparison.differences.extend(judge(day, &group, what, theirs, ours.as_ref(), tolerance));
            }
        }
    }
    comparison.totals = invoice
        .measures
        .iter()
        .map(|what| Total {
            what: *what,
            invoice: invoice_sum.get(*what),
            ledger: comparison.booked.figures.get(*what),
        })
        .collect();
    Ok(comparison)
}

fn judge(
    day: &str,
    group: &Group,
    what: What,
    theirs: Option<Figures>,
    ours: Option<&Booked>,
    tolerance: i128,
) -> Option<Difference> {
    let invoice = theirs.map(|figures| figures.get(what));
    let ledger = ours.map(|booked| booked.figures.get(what));
    let difference = difference(invoice.unwrap_or_default(), ledger.unwrap_or_default());
    let allowed = if what == What::Cost { tolerance } else { 0 };
    if difference.saturating_abs() <= allowed {
        return None;
    }
    let unsettled = ours.map(|booked| booked.unsettled).unwrap_or_default();
    // What is booked less what may not be due, up to what may be due at most.
    let certain = ledger.unwrap_or_default().saturating_sub(dollars(unsettled.booked));
    let most = certain.saturating_add(dollars(unsettled.highest));
    let within_bounds = what == What::Cost
        && unsettled.pending + unsettled.estimated > 0
        && (certain..=most).contains(&invoice.unwrap_or_default());
    Some(Difference {
        day: day.to_owned(),
        group: group.clone(),
        what,
        invoice,
        ledger,
        unsettled: unsettled.text(),
        within_bounds,
    })
}

type ByDay<'a, T> = BTreeMap<&'a str, BTreeMap<&'a str, &'a T>>;

fn by_day<T>(lines: &BTreeMap<(String, String), T>) -> ByDay<'_, T> {
    let mut days: ByDay<'_, T> = BTreeMap::new();
    for ((day, model), line) in lines {
        days.entry(day).or_default().insert(model, line);
    }
    days
}

fn sum_of_invoice(billed: &BTreeMap<&str, &Figures>, group: &Group) -> Result<Option<Figures>, String> {
    let mut sum = None;
    for figures in group.invoice.iter().filter_map(|name| billed.get(name.as_str())) {
        sum.get_or_insert_with(Figures::default).add_all(figures)?;
    }
    Ok(sum)
}

fn sum_of_ledger(booked: &BTreeMap<&str, &Booked>, group: &Group) -> Result<Option<Booked>, String> {
    let mut sum = None;
    for line in group.ledger.iter().filter_map(|name| booked.get(name.as_str())) {
        sum.get_or_insert_with(Booked::default).add_all(line)?;
    }
    Ok(sum)
}

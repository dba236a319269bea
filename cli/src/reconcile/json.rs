//! The comparison for programs: counts as numbers, dollars as decimal strings.

use super::Report;
use super::figures::{What, shown};
use super::ledger::dollars;
use serde_json::{Value, json};

pub(super) fn of(report: &Report<'_>, tolerance: i128) -> String {
    let Report { invoice, ledger, comparison, notes } = report;
    let differences: Vec<_> = comparison
        .differences
        .iter()
        .map(|difference| {
            let what = difference.what;
            json!({
                "day": difference.day,
                "invoice_models": difference.group.invoice,
                "ledger_models": difference.group.ledger,
                "what": what.name(),
                "invoice": difference.invoice.map(|value| figure(what, value)),
                "ledger": difference.ledger.map(|value| figure(what, value)),
                "difference": figure(what, difference.difference()),
                "within_bounds": difference.within_bounds,
            })
        })
        .collect();
    let totals: Vec<_> = comparison
        .totals
        .iter()
        .map(|total| {
            json!({
                "what": total.what.name(),
                "invoice": figure(total.what, total.invoice),
                "ledger": figure(total.what, total.ledger),
                "difference": figure(total.what, total.difference()),
            })
        })
        .collect();
    let unsettled = &comparison.booked.unsettled;
    let report = json!({
        "equal": comparison.differences.is_empty(),
        "format": invoice.format,
        "from": invoice.days.first(),
        "to": invoice.days.last(),
        "tolerance": figure(What::Cost, tolerance),
        "attempts": ledger.attempts,
        "lines": comparison.lines,
        "differences": differences,
        "totals": totals,
        "unsettled": {
            "pending": unsettled.pending,
            "estimated": unsettled.estimated,
            "unmetered": unsettled.unmetered,
            "booked_usd": figure(What::Cost, dollars(unsettled.booked)),
            "highest_usd": figure(What::Cost, dollars(unsettled.highest)),
        },
        "notes": notes,
    });
    format!("{report:#}\n")
}

fn figure(what: What, value: i128) -> Value {
    match i64::try_from(value) {
        Ok(count) if what != What::Cost => count.into(),
        _ => shown(what, value).into(),
    }
}

//! `moegate reconcile`: a provider's invoice or usage export against the ledger's export, line by line.

mod anthropic;
mod compare;
mod figures;
mod invoice;
mod json;
mod ledger;
mod names;
mod openai;
mod plain;
mod table;
mod text;

use crate::Answer;
use crate::rows;
use compare::Comparison;
use figures::What;
use invoice::Invoice;
use ledger::Ledger;
use lexopt::prelude::*;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What to compare.
pub(crate) struct Reconcile {
    /// The provider's file, as CSV; `-`: standard input.
    invoice: PathBuf,
    /// The ledger's export, as JSONL; `-`: standard input.
    usage: PathBuf,
    /// Only attempts at this origin.
    origin: Option<String>,
    /// By how much amounts of a line may differ, in 10^-30 dollars.
    tolerance: i128,
    json: bool,
}

/// The arguments behind `reconcile`. `None`: help is wanted.
///
/// # Errors
/// One is missing, unknown or not what it should be.
pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Option<Reconcile>, lexopt::Error> {
    let (mut invoice, mut usage, mut origin) = (None, None, None);
    let (mut tolerance, mut json) = (0, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(file) if invoice.is_none() => invoice = Some(PathBuf::from(file)),
            Long("usage") if usage.is_none() => usage = Some(PathBuf::from(arguments.value()?)),
            Long("origin") if origin.is_none() => origin = Some(arguments.value()?.string()?),
            Long("tolerance") => tolerance = arguments.value()?.parse_with(dollars)?,
            Long("json") => json = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let invoice = invoice.ok_or("reconcile wants the provider's file: moegate reconcile INVOICE.csv")?;
    let usage = usage.ok_or("reconcile wants the ledger's export: --usage ROWS.jsonl")?;
    if rows::is_standard_input(&invoice) && rows::is_standard_input(&usage) {
        return Err("the invoice and the ledger's export cannot both come from standard input".into());
    }
    Ok(Some(Reconcile { invoice, usage, origin, tolerance, json }))
}

fn dollars(text: &str) -> Result<i128, String> {
    figures::dollars(text)
        .filter(|dollars| *dollars >= 0)
        .ok_or_else(|| format!("`{text}` is no tolerance: write dollars, such as --tolerance 0.01"))
}

/// The differences, and whether there are any.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub(crate) fn run(what: &Reconcile) -> Result<Answer, String> {
    let name = rows::name(&what.invoice);
    let bytes = read(&what.invoice).map_err(|error| format!("cannot read {name}: {error}"))?;
    let invoice = invoice::read(&bytes).map_err(|problem| format!("{name}: {problem}"))?;
    let ledger = ledger::read(&what.usage, what.origin.as_deref(), invoice.by_model)?;
    let comparison = compare::compare(&invoice, &ledger, what.tolerance)?;
    let notes = notes(&invoice, &ledger, &comparison);
    let report = Report { invoice: &invoice, ledger: &ledger, comparison: &comparison, notes: &notes };
    let text = if what.json { json::of(&report, what.tolerance) } else { text::of(&report, what.tolerance) };
    Ok(Answer { text, is_yes: comparison.differences.is_empty() })
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if !rows::is_standard_input(file) {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What there is to print.
struct Report<'a> {
    invoice: &'a Invoice,
    ledger: &'a Ledger,
    comparison: &'a Comparison,
    notes: &'a [String],
}

/// Sentences on what the figures cannot show.
fn notes(invoice: &Invoice, ledger: &Ledger, comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    let booked = &comparison.booked;
    let (unsettled, reported) = (&booked.unsettled, &booked.reported);
    let amount = |nano| figures::shown(What::Cost, ledger::dollars(nano));
    if unsettled.pending + unsettled.estimated > 0 {
        notes.push(format!(
            "Not settled: {} of {} attempts ({}). ${} of the ledger's cost is theirs; they cost between nothing and ${}.",
            unsettled.pending + unsettled.estimated,
            ledger.attempts,
            unsettled.text(),
            amount(unsettled.booked),
            amount(unsettled.highest)
        ));
    }
    if unsettled.unmetered > 0 {
        notes.push(format!(
            "Without counts: {} of {} attempts. The origin may have billed them; the ledger has nothing for them.",
            unsettled.unmetered, ledger.attempts
        ));
    }
    if reported.theirs != reported.ours {
        notes.push(format!(
            "Of {} attempts the origin said itself what they cost: ${}. The ledger's prices make it ${}: look at the \
             models' prices in moegate.toml.",
            reported.attempts,
            amount(reported.theirs),
            amount(reported.ours)
        ));
    }
    if ledger.origins.len() > 1 {
        let origins: Vec<_> = ledger.origins.iter().map(String::as_str).collect();
        notes.push(format!(
            "The ledger's attempts are of {} origins: {}. --origin takes those of one.",
            origins.len(),
            origins.join(", ")
        ));
    }
    if let (Some(first), Some(last)) = (invoice.days.first(), invoice.days.last()) {
        let days: BTreeSet<_> = ledger.lines.keys().map(|(day, _)| day).collect();
        let outside = days.iter().filter(|day| **day < first || **day > last).count();
        if outside > 0 {
            notes.push(format!(
                "The invoice has {first} to {last}; {outside} of the ledger's days lie outside: export the same days."
            ));
        }
    }
    notes.extend(invoice.notes.iter().cloned());
    notes
}

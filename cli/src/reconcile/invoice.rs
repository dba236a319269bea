//! A provider's file, in whichever of the formats it is.

use super::figures::{Figures, What};
use super::table::{Record, Table};
use super::{anthropic, openai, plain};
use std::collections::{BTreeMap, BTreeSet};

/// What a provider says it has counted or charged, by UTC day and model.
#[derive(Debug)]
pub(super) struct Invoice {
    pub(super) format: &'static str,
    /// What the file has figures of; nothing else is compared.
    pub(super) measures: Vec<What>,
    /// Whether it names models. Otherwise the models of its lines are empty, and whole days are compared.
    pub(super) by_model: bool,
    /// Day and model.
    pub(super) lines: BTreeMap<(String, String), Figures>,
    /// The days that it speaks of, those without usage too.
    pub(super) days: BTreeSet<String>,
    /// What it has besides, which the ledger has no figures for.
    pub(super) notes: Vec<String>,
}

/// How a format is told and read.
pub(super) struct Format {
    pub(super) title: &'static str,
    /// The columns by which it is told.
    pub(super) columns: &'static [&'static str],
    /// What the columns of this file have figures of.
    pub(super) measures: fn(&Table) -> Vec<What>,
    pub(super) line: fn(&Record<'_>) -> Result<Line, String>,
    /// What is to be said of the whole.
    pub(super) check: fn(&Table) -> Result<Vec<String>, String>,
}

/// A line of the file. Where it has no figures, it only says that the day belongs to the file.
pub(super) struct Line {
    pub(super) day: String,
    pub(super) model: String,
    pub(super) figures: Figures,
}

/// The first that fits is taken.
const FORMATS: [&Format; 5] =
    [&openai::USAGE, &openai::COST, &anthropic::USAGE, &anthropic::COST, &plain::FORMAT];

/// # Errors
/// It is no table, in none of the formats, or a cell is not what it should be.
pub(super) fn read(bytes: &[u8]) -> Result<Invoice, String> {
    let table = Table::read(bytes)?;
    let format = FORMATS
        .into_iter()
        .find(|format| format.columns.iter().all(|column| table.has(column)))
        .ok_or_else(|| unknown(&table))?;
    let notes = (format.check)(&table)?;
    let mut lines: BTreeMap<(String, String), Figures> = BTreeMap::new();
    let mut days = BTreeSet::new();
    for record in table.records() {
        let Line { day, model, figures } = (format.line)(&record)?;
        days.insert(day.clone());
        if figures != Figures::default() {
            lines.entry((day, model)).or_default().add_all(&figures)?;
        }
    }
    if days.is_empty() {
        return Err(format!("it is {}, but has no lines", format.title));
    }
    let by_model = lines.keys().any(|(_, model)| !model.is_empty());
    Ok(Invoice { format: format.title, measures: (format.measures)(&table), by_model, lines, days, notes })
}

fn unknown(table: &Table) -> String {
    let formats: Vec<_> =
        FORMATS.iter().map(|format| format!("  {}: {}", format.title, format.columns.join(", "))).collect();
    format!(
        "its columns are none that are understood: {}\nUnderstood are, by these columns:\n{}\n\
         Other invoices can be brought into the last form: docs/guides/reconcile.md",
        table.columns().join(", "),
        formats.join("\n")
    )
}

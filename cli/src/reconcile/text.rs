//! The comparison for people.

use super::Report;
use super::compare::Difference;
use super::figures::{What, shown};
use std::fmt::Write;

/// Writing to a String cannot fail.
pub(super) fn of(report: &Report<'_>, tolerance: i128) -> String {
    let Report { invoice, ledger, comparison, notes } = report;
    let mut text = format!("Invoice: {}", invoice.format);
    if let (Some(first), Some(last)) = (invoice.days.first(), invoice.days.last()) {
        let _ = if first == last { write!(text, ", {first}") } else { write!(text, ", {first} to {last}") };
    }
    let by = if invoice.by_model { "day and model" } else { "day: the invoice names no models" };
    let attempts = if ledger.attempts == 1 { "attempt" } else { "attempts" };
    let _ = writeln!(text, ". Ledger: {} {attempts}. By {by}; invoice − ledger.", ledger.attempts);
    if tolerance > 0 {
        let _ = writeln!(text, "Costs of a line may differ by ${}.", shown(What::Cost, tolerance));
    }
    text.push('\n');
    text.push_str(&table(report));
    text.push('\n');
    for note in *notes {
        let _ = writeln!(text, "{note}");
    }
    let (count, lines) = (comparison.differences.len(), comparison.lines);
    let lines = format!("{lines} line{}", if lines == 1 { "" } else { "s" });
    let _ = match count {
        0 => writeln!(text, "Equal: {lines} compared."),
        1 => writeln!(text, "1 difference; {lines} compared."),
        _ => writeln!(text, "{count} differences; {lines} compared."),
    };
    text
}

/// Differences, then totals.
fn table(report: &Report<'_>) -> String {
    let head = ["day", "model", "what", "invoice", "ledger", "difference", ""];
    let mut rows = vec![head.map(str::to_owned)];
    for difference in &report.comparison.differences {
        let side = |figure: Option<i128>| {
            figure.map_or_else(|| "-".to_owned(), |figure| shown(difference.what, figure))
        };
        rows.push([
            difference.day.clone(),
            if report.invoice.by_model { model(difference) } else { "all".to_owned() },
            difference.what.label().to_owned(),
            side(difference.invoice),
            side(difference.ledger),
            signed(difference.what, difference.difference()),
            remark(difference),
        ]);
    }
    for total in &report.comparison.totals {
        rows.push([
            "total".to_owned(),
            String::new(),
            total.what.label().to_owned(),
            shown(total.what, total.invoice),
            shown(total.what, total.ledger),
            signed(total.what, total.difference()),
            String::new(),
        ]);
    }
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if (3..6).contains(&column) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn model(difference: &Difference) -> String {
    let label = difference.group.label();
    if label.is_empty() { "(no model)".to_owned() } else { label }
}

fn signed(what: What, value: i128) -> String {
    let sign = if value > 0 { "+" } else { "" };
    format!("{sign}{}", shown(what, value))
}

fn remark(difference: &Difference) -> String {
    let side = match (difference.invoice, difference.ledger) {
        (None, _) => "only in the ledger",
        (_, None) => "only on the invoice",
        _ => "",
    };
    let bounds = if difference.within_bounds { "within the bounds of " } else { "" };
    let unsettled = match difference.unsettled.as_str() {
        "" => String::new(),
        unsettled => format!("{bounds}{unsettled}"),
    };
    [side, &unsettled].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

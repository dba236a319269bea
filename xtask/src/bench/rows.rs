//! The result: rows for a file and a table for a reader.

use std::fmt::Write;

/// One measured quantity of one subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// The runtime.
    pub(super) host: &'static str,
    pub(super) what: &'static str,
    pub(super) subject: &'static str,
    /// The median over the rounds.
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// The median of its ratio to the pass-through of the same round.
    pub(super) ratio: Option<f64>,
    /// The largest of these ratios less the smallest.
    pub(super) spread: Option<f64>,
    pub(super) target: Option<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Of the ratio.
    AtLeast(f64),
    /// Of the ratio.
    AtMost(f64),
}

impl Row {
    /// From one value a round of the subject and of the pass-through.
    pub(super) fn compared(
        (host, what): (&'static str, &'static str),
        subject: &'static str,
        unit: &'static str,
        values: &[f64],
        base: &[f64],
        target: Option<Target>,
    ) -> Self {
        let mut ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        let ratio = median(&mut ratios);
        let spread = ratios.last().zip(ratios.first()).map(|(most, least)| most - least);
        Self {
            host,
            what,
            subject,
            value: median(&mut values.to_vec()),
            unit,
            ratio: Some(ratio),
            spread,
            target,
        }
    }

    /// A quantity that is compared with nothing.
    pub(super) fn alone(
        (host, what): (&'static str, &'static str),
        subject: &'static str,
        unit: &'static str,
        values: &[f64],
    ) -> Self {
        let value = median(&mut values.to_vec());
        Self { host, what, subject, value, unit, ratio: None, spread: None, target: None }
    }

    fn ratio_and_spread(&self) -> String {
        match (self.ratio, self.spread) {
            (Some(ratio), Some(spread)) => format!("{ratio:.2} ({spread:.2})"),
            _ => String::new(),
        }
    }

    fn judged(&self) -> String {
        let target = match self.target {
            None => return String::new(),
            Some(Target::AtLeast(target)) => format!("≥ {target}"),
            Some(Target::AtMost(target)) => format!("≤ {target}"),
        };
        self.met().map_or(String::new(), |met| format!("{target}: {}", if met { "met" } else { "missed" }))
    }

    fn amount(&self) -> String {
        let digits = if self.value >= 100.0 { 0 } else { 1 };
        format!("{:.digits$} {}", self.value, self.unit)
    }

    fn met(&self) -> Option<bool> {
        match (self.target?, self.ratio?) {
            (Target::AtLeast(target), ratio) => Some(ratio >= target),
            (Target::AtMost(target), ratio) => Some(ratio <= target),
        }
    }
}

/// Of at least one value; sorts them.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

pub(super) fn json(rows: &[Row]) -> String {
    let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| format!("{value:.4}"));
    let mut text = String::from("[\n");
    for (index, row) in rows.iter().enumerate() {
        let target = match row.target {
            None => "null".to_owned(),
            Some(Target::AtLeast(target)) => format!("\">= {target}\""),
            Some(Target::AtMost(target)) => format!("\"<= {target}\""),
        };
        let met = row.met().map_or("null".to_owned(), |met| met.to_string());
        let comma = if index + 1 < rows.len() { "," } else { "" };
        // Names and units are this program's own and hold nothing to escape; writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "  {{\"what\":\"{}: {}\",\"subject\":\"{}\",\"value\":{:.3},\"unit\":\"{}\",\"ratio\":{},\"spread\":{},\"target\":{target},\"met\":{met}}}{comma}",
            row.host,
            row.what,
            row.subject,
            row.value,
            row.unit,
            number(row.ratio),
            number(row.spread),
        );
    }
    text.push_str("]\n");
    text
}

/// Markdown, a line for each row.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| host | what | subject | value | ratio (spread) | target |\n|---|---|---|---:|---:|---|\n",
    );
    for row in rows {
        let (amount, ratio, judged) = (row.amount(), row.ratio_and_spread(), row.judged());
        let Row { host, what, subject, .. } = row;
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "| {host} | {what} | {subject} | {amount} | {ratio} | {judged} |");
    }
    text
}

pub(super) const DUELS: &str = "| host | what | ours | the peer's best | ratio (spread) | memory | target |
|---|---|---:|---:|---:|---:|---|
";

/// Markdown, a line for all rows of one quantity: ours, then the peer's and how fast memory was, where there are any.
pub(super) fn duels(rows: &[Row]) -> String {
    let mut text = String::new();
    for rows in rows.chunk_by(|a, b| (a.host, a.what) == (b.host, b.what)) {
        // A chunk has one row at least.
        let own = &rows[0];
        let peer = rows.get(1).map_or(String::new(), |row| format!("{}: {}", row.subject, row.amount()));
        let memory = rows.get(2).map_or(String::new(), Row::amount);
        let (amount, ratio, judged) = (own.amount(), own.ratio_and_spread(), own.judged());
        let Row { host, what, .. } = own;
        let _infallible =
            writeln!(text, "| {host} | {what} | {amount} | {peer} | {ratio} | {memory} | {judged} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let row = Row::compared(
            ("h", "w"),
            "s",
            "u",
            &[1.0, 4.0, 3.0],
            &[2.0, 4.0, 4.0],
            Some(Target::AtLeast(0.75)),
        );
        assert_eq!((row.value, row.ratio, row.spread, row.met()), (3.0, Some(0.75), Some(0.5), Some(true)));
        let row = Row { target: Some(Target::AtMost(0.7)), ..row };
        assert_eq!(row.met(), Some(false));
        assert_eq!(
            json(std::slice::from_ref(&row)),
            "[\n  {\"what\":\"h: w\",\"subject\":\"s\",\"value\":3.000,\"unit\":\"u\",\"ratio\":0.7500,\"spread\":0.5000,\"target\":\"<= 0.7\",\"met\":false}\n]\n"
        );
        assert!(
            table(std::slice::from_ref(&row))
                .ends_with("| h | w | s | 3.0 u | 0.75 (0.50) | ≤ 0.7: missed |\n")
        );
        let peer = Row { subject: "p", value: 4.0, target: None, ..row };
        let memory = Row::alone(("h", "w"), "m", "GB/s", &[120.0]);
        let alone = Row { what: "v", ..row };
        assert_eq!(
            duels(&[row, peer, memory, alone]),
            "| h | w | 3.0 u | p: 4.0 u | 0.75 (0.50) | 120 GB/s | ≤ 0.7: missed |\n\
             | h | v | 3.0 u |  | 0.75 (0.50) |  | ≤ 0.7: missed |\n"
        );
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}

//! Which of the ledger's models a model on the invoice is.
//!
//! A client asks for `gpt-4o`, the ledger has that or what the origin's answer says, and the invoice has a snapshot,
//! `gpt-4o-2024-08-06`. The same name is the same model. Beside that a name without a date stands for the snapshots of its
//! model, as far as the other side has none of the same date:
//!
//! - snapshots that one side alone has go with the other side's name without a date;
//! - where there are none, that name goes with the one snapshot that both have; if both have several, nobody can tell which
//!   it meant, and all of them are compared as one.
//!
//! Names of Claude are compared as ids and as the Console displays them: `claude-3-7-sonnet` is `claude-sonnet-3-7`.

use std::collections::{BTreeMap, BTreeSet};

/// Names on both sides that are one line of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) invoice: BTreeSet<String>,
    pub(super) ledger: BTreeSet<String>,
}

impl Group {
    /// What the line is called.
    pub(super) fn label(&self) -> String {
        let joined = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" + ");
        match (self.invoice.is_empty(), self.ledger.is_empty()) {
            (false, true) => joined(&self.invoice),
            (true, false) => joined(&self.ledger),
            _ if self.invoice == self.ledger => joined(&self.invoice),
            _ => format!("{} = {}", joined(&self.invoice), joined(&self.ledger)),
        }
    }
}

/// Divides the names into lines.
pub(super) fn groups(invoice: &BTreeSet<&str>, ledger: &BTreeSet<&str>) -> Vec<Group> {
    // Model, then date; no date is the empty one.
    let mut models: BTreeMap<String, BTreeMap<String, Group>> = BTreeMap::new();
    let mut group = |name: &str, pick: fn(&mut Group) -> &mut BTreeSet<String>| {
        let (model, date) = parts(name);
        pick(models.entry(model).or_default().entry(date).or_default()).insert(name.to_owned());
    };
    for name in invoice {
        group(name, |group| &mut group.invoice);
    }
    for name in ledger {
        group(name, |group| &mut group.ledger);
    }
    models.into_values().flat_map(lines_of_model).collect()
}

fn lines_of_model(mut snapshots: BTreeMap<String, Group>) -> Vec<Group> {
    let Some(mut undated) = snapshots.remove("") else {
        return snapshots.into_values().collect();
    };
    let (invoice_has, ledger_has) = (!undated.invoice.is_empty(), !undated.ledger.is_empty());
    let goes_along =
        |group: &Group| (ledger_has && group.ledger.is_empty()) || (invoice_has && group.invoice.is_empty());
    let (mut along, mut apart): (Vec<_>, Vec<_>) = snapshots.into_values().partition(goes_along);
    // The name has no counterpart yet: what both sides have by date is all that it can mean.
    if along.is_empty() && invoice_has != ledger_has {
        (along, apart) =
            apart.into_iter().partition(|group| !group.invoice.is_empty() && !group.ledger.is_empty());
    }
    for group in along {
        undated.invoice.extend(group.invoice);
        undated.ledger.extend(group.ledger);
    }
    apart.insert(0, undated);
    apart
}

/// The model without its date, and the date in digits.
fn parts(name: &str) -> (String, String) {
    let name = name.to_lowercase();
    let name = name.strip_suffix("-latest").unwrap_or(&name);
    let (model, date) = date_of(name).unwrap_or((name, String::new()));
    let Some(rest) = model.strip_prefix("claude-") else {
        return (model.to_owned(), date);
    };
    let (numbers, words): (Vec<_>, Vec<_>) =
        rest.split('-').partition(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    (format!("claude-{}", [words, numbers].concat().join("-")), date)
}

/// `-2024-08-06`, `-20241022`, `@20241022`, and month and day alone, `-0613`, at the end.
fn date_of(name: &str) -> Option<(&str, String)> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_day = |text: &str| ("01"..="12").contains(&&text[..2]) && ("01"..="31").contains(&&text[2..]);
    for (length, hyphens) in [(10, true), (8, false), (4, false)] {
        let Some(at) = name.len().checked_sub(length).filter(|at| name.is_char_boundary(*at)) else {
            continue;
        };
        let (model, date) = name.split_at(at);
        let digits: String = date.chars().filter(char::is_ascii_digit).collect();
        let fits = if hyphens {
            digits.len() == 8 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-'
        } else {
            is_digits(date)
        };
        let Some(model) = model.strip_suffix(['-', '@']).filter(|model| !model.is_empty()) else { continue };
        if fits && is_day(&digits[digits.len() - 4..]) {
            return Some((model, digits));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_names() {
        for (name, model, date) in [
            ("gpt-4o-2024-08-06", "gpt-4o", "20240806"),
            ("gpt-4o", "gpt-4o", ""),
            ("gpt-4-0613", "gpt-4", "0613"),
            ("mistral-large-2411", "mistral-large-2411", ""),
            ("claude-sonnet-4@20250514", "claude-sonnet-4", "20250514"),
            ("claude-3-7-sonnet-20250219", "claude-sonnet-3-7", "20250219"),
            ("claude-3-5-sonnet-2024-10-22", "claude-sonnet-3-5", "20241022"),
            ("claude-haiku-4-5", "claude-haiku-4-5", ""),
            ("claude-3-5-haiku-latest", "claude-haiku-3-5", ""),
            ("2024-08-06", "2024-08-06", ""),
            ("0613", "0613", ""),
            ("modèle-é", "modèle-é", ""),
            ("", "", ""),
        ] {
            assert_eq!(parts(name), (model.to_owned(), date.to_owned()), "{name}");
        }
    }

    fn labels(invoice: &[&str], ledger: &[&str]) -> Vec<String> {
        let sets = (invoice.iter().copied().collect(), ledger.iter().copied().collect());
        groups(&sets.0, &sets.1).iter().map(Group::label).collect()
    }

    #[test]
    fn names_meet() {
        let cases: [(&[&str], &[&str], &[&str]); 12] = [
            (&["other"], &["m", "m-2024-08-06"], &["m", "m-2024-08-06", "other"]),
            (&["a", "b"], &["b", "c"], &["a", "b", "c"]),
            (&["m-2024-08-06"], &["m"], &["m-2024-08-06 = m"]),
            (&["m"], &["m-2024-08-06"], &["m = m-2024-08-06"]),
            // Snapshots of different dates are different models.
            (&["m-2024-08-06"], &["m-2024-11-20"], &["m-2024-08-06", "m-2024-11-20"]),
            // An alias is what of the other side's snapshots is left,
            (
                &["m-2024-05-13", "m-2024-08-06"],
                &["m", "m-2024-05-13"],
                &["m-2024-08-06 = m", "m-2024-05-13"],
            ),
            // or the one that both have,
            (&["m-2024-08-06"], &["m", "m-2024-08-06"], &["m-2024-08-06 = m + m-2024-08-06"]),
            // or one of those that both have.
            (
                &["m-2024-05-13", "m-2024-08-06"],
                &["m", "m-2024-05-13", "m-2024-08-06"],
                &["m-2024-05-13 + m-2024-08-06 = m + m-2024-05-13 + m-2024-08-06"],
            ),
            // Both sides have it without a date, and one snapshot each the same.
            (&["m", "m-2024-08-06"], &["m", "m-2024-08-06"], &["m", "m-2024-08-06"]),
            (&["m"], &["m", "m-2024-08-06"], &["m = m + m-2024-08-06"]),
            (
                &["claude-sonnet-3-7"],
                &["claude-3-7-sonnet-20250219"],
                &["claude-sonnet-3-7 = claude-3-7-sonnet-20250219"],
            ),
            (&["m-mini-2024-07-18"], &["m"], &["m", "m-mini-2024-07-18"]),
        ];
        for (invoice, ledger, expected) in cases {
            assert_eq!(labels(invoice, ledger), expected, "{invoice:?} {ledger:?}");
        }
    }
}

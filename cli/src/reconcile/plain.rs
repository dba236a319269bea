//! Our own format, for every other provider: a line for a day and a model, all columns but `date` optional.

use super::figures::{Figures, What};
use super::invoice::{Format, Line};

pub(super) const FORMAT: Format = Format {
    title: "the plain form",
    columns: &["date"],
    measures: |table| What::ALL.into_iter().filter(|what| table.has(what.name())).collect(),
    line: |record| {
        let mut figures = Figures::default();
        for what in What::ALL {
            let value = match what {
                What::Cost => record.dollars(what.name())?,
                _ => record.count(what.name())?,
            };
            figures.add(what, value)?;
        }
        Ok(Line { day: record.day(&["date"])?, model: record.text("model").to_owned(), figures })
    },
    check: |table| {
        let known = |column: &str| {
            column.is_empty()
                || column == "date"
                || column == "model"
                || What::ALL.iter().any(|what| what.name() == column)
        };
        let names: Vec<_> = What::ALL.iter().map(|what| what.name()).collect();
        let names = names.join(", ");
        // A column with a typing error in its name would be left out silently.
        if let Some(column) = table.columns().iter().find(|column| !known(column)) {
            return Err(format!("it has a column `{column}`; the plain form has date, model, {names}"));
        }
        if !What::ALL.iter().any(|what| table.has(what.name())) {
            return Err(format!("it has nothing to compare: the plain form has date, model, {names}"));
        }
        Ok(Vec::new())
    },
};

//! Prices.

use super::Problems;
use crate::price::{Given, NAMES, Row};
use crate::{Kind, Model, Origin};
use moegate_wire::price::MOST_STEPS;

impl Problems {
    pub(super) fn prices(&mut self, path: &str, origin: &Origin) {
        if origin.gpu_hour.is_some() && origin.kind != Kind::Moegate {
            self.add(
                format!("{path}.gpu_hour"),
                "is for origins of kind `moegate`, which measure how long they work on a request: give its models prices of tokens",
            );
        }
        for (i, model) in origin.models.iter().enumerate() {
            let path = format!("{path}.models[{i}]");
            let by_time = origin.gpu_hour.is_some();
            self.price(&path, &model.row(), by_time);
            for (j, past) in model.history.iter().enumerate() {
                self.price(&format!("{path}.history[{j}]"), &past.row(), by_time);
            }
            self.history(&path, model);
        }
    }

    fn price(&mut self, path: &str, row: &Row<'_>, by_time: bool) {
        let is_given =
            |given: &Given, name: &str| NAMES.iter().zip(given).any(|(n, g)| *n == name && g.is_some());
        let both = ["input", "output"];
        if !by_time || both.iter().any(|name| is_given(&row.given, name)) {
            for name in both.iter().filter(|name| !is_given(&row.given, name)) {
                self.add(
                    format!("{path}.{name}"),
                    "is missing: write dollars per million tokens, such as \"0.15\" (\"0\" where tokens cost nothing)",
                );
            }
        }
        for (i, step) in row.steps.iter().enumerate() {
            let path = format!("{path}.steps[{i}]");
            if i > 0 && row.steps[i - 1].above >= step.above {
                self.add(format!("{path}.above"), "must be more than that of the step before it");
            }
            let given = step.given();
            for ((name, _), _) in NAMES
                .iter()
                .zip(&row.given)
                .zip(&given)
                .filter(|((_, own), step)| own.is_some() && step.is_none())
            {
                self.add(
                    format!("{path}.{name}"),
                    format!("is missing: longer prompts have all their prices here, so say `{name}` again, even where it stays the same"),
                );
            }
        }
        if row.steps.len() > MOST_STEPS {
            self.add(format!("{path}.steps"), format!("must be at most {MOST_STEPS}"));
        }
        if let Some(source) = row.source {
            let is_url = source.starts_with("https://") || source.starts_with("http://");
            if !is_url || source.len() > 500 || !source.bytes().all(|b| b.is_ascii_graphic()) {
                self.add(
                    format!("{path}.source"),
                    "must be the URL of the price list, such as `https://example.com/pricing`",
                );
            }
        }
    }

    fn history(&mut self, path: &str, model: &Model) {
        let Some(first) = model.history.first() else { return };
        match model.since {
            None => self.add(
                format!("{path}.since"),
                "is missing: there is a `history`, so say from which day on the model's own prices hold",
            ),
            Some(since) if since <= first.since => self.add(
                format!("{path}.history[0].since"),
                format!("is {}, not before the model's own `since` ({since}): former prices stand in `history`, the latest first", first.since),
            ),
            Some(_) => {}
        }
        for (i, pair) in model.history.windows(2).enumerate() {
            if pair[0].since <= pair[1].since {
                let text = format!(
                    "is {}, not before {} of the one above it: the latest stands first, each day once",
                    pair[1].since, pair[0].since
                );
                self.add(format!("{path}.history[{}].since", i + 1), text);
            }
        }
    }
}

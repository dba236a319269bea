//! Limits, tenants and the ledger.

use super::Problems;
use crate::{Config, LedgerStore, Limit};

impl Problems {
    pub(super) fn limits(&mut self, config: &Config) {
        self.range("ledger.keep_days", config.ledger.keep_days, 1, 3650);
        self.range("ledger.receipt_minutes", config.ledger.receipt_minutes, 1, 10_080);
        for (i, tenant) in config.tenants.iter().enumerate() {
            self.name(&format!("tenants[{i}].name"), &tenant.name);
        }
        let tenants = config.tenants.iter().enumerate();
        self.unique(tenants.map(|(i, tenant)| (format!("tenants[{i}].name"), tenant.name.as_str())));
        for (path, limits) in config.all_limits() {
            self.limits_of(&format!("{path}."), limits, config.ledger.store);
        }
    }

    /// `path` ends with a dot, or is empty.
    pub(super) fn limits_of(&mut self, path: &str, limits: &[Limit], store: LedgerStore) {
        for (j, limit) in limits.iter().enumerate() {
            let path = format!("{path}limits[{j}]");
            if store == LedgerStore::KeyValue {
                self.add(
                    &path,
                    "needs the ledger's database: `[ledger] store = \"key-value\"` has no limits",
                );
            }
            self.limit(&path, limit);
            if limits[..j].iter().any(|other| other.per == limit.per) {
                let window = limit.per.map_or("`concurrent`", crate::Window::name);
                let text = format!(
                    "is a second limit of {window} here: write them as one, such as {{ per = \"minute\", requests = 60, tokens = 100000 }}"
                );
                self.add(&path, text);
            }
        }
    }

    fn limit(&mut self, path: &str, limit: &Limit) {
        let windowed = limit.requests.is_some() || limit.tokens.is_some() || limit.dollars.is_some();
        match (limit.per, limit.concurrent) {
            (None, None) => self.add(
                path,
                "limits nothing: write { per = \"minute\", requests = 60 }, { per = \"month\", dollars = \"500\" } or { concurrent = 8 }",
            ),
            (Some(_), Some(_)) => {
                self.add(path, "has both `per` and `concurrent`: make it two limits");
            }
            (Some(_), None) if !windowed => {
                self.add(path, "has `per`, but none of `requests`, `tokens`, `dollars`");
            }
            (None, Some(_)) if windowed => {
                self.add(path, "has no `per`: of which time are `requests`, `tokens` and `dollars`?");
            }
            _ => {}
        }
        if let Some(percent) = limit.soft_percent {
            self.range(&format!("{path}.soft_percent"), percent, 1, 99);
            if limit.dollars.is_none() {
                self.add(format!("{path}.soft_percent"), "is a part of `dollars`, which is not there");
            }
        }
        let dollars = limit.dollars.map(crate::Dollars::nanodollars);
        for (name, value) in [
            ("requests", limit.requests),
            ("tokens", limit.tokens),
            ("dollars", dollars),
            ("concurrent", limit.concurrent),
        ] {
            if value == Some(0) {
                self.add(format!("{path}.{name}"), "is nothing: no request could be sent");
            }
        }
    }
}

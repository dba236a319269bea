//! What types cannot say. Every problem is reported, not only the first.

mod cors;
mod headers;
mod limits;
mod oidc;
mod origin;
mod price;
mod routes;
mod telemetry;
mod wake;

use crate::{Config, Gateway, Key, KeyHash, LedgerStore, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `routes[2].origin`.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    /// Names of origins, keys and tenants appear in headers of answers and in records.
    fn name(&mut self, path: &str, name: &str) {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            self.add(path, format!("{name:?} cannot be a name: use 1 to 64 letters, digits, `-` or `_`"));
        }
    }

    fn range(&mut self, path: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            self.add(path, format!("is {value}, but must be {least} to {most}"));
        }
    }

    fn secret_name(&mut self, path: &str, name: &str) {
        let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if name.is_empty() || !name.bytes().all(good) || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.add(
                path,
                format!("`{name}` cannot name a platform secret: use capitals, digits and `_`, such as `ORIGIN_KEY`; the secret itself never stands in this file"),
            );
        }
    }

    /// Names of models appear in headers of answers, so they are of visible ASCII.
    fn model_name(&mut self, path: &str, name: &str) {
        if name.is_empty() || name.len() > 200 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            // Escaped: it may hold what a terminal obeys.
            let text =
                format!("{name:?} cannot be a model's name: 1 to 200 characters of visible ASCII, no blanks");
            self.add(path, text);
        }
    }

    fn key_hash(&mut self, path: &str, hash: Option<KeyHash<'_>>) {
        match hash {
            Some(KeyHash::Here(hash)) => {
                if moegate_wire::sign::from_hex(hash).is_none() {
                    self.add(
                        format!("{path}.sha256"),
                        "must be 64 hex digits: take the line that `moegate keys new` prints",
                    );
                }
            }
            Some(KeyHash::InSecret(name)) => self.secret_name(&format!("{path}.sha256_secret"), name),
            None => self.add(
                path,
                "must have `sha256`, `sha256_secret` or `oidc`, one of them: `moegate keys new` prints the first two",
            ),
        }
    }

    /// Hashes and limits aside. `path` ends with a dot, or is empty.
    fn key(&mut self, path: &str, key: &Key, config: &Config) {
        self.name(&format!("{path}name"), &key.name);
        if let Some(tenant) = &key.tenant {
            self.name(&format!("{path}tenant"), tenant);
        }
        for (j, model) in key.models.iter().flatten().enumerate() {
            if !config.routes.iter().any(|route| route.has_name(model)) {
                self.add(format!("{path}models[{j}]"), format!("no route serves `{model}`"));
            }
        }
        if key.makes_keys && config.ledger.store == LedgerStore::KeyValue {
            self.add(
                format!("{path}makes_keys"),
                "needs the ledger's database: `[ledger] store = \"key-value\"` has no keys made at run time",
            );
        }
        if key.makes_keys && key.name == Key::ADMIN {
            self.add(
                format!("{path}name"),
                "is what the admin key is called where it stands who made a key: a key with `makes_keys` needs another",
            );
        }
    }

    fn unique<'a>(&mut self, names: impl Iterator<Item = (String, &'a str)>) {
        let mut seen = BTreeMap::new();
        for (path, name) in names {
            if let Some(first) = seen.get(name) {
                self.add(path, format!("`{name}` is already taken by {first}"));
            } else {
                seen.insert(name, path);
            }
        }
    }
}

impl Config {
    /// Everything that is wrong with a key that is made while the gateway runs. Paths are its own.
    #[must_use]
    pub fn problems_of_key(&self, key: &Key) -> Vec<Problem> {
        let mut problems = Problems::default();
        problems.key("", key, self);
        problems.limits_of("", &key.limits, self.ledger.store);
        problems.0
    }

    /// Everything that is wrong with this configuration.
    ///
    /// # Errors
    /// All problems found, in the file's order of sections.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        let Gateway { max_body_mib, max_inflight_mib, .. } = self.gateway;
        if !(1..=32).contains(&max_body_mib) {
            problems.add(
                "gateway.max_body_mib",
                "must be 1 to 32: a Worker has 128 MB in all, and a body may stand there twice",
            );
        }
        if max_inflight_mib > 48 {
            problems.add(
                "gateway.max_inflight_mib",
                format!("is {max_inflight_mib}, but must be at most 48: a Worker has 128 MB in all, and each body may stand there twice"),
            );
        } else if max_inflight_mib < max_body_mib {
            problems.add(
                "gateway.max_inflight_mib",
                format!("is {max_inflight_mib}, less than `max_body_mib` ({max_body_mib}): a body of that size would never be taken"),
            );
        }
        if self.gateway.idempotency_s > 3600 {
            problems.add("gateway.idempotency_s", "must be 0 to 3600 seconds");
        }
        if let Some(cors) = &self.gateway.cors {
            problems.cors(cors);
        }
        if let Some(name) = &self.gateway.token_secret {
            problems.token_secret(name, self);
        }
        for (i, origin) in self.origins.iter().enumerate() {
            let path = format!("origins[{i}]");
            problems.origin(&path, origin);
            problems.prices(&path, origin);
        }
        problems.unique(
            self.origins.iter().enumerate().map(|(i, o)| (format!("origins[{i}].name"), o.name.as_str())),
        );
        self.secrets_have_one_owner(&mut problems);
        problems.routes(self);
        for (i, key) in self.keys.iter().enumerate() {
            problems.key(&format!("keys[{i}]."), key, self);
            if let Some(oidc) = &key.oidc {
                problems.oidc(&format!("keys[{i}]"), key, oidc);
            }
        }
        problems
            .unique(self.keys.iter().enumerate().map(|(i, k)| (format!("keys[{i}].name"), k.name.as_str())));
        for (path, hash) in self.hashes() {
            problems.key_hash(&path, hash);
        }
        self.hashes_are_apart(&mut problems);
        problems.limits(self);
        problems.wakes(self);
        problems.telemetry(&self.telemetry);
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }

    /// A secret belongs to one origin: the same name at two authorities would send one's key to the other.
    fn secrets_have_one_owner(&self, problems: &mut Problems) {
        let mut owners: BTreeMap<&str, &Origin> = BTreeMap::new();
        for (i, origin) in self.origins.iter().enumerate() {
            for name in origin.secret_names() {
                let owner = *owners.entry(name).or_insert(origin);
                if owner.authority() != origin.authority() {
                    problems.add(
                        format!("origins[{i}]"),
                        format!("the secret `{name}` belongs to origin `{}`, which is another host: give this one a secret of its own", owner.name),
                    );
                }
            }
        }
        let mut wakes = BTreeMap::new();
        for (i, origin) in self.origins.iter().enumerate() {
            let Some((name, authority)) = origin.wake_secret() else { continue };
            let of_origin = owners.get(name).is_some_and(|owner| owner.authority() != authority);
            if of_origin || *wakes.entry(name).or_insert(authority) != authority {
                problems.add(
                    format!("origins[{i}].wake.secret"),
                    format!("the secret `{name}` belongs to another host: give this call one of its own"),
                );
            }
        }
        for (header, name) in &self.telemetry.secret_headers {
            let authority = self.telemetry.authority();
            let of_origin = owners.get(name.as_str()).is_some_and(|owner| owner.authority() != authority);
            let of_wake = wakes.get(name.as_str()).is_some_and(|owner| *owner != authority);
            if of_origin || of_wake || self.hash_secrets().any(|other| other == name) {
                problems.add(
                    format!("telemetry.secret_headers.{}", header.escape_debug()),
                    format!(
                        "the secret `{name}` belongs to somebody else: give the collector one of its own"
                    ),
                );
            }
        }
        for name in self.hash_secrets() {
            if let Some(owner) = owners.get(name) {
                problems.add(
                    "keys",
                    format!(
                        "`{name}` is the key of origin `{}` and cannot also be a client key's hash",
                        owner.name
                    ),
                );
            }
        }
    }

    /// Two keys with one hash would make records name the wrong one; an admin key that is a client key grants too much.
    fn hashes_are_apart(&self, problems: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (path, hash) in self.hashes() {
            let text = match hash {
                Some(KeyHash::Here(hash)) => hash.to_ascii_lowercase(),
                Some(KeyHash::InSecret(name)) => name.to_owned(),
                None => continue,
            };
            if !seen.insert(text) {
                problems.add(
                    path,
                    "has the same hash as another key: make one of its own with `moegate keys new`",
                );
            }
        }
    }
}

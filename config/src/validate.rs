//! What types cannot say. Every problem is reported, not only the first.

mod routes;

use crate::{Authority, Config, KeyHash, Kind, Origin, Prefill};
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

/// Headers that the gateway sets itself or that belong to one connection.
const RESERVED_HEADERS: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    fn name(&mut self, path: &str, name: &str) {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            self.add(path, format!("`{name}` cannot be a name: use 1 to 64 letters, digits, `-` or `_`"));
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

    fn model_name(&mut self, path: &str, name: &str) {
        if name.is_empty() || name.len() > 200 || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            self.add(path, format!("`{name}` cannot be a model's name: 1 to 200 characters without blanks"));
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
                "must have either `sha256` or `sha256_secret`: `moegate keys new` prints both forms",
            ),
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

    fn origin(&mut self, path: &str, origin: &Origin) {
        self.name(&format!("{path}.name"), &origin.name);
        match Authority::of(&origin.url) {
            None => self.add(
                format!("{path}.url"),
                format!("`{}` is not a plain absolute URL: write it as https://host[:port]/path, in lower case, without user name or escapes in the host", origin.url),
            ),
            Some(authority) if authority.scheme == "http" && !authority.is_loopback() => self.add(
                format!("{path}.url"),
                "would send the key in the clear: use https (http is for loopback addresses only)",
            ),
            // The second half is what RFC 3986 has no place for: one platform escapes it, another refuses it.
            Some(_) if origin.url.contains(['?', '#', '%', '\\', '"', '<', '>', '^', '`', '{', '|', '}'])
                || origin.url.contains("..")
                || !origin.url.bytes().all(|b| b.is_ascii_graphic()) => {
                self.add(format!("{path}.url"), "must have a plain path: no query, fragment, escapes, `..`, quotes, brackets, `^` or `|`");
            }
            Some(_) if origin.url.ends_with('/') => {
                self.add(format!("{path}.url"), "must not end in `/`: `/chat/completions` is appended to it");
            }
            Some(_) => {}
        }
        if origin.kind == Kind::Moegate && origin.secret.is_none() {
            self.add(
                format!("{path}.secret"),
                "is missing: requests to a moe-server are signed with its key; name the platform secret that holds it",
            );
        }
        if let Some(name) = &origin.secret {
            self.secret_name(&format!("{path}.secret"), name);
        }
        let mut lower: Vec<_> =
            origin.secret_headers.keys().map(|header| header.to_ascii_lowercase()).collect();
        lower.sort_unstable();
        if lower.windows(2).any(|pair| pair[0] == pair[1]) {
            self.add(format!("{path}.secret_headers"), "names one header twice, in different case");
        }
        for (header, name) in &origin.secret_headers {
            let path = format!("{path}.secret_headers.{header}");
            if !is_header_name(header) {
                self.add(path.as_str(), "is not a header name (RFC 9110, token)");
            } else if RESERVED_HEADERS.contains(&header.to_ascii_lowercase().as_str())
                || header.to_ascii_lowercase().starts_with("x-moegate-")
            {
                self.add(
                    path.as_str(),
                    "is a header that the gateway sets itself; for `Authorization` use `secret`",
                );
            }
            self.secret_name(&path, name);
        }
        if !(1..=600).contains(&origin.first_byte_timeout_s) {
            self.add(format!("{path}.first_byte_timeout_s"), "must be 1 to 600 seconds");
        }
        let breaker = &origin.breaker;
        for (name, value, least, most) in [
            ("breaker.failures", breaker.failures, 0, 1_000),
            ("breaker.percent", breaker.percent, 1, 100),
            ("breaker.attempts", breaker.attempts, 1, 10_000),
            ("breaker.open_s", breaker.open_s, 1, 60),
            ("retry_percent", origin.retry_percent, 0, 100),
        ] {
            self.range(&format!("{path}.{name}"), value, least, most);
        }
        for (i, name) in origin.spare_secrets.iter().enumerate() {
            let path = format!("{path}.spare_secrets[{i}]");
            self.secret_name(&path, name);
            if origin.secret.iter().chain(&origin.spare_secrets[..i]).any(|other| other == name) {
                self.add(path, format!("`{name}` would be tried twice"));
            }
        }
        if origin.secret.is_none() && !origin.spare_secrets.is_empty() {
            self.add(format!("{path}.spare_secrets"), "stand in for `secret`, which is missing");
        }
        if origin.kind == Kind::Moegate && origin.prefill != Prefill::default() {
            self.add(
                format!("{path}.prefill"),
                "has no use where the kind is `moegate`: it gets a resume handle",
            );
        }
        if origin.models.is_empty() {
            self.add(
                format!("{path}.models"),
                "is empty: add [[origins.models]] with name, input and output",
            );
        }
        for (i, model) in origin.models.iter().enumerate() {
            self.model_name(&format!("{path}.models[{i}].name"), &model.name);
        }
        self.unique(
            origin
                .models
                .iter()
                .enumerate()
                .map(|(i, m)| (format!("{path}.models[{i}].name"), m.name.as_str())),
        );
    }
}

impl Config {
    /// Everything that is wrong with this configuration.
    ///
    /// # Errors
    /// All problems found, in the file's order of sections.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        if !(1..=32).contains(&self.gateway.max_body_mib) {
            problems.add(
                "gateway.max_body_mib",
                "must be 1 to 32: a Worker has 128 MB in all, and a body stands there up to three times",
            );
        }
        if self.gateway.idempotency_s > 3600 {
            problems.add("gateway.idempotency_s", "must be 0 to 3600 seconds");
        }
        for (i, origin) in self.origins.iter().enumerate() {
            problems.origin(&format!("origins[{i}]"), origin);
        }
        problems.unique(
            self.origins.iter().enumerate().map(|(i, o)| (format!("origins[{i}].name"), o.name.as_str())),
        );
        self.secrets_have_one_owner(&mut problems);
        problems.routes(self);
        for (i, key) in self.keys.iter().enumerate() {
            let path = format!("keys[{i}]");
            problems.name(&format!("{path}.name"), &key.name);
            if let Some(tenant) = &key.tenant {
                problems.name(&format!("{path}.tenant"), tenant);
            }
            for (j, model) in key.models.iter().flatten().enumerate() {
                if !self.routes.iter().any(|route| route.has_name(model)) {
                    problems.add(format!("{path}.models[{j}]"), format!("no route serves `{model}`"));
                }
            }
        }
        problems
            .unique(self.keys.iter().enumerate().map(|(i, k)| (format!("keys[{i}].name"), k.name.as_str())));
        for (path, hash) in self.hashes() {
            problems.key_hash(&path, hash);
        }
        self.hashes_are_apart(&mut problems);
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

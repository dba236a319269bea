//! What one platform cannot honour although another can.

use crate::{Config, KeyHash, LedgerStore, Problem};
use std::fmt;
use std::str::FromStr;

/// Where the gateway is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Cloudflare Workers.
    Workers,
    /// Spin on a machine of one's own: `spin up`.
    Spin,
    /// Fermyon Wasm Functions: the same component under narrower limits.
    SpinHosted,
}

const NAMES: [(Platform, &str); 3] =
    [(Platform::Workers, "workers"), (Platform::Spin, "spin"), (Platform::SpinHosted, "spin-hosted")];

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NAMES.iter().filter(|(platform, _)| platform == self).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || NAMES.map(|(_, name)| name).join(", ");
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(platform, _)| *platform)
            .ok_or_else(|| format!("there is no platform `{text}`; there are: {}", known()))
    }
}

/// Wasm Functions ends a request after that time, streams too. Its FAQ, "Quota Limits".
const HOSTED_SECONDS: u32 = 30;
/// The largest body of a request or an answer there.
const HOSTED_MIB: u32 = 10;

/// Which WASI's hosts let no component set. The others that they refuse are reserved everywhere; this one is for an access
/// proxy, so it stays for Workers.
const SPIN_FORBIDS: &str = "proxy-authorization";

impl Platform {
    /// What this platform cannot honour, besides what `Config::validate` finds.
    #[must_use]
    pub fn problems(self, config: &Config) -> Vec<Problem> {
        match self {
            Self::Workers => workers(config),
            Self::Spin => spin(config),
            Self::SpinHosted => spin(config).into_iter().chain(spin_hosted(config)).collect(),
        }
    }
}

/// The name of the Spin variable that holds a platform secret.
pub(super) fn variable(secret: &str) -> String {
    secret.to_ascii_lowercase()
}

/// Spin's manifest wants words of small letters and digits between single `_`, each with a letter first.
fn is_variable(name: &str) -> bool {
    name.split('_').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// Every place that names a platform secret.
fn secrets(config: &Config) -> Vec<(String, &str)> {
    let mut places = Vec::new();
    for (i, origin) in config.origins.iter().enumerate() {
        places.extend(origin.secret.iter().map(|name| (format!("origins[{i}].secret"), name.as_str())));
        for (j, name) in origin.spare_secrets.iter().enumerate() {
            places.push((format!("origins[{i}].spare_secrets[{j}]"), name));
        }
        for (header, name) in &origin.secret_headers {
            places.push((format!("origins[{i}].secret_headers.{header}"), name));
        }
    }
    places.extend(config.hashes().filter_map(|(path, hash)| match hash {
        Some(KeyHash::InSecret(name)) => Some((format!("{path}.sha256_secret"), name)),
        _ => None,
    }));
    places
}

fn workers(config: &Config) -> Vec<Problem> {
    let taken = secrets(config).into_iter().filter(|(_, name)| matches!(*name, "USAGE" | "LEDGER"));
    taken
        .map(|(path, name)| Problem {
            path,
            message: format!("`{name}` is a binding of wrangler.toml, so no secret can have that name on Workers: take another"),
        })
        .collect()
}

fn spin(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, name) in secrets(config) {
        if !is_variable(&variable(name)) {
            problems.push(Problem {
                path,
                message: format!("`{name}` cannot be a Spin variable: between single `_` every word must begin with a letter there, so write `KEY2` or `KEY_B` for `KEY_2`, and no `_` at either end"),
            });
        }
    }
    for (i, origin) in config.origins.iter().enumerate() {
        let host = origin.authority().map_or("", |authority| authority.host());
        if matches!(host, "self" | "self.alt") || host.ends_with(".spin.internal") {
            problems.push(Problem {
                path: format!("origins[{i}].url"),
                message: format!("`{host}` means the application itself to Spin, which would get the origin's key: give the origin another host name"),
            });
        }
        for header in origin.secret_headers.keys() {
            if header.eq_ignore_ascii_case(SPIN_FORBIDS) {
                problems.push(Problem {
                    path: format!("origins[{i}].secret_headers.{header}"),
                    message: "counts as one of the connection, so Spin lets no component set it: have the origin's proxy take the secret in another header".to_owned(),
                });
            }
        }
    }
    problems
}

fn spin_hosted(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.ledger.store == LedgerStore::Database {
        problems.push(Problem {
            path: "ledger.store".to_owned(),
            message: "is `database`, but Fermyon Wasm Functions has no SQLite: set `store = \"key-value\"` under [ledger]; \
                      a crash then loses the records of what it interrupts, and there can be no limits"
                .to_owned(),
        });
    }
    if config.gateway.max_body_mib > HOSTED_MIB {
        problems.push(Problem {
            path: "gateway.max_body_mib".to_owned(),
            message: format!(
                "is {}, but Fermyon Wasm Functions takes bodies of {HOSTED_MIB} MiB at most: set `max_body_mib = {HOSTED_MIB}` under [gateway]",
                config.gateway.max_body_mib
            ),
        });
    }
    for (i, origin) in config.origins.iter().enumerate() {
        if origin.first_byte_timeout_s >= HOSTED_SECONDS {
            problems.push(Problem {
                path: format!("origins[{i}].first_byte_timeout_s"),
                message: format!(
                    "is {}, but Fermyon Wasm Functions ends a request after {HOSTED_SECONDS} seconds, so the gateway could not answer 504 itself: set `first_byte_timeout_s = 25` or any less than {HOSTED_SECONDS}",
                    origin.first_byte_timeout_s
                ),
            });
        }
        if origin.authority().is_some_and(|authority| authority.is_loopback()) {
            problems.push(Problem {
                path: format!("origins[{i}].url"),
                message: "is this machine's own address, which Fermyon Wasm Functions cannot reach: give the origin its public https URL, or a tunnel's".to_owned(),
            });
        }
    }
    for (i, route) in config.routes.iter().enumerate() {
        if route.budget.seconds >= HOSTED_SECONDS {
            problems.push(Problem {
                path: format!("routes[{i}].budget.seconds"),
                message: format!(
                    "is {}, but Fermyon Wasm Functions ends a request after {HOSTED_SECONDS} seconds, so a stream that is longer would end without an error: set `budget = {{ seconds = 29 }}` or any less than {HOSTED_SECONDS}",
                    route.budget.seconds
                ),
            });
        }
    }
    problems
}

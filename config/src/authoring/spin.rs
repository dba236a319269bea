//! Whether a `spin.toml` gives the component what the configuration asks for, and nothing beyond.

use super::platform::variable;
use crate::{Authority, Config, Kind, LedgerStore, Problem};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The component's name in the manifest.
const COMPONENT: &str = "moegate";
/// Where Google gives access tokens for service accounts.
const TOKEN_HOST: &str = "oauth2.googleapis.com";
/// The label under which `src/platform/spin/store.rs` opens the key-value store.
const STORE: &str = "default";
/// The label under which `src/platform/spin/ledger.rs` opens the ledger's database.
const DATABASE: &str = "default";

/// The keys of a manifest that the configuration decides; Spin itself checks the others.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    required: bool,
    #[serde(default)]
    secret: bool,
    default: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Component {
    variables: BTreeMap<String, String>,
    allowed_outbound_hosts: Vec<String>,
    key_value_stores: Vec<String>,
    sqlite_databases: Vec<String>,
}

/// Compares the text of a `spin.toml` with a validated configuration.
///
/// # Errors
/// Every difference: the key in the manifest, and the line to put there. What makes a name impossible on Spin is
/// [`Platform::Spin`](super::Platform)'s to say.
pub fn check(manifest: &str, config: &Config) -> Result<(), Vec<Problem>> {
    let manifest: Manifest = read(manifest).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut add = |path: String, message: String| problems.push(Problem { path, message });
    let names: BTreeSet<String> = config.secret_names().into_iter().map(variable).collect();
    let Some(component) = manifest.component.get(COMPONENT) else {
        return Err(vec![Problem {
            path: format!("component.{COMPONENT}"),
            message: format!("is missing: the gateway's component must stand under [component.{COMPONENT}]"),
        }]);
    };

    for name in &names {
        let good = manifest
            .variables
            .get(name)
            .is_some_and(|variable| variable.required && variable.secret && variable.default.is_none());
        if !good {
            add(
                format!("variables.{name}"),
                format!("under [variables], put: {name} = {{ required = true, secret = true }}"),
            );
        }
        let handed_on = component.variables.get(name).and_then(|value| expression(value));
        if handed_on != Some(name.as_str()) {
            add(
                format!("component.{COMPONENT}.variables.{name}"),
                format!("under [component.{COMPONENT}.variables], put: {name} = \"{{{{ {name} }}}}\""),
            );
        }
    }
    for name in component.variables.keys().filter(|name| !names.contains(*name)) {
        add(
            format!("component.{COMPONENT}.variables.{name}"),
            "is no secret of the configuration: take the line out".to_owned(),
        );
    }
    // Where there are other components, a variable may be theirs.
    if manifest.component.len() == 1 {
        for name in manifest.variables.keys().filter(|name| !names.contains(*name)) {
            add(
                format!("variables.{name}"),
                "is no secret of the configuration: take the line out".to_owned(),
            );
        }
    }
    if let Some(problem) = hosts(component, config) {
        add(format!("component.{COMPONENT}.allowed_outbound_hosts"), problem);
    }
    let mut lacks = |key: &str, labels: &[String], label: &'static str, what: &str| {
        if !labels.iter().any(|other| other == label) {
            let labels: Vec<_> = labels.iter().map(String::as_str).chain([label]).collect();
            add(format!("component.{COMPONENT}.{key}"), format!("lacks {what}; put: {key} = {labels:?}"));
        }
    };
    lacks("key_value_stores", &component.key_value_stores, STORE, "the key-value store");
    if config.ledger.store == LedgerStore::Database {
        let what = "the ledger's database (or, where there is none, put `store = \"key-value\"` under `[ledger]` of \
                    the configuration, and lose limits and exactness)";
        lacks("sqlite_databases", &component.sqlite_databases, DATABASE, what);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A `spin.toml` for a configuration that [`Platform::Spin`](super::Platform) takes, whose component is the file `source`,
/// relative to the manifest. [`check`] has nothing to say of it.
#[must_use]
pub fn manifest(config: &Config, source: &str) -> String {
    let names: BTreeSet<String> = config.secret_names().into_iter().map(variable).collect();
    let lines = |line: &dyn Fn(&str) -> String| names.iter().map(|name| line(name)).collect::<String>();
    let declared = lines(&|name| format!("{name} = {{ required = true, secret = true }}\n"));
    let handed_on = lines(&|name| format!("{name} = \"{{{{ {name} }}}}\"\n"));
    let source = toml::Value::from(source);
    let databases = match config.ledger.store {
        LedgerStore::Database => format!("sqlite_databases = [\"{DATABASE}\"]\n"),
        LedgerStore::KeyValue => String::new(),
    };
    format!(
        "spin_manifest_version = 2\n\n[application]\nname = \"{COMPONENT}\"\nversion = \"{}\"\n\n\
         [variables]\n{declared}\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"{COMPONENT}\"\n\n\
         [component.{COMPONENT}]\nsource = {source}\nallowed_outbound_hosts = {:?}\nkey_value_stores = [\"{STORE}\"]\n{databases}\n\
         [component.{COMPONENT}.variables]\n{handed_on}",
        env!("CARGO_PKG_VERSION"),
        host_entries(&origins(config)),
    )
}

fn read(text: &str) -> Result<Manifest, Problem> {
    #[derive(Deserialize)]
    struct Version {
        spin_manifest_version: Option<toml::Value>,
    }
    let unreadable = |error: toml::de::Error| Problem {
        path: "spin.toml".to_owned(),
        message: error.to_string().trim_end().to_owned(),
    };
    // First, because another version has other tables.
    let version: Version = toml::from_str(text).map_err(unreadable)?;
    if version.spin_manifest_version != Some(toml::Value::Integer(2)) {
        return Err(Problem {
            path: "spin_manifest_version".to_owned(),
            message: "is not 2; put on top: spin_manifest_version = 2".to_owned(),
        });
    }
    toml::from_str(text).map_err(unreadable)
}

/// The variable that a template is made of, if it is nothing else.
fn expression(template: &str) -> Option<&str> {
    Some(template.strip_prefix("{{")?.strip_suffix("}}")?.trim())
}

/// Exactly the origins: no wildcard, no template, no path, none missing, none more.
fn hosts(component: &Component, config: &Config) -> Option<String> {
    let origins = origins(config);
    let allowed: BTreeSet<_> = component.allowed_outbound_hosts.iter().map(|entry| allowed(entry)).collect();
    if allowed.iter().all(Option::is_some) && allowed.into_iter().flatten().eq(origins.iter().copied()) {
        return None;
    }
    let entries = host_entries(&origins);
    Some(format!(
        "must be the configured origins and nothing more; put: allowed_outbound_hosts = {entries:?}"
    ))
}

/// Scheme, host and port of every origin, of what wakes it, of the collector of spans, of where Vertex's access tokens come from,
/// and of where issuers of clients' tokens have their keys.
fn origins(config: &Config) -> BTreeSet<(&str, &str, u16)> {
    let tokens = config.origins.iter().any(|origin| origin.kind == Kind::Vertex);
    let tokens = tokens.then_some(("https", TOKEN_HOST, 443));
    let wakes = config.origins.iter().filter_map(|origin| origin.wake.as_ref()?.url.as_deref());
    let wakes = wakes.filter_map(|url| whole(Authority::of(url)?));
    let origins = config.origins.iter().filter_map(|origin| whole(origin.authority()?));
    let issuers = config.keys.iter().filter_map(|key| whole(Authority::of(key.oidc.as_ref()?.jwks_url())?));
    let collector = config.telemetry.authority().and_then(whole);
    origins.chain(wakes).chain(collector).chain(tokens).chain(issuers).collect()
}

fn host_entries(origins: &BTreeSet<(&str, &str, u16)>) -> Vec<String> {
    origins.iter().map(|(scheme, host, port)| format!("{scheme}://{host}:{port}")).collect()
}

/// Scheme, host and port of an entry that stands for one origin.
fn allowed(entry: &str) -> Option<(&str, &str, u16)> {
    let authority = Authority::of(entry)?;
    let rest =
        entry.strip_prefix(authority.scheme)?.strip_prefix("://")?.strip_prefix(authority.authority)?;
    if matches!(rest, "" | "/") { whole(authority) } else { None }
}

/// With the scheme's own port where none is written, as Spin takes it.
fn whole(authority: Authority<'_>) -> Option<(&str, &str, u16)> {
    let port = match authority.authority[authority.host().len()..].strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if authority.scheme == "https" => 443,
        None => 80,
    };
    Some((authority.scheme, authority.host(), port))
}

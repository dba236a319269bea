//! The definition of `moegate.toml`.
//!
//! One set of types gives the parser, the validator, the JSON Schema and the reference page. The gateway's build
//! script reads and validates the TOML and compiles it in as JSON of the same types, so that the edge carries no TOML
//! reader. This is a crate of its own because the build script and the gateway both need it.
#![forbid(unsafe_code)]

pub mod key;
mod money;
mod origin;
mod validate;

#[cfg(feature = "authoring")]
pub mod authoring;

pub use money::DollarsPerMillion;
pub use origin::{Authority, Kind, Model, Origin};
pub use validate::Problem;

use serde::{Deserialize, Serialize};

/// The whole of `moegate.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What holds for every request.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where requests may be sent. Compiled in: neither a client nor a stored value can add one.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Which model name goes where.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Who may call. Without any key every call is answered 401.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Who may read `/usage`. Without it nobody may.
    #[serde(default)]
    pub admin: Option<Admin>,
}

/// What holds for every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// The largest request body in MiB; a larger one is answered 413. At most 32: a Worker has 128 MB in all. On Fermyon
    /// Wasm Functions at most 10.
    pub max_body_mib: u32,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { max_body_mib: 32 }
    }
}

/// Requests for one model name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name that clients ask for.
    pub model: String,
    /// The name of an origin.
    pub origin: String,
    /// The name by which that origin knows the model. Default: the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_model: Option<String>,
    /// How streams pass. Default: `relay` for origins of kind `moegate`, otherwise `pump`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamWay>,
}

impl Route {
    /// The name by which the origin knows the model.
    #[must_use]
    pub fn served_model(&self) -> &str {
        self.origin_model.as_deref().unwrap_or(&self.model)
    }
}

/// How a stream passes through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StreamWay {
    /// The runtime's own pipe; usage comes from the origin's signed receipt. Only for origins of kind `moegate`.
    Relay,
    /// Every event is looked at as it passes; usage comes from the stream.
    Pump,
}

/// One client key. Only its hash is ever stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Appears in usage records. Letters, digits, `-`, `_`.
    pub name: String,
    /// The hash itself: 64 hex digits, as `moegate keys new` prints them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Instead: the name of the platform secret that holds the 64 hex digits. Missing or empty there: the key does
    /// not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_secret: Option<String>,
    /// The models this key may use. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
}

/// The key that may read `/usage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// As for a client key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// As for a client key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_secret: Option<String>,
}

/// Where a key's SHA-256 stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHash<'a> {
    /// 64 hex digits.
    Here(&'a str),
    /// In the platform secret of that name.
    InSecret(&'a str),
}

impl<'a> KeyHash<'a> {
    /// `None` unless exactly one is given.
    fn of(here: Option<&'a str>, secret: Option<&'a str>) -> Option<Self> {
        match (here, secret) {
            (Some(hash), None) => Some(Self::Here(hash)),
            (None, Some(name)) => Some(Self::InSecret(name)),
            _ => None,
        }
    }
}

impl Key {
    /// Always there in a validated configuration.
    #[must_use]
    pub fn hash(&self) -> Option<KeyHash<'_>> {
        KeyHash::of(self.sha256.as_deref(), self.sha256_secret.as_deref())
    }
}

impl Admin {
    /// Always there in a validated configuration.
    #[must_use]
    pub fn hash(&self) -> Option<KeyHash<'_>> {
        KeyHash::of(self.sha256.as_deref(), self.sha256_secret.as_deref())
    }
}

impl Config {
    /// The origin of that name.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.name == name)
    }

    /// The names of all platform secrets this configuration refers to, sorted, each once.
    #[must_use]
    pub fn secret_names(&self) -> Vec<&str> {
        let origins = self.origins.iter().flat_map(Origin::secret_names);
        let mut names: Vec<_> = origins.chain(self.hash_secrets()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Every key's hash with its path, the admin's last.
    fn hashes(&self) -> impl Iterator<Item = (String, Option<KeyHash<'_>>)> {
        let keys = self.keys.iter().enumerate().map(|(i, key)| (format!("keys[{i}]"), key.hash()));
        keys.chain(self.admin.iter().map(|admin| ("admin".to_owned(), admin.hash())))
    }

    fn hash_secrets(&self) -> impl Iterator<Item = &str> {
        self.hashes().filter_map(|(_, hash)| match hash {
            Some(KeyHash::InSecret(name)) => Some(name),
            _ => None,
        })
    }
}

//! The admin key, and where keys' hashes stand.

use serde::{Deserialize, Serialize};

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
    pub(crate) fn of(here: Option<&'a str>, secret: Option<&'a str>) -> Option<Self> {
        match (here, secret) {
            (Some(hash), None) => Some(Self::Here(hash)),
            (None, Some(name)) => Some(Self::InSecret(name)),
            _ => None,
        }
    }
}

impl Admin {
    /// Always there in a validated configuration.
    #[must_use]
    pub fn hash(&self) -> Option<KeyHash<'_>> {
        KeyHash::of(self.sha256.as_deref(), self.sha256_secret.as_deref())
    }
}

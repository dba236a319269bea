//! Keys made at run time: what a row holds, and what a change makes of it.

use crate::config::{ErrorDetail, Key, Limit};
use serde::{Deserialize, Serialize};

/// Hashes of one key that are good at a time.
const MOST_HASHES: usize = 4;

/// A key that was made at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeKey {
    /// Without a hash.
    pub key: Key,
    /// The name of the key that it was made with: [`Key::ADMIN`], or a configured one's.
    pub made_by: String,
    /// Unix milliseconds, as all times here.
    pub created_ms: u64,
    pub changed_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
    /// The newest last.
    pub hashes: Vec<Hash>,
}

/// The hash of a key's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash {
    /// 64 hex digits.
    pub sha256: String,
    /// Until when it is good, where another has replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Whether whoever wanted the key has got its text. One that nobody has got is replaced without an overlap.
    pub shown: bool,
}

/// A change of a key. It can be sent again: what it has done is not done twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// A request id, which sorts by time.
    pub id: String,
    pub at_ms: u64,
    /// The name of the key that asks for it, as in [`MadeKey::made_by`].
    pub by: String,
    /// Of the key that is changed.
    pub name: String,
    pub what: Change,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Make {
        key: Box<Key>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
        sha256: String,
    },
    /// What stands here is replaced.
    Limit {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limits: Option<Vec<Limit>>,
        /// None in it: all models.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        models: Option<Models>,
        /// 0: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// A new hash; those before are good until then.
    Rotate {
        sha256: String,
        until_ms: u64,
    },
    Revoke,
}

/// The models that a key may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Models {
    All,
    These(Vec<String>),
}

/// Why a change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRefusal {
    /// The name is another key's, or was.
    Taken,
    /// There is no such key, or it was made with another one.
    Unknown,
    Revoked,
    /// Something later has changed it.
    Later,
    /// Too many of its hashes are good.
    Hashes,
}

impl Change {
    /// Its name in the audit.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Make { .. } => "make",
            Self::Limit { .. } => "limit",
            Self::Rotate { .. } => "rotate",
            Self::Revoke => "revoke",
        }
    }
}

impl KeyChange {
    /// What the row is afterwards; `None`: as before.
    pub(super) fn apply(&self, before: Option<&MadeKey>) -> Result<Option<MadeKey>, KeyRefusal> {
        if let Change::Make { key, expires_ms, sha256 } = &self.what {
            let mut hashes = match before {
                None => Vec::new(),
                // Nobody has got it: whoever wanted it wants it again.
                Some(before) if before.is_unseen() && before.made_by == self.by => before.ended(0),
                Some(_) => return Err(KeyRefusal::Taken),
            };
            hashes.push(Hash::new(sha256));
            return Ok(Some(MadeKey {
                key: (**key).clone(),
                made_by: self.by.clone(),
                created_ms: self.at_ms,
                changed_ms: self.at_ms,
                expires_ms: *expires_ms,
                revoked_ms: None,
                hashes,
            }));
        }
        let may = |made: &&MadeKey| self.by == Key::ADMIN || made.made_by == self.by;
        let mut row = before.filter(may).ok_or(KeyRefusal::Unknown)?.clone();
        match &self.what {
            Change::Revoke if row.revoked_ms.is_some() => return Ok(None),
            _ if row.revoked_ms.is_some() => return Err(KeyRefusal::Revoked),
            Change::Revoke => {
                row.revoked_ms = Some(self.at_ms);
                row.hashes = row.ended(0);
            }
            // Sent, and lost on its way, until something later was done.
            _ if self.at_ms < row.changed_ms => return Err(KeyRefusal::Later),
            Change::Limit { limits, models, expires_ms } => {
                if let Some(limits) = limits {
                    row.key.limits.clone_from(limits);
                }
                if let Some(models) = models {
                    row.key.models = match models {
                        Models::All => None,
                        Models::These(models) => Some(models.clone()),
                    };
                }
                if let Some(expires_ms) = expires_ms {
                    row.expires_ms = Some(*expires_ms).filter(|ms| *ms > 0);
                }
            }
            Change::Rotate { sha256, until_ms } => {
                let is_good = |hash: &&Hash| hash.is_good(self.at_ms) && hash.shown;
                if row.hashes.iter().filter(is_good).count() >= MOST_HASHES && *until_ms > self.at_ms {
                    return Err(KeyRefusal::Hashes);
                }
                row.hashes = row.ended(*until_ms);
                row.hashes.push(Hash::new(sha256));
            }
            // Above.
            Change::Make { .. } => return Ok(None),
        }
        row.changed_ms = row.changed_ms.max(self.at_ms);
        Ok(Some(row))
    }
}

impl MadeKey {
    /// Whether nobody has got its text.
    fn is_unseen(&self) -> bool {
        self.revoked_ms.is_none() && self.hashes.iter().all(|hash| !hash.shown)
    }

    /// Its hashes, none good for longer than that; those that nobody has got, not at all.
    fn ended(&self, until_ms: u64) -> Vec<Hash> {
        let ended = |hash: &Hash| {
            let until_ms = if hash.shown { until_ms } else { 0 };
            Hash { until_ms: Some(hash.until_ms.map_or(until_ms, |ms| ms.min(until_ms))), ..hash.clone() }
        };
        self.hashes.iter().map(ended).collect()
    }

    /// What readers see of it, as JSON: no hashes.
    #[must_use]
    pub fn view(&self) -> String {
        let seconds = |ms: u64| ms / 1000;
        let view = View {
            name: &self.key.name,
            tenant: self.key.tenant.as_deref(),
            models: self.key.models.as_deref(),
            errors: self.key.errors,
            limits: &self.key.limits,
            made_by: &self.made_by,
            created_at: seconds(self.created_ms),
            expires_at: self.expires_ms.map(seconds),
            revoked_at: self.revoked_ms.map(seconds),
            old_secrets_until: self.hashes.iter().filter_map(|hash| hash.until_ms.map(seconds)).max(),
        };
        serde_json::to_string(&view).unwrap_or_default()
    }
}

/// Times are Unix seconds, as in OpenAI's API.
#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ErrorDetail>,
    limits: &'a [Limit],
    made_by: &'a str,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secrets_until: Option<u64>,
}

impl Hash {
    fn new(sha256: &str) -> Self {
        Self { sha256: sha256.to_owned(), until_ms: None, shown: false }
    }

    /// Whether a key with it may be used then.
    #[must_use]
    pub fn is_good(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until_ms| now_ms < until_ms)
    }
}

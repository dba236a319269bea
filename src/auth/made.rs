//! Keys made at run time, as instances see them: a value in the platform's store under each hash.

use super::KeyDigest;
use crate::config::{Config, Key};
use crate::error::ApiError;
use crate::ledger::made_key::{Hash, MadeKey};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How long an instance goes by what it has read, in milliseconds. What is changed is seen within this and the minute or so
/// that the store itself takes.
const FRESH_MS: u64 = 30_000;
/// Entries that an instance holds at most.
const MOST_ENTRIES: usize = 4096;

/// What the store has under a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub key: Key,
    pub made_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Until when this hash is good, where another has replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Note {
    #[must_use]
    pub fn of(row: &MadeKey, hash: &Hash) -> Self {
        Self {
            key: row.key.clone(),
            made_by: row.made_by.clone(),
            expires_ms: row.expires_ms,
            until_ms: hash.until_ms,
        }
    }

    /// The configured key that it was made with, whose limits and models hold for it too; `None`: the admin key.
    ///
    /// # Errors
    /// 401 where it is good no longer.
    pub fn maker<'c>(&self, config: &'c Config, now_ms: u64) -> Result<Option<&'c Key>, ApiError> {
        let over = |at: Option<u64>| at.is_some_and(|ms| ms <= now_ms);
        let refused = |text| Err(ApiError::unauthorized(text));
        if over(self.until_ms) {
            return refused(
                "this key was replaced by another one (`moegate keys rotate`), and its time is over",
            );
        }
        if over(self.expires_ms) {
            return refused(
                "this key has expired; whoever made it can give it more time with `moegate keys limit`",
            );
        }
        if config.keys.iter().any(|key| key.name == self.key.name) {
            return refused(
                "a key of the same name stands in moegate.toml now, and this one is good no longer: make another with another name",
            );
        }
        if self.made_by == Key::ADMIN {
            return Ok(None);
        }
        let maker = config.keys.iter().find(|key| key.name == self.made_by);
        match maker.filter(|maker| maker.tenant_or_name() == self.key.tenant_or_name()) {
            Some(maker) => Ok(Some(maker)),
            None => refused("the key with which this one was made is gone, and this one is good no longer"),
        }
    }
}

/// Where the store has what is known of a hash.
#[must_use]
pub fn store_key(sha256: &str) -> String {
    format!("keys/{sha256}")
}

/// Whether it has the form of keys that are made here. Others are not looked up: each look-up costs.
#[must_use]
pub fn has_form(token: &str) -> bool {
    token.strip_prefix("mg-").is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// What an instance has read of late, of keys that there are not too.
#[derive(Debug, Default)]
pub struct NoteCache(HashMap<KeyDigest, (u64, Option<Arc<Note>>)>);

impl NoteCache {
    /// `None`: nothing is known, or not any more.
    #[must_use]
    pub fn get(&self, digest: &KeyDigest, now_ms: u64) -> Option<Option<Arc<Note>>> {
        self.0.get(digest).filter(|(until_ms, _)| now_ms < *until_ms).map(|(_, note)| note.clone())
    }

    /// What was found by a look-up that began at `asked_ms`.
    pub fn insert(&mut self, digest: KeyDigest, note: Option<Arc<Note>>, asked_ms: u64) {
        if self.0.len() >= MOST_ENTRIES {
            // Unknown keys are whatever anybody sends: they go first.
            self.0.retain(|_, (until_ms, note)| note.is_some() && asked_ms < *until_ms);
            if self.0.len() >= MOST_ENTRIES {
                self.0.clear();
            }
        }
        self.0.insert(digest, (asked_ms + FRESH_MS, note));
    }

    /// This instance has changed it itself.
    pub fn forget(&mut self, digest: &KeyDigest) {
        self.0.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str) -> Note {
        let key = serde_json::from_value(serde_json::json!({"name": name, "tenant": "acme"})).unwrap();
        Note { key, made_by: Key::ADMIN.into(), expires_ms: None, until_ms: None }
    }

    #[test]
    fn forms() {
        let good = format!("mg-{}", "a_-Z9".repeat(9).get(..43).unwrap());
        for (token, expected) in [
            (&*good, true),
            (&good[..45], false),
            ("mg-", false),
            (&*format!("{good}a"), false),
            (&*good.replace("mg-", "sk-"), false),
            (&*good.replace('_', "/"), false),
        ] {
            assert_eq!(has_form(token), expected, "{token}");
        }
    }

    #[test]
    fn what_makes_a_key_good() {
        let config: Config = serde_json::from_value(serde_json::json!({"keys": [
            {"name": "maker", "tenant": "acme", "makes_keys": true},
            {"name": "other", "tenant": "other", "makes_keys": true},
        ]}))
        .unwrap();
        let by = |made_by: &str| Note { made_by: made_by.into(), ..note("child") };
        for (note, expected) in [
            (by(Key::ADMIN), Ok(None)),
            (by("maker"), Ok(Some("maker"))),
            (by("gone"), Err("is gone")),
            (by("other"), Err("is gone")),
            (note("maker"), Err("same name")),
            (Note { expires_ms: Some(11), ..note("a") }, Ok(None)),
            (Note { expires_ms: Some(10), ..note("a") }, Err("has expired")),
            (Note { until_ms: Some(11), ..note("a") }, Ok(None)),
            (Note { until_ms: Some(10), ..note("a") }, Err("replaced")),
        ] {
            match (note.maker(&config, 10), expected) {
                (Ok(maker), Ok(name)) => assert_eq!(maker.map(|maker| &*maker.name), name),
                (Err(error), Err(part)) => {
                    assert_eq!(error.status, 401);
                    assert!(error.message.contains(part), "{}", error.message);
                }
                (got, expected) => panic!("{note:?}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn the_cache_is_fresh_and_bounded() {
        let digest = |number: u64| super::super::digest(&number.to_string());
        let mut cache = NoteCache::default();
        cache.insert(digest(0), Some(Arc::new(note("a"))), 1_000);
        cache.insert(digest(1), None, 1_000);
        let found = |cache: &NoteCache, number, ms| cache.get(&digest(number), ms).map(|note| note.is_some());
        assert_eq!(found(&cache, 0, 30_999), Some(true));
        assert_eq!((found(&cache, 1, 30_999), found(&cache, 2, 1_000)), (Some(false), None));
        assert_eq!((found(&cache, 0, 31_000), found(&cache, 1, 31_000)), (None, None));
        for number in 2..10_000 {
            cache.insert(digest(number), None, 2_000);
        }
        assert!(cache.0.len() <= MOST_ENTRIES);
        assert_eq!(found(&cache, 0, 3_000), Some(true), "keys that there are stay");
        cache.forget(&digest(0));
        assert_eq!(found(&cache, 0, 3_000), None);
    }
}

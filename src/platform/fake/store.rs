//! The store, in memory, and the ways in which a real one misbehaves.

use super::clock::Clock;
use crate::platform::{Entry, Page, StoreError};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys on one page of a list, as on Workers KV.
const PAGE: usize = 1000;

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub value: String,
    pub summary: String,
}

/// How the store misbehaves. All counts are of calls still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hazards {
    /// So many calls fail.
    pub failing: usize,
    /// So many writes fail as far as the caller can see, and are stored all the same.
    pub stored_but_failing: usize,
    /// So many writes succeed as far as the caller can see, and are lost.
    pub lost: usize,
    /// So many writes are never answered.
    pub hanging: usize,
    /// Each write takes so long.
    pub put_ms: u64,
    /// Each page of a list takes so long.
    pub list_ms: u64,
    /// What an instance stores for others is seen only after so long.
    pub recall_after_ms: u64,
    /// Values that are stored or erased are seen only after so long.
    pub load_after_ms: u64,
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) records: BTreeMap<String, Stored>,
    pub(super) hazards: Hazards,
    /// Values, from when on they are seen, and until when.
    notes: BTreeMap<String, Vec<(u64, u64, String)>>,
    /// Values, and when each was stored; `None`: erased.
    values: BTreeMap<String, Vec<(u64, Option<String>)>>,
}

/// What becomes of a call.
pub(super) enum Fate {
    Answered,
    Fails,
    StoredButFails,
    Lost,
    Hangs,
}

fn count_down(left: &mut usize) -> bool {
    let counts = *left > 0;
    *left -= usize::from(counts);
    counts
}

impl Store {
    pub(super) fn fate_of_put(&mut self) -> Fate {
        let hazards = &mut self.hazards;
        if count_down(&mut hazards.failing) {
            Fate::Fails
        } else if count_down(&mut hazards.stored_but_failing) {
            Fate::StoredButFails
        } else if count_down(&mut hazards.lost) {
            Fate::Lost
        } else if count_down(&mut hazards.hanging) {
            Fate::Hangs
        } else {
            Fate::Answered
        }
    }

    pub(super) fn put(&mut self, key: &str, value: &str, summary: &str) {
        let stored = Stored { key: key.to_owned(), value: value.to_owned(), summary: summary.to_owned() };
        self.records.insert(key.to_owned(), stored);
    }

    pub(super) fn set(&mut self, clock: &Clock, key: &str, value: Option<&str>) {
        let values = self.values.entry(key.to_owned()).or_default();
        values.push((clock.now_ms(), value.map(str::to_owned)));
    }

    /// As they are now, by key.
    pub(super) fn values(&self) -> Vec<(String, String)> {
        let now = |(key, all): (&String, &Vec<(u64, Option<String>)>)| {
            Some((key.clone(), all.last().and_then(|(_, value)| value.clone())?))
        };
        self.values.iter().filter_map(now).collect()
    }

    pub(super) fn load(&mut self, clock: &Clock, key: &str) -> Result<Option<String>, StoreError> {
        if count_down(&mut self.hazards.failing) {
            return Err(StoreError);
        }
        let seen_ms = clock.now_ms().saturating_sub(self.hazards.load_after_ms);
        let seen = self.values.get(key).and_then(|all| all.iter().rev().find(|(ms, _)| *ms <= seen_ms));
        Ok(seen.and_then(|(_, value)| value.clone()))
    }

    pub(super) fn latest(&self, key: &str) -> Option<String> {
        self.values.get(key)?.last()?.1.clone()
    }

    pub(super) fn list(&mut self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        if count_down(&mut self.hazards.failing) {
            return Err(StoreError);
        }
        let from = cursor.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut found = self
            .records
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let entries = page.iter().map(|(key, stored)| {
            // What is no JSON has no summary, as where a platform finds no metadata.
            let summary = RawValue::from_string(stored.summary.clone()).unwrap_or_else(|_| null());
            Entry { name: (*key).clone(), summary }
        });
        Ok(Page {
            entries: entries.collect(),
            cursor: found.next().and_then(|_| page.last().map(|(key, _)| (*key).clone())),
        })
    }

    pub(super) fn remember(&mut self, clock: &Clock, key: &str, value: &str, seconds: u64) {
        let now_ms = clock.now_ms();
        let seen_ms = now_ms + self.hazards.recall_after_ms;
        let over_ms = now_ms.saturating_add(seconds.saturating_mul(1000));
        let notes = self.notes.entry(key.to_owned()).or_default();
        notes.retain(|(_, over_ms, _)| *over_ms > now_ms);
        notes.push((seen_ms, over_ms, value.to_owned()));
    }

    pub(super) fn recall(&self, clock: &Clock, key: &str) -> Option<String> {
        let now_ms = clock.now_ms();
        let seen = self.notes.get(key)?.iter().rev().find(|(seen_ms, ..)| *seen_ms <= now_ms);
        seen.filter(|(_, over_ms, _)| *over_ms > now_ms).map(|(.., value)| value.clone())
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

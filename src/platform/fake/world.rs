//! What all requests share: time, secrets, the store, the origins.

use super::script::{Arrived, Responder, Script};
use crate::core::memory::Memory;
use crate::core::secret::Secret;
use crate::platform::{Entry, Page, StoreError};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often the store is tried for a record, as in glue.mjs.
const PUT_TRIES: usize = 4;
/// Keys on one page of a list, as on Workers KV.
const PAGE: usize = 1000;

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub value: String,
    pub summary: String,
}

/// The world around the gateway. Nothing in it moves by itself.
pub struct World(Mutex<State>);

struct State {
    now_ms: u64,
    drawn: u64,
    secrets: BTreeMap<String, String>,
    store: BTreeMap<String, Stored>,
    store_failures: usize,
    memory: Memory,
    remembered: BTreeMap<String, String>,
    log: Vec<String>,
    responder: Responder,
    arrived: Vec<Arrived>,
    /// The numbers of those whose connection the gateway closed before the answer was whole.
    dropped: Vec<usize>,
}

impl World {
    /// `now_ms`: Unix milliseconds.
    #[must_use]
    pub fn new(now_ms: u64, secrets: BTreeMap<String, String>) -> Self {
        Self(Mutex::new(State {
            now_ms,
            drawn: 0,
            secrets,
            store: BTreeMap::new(),
            store_failures: 0,
            memory: Memory::default(),
            remembered: BTreeMap::new(),
            log: Vec::new(),
            responder: Arc::new(|_| Script::Refuse),
            arrived: Vec::new(),
            dropped: Vec::new(),
        }))
    }

    /// From now on origins do what `responder` says; what has arrived is forgotten.
    pub fn answer(&self, responder: Responder) {
        let mut state = self.state();
        state.responder = responder;
        state.arrived.clear();
        state.dropped.clear();
    }

    /// The next `count` calls of the store fail.
    pub fn fail_store(&self, count: usize) {
        self.state().store_failures = count;
    }

    pub fn pass_ms(&self, ms: u64) {
        self.state().now_ms += ms;
    }

    /// The requests that have reached an origin, in order.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state().arrived.clone()
    }

    /// Whether the gateway closed the connection of the request of that number before the answer was whole.
    #[must_use]
    pub fn was_dropped(&self, number: usize) -> bool {
        self.state().dropped.contains(&number)
    }

    /// All records, by key.
    #[must_use]
    pub fn stored(&self) -> Vec<Stored> {
        self.state().store.values().cloned().collect()
    }

    /// Records that could not be stored.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn memory<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        f(&mut self.state().memory)
    }

    pub(super) fn remember(&self, key: &str, value: &str) {
        self.state().remembered.insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn recall(&self, key: &str) -> Option<String> {
        self.state().remembered.get(key).cloned()
    }

    /// The instance is gone, with what it remembered.
    pub fn forget(&self) {
        self.state().memory = Memory::default();
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    /// Another number each time, which is what ids need.
    pub(super) fn random(&self) -> [u8; 10] {
        let mut state = self.state();
        state.drawn += 1;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&state.drawn.to_be_bytes());
        bytes
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.state().secrets.get(name).and_then(|value| Secret::new(value))
    }

    pub(super) fn arrive(&self, arrived: Arrived) -> (usize, Script) {
        let responder = Arc::clone(&self.state().responder);
        // Not under the lock: a responder may look at the world.
        let script = responder(&arrived);
        let mut state = self.state();
        if script != Script::Refuse {
            state.arrived.push(arrived);
        }
        (state.arrived.len().saturating_sub(1), script)
    }

    pub(super) fn drop_connection(&self, number: usize) {
        self.state().dropped.push(number);
    }

    pub(super) fn put(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        let failures = state.store_failures.min(PUT_TRIES);
        state.store_failures -= failures;
        if failures == PUT_TRIES {
            state.log.push(value.to_owned());
            return Err(StoreError);
        }
        let stored = Stored { key: key.to_owned(), value: value.to_owned(), summary: summary.to_owned() };
        state.store.insert(key.to_owned(), stored);
        Ok(())
    }

    pub(super) fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        let mut state = self.state();
        if state.store_failures > 0 {
            state.store_failures -= 1;
            return Err(StoreError);
        }
        let from = cursor.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut found = state
            .store
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let entries = page.iter().map(|(key, stored)| {
            let summary = RawValue::from_string(stored.summary.clone()).map_err(|_| StoreError)?;
            Ok(Entry { name: (*key).clone(), summary })
        });
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            cursor: found.next().and_then(|_| page.last().map(|(key, _)| (*key).clone())),
        })
    }
}

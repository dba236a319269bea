//! What all requests share: time, secrets, the store, the origins.

use super::clock::Clock;
use super::executor::split_mix;
use super::ledger::{Ledger, LedgerHazards};
use super::script::{Arrived, Responder, Script};
use super::store::{Hazards, Store, Stored};
use crate::ledger::Value;
use crate::platform::SecretsUnavailable;
use crate::secret::Secret;
use crate::state::InstanceState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Shorter secrets are ordinary words, and not looked for.
const SECRET_LENGTH: usize = 16;

/// The world around the gateway. Nothing in it moves by itself.
pub struct World {
    pub(super) clock: Clock,
    instances: Mutex<BTreeMap<usize, InstanceState>>,
    state: Mutex<State>,
    ledger: Mutex<Ledger>,
}

struct State {
    drawn: u64,
    secrets: BTreeMap<String, String>,
    secrets_unavailable: bool,
    tells_of_leaving: bool,
    denied: Vec<String>,
    store: Store,
    log: Vec<String>,
    responder: Responder,
    arrived: Vec<Arrived>,
    /// When the gateway closed the connections that were not at their end, by the requests' numbers.
    dropped: BTreeMap<usize, u64>,
    client_left_ms: Option<u64>,
}

impl World {
    /// `now_ms`: Unix milliseconds.
    #[must_use]
    pub fn new(now_ms: u64, secrets: BTreeMap<String, String>) -> Self {
        Self {
            clock: Clock::new(now_ms),
            instances: Mutex::default(),
            ledger: Mutex::default(),
            state: Mutex::new(State {
                drawn: 0,
                secrets,
                secrets_unavailable: false,
                tells_of_leaving: true,
                denied: Vec::new(),
                store: Store::default(),
                log: Vec::new(),
                responder: Arc::new(|_| Script::Refuse),
                arrived: Vec::new(),
                dropped: BTreeMap::new(),
                client_left_ms: None,
            }),
        }
    }

    /// From now on origins do what `responder` says; what has arrived is forgotten.
    pub fn answer(&self, responder: Responder) {
        let mut state = self.state();
        state.responder = responder;
        state.arrived.clear();
        state.dropped.clear();
        state.client_left_ms = None;
    }

    /// How the store misbehaves from now on.
    pub fn hazards(&self, hazards: Hazards) {
        self.state().store.hazards = hazards;
    }

    /// How the ledger's calls go wrong from now on.
    pub fn ledger_hazards(&self, hazards: LedgerHazards) {
        self.with_ledger(|ledger| ledger.hazards = hazards);
    }

    /// The operations that the ledger has carried out, in their order.
    #[must_use]
    pub fn ledger_operations(&self) -> Vec<String> {
        self.with_ledger(|ledger| ledger.operations.clone())
    }

    /// The rows of a query in the ledger's tables; none where nothing was asked of it yet.
    #[must_use]
    pub fn ledger_query(&self, statement: &str) -> Vec<Vec<Value>> {
        self.with_ledger(|ledger| ledger.query(statement))
    }

    /// The next `count` calls of the store fail.
    pub fn fail_store(&self, count: usize) {
        self.state().store.hazards.failing = count;
    }

    /// Puts a record into the store, as somebody else would.
    pub fn store(&self, key: &str, value: &str, summary: &str) {
        self.state().store.put(key, value, summary);
    }

    /// The values that are stored, by key.
    #[must_use]
    pub fn values(&self) -> Vec<(String, String)> {
        self.state().store.values()
    }

    /// Puts a value into the store, as somebody else would.
    pub fn set_value(&self, key: &str, value: &str) {
        self.with_store(|store, clock| store.set(clock, key, Some(value)));
    }

    /// The value that was stored last under a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<String> {
        self.state().store.latest(key)
    }

    /// Whether the platform's provider of secrets answers. It does at first.
    pub fn lose_secrets(&self, unavailable: bool) {
        self.state().secrets_unavailable = unavailable;
    }

    /// Whether the platform says at once that a client has left (Workers), or lets a write find out (Spin). It does at
    /// first.
    pub fn tell_of_leaving(&self, tells: bool) {
        self.state().tells_of_leaving = tells;
    }

    /// The platform lets no request out to this `host:port`.
    pub fn deny(&self, authority: &str) {
        self.state().denied.push(authority.to_owned());
    }

    pub fn pass_ms(&self, ms: u64) {
        self.clock.pass_until(self.clock.now_ms() + ms);
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The requests that have reached an origin, in order.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state().arrived.clone()
    }

    /// Whether the gateway closed the connection of the request of that number before the answer was whole.
    #[must_use]
    pub fn was_dropped(&self, number: usize) -> bool {
        self.state().dropped.contains_key(&number)
    }

    /// The same, in milliseconds since the last client left; 0 where none did.
    #[must_use]
    pub fn dropped_after_ms(&self, number: usize) -> Option<u64> {
        let state = self.state();
        let dropped_ms = *state.dropped.get(&number)?;
        Some(state.client_left_ms.map_or(0, |left_ms| dropped_ms.saturating_sub(left_ms)))
    }

    /// All records, by key.
    #[must_use]
    pub fn stored(&self) -> Vec<Stored> {
        self.state().store.records.values().cloned().collect()
    }

    /// The operator's log.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// All instances are gone, with what they remembered.
    pub fn forget(&self) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What the first instance remembers.
    ///
    /// # Panics
    /// Where it is asked for within itself.
    pub fn instance<T>(&self, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        self.instance_of(0, f)
    }

    /// What the instance of that number remembers.
    pub(super) fn instance_of<T>(&self, number: usize, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        match self.instances.try_lock() {
            Ok(mut instances) => f(instances.entry(number).or_default()),
            // A request that panicked must not take the instance with it.
            Err(TryLockError::Poisoned(poisoned)) => f(poisoned.into_inner().entry(number).or_default()),
            Err(TryLockError::WouldBlock) => panic!("the instance's state is asked for within itself"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tells_of_leaving(&self) -> bool {
        self.state().tells_of_leaving
    }

    pub(super) fn client_left(&self) {
        let now_ms = self.clock.now_ms();
        self.state().client_left_ms = Some(now_ms);
    }

    /// Other bytes each time.
    pub(super) fn random(&self, bytes: &mut [u8]) {
        let mut state = self.state();
        for chunk in bytes.chunks_mut(8) {
            let drawn = split_mix(&mut state.drawn).to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    pub(super) fn secret(&self, name: &str) -> Result<Option<Secret>, SecretsUnavailable> {
        let state = self.state();
        if state.secrets_unavailable {
            return Err(SecretsUnavailable);
        }
        let Some(value) = state.secrets.get(name) else { return Ok(None) };
        Ok(Secret::new(value))
    }

    /// Whether one of the platform's secrets stands in there.
    pub(super) fn has_secret(&self, text: &str) -> bool {
        let state = self.state();
        let mut long = state.secrets.values().filter(|value| value.len() >= SECRET_LENGTH);
        long.any(|value| text.contains(value.as_str()))
    }

    pub(super) fn is_denied(&self, authority: &str) -> bool {
        self.state().denied.iter().any(|denied| denied == authority)
    }

    /// The request's number among those that have arrived, and what becomes of it.
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
        let now_ms = self.clock.now_ms();
        self.state().dropped.entry(number).or_insert(now_ms);
    }

    pub(super) fn say(&self, line: &str) {
        assert!(!self.has_secret(line), "a secret in the log");
        self.state().log.push(line.to_owned());
    }

    pub(super) fn with_ledger<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        f(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn with_store<T>(&self, f: impl FnOnce(&mut Store, &Clock) -> T) -> T {
        f(&mut self.state().store, &self.clock)
    }
}

//! `GET /v1/receipts/{id}`: what was measured for a request.

use super::error::ApiError;
use super::{Caller, Server};
use crate::schedule::track::Track;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use moegate_wire::header::SIGNATURE;
use moegate_wire::{Ending, receipt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How many receipts are kept, and for how long.
#[derive(Debug, Clone)]
pub struct Retention {
    /// After the request's end.
    pub age: Duration,
    /// With more than these, the oldest that have ended go early.
    pub count: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(15 * 60), count: 65_536 }
    }
}

/// The longest that a reader may wait for an ending.
const MAX_WAIT_MS: u64 = 2_000;
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Requests by id, in memory.
#[derive(Debug)]
pub struct Receipts {
    retention: Retention,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    entries: HashMap<String, Entry>,
    next: u64,
    swept: Instant,
}

#[derive(Debug)]
struct Entry {
    track: Arc<Track>,
    /// Order of arrival.
    number: u64,
    /// When a sweep first saw that it had ended.
    ended: Option<Instant>,
}

impl Receipts {
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        let table = Table { entries: HashMap::new(), next: 0, swept: Instant::now() };
        Self { retention, table: Mutex::new(table) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half way through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a request; false if its id is known already.
    pub fn insert(&self, track: Arc<Track>, now: Instant) -> bool {
        let mut table = self.table();
        table.sweep(&self.retention, now);
        if table.entries.contains_key(&track.id) {
            return false;
        }
        let number = table.next;
        table.next += 1;
        table.entries.insert(track.id.clone(), Entry { track, number, ended: None });
        true
    }

    /// Forgets a request that was not admitted after all.
    pub fn remove(&self, id: &str) {
        self.table().entries.remove(id);
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Track>> {
        self.table().entries.get(id).map(|entry| entry.track.clone())
    }
}

impl Table {
    fn sweep(&mut self, retention: &Retention, now: Instant) {
        let full = self.entries.len() >= retention.count;
        if !full && now.duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        for entry in self.entries.values_mut().filter(|entry| entry.ended.is_none()) {
            if entry.track.progress().ending() != Ending::Running {
                entry.ended = Some(now);
            }
        }
        let age = |ended| now.duration_since(ended);
        self.entries.retain(|_, entry| entry.ended.is_none_or(|ended| age(ended) < retention.age));
        if self.entries.len() >= retention.count {
            let mut ended: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.ended.is_some()).collect();
            ended.sort_unstable_by_key(|(_, entry)| entry.number);
            // A sixteenth more than needed, so that the next insertions need no sort.
            let surplus = self.entries.len() - retention.count + 1 + retention.count / 16;
            let oldest: Vec<String> = ended.into_iter().take(surplus).map(|(id, _)| id.clone()).collect();
            for id in oldest {
                self.entries.remove(&id);
            }
        }
    }
}

/// Answers a receipt, signed if the server has a key. `?wait_ms=` waits so long for the request to end.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    _: Caller,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let id = super::path(id)?;
    let wait = wait_ms(query.as_deref().unwrap_or_default())?;
    let Some(track) = server.receipts.get(&id) else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "receipt_not_found",
            "no receipt has this id: the request was not admitted here, or its receipt has expired",
        ));
    };
    // After the wait, the receipt is what it is.
    let _ = timeout(Duration::from_millis(wait), track.ended()).await;
    let body = serde_json::to_vec(&track.receipt())
        .map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "no receipt"))?;
    let signature = server.auth.key().map(|key| receipt::sign_body(key, &body));
    let json = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, json)], body).into_response();
    if let Some(signature) = signature.and_then(|signature| HeaderValue::try_from(signature).ok()) {
        response.headers_mut().insert(SIGNATURE, signature);
    }
    Ok(response)
}

fn wait_ms(query: &str) -> Result<u64, ApiError> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("wait_ms="));
    match value.map(str::parse::<u64>) {
        None => Ok(0),
        Some(Ok(wait)) if wait <= MAX_WAIT_MS => Ok(wait),
        Some(_) => Err(ApiError::invalid(
            "wait_ms",
            format!("`wait_ms` must be a number of milliseconds up to {MAX_WAIT_MS}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::stats::Stats;

    fn track(id: &str, ended: bool) -> Arc<Track> {
        let track = Track::new(id.into(), "m".into(), 0, None, Arc::new(Stats::default()));
        if ended {
            track.end_generation(Ending::Error);
        }
        Arc::new(track)
    }

    #[test]
    fn an_id_is_taken_once() {
        let receipts = Receipts::new(Retention::default());
        let now = Instant::now();
        assert!(receipts.insert(track("a", true), now));
        assert!(!receipts.insert(track("a", false), now));
        receipts.remove("a");
        assert!(receipts.insert(track("a", false), now));
    }

    #[test]
    fn the_age_counts_from_the_end() {
        let receipts = Receipts::new(Retention { age: Duration::from_secs(600), count: 100 });
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let long = track("long", false);
        receipts.insert(long.clone(), at(0));
        receipts.insert(track("short", true), at(0));
        receipts.insert(track("b", false), at(100)); // A sweep: `short` has ended by 100.
        receipts.insert(track("c", false), at(699));
        assert!(receipts.get("short").is_some());
        long.end_generation(Ending::Error);
        receipts.insert(track("d", false), at(710)); // `long` has ended by 710.
        assert!(receipts.get("short").is_none() && receipts.get("long").is_some());
        receipts.insert(track("e", false), at(1_309));
        assert!(receipts.get("long").is_some());
        receipts.insert(track("f", false), at(1_320));
        assert!(receipts.get("long").is_none() && receipts.get("b").is_some());
    }

    #[test]
    fn the_count_is_bounded_and_running_ones_stay() {
        let receipts = Receipts::new(Retention { age: Duration::from_secs(600), count: 32 });
        let now = Instant::now();
        receipts.insert(track("running", false), now);
        for i in 0..200 {
            receipts.insert(track(&format!("r{i}"), true), now);
            assert!(receipts.table().entries.len() <= 32);
        }
        assert!(receipts.get("running").is_some() && receipts.get("r199").is_some());
        assert!(receipts.get("r0").is_none());
    }

    #[test]
    fn waits() {
        for (query, expected) in [("", Some(0)), ("wait_ms=5", Some(5)), ("a=b&wait_ms=2000", Some(2_000))] {
            assert_eq!(wait_ms(query).ok(), expected, "{query}");
        }
        for query in ["wait_ms=2001", "wait_ms=", "wait_ms=-1", "wait_ms=x"] {
            assert!(wait_ms(query).is_err(), "{query}");
        }
    }
}

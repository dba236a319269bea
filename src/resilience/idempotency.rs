//! Repeated requests: the same `Idempotency-Key` of the same client key is answered once within the window.
//!
//! A repeat that comes while the first is under way waits for it; one that comes later gets the same answer again. Only
//! complete answers are kept: what failed, broke off or was left is really tried again.

use http::HeaderName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An answer larger than this is not kept: its repeat is another request.
pub const LARGEST: usize = 1024 * 1024;
/// What an instance keeps in all; the oldest go first.
const ROOM: usize = 8 * LARGEST;
/// What Stainless SDKs (OpenAI's among them) make up for each call by themselves begins so.
const MADE_BY_SDK: &str = "stainless-";

/// Which request it is. Hashes: neither the client's key nor its text are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    key: [u8; 32],
    /// Of path and body.
    content: [u8; 32],
    /// The client's own choice; such a key may come back from anywhere, not only from one SDK's retries.
    chosen: bool,
}

impl Fingerprint {
    #[must_use]
    pub fn of(client_key: &str, idempotency_key: &str, path: &str, body: &[u8]) -> Self {
        let hash = |parts: [&[u8]; 2]| {
            let mut hash = Sha256::new();
            hash.update((parts[0].len() as u64).to_le_bytes());
            hash.update(parts[0]);
            hash.update(parts[1]);
            hash.finalize().into()
        };
        Self {
            key: hash([client_key.as_bytes(), idempotency_key.as_bytes()]),
            content: hash([path.as_bytes(), body]),
            chosen: !idempotency_key.starts_with(MADE_BY_SDK),
        }
    }

    /// Whether streams are kept and other instances asked: not for the key of one SDK call, which is retried only before
    /// an answer has begun.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// What tells two requests with the same key apart, in hex.
    #[must_use]
    pub fn content_hex(&self) -> String {
        moegate_wire::sign::to_hex(&self.content)
    }

    /// Where other instances find the answer.
    #[must_use]
    pub fn storage_key(&self) -> String {
        format!("repeat/{}", moegate_wire::sign::to_hex(&self.key))
    }
}

/// An answer to give again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReply {
    /// Of the request, in hex.
    content: String,
    /// Unix milliseconds.
    kept_ms: u64,
    pub status: u16,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl StoredReply {
    #[must_use]
    pub fn new(kept_ms: u64, status: u16, headers: Vec<(String, String)>, body: String) -> Self {
        Self { content: String::new(), kept_ms, status, headers, body }
    }

    /// The answer to the request of that hash, in hex.
    #[must_use]
    pub fn of(self, content: String) -> Self {
        Self { content, ..self }
    }

    /// The same with another body and these headers alone.
    #[must_use]
    pub fn only(&self, names: &[HeaderName], body: String, content: String) -> Self {
        let headers = names.iter().filter_map(|name| Some((name.to_string(), self.header(name)?.to_owned())));
        Self { content, kept_ms: self.kept_ms, status: self.status, headers: headers.collect(), body }
    }

    /// Whether it answers the request of that hash.
    #[must_use]
    pub fn is_of(&self, content: &str) -> bool {
        self.content == content
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn kept_ms(&self) -> u64 {
        self.kept_ms
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|(own, _)| *own == name.as_str()).map(|(_, value)| value.as_str())
    }

    /// What to do with it for this request.
    #[must_use]
    pub fn claim(self: &Arc<Self>, repeat: &Fingerprint, window_ms: u64, now_ms: u64) -> Option<Claim> {
        if now_ms >= self.kept_ms + window_ms {
            return None;
        }
        let same = self.content == moegate_wire::sign::to_hex(&repeat.content);
        Some(if same { Claim::Again(Arc::clone(self)) } else { Claim::Differs })
    }
}

/// What a request with an idempotency key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The first: it has to be answered, and then [`IdempotencyCache::keep`] or [`IdempotencyCache::release`] to follow.
    First(Owner),
    /// The first is under way.
    Running,
    Again(Arc<StoredReply>),
    /// The same key with another request.
    Differs,
}

/// Who holds a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u64);

#[derive(Debug)]
enum Entry {
    Running { owner: Owner, content: [u8; 32], until_ms: u64 },
    Stored(Arc<StoredReply>),
}

/// Of one instance.
#[derive(Debug, Default)]
pub struct IdempotencyCache {
    entries: BTreeMap<[u8; 32], Entry>,
    claims: u64,
}

impl IdempotencyCache {
    /// `until_ms`: when the first must be over, so that one that vanished does not block its idempotency for ever.
    pub fn claim(&mut self, repeat: &Fingerprint, window_ms: u64, now_ms: u64, until_ms: u64) -> Claim {
        let known = match self.entries.get(&repeat.key) {
            Some(Entry::Running { content, until_ms, .. }) if now_ms < *until_ms => {
                Some(if *content == repeat.content { Claim::Running } else { Claim::Differs })
            }
            Some(Entry::Stored(kept)) => kept.claim(repeat, window_ms, now_ms),
            _ => None,
        };
        known.unwrap_or_else(|| {
            self.claims += 1;
            let owner = Owner(self.claims);
            let running = Entry::Running { owner, content: repeat.content, until_ms };
            self.entries.insert(repeat.key, running);
            Claim::First(owner)
        })
    }

    /// The first has no answer worth keeping. A claim that another one has taken over, or an answer, stays.
    pub fn release(&mut self, repeat: &Fingerprint, owner: Owner) {
        if let Some(Entry::Running { owner: own, .. }) = self.entries.get(&repeat.key)
            && *own == owner
        {
            self.entries.remove(&repeat.key);
        }
    }

    /// The first is answered.
    pub fn keep(&mut self, repeat: &Fingerprint, kept: Arc<StoredReply>, window_ms: u64) {
        let now_ms = kept.kept_ms;
        self.entries.insert(repeat.key, Entry::Stored(kept));
        self.entries.retain(|_, entry| match entry {
            Entry::Running { until_ms, .. } => now_ms < *until_ms,
            Entry::Stored(kept) => now_ms < kept.kept_ms + window_ms,
        });
        while self.bytes() > ROOM {
            let oldest = self.entries.iter().filter_map(|(key, entry)| match entry {
                Entry::Stored(kept) => Some((kept.kept_ms, *key)),
                Entry::Running { .. } => None,
            });
            let Some((_, key)) = oldest.min() else { break };
            self.entries.remove(&key);
        }
    }

    fn bytes(&self) -> usize {
        let bytes = |entry: &Entry| match entry {
            Entry::Stored(kept) => kept.body.len(),
            Entry::Running { .. } => 0,
        };
        self.entries.values().map(bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 600_000;
    const T: u64 = 1_000_000;

    fn repeat(client: &str, key: &str, body: &str) -> Fingerprint {
        Fingerprint::of(client, key, "/chat/completions", body.as_bytes())
    }

    fn kept(repeat: &Fingerprint, at_ms: u64, bytes: usize) -> Arc<StoredReply> {
        let stored = StoredReply::new(at_ms, 200, Vec::new(), "x".repeat(bytes));
        Arc::new(stored.of(repeat.content_hex()))
    }

    #[test]
    fn the_first_is_answered_and_its_repeats_get_that() {
        let mut cache = IdempotencyCache::default();
        let first = repeat("app", "k", "a");
        assert_eq!(cache.claim(&first, WINDOW, T, T + 60_000), Claim::First(Owner(1)));
        assert_eq!(cache.claim(&first, WINDOW, T + 1, T + 60_000), Claim::Running);
        let answer = kept(&first, T + 2, 3);
        cache.keep(&first, Arc::clone(&answer), WINDOW);
        assert_eq!(cache.claim(&first, WINDOW, T + 3, T + 60_000), Claim::Again(answer));
        assert_eq!(
            cache.claim(&first, WINDOW, T + 2 + WINDOW, T + WINDOW * 2),
            Claim::First(Owner(2)),
            "the window is over"
        );
    }

    #[test]
    fn what_failed_is_tried_again_and_only_the_owner_releases() {
        let mut cache = IdempotencyCache::default();
        let first = repeat("app", "k", "a");
        let owner = |claim| match claim {
            Claim::First(owner) => owner,
            other => panic!("{other:?}"),
        };
        let one = owner(cache.claim(&first, WINDOW, T, T + 60_000));
        cache.release(&first, one);
        let two = owner(cache.claim(&first, WINDOW, T, T + 60_000));
        // It vanished, and another one has taken over.
        let three = owner(cache.claim(&first, WINDOW, T + 60_000, T + 90_000));
        cache.release(&first, two);
        assert_eq!(cache.claim(&first, WINDOW, T + 61_000, T + 90_000), Claim::Running);
        cache.keep(&first, kept(&first, T, 1), WINDOW);
        cache.release(&first, three);
        assert!(matches!(cache.claim(&first, WINDOW, T, T), Claim::Again(_)), "an answer stays");
    }

    #[test]
    fn another_request_or_another_client_is_told_apart() {
        let mut cache = IdempotencyCache::default();
        let first = repeat("app", "k", "a");
        cache.claim(&first, WINDOW, T, T + 60_000);
        assert_eq!(cache.claim(&repeat("app", "k", "b"), WINDOW, T, T), Claim::Differs);
        assert!(matches!(cache.claim(&repeat("other", "k", "a"), WINDOW, T, T), Claim::First(_)));
        assert!(matches!(cache.claim(&repeat("app", "l", "a"), WINDOW, T, T), Claim::First(_)));
        cache.keep(&first, kept(&first, T, 1), WINDOW);
        assert_eq!(cache.claim(&repeat("app", "k", "b"), WINDOW, T, T), Claim::Differs);
    }

    #[test]
    fn the_room_is_bounded_and_the_oldest_go() {
        let mut cache = IdempotencyCache::default();
        let all: Vec<_> = (0..10).map(|i| repeat("app", &i.to_string(), "a")).collect();
        for (at, one) in (T..).zip(&all) {
            cache.keep(one, kept(one, at, LARGEST), WINDOW);
        }
        assert_eq!(cache.bytes(), ROOM);
        assert_eq!(cache.claim(&all[1], WINDOW, T, T + 1), Claim::First(Owner(1)));
        assert!(matches!(cache.claim(&all[9], WINDOW, T, T), Claim::Again(_)));
    }

    #[test]
    fn keys_that_sdks_make_are_known() {
        assert!(!repeat("app", "stainless-python-retry-1", "a").is_chosen());
        assert!(repeat("app", "order-7", "a").is_chosen());
    }
}

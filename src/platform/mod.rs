//! What a platform must be able to do: few primitives, none of which knows what the bytes mean.
//!
//! One value of a [`Platform`] serves one request: it owns the client's connection. The gateway drives it; nothing here
//! or in an implementation knows a dialect, a retry or a commit point. Whatever waits is a future, and **dropping a future
//! or a body ends what it stands for**: a dropped [`Platform::fetch`] or [`Platform::Incoming`] stops the origin, a dropped
//! [`Platform::Outgoing`] breaks the client's connection off. That is how time limits, cancellation and clients that leave
//! work: the gateway selects over these futures.
//!
//! The implementations: `cloudflare` (Workers), `spin`, `fake` (tests). The contract suite holds them to each other.

use crate::secret::Secret;
use crate::state::InstanceState;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::Cell;
use std::future::Future;
use std::ops::Deref;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod cloudflare;
#[cfg(any(feature = "fake", all(test, not(target_arch = "wasm32"))))]
pub mod fake;
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
pub mod spin;

pub use crate::payload::{Edit, Payload};

/// Why the client's body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It grew past the limit; no more was read.
    TooLarge,
    /// The sender broke off.
    Broken,
}

/// Why there is no answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// Refused, unresolvable, no TLS, or reset before the head: platforms cannot tell these apart.
    Connect,
    /// The platform did not let the request out (Spin: the host is missing in `allowed_outbound_hosts`). The platform has
    /// said so in its log.
    Denied,
}

/// The origin's connection broke before the body was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// The client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left;

/// How the runtime's own pipe failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeError {
    /// The origin's side broke.
    Broken,
    /// The client has left.
    Left,
}

/// How soon the ledger has to carry an operation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it.
    Now,
    /// Some hundredths of a second later is as well, if it costs less.
    Soon,
}

/// The store did not take or give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreError;

/// The platform's secret store or variable provider did not answer: nobody knows whether the secret exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretsUnavailable;

/// One page of stored records.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Absent after the last page.
    pub cursor: Option<String>,
}

/// A stored record's key and summary.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub name: String,
    /// `null` where what is stored is no record.
    pub summary: Box<RawValue>,
}

/// See the module.
pub trait Platform {
    /// Bytes that came in: the client's body, a whole answer, a chunk of a stream. A clone is cheap. A platform that can
    /// pass them on without another copy keeps its own handle in here.
    type Bytes: Clone + Deref<Target = [u8]>;
    /// The body of an origin's answer. Dropping it closes the connection if the body is not at its end.
    type Incoming;
    /// The body of a reply that is being written. Dropping it without [`Platform::close`] breaks the client's connection
    /// off, so that nobody takes what has come for whole.
    type Outgoing;

    /// Whether something beside the requests sees to the ledger's upkeep.
    const HAS_ALARMS: bool;

    /// Whether an operation of the ledger that is under way is carried out even if the instance ends: then attempts may be
    /// sent meanwhile.
    const LEDGER_OUTLIVES_INSTANCE: bool;

    /// Whether values that are stored for a time go by themselves when it is over.
    const STORE_EXPIRES: bool;

    /// Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// Unpredictable bytes. Each call is a draw of its own.
    fn random(&self, bytes: &mut [u8]);

    /// A platform secret by name; `Ok(None)` where it is missing or empty.
    fn secret(&self, name: &str) -> impl Future<Output = Result<Option<Secret>, SecretsUnavailable>>;

    /// What this instance remembers from request to request. `f` must not wait.
    fn state<T>(&self, f: impl FnOnce(&mut InstanceState) -> T) -> T;

    /// Ready after so many milliseconds.
    fn sleep(&self, ms: u64) -> impl Future<Output = ()>;

    /// Ready once the client is known to have left; never where nobody tells.
    fn cancelled(&self) -> impl Future<Output = ()>;

    /// The client's body, at most `limit` bytes of it. To be called once.
    fn read_body(&self, limit: usize) -> impl Future<Output = Result<Self::Bytes, BodyError>>;

    /// Sends a request and waits for the answer's head. Never follows a redirect. No time limit of its own, and not tied
    /// to the client's staying.
    fn fetch(
        &self,
        request: Request<Payload<Self::Bytes>>,
    ) -> impl Future<Output = Result<Response<Self::Incoming>, FetchError>>;

    /// The next chunk of an answer's body, never empty; `Ok(None)` at its orderly end.
    ///
    /// A future that is dropped before it is ready may have lost a chunk: after that the body is only good for dropping.
    fn read(
        &self,
        incoming: &mut Self::Incoming,
    ) -> impl Future<Output = Result<Option<Self::Bytes>, Broken>>;

    /// The rest of an answer's body, at most `limit` bytes.
    fn collect(
        &self,
        incoming: Self::Incoming,
        limit: usize,
    ) -> impl Future<Output = Result<Self::Bytes, BodyError>>;

    /// Sends a whole reply. Ready when it is handed over; what comes after runs though the client is served.
    fn respond(&self, reply: Response<Payload<Self::Bytes>>) -> impl Future<Output = Result<(), Left>>;

    /// Sends a reply's head whose body is to be written.
    fn begin(&self, head: Response<()>) -> Self::Outgoing;

    /// Writes a chunk; ready when there is room for the next (back-pressure).
    ///
    /// A future that is dropped before it is ready may have written a part: after that only [`Platform::write`] of a last
    /// message, [`Platform::close`] or dropping make sense.
    fn write(
        &self,
        outgoing: &mut Self::Outgoing,
        chunk: Payload<Self::Bytes>,
    ) -> impl Future<Output = Result<(), Left>>;

    /// Writes `chunk` and then reads the next one: what [`Platform::write`] and [`Platform::read`] do one after the other,
    /// for platforms where one wait costs less than two. `written_ms` gets the time at which the write was done, at the
    /// latest when the future is polled again after it: a client that takes its time is not the origin's silence.
    fn write_then_read(
        &self,
        outgoing: &mut Self::Outgoing,
        chunk: Payload<Self::Bytes>,
        incoming: &mut Self::Incoming,
        written_ms: &Cell<u64>,
    ) -> impl Future<Output = Result<Result<Option<Self::Bytes>, Broken>, Left>> {
        async move {
            self.write(outgoing, chunk).await?;
            written_ms.set(self.now_ms());
            Ok(self.read(incoming).await)
        }
    }

    /// The runtime's own pipe: everything that `incoming` still gives goes to `outgoing`, unseen. Ready at the orderly
    /// end; `outgoing` stays open. Dropping the future ends the origin's stream and leaves `outgoing` fit for a last
    /// [`Platform::write`].
    fn pipe(
        &self,
        incoming: Self::Incoming,
        outgoing: &mut Self::Outgoing,
    ) -> impl Future<Output = Result<(), PipeError>>;

    /// Ends a reply's body in an orderly way.
    fn close(&self, outgoing: Self::Outgoing) -> impl Future<Output = Result<(), Left>>;

    /// Stores a value for other instances, for about so many seconds. Nobody relies on it.
    fn remember(&self, key: &str, value: &str, seconds: u64) -> impl Future<Output = ()>;

    /// What some instance stored. `None` where there is nothing, or nothing is known of it yet.
    fn recall(&self, key: &str) -> impl Future<Output = Option<String>>;

    /// The value that is stored under a key, of at most 1 MB; what other instances have written or erased is seen after a
    /// minute or so.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<String>, StoreError>>;

    /// Stores a value in place of the one that is there. The last one wins.
    fn store(&self, key: &str, value: &str) -> impl Future<Output = Result<(), StoreError>>;

    /// The same for so many seconds, at least 60; longer where [`Platform::STORE_EXPIRES`] is not.
    fn store_for(&self, key: &str, value: &str, seconds: u64)
    -> impl Future<Output = Result<(), StoreError>>;

    /// Erases a value.
    fn erase(&self, key: &str) -> impl Future<Output = Result<(), StoreError>>;

    /// Writes a record once; the caller tries again.
    fn put_record(
        &self,
        key: &str,
        value: &str,
        summary: &str,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// The summaries of the records whose keys begin with `prefix`, in the order of their keys.
    fn list_records(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<Page, StoreError>>;

    /// Has a shard of the ledger carry out an operation, and gives its answer: durable when it is there. Operations of
    /// several requests may share one transaction. One whose answer was lost may have been carried out.
    fn ledger(
        &self,
        shard: &str,
        operation: &str,
        urgency: Urgency,
    ) -> impl Future<Output = Result<String, StoreError>>;

    /// A line for the operator's log; holds nothing secret.
    fn log(&self, line: &str) -> impl Future<Output = ()>;
}

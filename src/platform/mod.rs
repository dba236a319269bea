//! What a platform must be able to do.
//!
//! One value of a [`Platform`] serves one request: it owns the client's connection. Bodies and streams are opaque; the
//! core sees bytes only where it asks for them. The implementations: `cloudflare` (Workers), `spin`, [`fake`] (tests).

use crate::core::attempt::{AnswerHeaders, Outbound, SendError};
use crate::core::memory::Memory;
use crate::core::secret::Secret;
use crate::core::stream::Scanner;
use moegate_wire::Ending;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::future::Future;
use std::ops::Deref;

#[cfg(all(target_arch = "wasm32", not(feature = "spin")))]
pub mod cloudflare;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
#[cfg(all(target_arch = "wasm32", feature = "spin"))]
pub mod spin;

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    pub method: String,
    /// As in the request line; never empty.
    pub path: String,
    /// What stands behind `?`; may be empty.
    pub query: String,
    pub authorization: Option<String>,
    pub content_length: Option<u64>,
    pub idempotency_key: Option<String>,
    /// The headers that the configuration's rules name (`Config::rule_headers`), where the request has them.
    pub rule_headers: Vec<(String, String)>,
}

/// Why the client's body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It grew past the limit; no more was read.
    TooLarge,
    /// The client broke off.
    Broken,
}

/// An origin's answer.
#[derive(Debug)]
pub struct Answer<S> {
    pub status: u16,
    pub headers: AnswerHeaders,
    pub body: AnswerBody<S>,
}

#[derive(Debug)]
pub enum AnswerBody<S> {
    Whole(Vec<u8>),
    /// A successful answer of type `text/event-stream` that has begun, as [`crate::core::stream::Opening`] says. One
    /// whose beginning was an error event is `Whole`: the event's data.
    Stream(S),
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each request; a box would be an allocation more")]
pub enum ReplyBody<S> {
    Bytes(Vec<u8>),
    /// The origin's whole answer as it came; a platform that still has these bytes need not take the copy.
    Answered(Vec<u8>),
    /// The runtime's own pipe.
    Relay(S),
    /// Each chunk past the scanner. After the stream's end the platform does what [`Scanner::end`] says.
    Pump(S, Scanner),
}

/// How a reply went out.
#[derive(Debug)]
pub struct Delivery {
    pub ending: Ending,
    /// Of a pumped stream.
    pub scanner: Option<Scanner>,
    /// The client's stream was left open: [`Platform::go_on`] or [`Platform::finish`] has to follow.
    pub open: bool,
}

/// The client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left;

/// The store did not take or give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreError;

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
    pub summary: Box<RawValue>,
}

/// See the module.
pub trait Platform {
    /// The client's body, as read.
    type Body: Deref<Target: AsRef<[u8]>>;
    /// A stream from an origin.
    type Stream;

    /// Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// For a request id; unpredictable.
    fn random(&self) -> [u8; 10];

    /// A platform secret by name; `None` where it is missing or empty.
    fn secret(&self, name: &str) -> impl Future<Output = Option<Secret>>;

    /// The client's body, at most `limit` bytes of it.
    fn read_body(&self, limit: usize) -> impl Future<Output = Result<Self::Body, BodyError>>;

    /// Waits so many milliseconds; less, if it is known that the client has left.
    fn sleep(&self, ms: u64) -> impl Future<Output = Result<(), Left>>;

    /// What this instance remembers from request to request.
    fn memory<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T;

    /// Sends it and waits for the head, and for the whole body or until a stream has begun. Never follows a redirect. A
    /// client that leaves ends it. `limit` bounds a whole body. The body that was received can be sent again until
    /// [`Platform::respond`].
    fn send(
        &self,
        request: Outbound,
        limit: usize,
    ) -> impl Future<Output = Result<Answer<Self::Stream>, SendError>>;

    /// Sends the reply; ready when it is out or has broken off. What comes after runs though the client is served.
    fn respond(&self, reply: Reply, body: ReplyBody<Self::Stream>) -> impl Future<Output = Delivery>;

    /// Pumps another origin's stream into a reply that was left open.
    fn go_on(&self, stream: Self::Stream, scanner: Scanner) -> impl Future<Output = Delivery>;

    /// Ends a reply that was left open. Whether the client was there to take it.
    fn finish(&self, last: String) -> impl Future<Output = Result<(), Left>>;

    /// Stores a value for other instances, for about so many seconds. Nobody relies on it.
    fn remember(&self, key: &str, value: &str, seconds: u64) -> impl Future<Output = ()>;

    /// What some instance stored. `None` where there is nothing, or nothing is known of it yet.
    fn recall(&self, key: &str) -> impl Future<Output = Option<String>>;

    /// Writes a record; tries again where the store is busy. If it fails for good, the record goes to the log.
    fn put_record(
        &self,
        key: &str,
        value: &str,
        summary: &str,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// The summaries of the records whose keys begin with `prefix`.
    fn list_records(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<Page, StoreError>>;
}

//! What a host of the gateway is to the suite.

use crate::fixtures::get;
use moegate::platform::fake::{Arrived, Responder};
use std::sync::Arc;
use std::time::Duration;

/// Whether a client stays, by the body that has come so far.
pub type Stays = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// One client's request.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    /// With the query.
    pub path: String,
    pub authorization: Option<String>,
    /// Further headers. A `content-type` stands in place of the usual one; an empty one is not sent.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub framing: Framing,
    /// Leaves so long after an origin has the request, whatever has come by then.
    pub leaves_after: Option<Duration>,
    /// Asked after each chunk of the reply, with all of the body that has come: whether the client stays.
    pub stays: Stays,
    /// How long the client leaves what comes alone, each time it has taken some of the reply.
    pub pause: Duration,
    pub parting: Parting,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Its system resets the connection: the gateway can know at once.
    Reset,
    /// It closes its side. workerd on its own port notices that when it next writes; at the edge the stream of HTTP/2
    /// or 3 is reset.
    Orderly,
}

/// How a request's body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunked,
}

/// What the client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 0: not even a head.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub ended: Ended,
    /// From the request to the end, on the host's clock.
    pub took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As HTTP wants it.
    Whole,
    /// The connection broke.
    Broken,
    /// The client left.
    Left,
}

impl Reply {
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What only some hosts can do or show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// A store that fails on demand.
    FaultyStore,
    /// Several requests in flight at once.
    Concurrency,
    /// Requests in flight that outlive another one's panic.
    Isolation,
    /// A panic on demand.
    Panic,
    /// To know at once that a client has left, though nothing is written to it.
    SeesClientLeave,
    /// Not to know it before something is written to it.
    ServesTheGone,
    /// A runtime that decodes what origins have encoded.
    Decoding,
    /// One that does not.
    NoDecoding,
    /// To be ended and started again with the same store.
    Restart,
}

/// A record as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub value: String,
    /// The key's metadata.
    pub summary: String,
}

/// A gateway with the suite's configuration, its origins and its store. Another platform is another implementation.
pub trait Host: Sync {
    fn name(&self) -> &'static str;

    fn can(&self, needs: Needs) -> bool;

    /// From now on the origins do what `responder` says; what has arrived is forgotten.
    fn answer(&self, responder: Responder);

    fn call(&self, call: &Call) -> Reply;

    /// Up to `at_once` of them at the same time, where the host can.
    fn call_all(&self, calls: &[Call], at_once: usize) -> Vec<Reply>;

    /// What has arrived at origins since [`Host::answer`].
    fn arrived(&self) -> Vec<Arrived>;

    /// How long after the client left the gateway closed its connection for the arrived request of that number. `None`:
    /// not within ten seconds.
    fn dropped_after(&self, number: usize) -> Option<Duration>;

    /// The store's keys.
    fn keys(&self) -> Vec<String>;

    fn record(&self, key: &str) -> StoredRecord;

    /// Lets time pass.
    fn pass(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// Whether a call only returns when everything that it led to is done.
    fn is_done_at_once(&self) -> bool {
        false
    }

    /// The instance that serves ends, and what it knew of its origins with it. Nothing may be in flight.
    fn forget(&self) {
        let reply = self.call(&get("/__panic", ""));
        assert_eq!(reply.status, 500, "a build without `fault-injection`: {}", reply.text());
        // It complains, of course.
        self.said();
    }

    /// The next `count` calls of the store fail.
    fn fail_store(&self, _count: usize) {
        unreachable!("only where `can(FaultyStore)`")
    }

    fn restart(&self) {
        unreachable!("only where `can(Restart)`")
    }

    /// What the host said meanwhile, for whoever has to find out why something failed.
    fn said(&self) -> String {
        String::new()
    }
}

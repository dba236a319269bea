//! What a host of the gateway is to the suite.

use crate::fixtures::{ADMIN_KEY, get};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::{Arrived, Responder};
use moegate_wire::Ending;
use serde_json::Value;
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
    /// The account in a key-value store, which fails on demand.
    KeyValue,
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

    /// The records of attempts that began at this Unix time (milliseconds) or later, as far as they are settled.
    fn records(&self, since_ms: u64) -> Vec<Record> {
        exported(self, since_ms)
    }

    /// The record of an attempt that is over and stays pending.
    fn undecided(&self, id: &str) -> Option<Record> {
        let request = id.split_once('-').map_or(id, |(request, _)| request);
        let reply = self.call(&get(&format!("/requests/{request}"), ADMIN_KEY));
        if reply.status == 404 {
            return None;
        }
        assert_eq!(reply.status, 200, "{}", reply.text());
        let mut body: Value = serde_json::from_slice(&reply.body).unwrap();
        let records: Vec<Record> = serde_json::from_value(body["attempts"].take()).unwrap();
        let is_undecided =
            |one: &Record| one.id == id && one.state == State::Pending && one.ending != Ending::Running;
        records.into_iter().find(is_undecided)
    }

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

    /// The next `count` calls of the key-value store fail.
    fn fail_store(&self, _count: usize) {
        unreachable!("only where `can(KeyValue)`")
    }

    fn restart(&self) {
        unreachable!("only where `can(Restart)`")
    }

    /// What the host said meanwhile, for whoever has to find out why something failed.
    fn said(&self) -> String {
        String::new()
    }
}

/// What `GET /usage/export` gives, all of its pages.
pub(crate) fn exported<H: Host + ?Sized>(host: &H, since_ms: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        // Of all time where there is no beginning.
        let since = if since_ms == 0 { String::new() } else { format!("since={}", since_ms / 1000) };
        let path = format!("/usage/export?{since}{cursor}");
        let reply = host.call(&get(&path, ADMIN_KEY));
        assert_eq!((reply.status, reply.ended), (200, Ended::Whole), "{}", reply.text());
        let text = reply.text();
        let mut lines: Vec<_> = text.lines().collect();
        let next = lines.last().and_then(|line| next_cursor(line));
        if next.is_some() {
            lines.pop();
        }
        records.extend(lines.into_iter().map(|line| serde_json::from_str::<Record>(line).unwrap()));
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return records,
        }
    }
}

fn next_cursor(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["next_cursor"].as_str().map(str::to_owned)
}

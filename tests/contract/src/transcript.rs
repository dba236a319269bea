//! What a host showed, so that two hosts can be held against each other.
//!
//! The same request and the same answer of the origin must give the same reply, byte for byte, and the same record,
//! ids and times aside.

use crate::fixtures::is_export;
use crate::host::{Call, Ended, Host, Needs, Reply};
use moegate::metering::record::Record;
use moegate::platform::fake::{Arrived, Responder};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// By behaviour.
pub type Transcript = BTreeMap<&'static str, Scene>;

/// What was seen while one behaviour was played.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    pub exchanges: Vec<Exchange>,
    pub records: Vec<Record>,
    /// Whether many called at the same time, whose replies are not noted.
    pub at_once: bool,
}

/// One request and its reply, without what differs from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub request: String,
    pub status: u16,
    /// In the order of their names.
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub ended: Ended,
    /// What origins have got for it.
    pub sent: Vec<Sent>,
}

/// A generation as it arrived at an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub authority: String,
    pub path: String,
    /// The gateway's own, and some that must not be there; runtimes add theirs.
    pub headers: Vec<(&'static str, Option<String>)>,
    pub body: String,
}

impl Sent {
    fn of(arrived: &Arrived) -> Self {
        let names = ["authorization", "content-type", "user-agent", "x-access", "cookie", "x-forwarded-for"];
        Self {
            authority: arrived.authority.clone(),
            path: arrived.path.clone(),
            headers: names.map(|name| (name, arrived.header(name).map(str::to_owned))).to_vec(),
            body: String::from_utf8_lossy(&arrived.body).into_owned(),
        }
    }
}

/// Headers of the runtime's own, or of one request.
const PASSING: [&str; 10] = [
    "age",
    "connection",
    "content-length",
    "date",
    "retry-after",
    "transfer-encoding",
    "vary",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    moegate_wire::header::REQUEST_ID,
];

impl Exchange {
    fn of(call: &Call, reply: &Reply, sent: Vec<Sent>) -> Self {
        let headers = reply.headers.iter().filter(|(name, _)| !PASSING.contains(&name.as_str()));
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.clone(), without_times(name, value))).collect();
        headers.sort();
        // Sums over a host's whole past, and records and keys with their ids and times, are no part of the comparison.
        let account = ["/usage", "/requests/", "/keys"].into_iter().find(|path| call.path.starts_with(path));
        let account = account.filter(|_| reply.status == 200);
        Self {
            request: format!("{} {}", call.method, account.unwrap_or(&call.path)),
            status: reply.status,
            headers,
            sent,
            body: if account.is_some() { String::new() } else { anonymous(reply) },
            ended: reply.ended,
        }
    }
}

/// The attempts' log without how long they took.
fn without_times(name: &str, value: &str) -> String {
    if name != "x-moegate-attempt-log" {
        return value.to_owned();
    }
    let parts = value.split(';').map(|part| if part.starts_with("ms=") { "ms=" } else { part });
    parts.collect::<Vec<_>>().join(";")
}

/// The reply's body without the request's id and times, which an error's text and the event about attempts hold.
fn anonymous(reply: &Reply) -> String {
    let mut text = reply.text();
    let id = reply.header(moegate_wire::header::REQUEST_ID);
    if !id.is_empty() {
        text = text.replace(id, "");
    }
    for name in ["\"ms\":", "\"created\":", " begins in "] {
        let mut parts = text.split(name);
        let first = parts.next().unwrap_or_default().to_owned();
        text = parts.fold(first, |text, part| {
            text + name + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
        });
    }
    text
}

/// The record without id and times.
#[must_use]
pub fn timeless(record: &Record) -> Record {
    Record { id: String::new(), started_ms: 0, head_after_ms: 0, ended_after_ms: 0, ..record.clone() }
}

impl Scene {
    /// Whether two hosts must show the same: where a client left or many called at once, it is a matter of time how
    /// much each of them got.
    fn is_comparable(&self) -> bool {
        !self.at_once && self.exchanges.iter().all(|exchange| exchange.ended != Ended::Left)
    }
}

/// The behaviours that both hosts have shown, and where they differ, how.
#[must_use]
pub fn compare(one: &Transcript, other: &Transcript) -> Vec<(&'static str, Option<String>)> {
    let both = one.iter().filter_map(|(name, scene)| Some((*name, scene, other.get(name)?)));
    both.filter(|(_, one, other)| one.is_comparable() && other.is_comparable())
        .map(|(name, one, other)| (name, (one != other).then(|| difference(one, other))))
        .collect()
}

fn difference(one: &Scene, other: &Scene) -> String {
    let exchanges = one.exchanges.iter().zip(&other.exchanges).find(|(one, other)| one != other);
    let records = one.records.iter().zip(&other.records).find(|(one, other)| one != other);
    match (exchanges, records) {
        (Some((one, other)), _) => format!("{one:#?}\n{other:#?}"),
        (None, Some((one, other))) => format!("{one:#?}\n{other:#?}"),
        (None, None) => format!(
            "{} and {} replies, {} and {} records",
            one.exchanges.len(),
            other.exchanges.len(),
            one.records.len(),
            other.records.len()
        ),
    }
}

/// A host that notes what its clients get.
pub struct Noting<'h> {
    host: &'h dyn Host,
    exchanges: Mutex<Vec<Exchange>>,
    at_once: AtomicBool,
    /// Generations that earlier exchanges have accounted for.
    seen: AtomicUsize,
}

impl<'h> Noting<'h> {
    #[must_use]
    pub fn new(host: &'h dyn Host) -> Self {
        Self {
            host,
            exchanges: Mutex::default(),
            at_once: AtomicBool::default(),
            seen: AtomicUsize::default(),
        }
    }

    /// What has been noted since the last time.
    pub fn take(&self, records: Vec<Record>) -> Scene {
        let exchanges = std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner));
        Scene { exchanges, records, at_once: self.at_once.swap(false, Ordering::Relaxed) }
    }
}

impl Host for Noting<'_> {
    fn name(&self) -> &'static str {
        self.host.name()
    }

    fn can(&self, needs: Needs) -> bool {
        self.host.can(needs)
    }

    fn answer(&self, responder: Responder) {
        self.seen.store(0, Ordering::Relaxed);
        self.host.answer(responder);
    }

    fn call(&self, call: &Call) -> Reply {
        let reply = self.host.call(call);
        // What a request gets that ends in a panic is the host's own.
        if call.path.contains("__panic") {
            return reply;
        }
        // Questions for receipts, and spans, come after the reply, at their own time.
        let is_generation = |arrived: &Arrived| arrived.method == "POST" && !is_export(arrived);
        let generations: Vec<_> = self.host.arrived().into_iter().filter(is_generation).collect();
        let seen = self.seen.swap(generations.len(), Ordering::Relaxed);
        let sent = generations.iter().skip(seen).map(Sent::of).collect();
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(Exchange::of(call, &reply, sent));
        reply
    }

    fn call_all(&self, calls: &[Call], at_once: usize) -> Vec<Reply> {
        self.at_once.store(true, Ordering::Relaxed);
        self.host.call_all(calls, at_once)
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.host.arrived()
    }

    fn dropped_after(&self, number: usize) -> Option<Duration> {
        self.host.dropped_after(number)
    }

    fn records(&self, since_ms: u64) -> Vec<Record> {
        self.host.records(since_ms)
    }

    fn undecided(&self, id: &str) -> Option<Record> {
        self.host.undecided(id)
    }

    fn fail_store(&self, count: usize) {
        self.host.fail_store(count);
    }

    fn pass(&self, duration: Duration) {
        self.host.pass(duration);
    }

    fn is_done_at_once(&self) -> bool {
        self.host.is_done_at_once()
    }

    fn forget(&self) {
        self.host.forget();
    }

    fn restart(&self) {
        self.host.restart();
    }

    fn said(&self) -> String {
        self.host.said()
    }
}

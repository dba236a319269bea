//! What a behaviour is played on: a host, and an account of every record it makes.

use crate::fixtures::{ADMIN_KEY, always, get};
use crate::host::{Call, Host, Needs, Reply};
use moegate::metering::record::{Record, Summary};
use moegate::platform::fake::{Arrived, Responder, Script};
use serde_json::Value;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A record is written after the reply has ended. On a busy machine that may take a while.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(5);

/// One thing the gateway promises.
pub struct Behaviour {
    pub name: &'static str,
    /// A sentence for the documentation.
    pub what: &'static str,
    pub needs: Needs,
    pub check: fn(&mut Stage<'_>),
}

impl Behaviour {
    #[must_use]
    pub const fn new(name: &'static str, what: &'static str, check: fn(&mut Stage<'_>)) -> Self {
        Self { name, what, needs: Needs::Nothing, check }
    }

    #[must_use]
    pub const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

pub struct Stage<'h> {
    pub host: &'h dyn Host,
    known: BTreeSet<String>,
    /// Every record that was made on this host.
    pub all: Vec<Record>,
}

impl<'h> Stage<'h> {
    #[must_use]
    pub fn new(host: &'h dyn Host) -> Self {
        Self { host, known: BTreeSet::new(), all: Vec::new() }
    }

    /// Sets the origins up and makes the call.
    pub fn play(&self, responder: Responder, call: &Call) -> Reply {
        self.host.answer(responder);
        self.host.call(call)
    }

    /// A call that no origin may see and that leaves no record (the runner looks).
    pub fn refused(&self, call: &Call) -> Reply {
        let reply = self.play(always(Script::Reset), call);
        assert_eq!(self.host.arrived(), [], "no origin was to be called");
        reply
    }

    /// The one record that was made since the last look.
    pub fn settled(&mut self) -> Record {
        let mut records = self.settle(1);
        records.pop().unwrap()
    }

    /// The records that were made since the last look: so many.
    pub fn settle(&mut self, count: usize) -> Vec<Record> {
        let patience = if self.host.is_done_at_once() { Duration::ZERO } else { PATIENCE };
        let until = Instant::now() + patience;
        let mut new = self.new_keys();
        while new.len() < count && Instant::now() < until {
            sleep(GLANCE);
            new = self.new_keys();
        }
        let records: Vec<_> = new.iter().map(|key| self.take(key)).collect();
        assert_eq!(records.len(), count, "records: {records:?}");
        records
    }

    fn new_keys(&self) -> Vec<String> {
        self.host.keys().into_iter().filter(|key| !self.known.contains(key)).collect()
    }

    fn take(&mut self, key: &str) -> Record {
        let stored = self.host.record(key);
        let record: Record = serde_json::from_str(&stored.value).unwrap();
        self.known.insert(key.to_owned());
        self.all.push(record.clone());
        assert_eq!(record.storage_key(), key);
        let summary: Summary = serde_json::from_str(&stored.summary).unwrap();
        assert_eq!(summary, record.summary(), "the key's metadata");
        record
    }

    /// Records that a behaviour left unclaimed, which are taken into account now.
    pub fn unclaimed(&mut self) -> Vec<Record> {
        self.new_keys().iter().map(|key| self.take(key)).collect()
    }

    /// Whatever records there are now are of no interest.
    pub fn let_go(&mut self) {
        let _later = catch_unwind(AssertUnwindSafe(|| self.unclaimed()));
    }

    /// What arrived at an origin, without questions for receipts.
    #[must_use]
    pub fn generations(&self) -> Vec<Arrived> {
        self.host.arrived().into_iter().filter(|arrived| arrived.method == "POST").collect()
    }

    #[must_use]
    pub fn generation(&self) -> Arrived {
        let mut arrived = self.generations();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        arrived.pop().unwrap()
    }

    #[must_use]
    pub fn usage(&self) -> Value {
        let reply = self.host.call(&get("/usage", ADMIN_KEY));
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }
}

/// The reply's error, checked for OpenAI's shape: status, code, message.
#[must_use]
pub fn error_of(reply: &Reply) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("not JSON: {reply:?}"));
    let error = body["error"].as_object().unwrap_or_else(|| panic!("no error: {reply:?}"));
    let mut fields: Vec<_> = error.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["code", "message", "param", "type"]);
    assert_eq!(reply.header("content-type"), "application/json");
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    assert!(!text("type").is_empty(), "{reply:?}");
    (reply.status, text("code"), text("message"))
}

/// Asserts status and code, and that the message holds `part`.
pub fn expect_error(reply: &Reply, status: u16, code: &str, part: &str) {
    let (seen_status, seen_code, message) = error_of(reply);
    assert_eq!((seen_status, seen_code.as_str()), (status, code), "{message}");
    assert!(message.contains(part), "{message:?} does not say {part:?}");
}

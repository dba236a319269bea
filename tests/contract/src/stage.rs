//! What a behaviour is played on: a host, and an account of every record it makes.

use crate::fixtures::{ADMIN_KEY, always, get, is_export, is_receipt, receipt_id};
use crate::host::{Call, Host, Needs, Reply};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::{Arrived, Responder, Script};
use moegate_wire::Usage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// An attempt is settled after the reply has ended. On a busy machine that may take a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at first, and at most.
const GLANCE: Duration = Duration::from_millis(5);
const LONG_GLANCE: Duration = Duration::from_millis(500);
/// Attempts that began so long before the latest one of a record are settled, or stay pending.
const OVERLAP_MS: u64 = 60_000;

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
    /// The start of the latest attempt that is known.
    latest_ms: u64,
    /// Every record that was made on this host, as it was when it was first seen.
    pub all: Vec<Record>,
}

impl<'h> Stage<'h> {
    #[must_use]
    pub fn new(host: &'h dyn Host) -> Self {
        Self { host, known: BTreeSet::new(), latest_ms: 0, all: Vec::new() }
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

    /// The records that were made since the last look: so many. An attempt that is over and waits for its own server's
    /// receipt counts.
    pub fn settle(&mut self, count: usize) -> Vec<Record> {
        let patience = if self.host.is_done_at_once() { Duration::ZERO } else { PATIENCE };
        let until = Instant::now() + patience;
        let mut glance = GLANCE;
        let mut new = self.new_records();
        while new.len() < count && Instant::now() < until {
            sleep(glance);
            glance = (glance * 2).min(LONG_GLANCE);
            new = self.new_records();
        }
        assert_eq!(new.len(), count, "records: {new:?}");
        self.take(&new);
        new
    }

    fn new_records(&self) -> Vec<Record> {
        let mut new = self.host.records(self.latest_ms.saturating_sub(OVERLAP_MS));
        new.retain(|record| !self.known.contains(&record.id));
        for arrived in self.host.arrived().iter().filter(|arrived| is_receipt(arrived)) {
            let id = receipt_id(arrived);
            if !self.known.contains(id) && new.iter().all(|record| record.id != id) {
                new.extend(self.host.undecided(id));
            }
        }
        new
    }

    fn take(&mut self, records: &[Record]) {
        for record in records {
            self.known.insert(record.id.clone());
            self.latest_ms = self.latest_ms.max(record.started_ms);
            self.all.push(record.clone());
        }
    }

    /// Records that a behaviour left unclaimed, which are taken into account now.
    pub fn unclaimed(&mut self) -> Vec<Record> {
        let new = self.new_records();
        self.take(&new);
        new
    }

    /// An attempt that nobody will settle soon, since the gateway's instance is gone: its record comes when it is overdue.
    pub fn lost(&mut self, id: &str) {
        self.known.insert(id.to_owned());
    }

    /// The whole account: each record that was seen is in it as it was, or settled since where it was not exact.
    #[must_use]
    pub fn account(&self) -> Vec<Record> {
        let account = self.host.records(0);
        for seen in &self.all {
            let found = account.iter().find(|record| record.id == seen.id);
            assert!(
                found == Some(seen) || seen.state == State::Pending,
                "the account has {found:?} instead of {seen:?}"
            );
        }
        account
    }

    /// Whatever records there are now are of no interest.
    pub fn let_go(&mut self) {
        let _later = catch_unwind(AssertUnwindSafe(|| self.unclaimed()));
    }

    /// What arrived at an origin, without questions for receipts and spans.
    #[must_use]
    pub fn generations(&self) -> Vec<Arrived> {
        let is_generation = |arrived: &Arrived| arrived.method == "POST" && !is_export(arrived);
        self.host.arrived().into_iter().filter(is_generation).collect()
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

/// Asserts that only a part of what it used is known, and that this is charged.
pub fn expect_part(record: &Record) {
    let Record { state, metered, usage, cost_nanodollars, .. } = record;
    assert_eq!((*state, *metered), (State::Estimated, false), "{record:?}");
    assert!(*usage != Usage::default() && cost_nanodollars.0 > 0, "{record:?}");
}

/// Asserts that nothing is known of what it used, and that the most that it can have cost is charged.
pub fn expect_bound(record: &Record) {
    let Record { state, metered, usage, cost_nanodollars, bound_nanodollars, .. } = record;
    assert_eq!((*state, *metered, *usage), (State::Estimated, false, Usage::default()), "{record:?}");
    assert!(*bound_nanodollars > 0 && cost_nanodollars.0 == *bound_nanodollars, "{record:?}");
}

//! The ledger's tests in process: every crash point, every way in which a call goes wrong, limits, budgets, repeats, and what
//! the operator reads. The same on real hosts: `chaos.mjs`.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

pub mod keys;

use contract::fixtures::ADMIN_KEY;
use contract::in_process::{self, InProcess};
use http::{Request, header};
use moegate::ledger::Value as Stored;
use moegate::platform::fake::{Client, Got, Responder};
use serde_json::Value;
use std::ops::Deref;

pub use contract::in_process::{NOW_MS, body, code as status, post, streamed, with_key};

const CONFIG: &str = r#"
[[origins]]
name = "far"
kind = "openai"
url = "https://far.example/v1"
secret = "FAR_KEY"
breaker = { failures = 0 }
models = [{ name = "far", input = "1", cached_input = "0.5", output = "2", max_output_tokens = 100, context_tokens = 1000 }]

[[origins]]
name = "spare"
kind = "openai"
url = "https://spare.example/v1"
breaker = { failures = 0 }
models = [{ name = "far", input = "1", cached_input = "0.5", output = "2", max_output_tokens = 100, context_tokens = 1000 }]

[[origins]]
name = "own"
kind = "moegate"
url = "https://own.example/v1"
secret = "OWN_KEY"
breaker = { failures = 0 }
models = [{ name = "own", input = "1", cached_input = "0.5", output = "2", max_output_tokens = 100, context_tokens = 1000 }]

[[routes]]
model = "far"
origin = "far"
budget = { attempts = 1, seconds = 20 }

[[routes]]
model = "own"
origin = "own"
budget = { attempts = 1, seconds = 20 }

[[routes]]
model = "fallback"
rule = { order = [{ origin = "far", model = "far" }, { origin = "spare", model = "far" }] }
budget = { attempts = 2, seconds = 20 }

[[routes]]
model = "open"
origin = "far"
origin_model = "far"
on_ledger_failure = "open"
budget = { attempts = 1, seconds = 20 }

[[keys]]
name = "app"
sha256_secret = "APP_KEY_SHA256"

[[keys]]
name = "tenant"
tenant = "someone"
errors = "full"
sha256_secret = "TENANT_KEY_SHA256"

[admin]
sha256_secret = "ADMIN_KEY_SHA256"
"#;

/// A gateway with a ledger.
pub struct Setting(InProcess);

impl Deref for Setting {
    type Target = InProcess;

    fn deref(&self) -> &InProcess {
        &self.0
    }
}

impl Setting {
    /// With the usual configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// With a changed one.
    #[must_use]
    pub fn with(change: impl FnOnce(String) -> String) -> Self {
        Self(InProcess::of(&change(CONFIG.to_owned())))
    }

    /// With these limits of the key `app`.
    #[must_use]
    pub fn limited(limits: &str) -> Self {
        Self::limited_with(limits, "")
    }

    /// And with more at the configuration's end.
    #[must_use]
    pub fn limited_with(limits: &str, more: &str) -> Self {
        Self::with(|config| {
            let name = "name = \"app\"\n";
            config.replacen(name, &format!("{name}limits = {limits}\n"), 1) + more
        })
    }

    /// Each with a length: without one it takes all the room that there is for bodies.
    pub fn ask_all<'a>(
        &self,
        responder: &Responder,
        requests: impl Iterator<Item = (Request<()>, Client<'a>)>,
        seed: u64,
    ) -> Vec<Got> {
        let sized = requests.map(|(head, client)| (in_process::sized(head, client.body().len()), client));
        self.0.ask_all(responder, sized, seed)
    }

    /// The sums, after everything that is overdue is settled.
    pub fn totals(&self) -> Value {
        let got = self.read("/usage");
        assert_eq!(status(&got), 200, "{}", text(&got));
        let report: Value = serde_json::from_slice(&got.body).unwrap();
        report["totals"].clone()
    }

    /// What the database says to a query of one number.
    pub fn number(&self, query: &str) -> i64 {
        match self.world.ledger_query(query).first().and_then(|row| row.first()) {
            Some(Stored::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// Nothing is reserved, and the sums are those of the records.
    pub fn adds_up(&self, what: &str) {
        assert_eq!(self.number("SELECT COUNT(*) FROM pending"), 0, "{what}: something is pending");
        let running = self.number("SELECT SUM(requests) FROM usage WHERE to_ms = 0");
        assert_eq!(running, 0, "{what}: something counts as running");
        for (name, path) in [
            ("cost", "cost_nanodollars"),
            ("prompt", "usage.prompt"),
            ("completion", "usage.completion"),
            ("requests", "last"),
        ] {
            let total = self.number(&format!("SELECT SUM({name}) FROM total"));
            let records = self.number(&format!("SELECT SUM(json_extract(record, '$.{path}')) FROM attempt"));
            assert_eq!(total, records, "{what}: sums and records differ in {name}");
        }
    }
}

impl Default for Setting {
    fn default() -> Self {
        Self::new()
    }
}

/// A chat completion by that key.
#[must_use]
pub fn by(key: &str) -> Request<()> {
    in_process::by(post(), key)
}

#[must_use]
pub fn admin(method: &str, path: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(path);
    request.header(header::AUTHORIZATION, format!("Bearer {ADMIN_KEY}")).body(()).unwrap()
}

#[must_use]
pub fn client(body: &str) -> Client<'static> {
    Client::new(body.as_bytes().to_vec())
}

#[must_use]
pub fn text(got: &Got) -> String {
    String::from_utf8_lossy(&got.body).into_owned()
}

/// A header of the answer; empty where it is not there.
#[must_use]
pub fn said(got: &Got, name: &str) -> String {
    let value = got.reply.as_ref().and_then(|reply| reply.headers().get(name));
    value.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
}

//! Origins that sleep, in virtual time: one that is played by its rules, and the gateway before it.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use contract::in_process::InProcess;
use moegate::platform::fake::{Arrived, Responder, Script, Scripted};
use moegate::wake::Lifecycle;
use moegate_wire::{OriginState, OriginStatus};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

pub use contract::in_process::{NOW_MS, body, code as status, post, sized, streamed};

const CONFIG: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "https://own.example/v1"
secret = "OWN_KEY"
gpu_hour = "3.60"
wake = { via = "moegate", sleep_after_s = 60, WAKE }
models = [{ name = "m", input = "1", output = "2", max_output_tokens = 100, context_tokens = 1000 }]

[[origins]]
name = "spare"
kind = "openai"
url = "https://spare.example/v1"
models = [{ name = "m", input = "1", output = "2", max_output_tokens = 100, context_tokens = 1000 }]

[[routes]]
model = "hold"
origin = "own"
origin_model = "m"
stream = "pump"

[[routes]]
model = "refuse"
origin = "own"
origin_model = "m"
cold = "refuse"

[[routes]]
model = "fallback"
rule = { order = [{ origin = "own", model = "m" }, { origin = "spare", model = "m" }] }
stream = "pump"

[[keys]]
name = "app"
sha256_secret = "APP_KEY_SHA256"

[admin]
sha256_secret = "ADMIN_KEY_SHA256"
"#;

/// What becomes of a wake of the played origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Ready after so many milliseconds.
    After(u64),
    /// The call that starts it is answered 500.
    Refused,
    /// It falls back to sleep after so many milliseconds, with a reason.
    Fails(u64),
    /// It says that it is ready after the first time, and takes work after the second.
    Lies(u64, u64),
    /// Nobody answers for so long, and then it sleeps as if nothing had been.
    Dies(u64),
}

/// An origin of the kind `moegate` that sleeps, played by its rules.
#[derive(Debug)]
pub struct Origin {
    /// What becomes of the wakes, one after the other; the last one stays.
    starts: Vec<Start>,
    /// The wake under way or the last one: when it began, and what becomes of it.
    woken: Option<(u64, Start)>,
    /// It sleeps after so many milliseconds without work.
    pub sleeps_after_ms: u64,
    used_ms: u64,
    /// Calls to wake it that it took, each with the time.
    pub wakes: Vec<u64>,
    /// Calls to wake it while it was waking.
    pub doubled: usize,
    pub served: usize,
    pub spare: usize,
}

impl Origin {
    fn state(&mut self, now_ms: u64) -> (OriginState, Option<&'static str>) {
        let Some((began_ms, start)) = self.woken else { return (OriginState::Cold, None) };
        let age_ms = now_ms.saturating_sub(began_ms);
        let (ready_ms, failed) = match start {
            Start::After(ms) | Start::Lies(ms, _) => (Some(ms), None),
            Start::Refused => (None, None),
            Start::Fails(ms) => (None, (age_ms >= ms).then_some("no room on the card")),
            Start::Dies(_) => (None, None),
        };
        if failed.is_some() {
            return (OriginState::Cold, failed);
        }
        match ready_ms {
            Some(ms) if age_ms >= ms => {
                let since_ms = self.used_ms.max(began_ms + ms);
                if now_ms >= since_ms + self.sleeps_after_ms {
                    self.woken = None;
                    return (OriginState::Cold, None);
                }
                (OriginState::Ready, None)
            }
            _ => (OriginState::Waking, None),
        }
    }

    /// Whether nobody answers.
    fn is_dead(&mut self, now_ms: u64) -> bool {
        match self.woken {
            Some((began_ms, Start::Dies(ms))) if now_ms < began_ms + ms => true,
            Some((_, Start::Dies(_))) => {
                self.woken = None;
                false
            }
            _ => false,
        }
    }

    fn wake(&mut self, now_ms: u64) -> Script {
        match self.state(now_ms).0 {
            OriginState::Ready => return self.status(now_ms, 200),
            OriginState::Waking => self.doubled += 1,
            OriginState::Cold | OriginState::Draining => {
                let start = if self.starts.len() > 1 { self.starts.remove(0) } else { self.starts[0] };
                if start == Start::Refused {
                    return Scripted::new(500, "application/json", "{}").into();
                }
                self.wakes.push(now_ms);
                self.woken = Some((now_ms, start));
                self.used_ms = 0;
            }
        }
        self.status(now_ms, 202)
    }

    fn status(&mut self, now_ms: u64, code: u16) -> Script {
        let (state, reason) = self.state(now_ms);
        let status = OriginStatus {
            state,
            since_ms: now_ms,
            loaded_bytes: 0,
            total_bytes: 0,
            seconds_left: None,
            last_wake_ms: None,
            reason: reason.map(str::to_owned),
        };
        Scripted::new(code, "application/json", serde_json::to_string(&status).unwrap()).into()
    }

    fn work(&mut self, arrived: &Arrived) -> Script {
        let state = self.state(arrived.at_ms).0;
        let lies = match self.woken {
            Some((began_ms, Start::Lies(_, ms))) => arrived.at_ms < began_ms + ms,
            _ => false,
        };
        if state != OriginState::Ready || lies {
            let code = state.refusal().unwrap_or("asleep");
            let text =
                format!(r#"{{"error":{{"message":"it sleeps","type":"overloaded","code":"{code}"}}}}"#);
            let mut refusal = Scripted::new(503, "application/json", text);
            // As a moe-server has it: for a client that cannot wake it.
            refusal.headers.push(("retry-after".to_owned(), "30".to_owned()));
            return refusal.into();
        }
        self.used_ms = arrived.at_ms;
        self.served += 1;
        answer(arrived)
    }
}

/// An answer of five tokens.
fn answer(arrived: &Arrived) -> Script {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#;
    let request = String::from_utf8_lossy(&arrived.body);
    if request.contains(r#""stream":true"#) {
        let chunk = |rest: &str| {
            format!(r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",{rest}}}"#)
                + "\n\n"
        };
        let text = chunk(
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]"#,
        ) + &chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#)
            + &chunk(&format!(r#""choices":[],{usage}"#))
            + "data: [DONE]\n\n";
        return Scripted::new(200, "text/event-stream", text).into();
    }
    let text = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}],{usage}}}"#
    );
    Scripted::new(200, "application/json", text).into()
}

/// A gateway before an origin that sleeps.
pub struct Setting {
    in_process: InProcess,
    pub origin: Arc<Mutex<Origin>>,
}

impl Deref for Setting {
    type Target = InProcess;

    fn deref(&self) -> &InProcess {
        &self.in_process
    }
}

impl Setting {
    /// `wake`: further members of `wake` in the configuration, after a comma or empty.
    #[must_use]
    pub fn new(starts: &[Start], wake: &str) -> Self {
        Self::with(starts, wake, |config| config)
    }

    #[must_use]
    pub fn with(starts: &[Start], wake: &str, change: impl FnOnce(String) -> String) -> Self {
        let wake = if wake.is_empty() { "budget_s = 480" } else { wake };
        let config = change(CONFIG.replace("WAKE", wake));
        let origin = Origin {
            starts: starts.to_vec(),
            woken: None,
            sleeps_after_ms: 60_000,
            used_ms: 0,
            wakes: Vec::new(),
            doubled: 0,
            served: 0,
            spare: 0,
        };
        Self { in_process: InProcess::of(&config), origin: Arc::new(Mutex::new(origin)) }
    }

    /// The origin that sleeps, and the spare one.
    #[must_use]
    pub fn responder(&self) -> Responder {
        let origin = Arc::clone(&self.origin);
        Arc::new(move |arrived: &Arrived| {
            let mut origin = origin.lock().unwrap();
            if arrived.authority.starts_with("spare") {
                origin.spare += 1;
                return answer(arrived);
            }
            if origin.is_dead(arrived.at_ms) {
                return Script::Refuse;
            }
            match arrived.path.as_str() {
                "/health" => origin.status(arrived.at_ms, 200),
                "/wake" => origin.wake(arrived.at_ms),
                path if path.contains("/receipts/") => Scripted::new(404, "application/json", "{}").into(),
                _ => origin.work(arrived),
            }
        })
    }

    /// The origin's row.
    #[must_use]
    pub fn row(&self) -> Lifecycle {
        let rows = self.world.ledger_query("SELECT row FROM lifecycle WHERE origin = 'own'");
        match rows.first().map(|row| &row[0]) {
            Some(moegate::ledger::Value::Text(text)) => serde_json::from_str(text).unwrap(),
            _ => Lifecycle::default(),
        }
    }

    /// The rows of its wakes: how long each took in milliseconds, what it cost in nano-dollars, why it failed.
    #[must_use]
    pub fn wakes(&self) -> Vec<(u64, u64, u64, String)> {
        let rows = self.world.ledger_query("SELECT row FROM wake ORDER BY began_ms");
        let ended = |row: &Vec<moegate::ledger::Value>| match &row[0] {
            moegate::ledger::Value::Text(text) => {
                let ended: moegate::wake::EndedWake = serde_json::from_str(text).unwrap();
                (ended.began_ms, ended.ended_ms, ended.cost, ended.reason)
            }
            other => panic!("{other:?}"),
        };
        rows.iter().map(ended).collect()
    }
}

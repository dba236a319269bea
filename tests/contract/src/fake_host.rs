//! The gateway in process, on `platform::fake`.

use crate::host::{self, Call, Ended, Framing, Host, Needs, Reply};
use crate::suite::{CONTRACT, KEY_VALUE, Suite};
use http::{HeaderName, HeaderValue, Request, header};
use moegate::gateway::Gateway;
use moegate::metering::record::{Record, Summary};
use moegate::platform::fake::{self, Arrived, Client, Got, Responder, World};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a client that takes its time takes at once, as much as the one at a socket.
const TAKES: usize = 16 * 1024;

pub struct FakeHost {
    name: &'static str,
    gateway: Gateway,
    world: World,
    /// Requests at once come in another order each time.
    seed: AtomicU64,
}

impl FakeHost {
    /// # Panics
    /// If the suite's configuration is not valid.
    #[must_use]
    pub fn new(suite: &Suite) -> Self {
        let config = moegate_config::authoring::parse(suite.config).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let secrets = (suite.secrets)().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let world = World::new(u64::try_from(now.as_millis()).unwrap(), secrets);
        Self { name: "fake", gateway: Gateway::new(config), world, seed: AtomicU64::new(1) }
    }

    /// One that does not know of a client's leaving before it writes to it, as in Spin.
    #[must_use]
    pub fn as_spin(suite: &Suite) -> Self {
        let host = Self::new(suite);
        host.world.tell_of_leaving(false);
        Self { name: "fake_as_spin", ..host }
    }

    /// One whose account is in a key-value store.
    #[must_use]
    pub fn with_key_value() -> Self {
        Self { name: "fake_with_key_value", ..Self::new(&KEY_VALUE) }
    }

    fn keeps_ledger(&self) -> bool {
        self.name != "fake_with_key_value"
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new(&CONTRACT)
    }
}

/// What this host can do or show.
#[must_use]
pub fn can(needs: Needs) -> bool {
    matches!(
        needs,
        Needs::Nothing | Needs::KeyValue | Needs::SeesClientLeave | Needs::Concurrency | Needs::NoDecoding
    )
}

/// With the headers that a platform brings.
fn head(call: &Call, wanted: &[HeaderName]) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = call.method.parse().unwrap();
    *head.uri_mut() = call.path.parse().unwrap();
    let mut set = |name: HeaderName, value: &str| {
        if wanted.contains(&name) {
            head.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
        }
    };
    if let Some(authorization) = &call.authorization {
        set(header::AUTHORIZATION, authorization);
    }
    if !call.body.is_empty() {
        set(header::CONTENT_TYPE, "application/json");
        if call.framing == Framing::Length {
            set(header::CONTENT_LENGTH, &call.body.len().to_string());
        }
    }
    for (name, value) in &call.headers {
        set(HeaderName::from_static(name), value);
    }
    head
}

fn client(call: &Call) -> Client<'_> {
    let mut client = Client::new(call.body.clone()).staying_while(|body| (call.stays)(body));
    if let Some(after) = call.leaves_after {
        client = client.leaving_after(ms(after));
    }
    if !call.pause.is_zero() {
        client = client.taking(TAKES, ms(call.pause));
    }
    client
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn reply(call: &Call, got: Got) -> Reply {
    let ended = match got {
        Got { has_left: true, .. } => Ended::Left,
        Got { is_whole: true, .. } => Ended::Whole,
        _ => Ended::Broken,
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let (status, headers) = got.reply.map_or((0, Vec::new()), |reply| {
        let headers = reply.headers().iter().map(|(name, value)| (name.to_string(), text(value)));
        (reply.status().as_u16(), headers.collect())
    });
    let took = Duration::from_millis(got.end_ms.unwrap_or_default());
    // As every server of HTTP.
    let body = if call.method == "HEAD" { Vec::new() } else { got.body };
    Reply { status, headers, body, ended, took }
}

impl Host for FakeHost {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, needs: Needs) -> bool {
        match needs {
            // Nothing else is of interest there.
            needs if !self.keeps_ledger() => needs == Needs::KeyValue,
            Needs::KeyValue => false,
            Needs::SeesClientLeave => self.name == "fake",
            Needs::ServesTheGone => self.name != "fake",
            needs => can(needs),
        }
    }

    fn answer(&self, responder: Responder) {
        self.world.answer(responder);
    }

    fn call(&self, call: &Call) -> Reply {
        let head = head(call, self.gateway.wanted_headers());
        reply(call, fake::serve(&self.world, &self.gateway, head, client(call)))
    }

    fn call_all(&self, calls: &[Call], at_once: usize) -> Vec<Reply> {
        let wanted = self.gateway.wanted_headers();
        let groups = calls.chunks(at_once.max(1)).flat_map(|group| {
            let requests = group.iter().map(|call| (head(call, wanted), client(call))).collect();
            let seed = self.seed.fetch_add(1, Ordering::Relaxed);
            fake::serve_all(&self.world, &self.gateway, requests, seed)
        });
        calls.iter().zip(groups).map(|(call, got)| reply(call, got)).collect()
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.world.arrived()
    }

    fn dropped_after(&self, number: usize) -> Option<Duration> {
        self.world.dropped_after_ms(number).map(Duration::from_millis)
    }

    fn records(&self, since_ms: u64) -> Vec<Record> {
        if self.keeps_ledger() {
            return host::exported(self, since_ms);
        }
        let stored = self.world.stored().into_iter().filter(|stored| stored.key.starts_with("usage/"));
        let records = stored.map(|stored| {
            let record: Record = serde_json::from_str(&stored.value).unwrap();
            assert_eq!(record.storage_key(), stored.key);
            let summary: Summary = serde_json::from_str(&stored.summary).unwrap();
            assert_eq!(summary, record.summary(), "the key's metadata");
            assert!(stored.summary.len() <= 1024, "Workers KV takes no more metadata");
            record
        });
        records.filter(|record| record.started_ms >= since_ms).collect()
    }

    fn pass(&self, duration: Duration) {
        self.world.pass_ms(ms(duration));
    }

    fn is_done_at_once(&self) -> bool {
        true
    }

    fn forget(&self) {
        self.world.forget();
    }

    fn fail_store(&self, count: usize) {
        self.world.fail_store(count);
    }

    fn said(&self) -> String {
        self.world.log().join("\n")
    }
}

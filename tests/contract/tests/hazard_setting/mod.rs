//! The configuration and the requests of `hazards`.

use contract::fixtures::{ADMIN_KEY, APP_KEY, FAR_KEY, OWN_KEY, TENANT_KEY};
use http::{HeaderValue, Request, header};
use moegate::gateway::Gateway;
use moegate::metering::record::Record;
use moegate::platform::fake::{Arrived, Client, Got, Responder, World, serve, serve_all};
use moegate_wire::sign;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Noon, so that no day changes within a test.
const NOW_MS: u64 = 1_795_262_400_000;

const CONFIG: &str = r#"
[gateway]
max_body_mib = 1
max_inflight_mib = 2

[[origins]]
name = "far"
kind = "openai"
url = "https://far.example/v1"
secret = "FAR_KEY"
breaker = { failures = 0 }
models = [{ name = "far", input = "1", output = "1" }]

[[origins]]
name = "own"
kind = "moegate"
url = "https://own.example/v1"
secret = "OWN_KEY"
breaker = { failures = 0 }
models = [{ name = "own", input = "1", output = "1" }]

[[origins]]
name = "first"
kind = "openai"
url = "https://first.example/v1"
breaker = { failures = 3, open_s = 1 }
models = [
    { name = "first", input = "1", output = "1" },
    { name = "flaky", input = "1", output = "1" },
    { name = "held", input = "1", output = "1" },
]

[[routes]]
model = "far"
origin = "far"
budget = { attempts = 1, seconds = 5 }
timeouts = { first_byte_s = 3, idle_s = 1 }

[[routes]]
model = "own"
origin = "own"
budget = { attempts = 1, seconds = 5 }

[[routes]]
model = "flaky"
origin = "first"
budget = { attempts = 1, seconds = 5 }

[[routes]]
model = "held"
origin = "first"
budget = { attempts = 1, seconds = 5 }

[[routes]]
model = "fallback"
rule = { order = [{ origin = "first", model = "first" }, { origin = "far", model = "far" }] }
budget = { attempts = 2, seconds = 5 }

[[origins]]
name = "keyless"
kind = "openai"
url = "https://keyless.example/v1"
secret = "UNSET_KEY"
models = [{ name = "keyless", input = "1", output = "1" }]

[[routes]]
model = "keyless"
origin = "keyless"

[[keys]]
name = "app"
sha256_secret = "APP_KEY_SHA256"

[[keys]]
name = "tenant"
tenant = "someone"
sha256_secret = "TENANT_KEY_SHA256"

[admin]
sha256_secret = "ADMIN_KEY_SHA256"
"#;

pub(crate) struct Setting {
    pub(crate) world: World,
    gateway: Gateway,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::of(CONFIG)
    }

    /// One whose account is in a key-value store.
    pub(crate) fn with_key_value() -> Self {
        Self::of(&format!("{CONFIG}\n[ledger]\nstore = \"key-value\"\n"))
    }

    fn of(config: &str) -> Self {
        let hash = |key: &str| sign::to_hex(&Sha256::digest(key));
        let secrets = [
            ("APP_KEY_SHA256", hash(APP_KEY)),
            ("TENANT_KEY_SHA256", hash(TENANT_KEY)),
            ("ADMIN_KEY_SHA256", hash(ADMIN_KEY)),
            ("FAR_KEY", FAR_KEY.to_owned()),
            ("OWN_KEY", OWN_KEY.to_owned()),
        ];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value));
        let config = moegate_config::authoring::parse(config).unwrap();
        Self { world: World::new(NOW_MS, BTreeMap::from(secrets)), gateway: Gateway::new(config) }
    }

    pub(crate) fn ask(&self, responder: &Responder, head: Request<()>, client: Client<'_>) -> Got {
        self.world.answer(responder.clone());
        serve(&self.world, &self.gateway, head, client)
    }

    pub(crate) fn ask_all<'a>(
        &self,
        responder: &Responder,
        requests: impl Iterator<Item = (Request<()>, Client<'a>)>,
        seed: u64,
    ) -> Vec<Got> {
        self.world.answer(responder.clone());
        serve_all(&self.world, &self.gateway, requests.collect(), seed)
    }
}

pub(crate) fn post() -> Request<()> {
    let request = Request::post("/v1/chat/completions").header(header::CONTENT_TYPE, "application/json");
    request.header(header::AUTHORIZATION, format!("Bearer {APP_KEY}")).body(()).unwrap()
}

/// By another key.
pub(crate) fn by(mut request: Request<()>, key: &str) -> Request<()> {
    let value = HeaderValue::try_from(format!("Bearer {key}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

/// With an idempotency key.
pub(crate) fn with_key(key: &str) -> Request<()> {
    let mut request = post();
    request.headers_mut().insert("idempotency-key", HeaderValue::try_from(key).unwrap());
    request
}

pub(crate) fn sized(mut request: Request<()>, bytes: usize) -> Request<()> {
    request.headers_mut().insert(header::CONTENT_LENGTH, bytes.into());
    request
}

pub(crate) fn body(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#)
}

pub(crate) fn streamed(model: &str) -> String {
    body(model).replacen('{', r#"{"stream":true,"#, 1)
}

/// 0: no head came.
pub(crate) fn code(got: &Got) -> u16 {
    got.reply.as_ref().map_or(0, |reply| reply.status().as_u16())
}

pub(crate) fn id(got: &Got) -> String {
    let reply = got.reply.as_ref().unwrap();
    reply.headers()["x-moegate-request-id"].to_str().unwrap().to_owned()
}

pub(crate) fn was_replayed(got: &Got) -> bool {
    got.reply.as_ref().unwrap().headers().contains_key("x-moegate-replayed")
}

pub(crate) fn arrived_at(arrived: &Arrived, origin: &str) -> bool {
    arrived.authority == format!("{origin}.example")
}

/// Generations that have reached an origin.
pub(crate) fn calls(setting: &Setting) -> usize {
    setting.world.arrived().iter().filter(|arrived| arrived.method == "POST").count()
}

/// The account: what is settled of it.
pub(crate) fn records(setting: &Setting) -> Vec<Record> {
    let export = by(Request::get("/usage/export").body(()).unwrap(), ADMIN_KEY);
    let got = serve(&setting.world, &setting.gateway, export, Client::new(Vec::new()));
    assert_eq!((code(&got), got.is_whole), (200, true), "{got:?}");
    let text = String::from_utf8(got.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What is in the key-value store.
pub(crate) fn stored_records(setting: &Setting) -> Vec<Record> {
    let stored = setting.world.stored().into_iter().filter(|stored| stored.key.starts_with("usage/"));
    stored.map(|stored| serde_json::from_str(&stored.value).unwrap()).collect()
}

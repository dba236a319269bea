//! The configuration of `hazards`, and what its answers say.

pub(crate) use contract::in_process::{
    InProcess as Setting, body, by, code, post, sized, streamed, with_key,
};
use moegate::metering::record::Record;
use moegate::platform::fake::{Arrived, Got};

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

pub(crate) fn usual() -> Setting {
    Setting::of(CONFIG)
}

/// One whose account is in a key-value store.
pub(crate) fn with_key_value() -> Setting {
    Setting::of(&format!("{CONFIG}\n[ledger]\nstore = \"key-value\"\n"))
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

/// What is in the key-value store.
pub(crate) fn stored_records(setting: &Setting) -> Vec<Record> {
    let stored = setting.world.stored().into_iter().filter(|stored| stored.key.starts_with("usage/"));
    stored.map(|stored| serde_json::from_str(&stored.value).unwrap()).collect()
}

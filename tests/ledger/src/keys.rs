//! Keys made at run time, for the tests of them.

use crate::{Setting, admin, body, by, client, status, text};
use contract::fixtures::{Receipts, answer_text, json, own};
use contract::in_process::{self, InProcess};
use http::Request;
use moegate::platform::fake::{Got, Responder};
use moegate_wire::Ending;
use serde_json::Value;

pub const MINUTE_MS: u64 = 60_000;
/// A revocation is seen everywhere after this.
pub const SEEN_MS: u64 = 2 * MINUTE_MS;

#[must_use]
pub fn answering() -> Responder {
    own(json(200, answer_text()), Receipts::Signed(Ending::Complete))
}

/// With the key `tenant` (of the tenant `someone`) as a maker, with these limits of its own.
#[must_use]
pub fn with_maker(limits: &str) -> Setting {
    Setting::with(|config| {
        let name = "name = \"tenant\"\n";
        config.replacen(name, &format!("{name}makes_keys = true\nmodels = [\"far\"]\nlimits = {limits}\n"), 1)
    })
}

pub fn asked(setting: &InProcess, head: Request<()>, body: &str) -> Got {
    setting.ask(&answering(), head, client(body))
}

#[must_use]
pub fn value(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or(Value::Null)
}

#[must_use]
pub fn code(got: &Got) -> String {
    value(got)["error"]["code"].as_str().unwrap_or("").to_owned()
}

/// A secret made by the admin key.
pub fn made(setting: &InProcess, body: &str) -> String {
    secret(&asked(setting, admin("POST", "/keys"), body))
}

pub fn secret(got: &Got) -> String {
    assert_eq!(status(got), 200, "{}", text(got));
    value(got)["secret"].as_str().unwrap().to_owned()
}

/// What becomes of a chat completion.
pub fn used(setting: &InProcess, key: &str) -> u16 {
    status(&asked(setting, by(key), &body("far")))
}

#[must_use]
pub fn with(method: &str, path: &str, key: &str) -> Request<()> {
    in_process::by(Request::builder().method(method).uri(path).body(()).unwrap(), key)
}

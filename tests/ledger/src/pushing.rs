//! Configurations pushed at run time, for the tests of them.

use crate::{CONFIG, Setting, admin, body, client, post, status, text};
use contract::fixtures::{always, answer_text, json};
use contract::in_process::InProcess;
use http::Request;
use moegate::metering::record::Record;
use moegate::platform::fake::{Client, Got, Responder, serve};
use moegate_config::authoring;
use serde_json::{Value, json as value};

pub const MINUTE_MS: u64 = 60_000;
pub const NEW_ROUTE: &str = "[[routes]]\nmodel = \"new\"\norigin = \"spare\"\norigin_model = \"far\"\n";

#[must_use]
pub fn answering() -> Responder {
    always(json(200, answer_text()))
}

#[must_use]
pub fn json_of(config: &str) -> Value {
    serde_json::to_value(authoring::parse(config).unwrap()).unwrap()
}

/// The usual configuration with another route.
#[must_use]
pub fn with_route() -> String {
    format!("{CONFIG}{NEW_ROUTE}")
}

#[must_use]
pub fn with_limit(requests: u64) -> String {
    let name = "name = \"app\"\n";
    CONFIG.replacen(name, &format!("{name}limits = [{{ per = \"hour\", requests = {requests} }}]\n"), 1)
}

#[must_use]
pub fn dearer() -> String {
    CONFIG.replacen(
        "input = \"1\", cached_input = \"0.5\", output = \"2\"",
        "input = \"10\", cached_input = \"5\", output = \"20\"",
        1,
    )
}

#[must_use]
pub fn put(if_version: u32, config: &Value) -> (Request<()>, Client<'static>) {
    let body = value!({"if_version": if_version, "note": "why", "config": config}).to_string();
    (admin("PUT", "/config"), client(&body))
}

#[must_use]
pub fn roll_back(if_version: u32, version: u32) -> (Request<()>, Client<'static>) {
    let body = value!({"if_version": if_version, "version": version}).to_string();
    (admin("POST", "/config/rollback"), client(&body))
}

#[must_use]
pub fn send(setting: &InProcess, (head, client): (Request<()>, Client<'_>)) -> Got {
    serve(&setting.world, &setting.gateway, head, client)
}

#[must_use]
pub fn push(setting: &InProcess, if_version: u32, config: &str) -> Got {
    send(setting, put(if_version, &json_of(config)))
}

#[track_caller]
pub fn pushed(setting: &InProcess, if_version: u32, config: &str) {
    let got = push(setting, if_version, config);
    assert_eq!(status(&got), 200, "{}", text(&got));
    assert_eq!(parsed(&got)["version"], if_version + 1);
}

#[must_use]
pub fn parsed(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or_else(|_| panic!("{}", text(got)))
}

#[must_use]
pub fn error(got: &Got) -> Value {
    parsed(got)["error"].clone()
}

#[must_use]
pub fn state(setting: &InProcess) -> Value {
    let got = setting.read("/config");
    assert_eq!(status(&got), 200, "{}", text(&got));
    parsed(&got)
}

#[must_use]
pub fn asked(setting: &InProcess, model: &str) -> u16 {
    status(&setting.ask(&answering(), post(), client(&body(model))))
}

/// The records by their versions: ids of one millisecond are in no order.
#[must_use]
pub fn records(setting: &InProcess) -> Vec<Record> {
    let mut records = setting.records();
    records.sort_by_key(|record| record.config.unwrap().number);
    records
}

/// The versions in the records.
#[must_use]
pub fn versions(setting: &InProcess) -> Vec<u32> {
    records(setting).iter().map(|record| record.config.unwrap().number).collect()
}

/// The same world with another deployment: its instance knows nothing yet.
#[must_use]
pub fn deployed(setting: Setting, config: &str) -> InProcess {
    let InProcess { world, .. } = setting.into_inner();
    world.forget();
    InProcess { world, gateway: moegate::gateway::Gateway::new(authoring::parse(config).unwrap()) }
}

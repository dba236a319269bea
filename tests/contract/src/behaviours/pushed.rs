//! The configuration, changed without a deploy.

use crate::fixtures::{ADMIN_KEY, always, answer_text, chat, get, json};
use crate::host::Call;
use crate::stage::{Behaviour, Stage, expect_error};
use serde_json::{Value, json as value};

pub(super) const ALL: &[Behaviour] = &[Behaviour::new(
    "pushed_config",
    "a route that is pushed is served, by instances that begin later too, until it is rolled back; records say which version it was; a bad one is refused and changes nothing",
    pushed,
)];

fn body_of(stage: &Stage<'_>, call: &Call) -> Value {
    let reply = stage.host.call(call);
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

fn send(method: &'static str, path: &str, body: &Value) -> Call {
    Call { method, body: body.to_string().into_bytes(), ..get(path, ADMIN_KEY) }
}

fn pushed(stage: &mut Stage<'_>) {
    let mut config = body_of(stage, &get("/config?version=0", ADMIN_KEY));
    let before = body_of(stage, &get("/config", ADMIN_KEY))["version"].as_u64().unwrap();
    let route = value!({"model": "pushed-model", "origin": "far", "origin_model": "far-model"});
    config["routes"].as_array_mut().unwrap().push(route);
    let push = value!({"if_version": before, "config": config});
    let answer = body_of(stage, &send("PUT", "/config", &push));
    assert_eq!(answer["version"], before + 1);
    stage.host.forget();
    let reply = stage.play(always(json(200, answer_text())), &chat("pushed-model"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(stage.settled().config.unwrap().number, before as u32 + 1);

    config["origins"][0]["url"] = value!("https://elsewhere.example/v1");
    let bad = value!({"if_version": before + 1, "config": config});
    let reply = stage.refused(&send("PUT", "/config", &bad));
    expect_error(&reply, 400, "invalid_config", "origins[0].url: differs from what is deployed");
    let old = value!({"if_version": before, "version": 0});
    expect_error(
        &stage.refused(&send("POST", "/config/rollback", &old)),
        409,
        "config_changed",
        "push again",
    );

    let back = value!({"if_version": before + 1, "version": 0});
    assert_eq!(body_of(stage, &send("POST", "/config/rollback", &back))["version"], before + 2);
    stage.host.forget();
    let reply = stage.refused(&chat("pushed-model"));
    assert_eq!(reply.status, 404, "{}", reply.text());
}

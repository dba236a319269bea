//! Heap allocations of a request through the core, natively, the fake platform's own included. One thread, counted.

use contract::fake_host::FakeHost;
use contract::fixtures::{
    APP_KEY, DONE, Receipts, always, answer_text, chat, delta, finish, json, own, secrets, stream, streamed,
};
use contract::host::{Call, Host};
use contract::suite::{CONTRACT, Suite};
use http::Request;
use moegate::gateway::Gateway;
use moegate::platform::fake::{Client, Responder, World, serve};
use moegate_wire::Ending;
use serde_json::Value;
use std::collections::BTreeMap;

/// Of one call, after a first one has warmed up what is made once.
fn allocations(host: &FakeHost, responder: &Responder, call: &Call) -> u64 {
    host.answer(responder.clone());
    assert_eq!(host.call(call).status, 200);
    host.answer(responder.clone());
    allocation_counter::measure(|| drop(host.call(call))).count_total
}

fn events(count: usize) -> Vec<String> {
    let deltas = std::iter::repeat_n(delta("word"), count);
    deltas.chain([finish(), DONE.to_owned()]).collect()
}

/// The suite's configuration, as most are: CORS is off unless it is asked for.
fn without_cors() -> &'static str {
    let lines = CONTRACT.config.lines().filter(|line| !line.starts_with("cors = "));
    let config = lines.collect::<Vec<_>>().join("\n");
    assert!(config.len() < CONTRACT.config.len() - 10, "the suite has CORS on");
    config.leak()
}

const LARGE: &str = r#"
[[origins]]
name = "far"
kind = "openai"
url = "https://far.example/v1"
models = [{ name = "far-model", input = "1", output = "1" }]

[[routes]]
model = "renamed"
origin = "far"
origin_model = "far-model"

[[keys]]
name = "app"
sha256_secret = "APP_KEY_SHA256"
"#;

/// A request of 32 MiB whose model is renamed, so that it is changed on its way: a Worker has 128 MiB for everything. The
/// fake platform holds the body itself, as it was sent and as it arrived.
#[test]
fn large_bodies_are_held_twice_at_most() {
    const MIB: u64 = 1024 * 1024;
    let hash = secrets().into_iter().find(|(name, _)| *name == "APP_KEY_SHA256").unwrap().1;
    let world = World::new(1_795_262_400_000, BTreeMap::from([("APP_KEY_SHA256".to_owned(), hash)]));
    let gateway = Gateway::new(moegate_config::authoring::parse(LARGE).unwrap());
    world.answer(always(json(200, answer_text())));
    let text = "x".repeat((31 * MIB) as usize);
    let body =
        format!(r#"{{"model":"renamed","messages":[{{"role":"user","content":"{text}"}}]}}"#).into_bytes();
    let head = Request::post("/v1/chat/completions").header("authorization", format!("Bearer {APP_KEY}"));
    let head = head.header("content-length", body.len()).body(()).unwrap();
    let size = body.len() as u64;
    let most = allocation_counter::measure(|| {
        let got = serve(&world, &gateway, head, Client::new(body));
        assert_eq!(got.reply.unwrap().status(), 200);
    })
    .bytes_max;
    println!("bodies of {size} bytes: {most} bytes at most");
    assert!(most < 2 * size + MIB, "{:.2} times the body", most as f64 / size as f64);
}

#[test]
fn within_budget() {
    let host = FakeHost::new(&Suite { config: without_cors(), ..CONTRACT });
    let pumped = |count| allocations(&host, &always(stream(&events(count))), &streamed("far-model"));
    let per_event = (pumped(1100) - pumped(100)) as f64 / 1000.0;
    let relayed = own(stream(&events(100)), Receipts::Signed(Ending::Complete));
    let measured = [
        ("unstreamed", allocations(&host, &always(json(200, answer_text())), &chat("far-model")) as f64),
        ("relayed", allocations(&host, &relayed, &streamed("own-model")) as f64),
        ("pumped", pumped(100) as f64),
        ("pumped_per_event", per_event),
    ];
    let budget: Value = serde_json::from_str(include_str!("../budget.json")).unwrap();
    for (name, count) in measured {
        println!("allocations, {name}: {count}");
        let most = budget["allocations"][name].as_f64().unwrap();
        assert!(count <= most, "allocations, {name}: {count}, budget {most} (tests/contract/budget.json)");
    }
}

//! Heap allocations of a request through the core, natively, the fake platform's own included. One thread, counted.

use contract::fake_host::FakeHost;
use contract::fixtures::{
    DONE, Receipts, always, answer_text, chat, delta, finish, json, own, stream, streamed,
};
use contract::host::{Call, Host};
use contract::suite::{CONTRACT, Suite};
use moegate::platform::fake::Responder;
use moegate_wire::Ending;
use serde_json::Value;

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

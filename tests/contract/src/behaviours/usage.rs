//! The records, and `GET /usage`, which adds them up.

use crate::fixtures::{
    ADMIN_KEY, APP_KEY, COST_NANODOLLARS, NARROW_KEY, Receipts, always, answer_text, chat, get, json, own,
};
use crate::host::{Call, Needs};
use crate::stage::{Behaviour, Stage, expect_error};
use moegate::metering::record::{Record, day};
use moegate_wire::{Ending, Nanodollars};
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "usage_by_period",
        "`/usage?period=` takes a year, month or day, and refuses anything else",
        by_period,
    ),
    Behaviour::new(
        "record_holds_no_content",
        "a record holds names and numbers: no content, no key, no URL",
        no_content,
    ),
    Behaviour::new("store_busy", "a store that fails three times gets the record all the same", busy)
        .needing(Needs::FaultyStore),
    Behaviour::new(
        "store_down",
        "a store that keeps failing costs the client nothing, and the record is in the log",
        down,
    )
    .needing(Needs::FaultyStore),
    Behaviour::new(
        "usage_fails_closed",
        "`/usage` gives no sums where the store does not answer",
        fails_closed,
    )
    .needing(Needs::FaultyStore),
    Behaviour::new(
        "concurrent_requests_all_count",
        "of 200 requests at once each has its id and its record",
        concurrent,
    )
    .needing(Needs::Concurrency),
    Behaviour::new(
        "usage_while_requests_run",
        "`/usage` is asked for while others' requests write their records: nothing is lost, and nobody waits for ever",
        while_requests_run,
    )
    .needing(Needs::Concurrency),
    Behaviour::new(
        "thousands_of_requests_all_count",
        "of 5,000 requests, 16 at a time, each has its record, and the sums hold them all, before and after a restart",
        thousands,
    )
    .needing(Needs::Restart),
    Behaviour::new("records_outlive_a_restart", "records are there after a restart", restart)
        .needing(Needs::Restart),
    Behaviour::new(
        "usage_adds_all_up",
        "`/usage` is the sum of every record: in all, by key, model, origin and ending",
        adds_up,
    ),
];

fn by_period(stage: &mut Stage<'_>) {
    stage.play(own(json(200, answer_text()), Receipts::Missing), &chat("own-model"));
    let record = stage.settled();
    let day = day(record.started_ms);
    let requests = |period: &str| {
        let reply = stage.host.call(&get(&format!("/usage?period={period}"), ADMIN_KEY));
        let report: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, report["period"].as_str()), (200, Some(period)));
        report["totals"]["requests"].as_u64().unwrap()
    };
    let of_that_day = |record: &&Record| record.last && record.storage_key().contains(&day);
    let that_day = stage.all.iter().filter(of_that_day).count() as u64;
    assert_eq!(requests(&day), that_day);
    assert!(requests(&day[..7]) >= that_day && requests(&day[..4]) >= that_day);
    assert_eq!(requests("1999"), 0);
    for (query, code) in [
        ("period=today", "invalid_period"),
        ("since=1", "unknown_parameter"),
        ("cursor=zz", "invalid_cursor"),
    ] {
        expect_error(&stage.refused(&get(&format!("/usage?{query}"), ADMIN_KEY)), 400, code, "");
    }
}

fn no_content(stage: &mut Stage<'_>) {
    stage.play(always(json(200, answer_text())), &chat("far-model"));
    let record = stage.settled();
    let stored = stage.host.record(&record.storage_key());
    for part in ["Hello", "assistant", "127.0.0.1", APP_KEY, crate::fixtures::FAR_KEY] {
        assert!(!stored.value.contains(part) && !stored.summary.contains(part), "{part} in {stored:?}");
    }
    assert!(stored.summary.len() <= 1024, "Workers KV takes no more metadata");
}

fn busy(stage: &mut Stage<'_>) {
    stage.host.fail_store(3);
    stage.play(always(json(200, answer_text())), &chat("far-model"));
    assert_eq!(stage.settled().cost_nanodollars, Nanodollars(COST_NANODOLLARS));
}

fn down(stage: &mut Stage<'_>) {
    stage.host.fail_store(4);
    let reply = stage.play(always(json(200, answer_text())), &chat("far-model"));
    assert_eq!(reply.status, 200);
    let id = reply.header("x-moegate-request-id");
    let mut said = stage.host.said();
    // It tries again for a second or two first.
    let patience = if stage.host.is_done_at_once() { 0 } else { 30 };
    let until = Instant::now() + Duration::from_secs(patience);
    while !said.contains(id) && Instant::now() < until {
        sleep(Duration::from_millis(20));
        said += &stage.host.said();
    }
    // Beside the record the line says what the host makes of it.
    let logged = said.lines().find(|line| line.contains(id)).expect("a line with the record");
    let json = &logged[logged.find('{').unwrap()..=logged.rfind('}').unwrap()];
    let logged: Record = serde_json::from_str(json).unwrap();
    assert_eq!((logged.id.as_str(), logged.cost_nanodollars), (id, Nanodollars(COST_NANODOLLARS)));
    stage.settle(0);
}

fn fails_closed(stage: &mut Stage<'_>) {
    stage.host.fail_store(1);
    expect_error(&stage.refused(&get("/usage", ADMIN_KEY)), 500, "store_unavailable", "try again");
}

/// `count` requests by two keys, `at_once` at a time: each has its id, its record, and its place in the sums. Gives the
/// sums.
fn all_count(stage: &mut Stage<'_>, count: usize, at_once: usize) -> Value {
    let narrow = Call { authorization: Some(format!("Bearer {NARROW_KEY}")), ..chat("far-model") };
    let calls: Vec<_> =
        (0..count).map(|i| if i % 2 == 0 { chat("far-model") } else { narrow.clone() }).collect();
    let before = stage.usage();
    stage.host.answer(always(json(200, answer_text())));
    let replies = stage.host.call_all(&calls, at_once);
    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let records = stage.settle(count);
    let ids = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let told = ids(replies.iter().map(|reply| reply.header("x-moegate-request-id")).collect());
    assert_eq!(told.len(), count);
    assert!(told == ids(records.iter().map(|record| record.id.as_str()).collect()), "ids and records differ");
    let after = stage.usage();
    let grown = |path: &str| {
        after.pointer(path).unwrap().as_u64().unwrap()
            - before.pointer(path).and_then(Value::as_u64).unwrap_or(0)
    };
    assert_eq!(grown("/totals/requests"), count as u64);
    assert_eq!(grown("/totals/cost_nanodollars"), count as u64 * COST_NANODOLLARS);
    assert_eq!(grown("/by_key/narrow/requests"), count as u64 / 2);
    after
}

fn concurrent(stage: &mut Stage<'_>) {
    all_count(stage, 200, 200);
}

fn while_requests_run(stage: &mut Stage<'_>) {
    let mut calls = vec![chat("far-model"); 200];
    for at in 0..20 {
        calls.insert(at * 10, get("/usage", ADMIN_KEY));
    }
    stage.host.said();
    stage.host.answer(always(json(200, answer_text())));
    let begun = Instant::now();
    let replies = stage.host.call_all(&calls, 16);
    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    stage.settle(200);
    let said = stage.host.said();
    // The Spin host names what would have waited for ever in Spin.
    assert!(!said.contains("wait for ever"), "after {:?}: {said}", begun.elapsed());
}

fn thousands(stage: &mut Stage<'_>) {
    let sums = all_count(stage, 5_000, 16);
    stage.host.restart();
    assert_eq!(stage.usage(), sums);
}

fn restart(stage: &mut Stage<'_>) {
    stage.play(always(json(200, answer_text())), &chat("far-model"));
    stage.settled();
    let before = stage.usage();
    stage.host.restart();
    assert_eq!(stage.usage(), before);
    stage.settle(0);
}

fn ending(ending: Ending) -> String {
    serde_json::to_value(ending).unwrap().as_str().unwrap().to_owned()
}

fn adds_up(stage: &mut Stage<'_>) {
    let report = stage.usage();
    let sum = |records: &[&Record]| {
        let add = |of: fn(&Record) -> u64| records.iter().map(|record| of(record)).sum::<u64>();
        let mut sums = value!({
            "requests": records.iter().filter(|record| record.last).count(),
            "attempts": records.len(),
            "unmetered_attempts": add(|record| u64::from(!record.metered)),
            "prompt_tokens": add(|record| record.usage.prompt),
            "cached_tokens": add(|record| record.usage.cached),
            "completion_tokens": add(|record| record.usage.completion),
            "reasoning_tokens": add(|record| record.usage.reasoning),
            "cost_nanodollars": add(|record| record.cost_nanodollars.0),
        });
        if add(|record| u64::from(record.upstream_cost_nanodollars.is_some())) > 0 {
            let upstream = add(|record| record.upstream_cost_nanodollars.unwrap_or_default().0);
            let beside =
                add(|record| record.upstream_cost_nanodollars.map_or(0, |_| record.cost_nanodollars.0));
            sums["upstream_cost_nanodollars"] = upstream.into();
            sums["cost_beside_upstream_nanodollars"] = beside.into();
        }
        sums
    };
    assert!(!stage.all.is_empty());
    assert_eq!(report["totals"], sum(&stage.all.iter().collect::<Vec<_>>()));
    type NameOf = fn(&Record) -> String;
    let groups: [(&str, NameOf); 4] = [
        ("by_key", |record| record.key.clone()),
        ("by_model", |record| record.model.clone()),
        ("by_origin", |record| record.origin.clone()),
        ("by_ending", |record| ending(record.ending)),
    ];
    for (group, name_of) in groups {
        let names: BTreeSet<_> = stage.all.iter().map(name_of).collect();
        let seen = report[group].as_object().unwrap();
        assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), names, "{group}");
        for name in names {
            let records: Vec<_> = stage.all.iter().filter(|record| name_of(record) == name).collect();
            assert_eq!(seen[&name], sum(&records), "{group}.{name}");
        }
    }
}

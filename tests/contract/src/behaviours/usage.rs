//! The account: records, and `GET /usage`, which adds them up.

use crate::fixtures::{
    ADMIN_KEY, APP_KEY, COST_NANODOLLARS, NARROW_KEY, Receipts, always, answer_text, chat, get, json, own,
};
use crate::host::{Call, Needs};
use crate::stage::{Behaviour, Stage, expect_error};
use moegate::metering::record::{Record, State, day};
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::time::Instant;

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
        "`/usage` is the sum of every record: in all, by key, tenant, model, route, origin and ending",
        adds_up,
    ),
];

fn by_period(stage: &mut Stage<'_>) {
    stage.play(own(json(200, answer_text()), Receipts::Missing), &chat("own-model"));
    let record = stage.settled();
    let day_of = |record: &Record| day(record.started_ms);
    let day = day_of(&record);
    let requests = |period: &str| {
        let reply = stage.host.call(&get(&format!("/usage?period={period}"), ADMIN_KEY));
        let report: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, report["period"].as_str()), (200, Some(period)));
        report["totals"]["requests"].as_u64().unwrap()
    };
    let until_now = requests(&day);
    let of_that_day = |one: &&Record| one.last && day_of(one) == day;
    let that_day = stage.account().iter().filter(of_that_day).count() as u64;
    assert_eq!(until_now, that_day);
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
    let id = &record.id;
    for path in [format!("/requests/{id}"), format!("/usage/export?since={}", record.started_ms / 1000)] {
        let text = stage.host.call(&get(&path, ADMIN_KEY)).text();
        assert!(text.contains(id.as_str()), "{text}");
        for part in ["Hello", "assistant", "127.0.0.1", APP_KEY, crate::fixtures::FAR_KEY] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
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

pub(super) fn adds_up(stage: &mut Stage<'_>) {
    // Without a ledger sums have less.
    let in_ledger = !stage.host.can(Needs::KeyValue);
    let report = stage.usage();
    let account = stage.account();
    assert!(!account.is_empty());
    assert_eq!(report["totals"], sums(&account.iter().collect::<Vec<_>>()));
    type NameOf = fn(&Record) -> String;
    let groups: [(&str, NameOf); 6] = [
        ("by_key", |record| record.key.clone()),
        ("by_model", |record| record.model.clone()),
        ("by_origin", |record| record.origin.clone()),
        ("by_ending", |record| record.ending_in_sums().to_owned()),
        ("by_tenant", |record| record.tenant.clone()),
        ("by_route", |record| record.route.clone()),
    ];
    for (group, name_of) in &groups[..if in_ledger { 6 } else { 4 }] {
        let names: BTreeSet<_> = account.iter().map(name_of).collect();
        let seen = report[group].as_object().unwrap();
        assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), names, "{group}");
        for name in names {
            let records: Vec<_> = account.iter().filter(|record| name_of(record) == name).collect();
            assert_eq!(seen[&name], sums(&records), "{group}.{name}");
        }
    }
}

/// As `/usage` has them.
fn sums(records: &[&Record]) -> Value {
    let add = |of: fn(&Record) -> u64| records.iter().map(|record| of(record)).sum::<u64>();
    let mut sums = value!({
        "requests": add(|record| record.last.into()),
        "attempts": add(|record| (!record.cache_hit).into()),
        "unmetered_attempts": add(|record| (!record.metered).into()),
        "prompt_tokens": add(|record| record.usage.prompt),
        "cached_tokens": add(|record| record.usage.cached),
        "completion_tokens": add(|record| record.usage.completion),
        "reasoning_tokens": add(|record| record.usage.reasoning),
        "cost_nanodollars": add(|record| record.cost_nanodollars.0),
    });
    let beside = |record: &Record| record.upstream_cost_nanodollars.map_or(0, |_| record.cost_nanodollars.0);
    for (name, sum) in [
        ("cache_hits", add(|record| record.cache_hit.into())),
        ("estimated_attempts", add(|record| (record.state == State::Estimated).into())),
        ("cache_write_tokens", add(|record| record.usage.cache_write)),
        ("upstream_cost_nanodollars", add(|record| record.upstream_cost_nanodollars.unwrap_or_default().0)),
        ("cost_beside_upstream_nanodollars", records.iter().map(|record| beside(record)).sum()),
        ("busy_us", add(|record| record.busy_us)),
    ] {
        if sum > 0 {
            sums[name] = sum.into();
        }
    }
    sums
}

//! What must hold whatever fails when.
//!
//! - No more attempts than the budget has, and no more time (and a second).
//! - A reply has one end: a status with its body, `[DONE]`, or an error event; and `[DONE]` only after all of the text.
//! - No call to an origin is left running: neither when the client has left nor otherwise.
//! - Each call has its record, and each record its call, under the same id.
//! - Nothing that an origin may have computed is free, and nothing costs more than was reserved for it.

use super::case::is_spin;
use super::play::{Seen, Shown, check_account, check_ids};
use super::reading::{content, read};
use super::schedule::{Schedule, Stay};
use super::scripts::{responder, text};
use crate::fixtures::{chat, streamed};
use crate::host::{Call, Ended};
use crate::stage::{Stage, error_of};
use moegate::metering::record::Record;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Of the first schedule. Another one: `MOEGATE_FAULTS_SEED`.
const SEED: u64 = 20_261_121;
/// On a host whose clock goes by itself, and on the other one. More of them: `MOEGATE_FAULTS_SCHEDULES`.
const SCHEDULES: [u64; 2] = [36, 800];
const GRACE: Duration = Duration::from_secs(1);

/// Plays them, and names the seed of the one that fails.
pub fn check(stage: &mut Stage<'_>) {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = given("MOEGATE_FAULTS_SEED").unwrap_or(SEED);
    let usual = SCHEDULES[usize::from(stage.host.is_done_at_once())];
    let count = given("MOEGATE_FAULTS_SCHEDULES").unwrap_or(usual);
    for seed in first..first + count {
        let schedule = Schedule::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(stage, &schedule)));
        assert!(
            outcome.is_ok(),
            "on {}, MOEGATE_FAULTS_SEED={seed} MOEGATE_FAULTS_SCHEDULES=1: {schedule:#?}",
            stage.host.name()
        );
    }
}

fn call(schedule: &Schedule) -> Call {
    let call = if schedule.is_stream { streamed } else { chat }(schedule.budget.route);
    match schedule.stay {
        Stay::ToTheEnd => call,
        Stay::NotEvenForTheAnswer => call.leaving_before_answer(),
        Stay::For(bytes) => call.staying_while(move |body| body.len() < bytes),
    }
}

fn play(stage: &mut Stage<'_>, schedule: &Schedule) {
    stage.host.forget();
    let played = schedule.clone();
    let (responder, calls) = responder(move |asked| played.script(asked));
    let reply = stage.play(responder, &call(schedule));
    let records = whole_request(stage);
    let calls = calls.lock().unwrap().clone();
    let seen = Seen { reply, calls, records };
    check_budget(schedule, &seen);
    check_end(schedule, &seen);
    check_connections(stage, &seen);
    check_records(&seen);
}

/// The records up to the last attempt's.
fn whole_request(stage: &mut Stage<'_>) -> Vec<Record> {
    let patience = if stage.host.is_done_at_once() { 0 } else { 20 };
    let until = Instant::now() + Duration::from_secs(patience);
    let mut records = Vec::new();
    let is_whole = |records: &[Record]| {
        records.iter().find(|one| one.last).is_some_and(|last| records.len() == last.attempt as usize)
    };
    records.extend(stage.unclaimed());
    while !is_whole(&records) {
        assert!(Instant::now() < until, "records: {records:?}");
        std::thread::sleep(Duration::from_millis(5));
        records.extend(stage.unclaimed());
    }
    records.sort_by_key(|record| record.attempt);
    records
}

fn check_budget(schedule: &Schedule, seen: &Seen) {
    let limit = Duration::from_secs(schedule.budget.seconds) + GRACE;
    assert!(seen.records.len() <= schedule.budget.attempts, "{:?}", seen.records);
    assert!(seen.reply.took <= limit, "it took {:?}", seen.reply.took);
    let begun = seen.records[0].started_ms;
    let ended = seen.records.iter().map(|one| one.started_ms + one.ended_after_ms).max();
    let recorded = Duration::from_millis(ended.unwrap_or_default() - begun);
    assert!(recorded <= limit, "by the records it took {recorded:?}");
}

fn check_end(schedule: &Schedule, seen: &Seen) {
    let (reply, shown) = (&seen.reply, Shown(&seen.reply));
    let served_whole = seen.calls.last().is_some_and(|call| call.is_whole);
    if reply.ended == Ended::Left {
        assert_ne!(schedule.stay, Stay::ToTheEnd);
        let stream = read(reply);
        assert!(stream.done == 0 || served_whole, "{shown}");
        return;
    }
    assert_eq!(reply.ended, Ended::Whole, "{shown}");
    if reply.status != 200 {
        let (status, ..) = error_of(reply);
        assert!(status >= 400, "{shown}");
        return;
    }
    if !schedule.is_stream {
        assert!(served_whole && content(reply) == text(), "{shown}");
        return;
    }
    let stream = read(reply);
    assert_eq!((stream.done + stream.errors.len(), stream.late), (1, 0), "{shown}");
    assert_eq!(stream.garbled, [""; 0], "{shown}");
    if stream.done == 1 {
        assert!(served_whole && stream.finished && stream.text == text(), "{shown}");
    } else {
        assert!(text().starts_with(&stream.text), "{shown}");
    }
}

/// What would go on for ever is ended; soon, if the client has left and the host knows.
fn check_connections(stage: &Stage<'_>, seen: &Seen) {
    for (number, call) in seen.calls.iter().enumerate().filter(|(_, call)| call.hangs) {
        let dropped = stage.host.dropped_after(number);
        let dropped =
            dropped.unwrap_or_else(|| panic!("the connection of call {number} stayed open: {call:?}"));
        // A busy machine gets more; each leaving by itself is held to one second in its own case.
        let limit = if is_spin(stage.host.name()) { 4 * GRACE } else { 2 * GRACE };
        assert!(seen.reply.ended != Ended::Left || dropped <= limit, "it took {dropped:?}");
    }
}

fn check_records(seen: &Seen) {
    // A client that leaves may do so when the attempt has begun and the call has not yet arrived.
    let missing = usize::from(seen.reply.ended == Ended::Left && seen.calls.len() < seen.records.len());
    assert_eq!(seen.calls.len() + missing, seen.records.len(), "{:?} {:?}", seen.calls, seen.records);
    check_ids((0..seen.records.len()).map(|at| at < seen.calls.len()), seen);
    check_account(&seen.records);
    if let Some(failed) = seen.records.iter().filter(|one| !one.last).find(|one| one.failure.is_none()) {
        panic!("another attempt followed one that did not fail: {failed:?}");
    }
}

/// `/usage` counts requests, attempts and money as the account's records do.
pub fn usage_adds_up(stage: &mut Stage<'_>) {
    let report = stage.usage();
    let account = stage.account();
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64);
    assert_eq!(number("/totals/attempts"), Some(account.len() as u64));
    let requests = account.iter().filter(|record| record.last).count();
    assert_eq!(number("/totals/requests"), Some(requests as u64));
    let cost = account.iter().map(|record| record.cost_nanodollars.0).sum();
    assert_eq!(number("/totals/cost_nanodollars"), Some(cost));
}

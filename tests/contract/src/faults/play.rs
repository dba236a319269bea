//! One case on one host.

use super::case::{Attempt, Case, Expected, Fault, Got, Leave, Route, is_spin};
use super::reading::{content, log, read};
use super::scripts::{Called, responder};
use crate::fixtures::{post, streamed};
use crate::host::{Call, Ended, Host, Reply};
use crate::stage::{Stage, error_of};
use moegate::config::Failure::{BadKey, Connect};
use moegate::metering::record::{Record, State};
use moegate_wire::Usage;
use std::time::Duration;

/// How soon an origin's connection is closed after the client has left.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Within the pause that `retry-after: 1` makes.
const IN_PAUSE: Duration = Duration::from_millis(300);

/// What one request came to.
pub struct Seen {
    pub reply: Reply,
    pub calls: Vec<Called>,
    /// In the order of the attempts.
    pub records: Vec<Record>,
}

/// Plays it, and panics where something else comes of it than is expected.
pub fn play(stage: &mut Stage<'_>, fault: &Fault, case: &Case, is_stream: bool) {
    // The machine may be busy with other things: where its clock decides, one of three tries must be in time.
    let tries: &[bool] = if stage.host.is_done_at_once() { &[true] } else { &[false, false, true] };
    for &last_try in tries {
        let Expected { got, attempts } = case.expected_on(stage.host.name());
        let seen = send(stage, fault, case, is_stream, attempts.len());
        check_got(fault, case, got, &seen, is_stream);
        check_attempts(attempts, &seen);
        if seen.reply.status != 0 {
            check_head(attempts, &seen);
        }
        match in_time(stage.host, case, attempts, &seen) {
            Ok(()) => return,
            Err(late) => assert!(!last_try, "{late}"),
        }
    }
}

fn call(fault: &Fault, case: &Case, is_stream: bool) -> Call {
    let model = format!("{}-{}", fault.origin, case.route.name());
    let call = if is_stream {
        streamed(&model)
    } else {
        post(format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#))
    };
    let has = |body: &[u8], word: &[u8]| body.windows(word.len()).any(|window| window == word);
    match case.leave {
        // The origin goes as fast as the client: there is enough for longer than the budget lasts.
        None if fault.name == "content_for_ever" => Call { pause: Duration::from_millis(5), ..call },
        None => call,
        Some(Leave::BeforeAnswer) => call.leaving_before_answer(),
        Some(Leave::InPause) => Call { leaves_after: Some(IN_PAUSE), ..call },
        Some(Leave::MidStream) => call.staying_while(move |body| !has(body, b"two ")),
        Some(Leave::AfterContinuation) => call.staying_while(move |body| !has(body, b"three ")),
    }
}

fn send(stage: &mut Stage<'_>, fault: &Fault, case: &Case, is_stream: bool, records: usize) -> Seen {
    stage.host.forget();
    let (responder, calls) = responder(fault.script);
    let reply = stage.play(responder, &call(fault, case, is_stream));
    let mut records = stage.settle(records);
    records.sort_by_key(|record| record.attempt);
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), stage.generations().len(), "calls that reached an origin: {calls:?}");
    Seen { reply, calls, records }
}

fn check_got(fault: &Fault, case: &Case, got: Got, seen: &Seen, is_stream: bool) {
    let reply = &seen.reply;
    let shown = Shown(reply);
    assert_eq!(reply.ended, if got == Got::Left { Ended::Left } else { Ended::Whole }, "{shown}");
    let stream = read(reply);
    let terminal = (stream.done, stream.errors.iter().map(String::as_str).collect::<Vec<_>>());
    let patience = ["retry-after", "retry-after-ms"].map(|name| reply.header(name).to_owned());
    let none = [String::new(), String::new()];
    match got {
        Got::Answer if is_stream => {
            assert_eq!((reply.status, terminal), (200, (1, vec![])), "{shown}");
            assert!(stream.finished, "{shown}");
            same_text(&stream.text, &(fault.text)());
            // Nothing is put into a stream that is relayed.
            let is_relayed = fault.origin.starts_with("own") && case.route != Route::Continue;
            check_facts(seen, &stream.facts, is_relayed);
        }
        Got::Answer => {
            assert_eq!(reply.status, 200, "{shown}");
            same_text(&content(reply), &(fault.text)());
        }
        Got::Error(status, code) => {
            let (seen_status, seen_code, _) = error_of(reply);
            assert_eq!((seen_status, seen_code.as_str(), patience), (status, code, none), "{shown}");
        }
        Got::Passed(status) => {
            let (seen_status, ..) = error_of(reply);
            assert_eq!(seen_status, status, "{shown}");
            assert_eq!(patience, seen.calls.last().map_or(none, |call| call.patience.clone()), "{shown}");
        }
        Got::Broken(code) => assert_eq!((reply.status, terminal), (200, (0, vec![code])), "{shown}"),
        Got::ErrorEvent => assert_eq!((reply.status, terminal), (200, (0, vec!["scripted"])), "{shown}"),
        Got::Left => assert_eq!(terminal, (0, vec![]), "{shown}"),
    }
    if is_stream && reply.status == 200 {
        assert_eq!((stream.late, &stream.garbled[..]), (0, &[][..]), "{shown}");
    }
}

fn same_text(seen: &str, expected: &str) {
    // Not `assert_eq`: it may be ten megabytes.
    let start = |text: &str| text.chars().take(100).collect::<String>();
    assert!(
        seen == expected,
        "{} bytes {:?}… instead of {} bytes {:?}…",
        seen.len(),
        start(seen),
        expected.len(),
        start(expected)
    );
}

/// Streams that took more than one attempt say so before their end.
fn check_facts(seen: &Seen, facts: &Option<serde_json::Value>, is_relayed: bool) {
    let Some(last) = seen.records.last().filter(|_| seen.records.len() > 1 && !is_relayed) else {
        assert_eq!(*facts, None);
        return;
    };
    let facts = facts.as_ref().expect("an event with the member `moegate`");
    assert_eq!(
        (facts["origin"].as_str(), facts["model"].as_str()),
        (Some(&*last.origin), Some(&*last.served_model))
    );
    let reasons: Vec<_> =
        facts["attempts"].as_array().into_iter().flatten().map(|one| &one["reason"]).collect();
    let expected: Vec<_> =
        seen.records.iter().map(|one| one.failure.map_or("ok", |failure| failure.name())).collect();
    assert_eq!(reasons, expected, "{facts}");
}

/// One record for each attempt, each with the id that its origin got.
fn check_attempts(attempts: &[Attempt], seen: &Seen) {
    let told = |origin: &str, failure, ending| format!("{origin} {failure:?} {ending:?}");
    let recorded: Vec<_> =
        seen.records.iter().map(|one| told(&one.origin, one.failure, one.ending)).collect();
    let expected: Vec<_> = attempts.iter().map(|one| told(one.origin, one.failure, one.ending)).collect();
    assert_eq!(recorded, expected, "records");
    let arrived: Vec<_> = attempts.iter().filter(|one| one.arrives).map(|one| one.origin).collect();
    let called: Vec<_> = seen.calls.iter().map(|call| call.origin).collect();
    assert_eq!(called, arrived, "calls that reached an origin");
    check_ids(attempts.iter().map(|one| one.arrives), seen);
    check_account(&seen.records);
}

/// Numbers, ids and `last` of the records; `arrives`: of each attempt, whether a call belongs to it.
pub fn check_ids(arrives: impl Iterator<Item = bool>, seen: &Seen) {
    let mut calls = seen.calls.iter();
    for (at, (record, arrives)) in seen.records.iter().zip(arrives).enumerate() {
        assert_eq!(record.attempt as usize, at + 1);
        assert_eq!(record.last, at + 1 == seen.records.len(), "{record:?}");
        assert_eq!(record.request(), seen.records[0].id);
        if arrives {
            assert_eq!(calls.next().map(|call| &call.id), Some(&record.id), "the id at the origin");
        }
    }
}

/// No attempt is free that an origin may have computed something for, and none costs more than was reserved.
pub fn check_account(records: &[Record]) {
    for record in records {
        let Record { state, metered, usage, failure, status, bound_nanodollars: bound, .. } = record;
        let cost = record.cost_nanodollars.0;
        assert!(*bound > 0 && cost <= *bound, "{record:?}");
        let is_free = *usage == Usage::default();
        // Nothing was reached, or the request was refused.
        let refused = matches!(failure, Some(Connect | BadKey))
            || failure.is_some() && (matches!(status, 400..500) || *status == 503);
        let expected = if refused {
            *state == State::Settled && is_free && cost == 0
        } else if *metered {
            *state == State::Settled && cost > 0
        } else if is_free {
            // An own server's receipt may come yet.
            matches!(state, State::Estimated | State::Pending) && cost == *bound
        } else {
            *state == State::Estimated && cost > 0
        };
        assert!(expected, "{record:?}");
    }
}

/// The headers, which tell of the attempts up to the one that answered.
fn check_head(attempts: &[Attempt], seen: &Seen) {
    let reply = &seen.reply;
    let upto = attempts.iter().position(|one| one.begins).map_or(attempts.len(), |at| at + 1);
    let logged: Vec<_> = log(reply).into_iter().map(|one| (one.origin, one.model, one.reason)).collect();
    let expected: Vec<_> = attempts[..upto]
        .iter()
        .zip(&seen.records)
        .map(|(one, record)| {
            let reason = if one.begins { "ok" } else { one.reason() };
            (one.origin.to_owned(), record.served_model.clone(), reason.to_owned())
        })
        .collect();
    assert_eq!(logged, expected, "{}", Shown(reply));
    let answering = &seen.records[upto - 1];
    for (name, value) in [
        ("x-moegate-request-id", answering.request()),
        ("x-moegate-attempts", &upto.to_string()),
        ("x-moegate-origin", &answering.origin),
        ("x-moegate-model", &answering.served_model),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
}

/// What the clock says, where it goes by itself.
fn in_time(host: &dyn Host, case: &Case, attempts: &[Attempt], seen: &Seen) -> Result<(), String> {
    if case.leave.is_some() && seen.calls.last().is_some_and(|call| call.hangs) {
        let dropped = host
            .dropped_after(seen.calls.len() - 1)
            .ok_or("the origin's connection stayed open for ten seconds")?;
        // Where the host does not know at once, the time limits end it.
        let limit = if case.on_spin.is_some() && is_spin(host.name()) { AT_ONCE * 3 } else { AT_ONCE };
        if dropped > limit {
            return Err(format!("the origin's connection was closed only after {dropped:?}"));
        }
    }
    if let (Some((least, most)), [first, second, ..]) = (case.apart, &seen.calls[..]) {
        let apart = second.at_ms.saturating_sub(first.at_ms);
        assert!(apart + 5 >= least, "the second call came {apart} ms after the first");
        if apart > most {
            return Err(format!("the second call came {apart} ms after the first"));
        }
    }
    if attempts.iter().any(|one| one.begins) || case.leave.is_none() {
        let took = seen.reply.took.as_millis();
        if took > u128::from(case.within) {
            return Err(format!("it took {took} ms"));
        }
    }
    Ok(())
}

/// A reply for messages: without what is too long.
pub struct Shown<'a>(pub &'a Reply);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Reply { status, headers, ended, .. } = self.0;
        let text: String = self.0.text().chars().take(2_000).collect();
        write!(f, "{status} {headers:?} {ended:?}\n{text}")
    }
}

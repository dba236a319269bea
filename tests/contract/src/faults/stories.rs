//! Faults that only several requests show: what the gateway remembers of its origins, and what it adds up.

use super::play::Shown;
use super::reading::{content, log};
use super::scripts::Asked;
use super::scripts::{Called, error, responder, text};
use crate::fixtures::chat;
use crate::host::Reply;
use crate::stage::{Stage, error_of};
use moegate::platform::fake::Script;
use std::time::Duration;

/// For the table, what [`Story::check`] asserts.
pub struct Story {
    pub name: &'static str,
    pub what: &'static str,
    pub got: &'static str,
    pub calls: &'static str,
    pub recorded: &'static str,
    pub check: fn(&mut Stage<'_>),
}

pub const TITLE: &str = "It fails again and again";
pub const WHAT: &str = "A breaker opens after three failures in a row here, or when half of at least four attempts within thirty seconds failed; one attempt probes after a second. Instances tell each other, but a new one (in Spin after a second with nothing to do) has to ask first and may call once in vain.";

pub const ALL: &[Story] = &[
    Story {
        name: "flaps",
        what: "works, fails, works, fails, …; `second` works",
        got: "every time the whole answer",
        calls: "one each for the first four requests; then only `second` is asked; after a second it is asked again",
        recorded: "each call, `server_error` or `complete`",
        check: flaps,
    },
    Story {
        name: "slow_for_some",
        what: "is silent for one request in four; `second` works",
        got: "every time the whole answer, a second late where it was silent",
        calls: "one for every request: the breaker stays closed",
        recorded: "each call, `timeout` or `complete`",
        check: slow_for_some,
    },
    Story {
        name: "down_and_known",
        what: "breaks off before its answer three times; there is no other",
        got: "502 three times, then 503 `origins_unavailable` with `Retry-After: 1` or a little more",
        calls: "three; none for the fourth request",
        recorded: "the failure three times; nothing for the request that called nobody",
        check: down_and_known,
    },
    Story {
        name: "limits_others_too",
        what: "429, `retry-after: 30`, to one request; another comes after it; `second` works",
        got: "both times the whole answer",
        calls: "one for the first request; the second one goes to `second` at once",
        recorded: "`rate_limited` and twice `complete`",
        check: limits_others_too,
    },
];

/// Sends requests one after the other and claims their records.
fn send(
    stage: &mut Stage<'_>,
    model: &str,
    count: usize,
    script: impl Fn(&Asked<'_>) -> Option<Script> + Send + Sync + 'static,
) -> (Vec<Reply>, Vec<Called>) {
    let (responder, calls) = responder(script);
    stage.host.answer(responder);
    let replies = (0..count).map(|_| stage.host.call(&chat(model))).collect();
    let calls = calls.lock().unwrap().clone();
    stage.settle(calls.len());
    (replies, calls)
}

fn expect_whole(replies: &[Reply]) {
    for reply in replies {
        assert_eq!((reply.status, content(reply)), (200, text()), "{}", Shown(reply));
    }
}

fn origins(calls: &[Called]) -> Vec<&'static str> {
    calls.iter().map(|call| call.origin).collect()
}

fn flaps(stage: &mut Stage<'_>) {
    stage.host.forget();
    let script =
        |asked: &Asked<'_>| if asked.before % 2 == 1 { asked.at("flaps", || error(500, &[])) } else { None };
    let (replies, calls) = send(stage, "flaps-fallback", 8, script);
    expect_whole(&replies);
    let expected = ["flaps", "flaps", "second", "flaps", "flaps", "second"];
    assert_eq!(origins(&calls), [&expected[..], &["second"; 4]].concat());
    let last = replies.last().map(log).unwrap_or_default();
    assert_eq!(last.len(), 1, "{last:?}");
    stage.host.pass(Duration::from_millis(1_150));
    let (replies, calls) = send(stage, "flaps-fallback", 2, |_| None);
    expect_whole(&replies);
    assert_eq!(origins(&calls), ["flaps", "flaps"]);
    // In Spin another instance may have taken over, which asks without knowing.
    if stage.host.name() != "spin" {
        let breakers: Vec<_> = replies.iter().map(|reply| log(reply)[0].breaker.clone()).collect();
        assert_eq!(breakers, ["half_open", "closed"]);
    }
}

fn slow_for_some(stage: &mut Stage<'_>) {
    stage.host.forget();
    let script =
        |asked: &Asked<'_>| if asked.before % 4 == 2 { asked.at("flaps", || Script::Silence) } else { None };
    let (replies, calls) = send(stage, "slow-fallback", 8, script);
    expect_whole(&replies);
    assert_eq!(calls.iter().filter(|call| call.origin == "flaps").count(), 8);
    assert_eq!(calls.len(), 10);
    for reply in &replies {
        let log = log(reply);
        assert!(log.iter().all(|one| one.breaker == "closed"), "{log:?}");
    }
}

fn down_and_known(stage: &mut Stage<'_>) {
    stage.host.forget();
    let (replies, calls) = send(stage, "flaps-alone", 4, |_| Some(Script::Reset));
    assert_eq!(calls.len(), 3);
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [502, 502, 502, 503]);
    let last = &replies[3];
    let (_, code, _) = error_of(last);
    assert_eq!(code, "origins_unavailable");
    let hint: u64 = last.header("retry-after").parse().expect("seconds");
    assert!((1..=2).contains(&hint), "{}", Shown(last));
}

fn limits_others_too(stage: &mut Stage<'_>) {
    stage.host.forget();
    let script = |asked: &Asked<'_>| asked.first(|| error(429, &[("retry-after", "30")]));
    let (replies, calls) = send(stage, "first-fallback", 2, script);
    expect_whole(&replies);
    assert_eq!(origins(&calls), ["first", "second", "second"]);
}

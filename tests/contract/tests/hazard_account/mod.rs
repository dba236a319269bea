//! The account: writes that hang or only seem to fail, receipts that come late or never.

use super::hazard_setting::{
    Setting, arrived_at, body, by, code, id, post, stored_records, streamed, usual, with_key_value,
};
use super::{always, client, events, whole};
use contract::fixtures::{ADMIN_KEY, COST_NANODOLLARS, Receipts, json, own};
use http::Request;
use moegate::metering::record::State;
use moegate::platform::fake::{Hazards, Responder, Script};
use moegate_wire::Ending;
use std::sync::Arc;

#[test]
fn a_write_that_hangs_delays_no_other() {
    let setting = with_key_value();
    setting.world.hazards(Hazards { hanging: 1, ..Hazards::default() });
    let failing: Responder =
        Arc::new(|arrived| if arrived_at(arrived, "first") { json(500, "{}").into() } else { whole() });
    let begun_ms = setting.world.now_ms();
    let got = setting.ask(&failing, post(), client(&body("fallback")));
    assert_eq!((code(&got), got.end_ms), (200, Some(0)));
    assert_eq!(stored_records(&setting).len(), 2, "the write that hung is tried again");
    assert!(setting.world.now_ms() - begun_ms < 20_000);
    // A store that never answers ends in the log, in time.
    setting.world.hazards(Hazards { hanging: usize::MAX, ..Hazards::default() });
    let begun_ms = setting.world.now_ms();
    let got = setting.ask(&always(whole()), post(), client(&body("far")));
    assert!(
        setting.world.now_ms() - begun_ms < 30_000,
        "what follows a reply is ended after 30 s on Workers"
    );
    assert!(setting.world.log().iter().any(|line| line.contains(&id(&got))));
}

#[test]
fn a_write_that_only_seems_to_fail_counts_once() {
    let setting = with_key_value();
    setting.world.hazards(Hazards { stored_but_failing: 2, ..Hazards::default() });
    setting.ask(&always(whole()), post(), client(&body("far")));
    assert_eq!(stored_records(&setting).len(), 1);
}

#[test]
fn receipts_are_asked_for_with_pauses_and_within_limits() {
    let setting = usual();
    let silent: Responder =
        Arc::new(
            |arrived| {
                if contract::fixtures::is_receipt(arrived) { Script::Silence } else { events().into() }
            },
        );
    let begun_ms = setting.world.now_ms();
    let got = setting.ask(&silent, post(), client(&streamed("own")));
    assert!(got.is_whole);
    let arrived = setting.world.arrived();
    let asked: Vec<_> = arrived[1..].iter().map(|one| one.at_ms - begun_ms).collect();
    assert!(asked.len() > 1 && asked.windows(2).all(|pair| pair[1] - pair[0] >= 250), "{asked:?}");
    assert!(setting.world.now_ms() - begun_ms < 30_000, "{}", setting.world.now_ms() - begun_ms);
    assert_eq!((setting.records().len(), pending(&setting)), (0, 1));
}

#[test]
fn a_receipt_may_come_until_it_is_given_up() {
    let silent = || own(events(), Receipts::SignedByAnother);
    for (receipts, minutes, state) in [
        (Receipts::Signed(Ending::Complete), 1, State::Settled),
        // The server is there again, but has forgotten it.
        (Receipts::Missing, 1, State::Estimated),
        (Receipts::SignedByAnother, 60, State::Estimated),
    ] {
        let setting = usual();
        assert!(setting.ask(&silent(), post(), client(&streamed("own"))).is_whole);
        assert_eq!((setting.records().len(), pending(&setting)), (0, 1));
        // Nobody asks the server too often.
        usage(&setting, &own(events(), receipts));
        assert_eq!((setting.world.arrived().len(), pending(&setting)), (0, 1));
        setting.world.pass_ms(minutes * 60_000);
        usage(&setting, &own(events(), receipts));
        let record = setting.records().pop().unwrap();
        assert_eq!((record.state, pending(&setting)), (state, 0), "{receipts:?}");
        let bound = record.bound_nanodollars;
        let (ending, cost) = match state {
            State::Settled => (Ending::Complete, COST_NANODOLLARS),
            _ => (Ending::Truncated, bound),
        };
        assert_eq!((record.ending, record.cost_nanodollars.0), (ending, cost), "{receipts:?}");
        assert!(bound > COST_NANODOLLARS, "{receipts:?}");
    }
}

/// Attempts that are not settled.
fn pending(setting: &Setting) -> usize {
    setting.world.ledger_query("SELECT id FROM pending").len()
}

/// The sums, for which what is overdue is settled first.
fn usage(setting: &Setting, responder: &Responder) {
    let head = by(Request::get("/usage").body(()).unwrap(), ADMIN_KEY);
    assert_eq!(code(&setting.ask(responder, head, client(""))), 200);
}

#[test]
fn values_that_are_no_records_are_skipped_and_counted() {
    let setting = with_key_value();
    let got = setting.ask(&always(whole()), post(), client(&body("far")));
    assert_eq!(code(&got), 200);
    let day = stored_records(&setting)[0].storage_key();
    let day = day.rsplit_once('/').unwrap().0;
    for (name, value, summary) in [
        ("a", "not JSON", "null"),
        ("b", "{}", "{\"cost\":-1}"),
        ("c", "", "{\"promptTokens\":1e400}"),
        ("d", "{}", "[]"),
    ] {
        setting.world.store(&format!("{day}/{name}"), value, summary);
    }
    let usage = Request::get("/usage").body(()).unwrap();
    let got = setting.ask(&always(whole()), by(usage, ADMIN_KEY), client(""));
    let report: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(
        (code(&got), &report["foreign_values"], &report["totals"]["requests"]),
        (200, &4.into(), &1.into())
    );
}

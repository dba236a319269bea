//! What the operator reads: sums, records, and what own servers report by themselves.

use contract::fixtures::{
    COST_NANODOLLARS, DONE, OWN_KEY, Receipts, TENANT_KEY, USAGE, USAGE_JSON, always, answer_text, delta,
    finish, json, own, paced, stream, usage_event,
};
use http::{HeaderValue, Request};
use ledger::{NOW_MS, Setting, admin, body, by, client, post, status, streamed, text};
use moegate::metering::record::{Record, State};
use moegate::platform::fake::{Client, End, Got, Script, serve};
use moegate_wire::period::Period;
use moegate_wire::push::{self, Push};
use moegate_wire::{Ending, Nanodollars, Receipt};
use serde_json::Value;

fn whole() -> Script {
    json(200, answer_text()).into()
}

fn report(setting: &Setting, query: &str) -> Value {
    let got = setting.read(&format!("/usage?{query}"));
    assert_eq!(status(&got), 200, "{}", text(&got));
    serde_json::from_slice(&got.body).unwrap()
}

fn tagged(tag: &'static str) -> Request<()> {
    let mut request = post();
    request.headers_mut().insert("x-moegate-tag", HeaderValue::from_static(tag));
    request
}

#[test]
fn sums_by_everything() {
    let setting = Setting::new();
    let responder = own(whole(), Receipts::Signed(Ending::Complete));
    for _ in 0..3 {
        setting.ask(&responder, tagged("beta"), client(&body("far")));
    }
    setting.world.pass_ms(2 * 3_600_000);
    setting.ask(&responder, by(TENANT_KEY), client(&body("far")));
    setting.ask(&responder, by(TENANT_KEY), client(&streamed("own")));
    let all = report(&setting, "");
    assert_eq!(all["totals"]["requests"], 5);
    assert_eq!(all["totals"]["cost_nanodollars"], 5 * COST_NANODOLLARS);
    for (by, name, requests) in [
        ("by_key", "app", 3),
        ("by_tenant", "someone", 2),
        ("by_tenant", "app", 3),
        ("by_model", "own", 1),
        ("by_origin", "far", 4),
        ("by_route", "far", 4),
        ("by_ending", "complete", 5),
    ] {
        assert_eq!(all[by][name]["requests"], requests, "{by} {name}: {all}");
    }
    let hours = report(&setting, "by=hour");
    assert_eq!(hours["by_hour"][NOW_MS.to_string()]["requests"], 3);
    assert_eq!(report(&setting, "by=day")["by_day"].as_object().unwrap().len(), 1);
    assert_eq!(report(&setting, "by=tag")["by_tag"]["beta"]["requests"], 3);
    assert_eq!(report(&setting, "tag=beta")["totals"]["requests"], 3);
    assert_eq!(report(&setting, "tag=beta&by=day")["by_day"].as_object().unwrap().len(), 1);
    assert_eq!(report(&setting, "user=nobody")["totals"]["requests"], 0);
    assert_eq!(report(&setting, "key_name=app")["totals"]["requests"], 3);
    assert_eq!(report(&setting, "tenant=someone&model=own")["totals"]["requests"], 1);
    assert_eq!(report(&setting, "period=2026-11-21T14")["totals"]["requests"], 2);
    assert_eq!(report(&setting, "period=1999")["totals"]["requests"], 0);
    setting.adds_up("sums");
}

#[test]
fn records_of_a_request_and_of_a_time() {
    let setting = Setting::new();
    let responder = own(whole(), Receipts::Signed(Ending::Complete));
    let first = setting.ask(&responder, post(), client(&body("far")));
    let id = ledger::said(&first, "x-moegate-request-id");
    setting.world.pass_ms(10_000);
    for _ in 0..4 {
        setting.ask(&responder, by(TENANT_KEY), client(&body("far")));
        setting.world.pass_ms(1_000);
    }
    let got = setting.read(&format!("/requests/{id}"));
    let one: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(
        (status(&got), one["id"].as_str(), one["attempts"][0]["id"].as_str()),
        (200, Some(&*id), Some(&*id))
    );
    assert_eq!(status(&setting.read("/requests/01jxxxxxxxxxxxxxxxxxxxxxxx")), 404);
    let lines = |query: &str| {
        let got = setting.read(&format!("/usage/export?{query}"));
        assert_eq!(status(&got), 200, "{}", text(&got));
        text(&got).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("").len(), 5);
    assert_eq!(lines("tenant=someone").len(), 4);
    let since = (NOW_MS + 5_000) / 1000;
    assert_eq!(lines(&format!("since={since}")).len(), 4);
    assert_eq!(lines(&format!("until={since}")).len(), 1);
    let csv = lines("format=csv");
    assert_eq!(csv.len(), 6);
    let columns = |line: &str| line.split(',').count();
    assert!(csv.iter().all(|line| columns(line) == columns(&csv[0])), "{csv:?}");
    assert!(csv[1].contains(&format!(",{COST_NANODOLLARS},")), "{}", csv[1]);
    // Without the operator's key there is nothing to read.
    for (method, path) in [("GET", "/usage/export"), ("GET", "/requests/x"), ("DELETE", "/usage/users/x")] {
        let mut head = admin(method, path);
        *head.headers_mut() = post().headers().clone();
        let got = serve(&setting.world, &setting.gateway, head, Client::new(Vec::new()));
        assert!(matches!(status(&got), 401 | 403), "{path}: {}", status(&got));
    }
}

#[test]
fn many_records_come_in_pages() {
    let setting = Setting::new();
    let responder = own(whole(), Receipts::Signed(Ending::Complete));
    for _ in 0..5 {
        setting.ask_all(&responder, (0..250).map(|_| (post(), client(&body("far")))), 7);
    }
    let got = setting.read("/usage/export");
    let mut ids: Vec<String> =
        text(&got).lines().map(|line| serde_json::from_str::<Record>(line).unwrap().id).collect();
    assert_eq!(ids.len(), 1250);
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 1250);
}

/// An own server that does not answer for its receipt, and reports it later by itself.
#[test]
fn a_receipt_that_is_pushed_settles_what_is_pending_and_corrects_what_is_estimated() {
    for minutes in [5_u64, 120] {
        let setting = Setting::new();
        let events = stream(&[delta("one"), finish(), usage_event(USAGE_JSON), DONE.to_owned()]);
        let got = setting.ask(&own(events, Receipts::Missing), post(), client(&streamed("own")));
        assert_eq!(status(&got), 200);
        // 404: the server does not know it, so nothing was computed. Here it does not answer at all.
        let silent = own(stream(&[delta("one"), DONE.to_owned()]), Receipts::Tampered);
        let got = setting.ask(&silent, post(), client(&streamed("own")));
        let id = ledger::said(&got, "x-moegate-request-id");
        let pending = || setting.number("SELECT COUNT(*) FROM pending");
        assert_eq!(pending(), 1, "after {minutes} minutes");
        setting.world.pass_ms(minutes * 60_000);
        setting.world.answer(silent.clone());
        let before = setting.totals();
        let state = |id: &str| {
            let found = setting.records().into_iter().find(|record| record.id == id);
            found.map(|record| (record.state, record.cost_nanodollars.0))
        };
        // After an hour the bound is charged.
        let bound = match minutes {
            5 => None,
            _ => Some((State::Estimated, state(&id).unwrap().1)),
        };
        assert_eq!((state(&id), pending()), (bound, i64::from(minutes == 5)), "{before}");
        for _ in 0..2 {
            let got = push_to(&setting, &[receipt(&id)], OWN_KEY, setting.world.now_ms() / 1000);
            assert_eq!((status(&got), text(&got)), (200, r#"{"accepted":2}"#.to_owned()));
        }
        setting.world.pass_ms(120_000);
        let after = setting.totals();
        assert_eq!(state(&id), Some((State::Settled, COST_NANODOLLARS)), "{after}");
        setting.adds_up("pushed");
        let servers = &report(&setting, "")["servers"]["own"];
        assert_eq!((servers["busy_us"].as_u64(), servers["idle_us"].as_u64()), (Some(10), Some(20)));
    }
}

#[test]
fn receipts_are_taken_from_who_has_the_key() {
    let setting = Setting::new();
    let now_s = NOW_MS / 1000;
    let refused = |got: Got| {
        assert_eq!(status(&got), 401, "{}", text(&got));
    };
    refused(push_to(&setting, &[receipt("x")], "another key of the same length", now_s));
    refused(push_to(&setting, &[receipt("x")], OWN_KEY, now_s - 3_600));
    assert_eq!(status(&push_to(&setting, &[receipt("x")], OWN_KEY, now_s)), 200);
    assert_eq!(setting.records().len(), 0);
    // What is not signed, or has no length, is not even read.
    for headers in [&["content-length"][..], &["x-moegate-signature"], &[]] {
        let mut head = Request::post("/receipts").body(()).unwrap();
        for name in headers {
            head.headers_mut().insert(*name, HeaderValue::from_static("10"));
        }
        refused(serve(
            &setting.world,
            &setting.gateway,
            head,
            Client::new(b"{}".to_vec()).sending_for(90_000),
        ));
    }
    assert!(setting.world.now_ms() < NOW_MS + 1_000);
}

/// A receipt that comes while the attempt is still under way is not forgotten when it ends, nor is one that comes after the
/// server said that it knows nothing.
#[test]
fn a_receipt_counts_whenever_it_comes() {
    // No counts in the stream, and a server that does not know the attempt when it is asked.
    let events = own(stream(&[delta("one"), finish(), DONE.to_owned()]), Receipts::Missing);
    let steps = Setting::new().ask(&events, post(), client(&streamed("own"))).steps;
    let mut pending = 0;
    // Dropped before each step, and not at all.
    for step in 0..=steps {
        let setting = Setting::new();
        setting.ask(&events, post(), client(&streamed("own")).cancelled_at_step(step));
        pending += setting.number("SELECT COUNT(*) FROM pending");
        let ids = setting.world.ledger_query("SELECT id FROM pending UNION ALL SELECT id FROM attempt");
        let Some([moegate::ledger::Value::Text(id)]) = ids.first().map(Vec::as_slice) else { continue };
        let got = push_to(&setting, &[receipt(id)], OWN_KEY, setting.world.now_ms() / 1000);
        assert_eq!(status(&got), 200, "{}", text(&got));
        setting.world.pass_ms(300_000);
        let totals = setting.totals();
        assert_eq!(totals["cost_nanodollars"], COST_NANODOLLARS, "step {step}: {totals}");
        setting.adds_up("receipts");
    }
    assert!(pending > 0, "none was dropped between its reservation and its settlement");
}

/// A server cannot settle what another origin has computed.
#[test]
fn a_receipt_is_of_its_own_origins_attempts() {
    let setting = Setting::new();
    let got = setting.ask(&own(Script::Reset, Receipts::Missing), post(), client(&body("far")));
    let id = ledger::said(&got, "x-moegate-request-id");
    let failing = setting.ask(&own(json(500, "{}"), Receipts::Missing), post(), client(&body("far")));
    let estimated = ledger::said(&failing, "x-moegate-request-id");
    let before = setting.totals();
    let got = push_to(&setting, &[receipt(&id), receipt(&estimated)], OWN_KEY, NOW_MS / 1000);
    assert_eq!(status(&got), 200);
    assert_eq!(setting.totals(), before);
}

/// The client leaves after the last content, and the counts do not come: what was seen is charged, and it is no exact count.
#[test]
fn a_client_that_leaves_before_the_counts() {
    let setting = Setting::new();
    let endless = always(paced(&[delta("one"), delta(" two"), finish()], End::Stall));
    setting.ask(&endless, post(), client(&streamed("far")).leaving_after(1_000));
    let records = setting.records();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((record.state, record.metered, record.usage.completion), (State::Estimated, false, 2));
    assert!(record.cost_nanodollars.0 > 0);
    // Where they do come, they are exact.
    let counted = always(stream(&[delta("one"), finish(), usage_event(USAGE_JSON), DONE.to_owned()]));
    setting.ask(&counted, post(), client(&streamed("far")).leaving_after(1));
    let exact = setting.records().pop().unwrap();
    assert_eq!((exact.state, exact.cost_nanodollars.0), (State::Settled, COST_NANODOLLARS));
    setting.adds_up("left");
}

fn receipt(id: &str) -> Receipt {
    Receipt {
        id: id.to_owned(),
        model: "own".into(),
        usage: USAGE,
        ending: Ending::Complete,
        finish_reason: None,
        created_ms: NOW_MS,
        queue_us: 1,
        prefill_us: 2,
        decode_us: 3,
        busy_us: 4,
        cost: Nanodollars(COST_NANODOLLARS),
    }
}

fn push_to(setting: &Setting, receipts: &[Receipt], key: &str, time_s: u64) -> Got {
    let hour_ms = NOW_MS / 3_600_000 * 3_600_000;
    let period = Period { origin_instance: "01i".into(), hour_ms, busy_us: 10, idle_us: 20, cold_us: 30 };
    let push = Push { origin: "own".into(), receipts: receipts.to_vec(), periods: vec![period] };
    let body = serde_json::to_vec(&push).unwrap();
    let signature = push::sign(key.as_bytes(), time_s, &body);
    let head = Request::post("/receipts")
        .header("x-moegate-signature", signature)
        .header("x-moegate-time", time_s.to_string())
        .header("content-length", body.len());
    serve(&setting.world, &setting.gateway, head.body(()).unwrap(), Client::new(body))
}

#[test]
fn sums_are_published_for_readers_elsewhere() {
    let setting = Setting::new();
    let responder = own(whole(), Receipts::Signed(Ending::Complete));
    for _ in 0..3 {
        setting.ask(&responder, post(), client(&body("far")));
        setting.world.pass_ms(40_000);
    }
    let stored = setting.world.stored();
    let hour = stored.iter().find(|stored| stored.key.starts_with("usage/hours/app/2026-11-21T12"));
    let sums: Value = serde_json::from_str(&hour.unwrap().value).unwrap();
    assert_eq!(sums[0]["numbers"][0], 3, "absolute: {sums}");
    assert_eq!(setting.number("SELECT COUNT(*) FROM changed"), 0);
}

//! What only virtual time and an own order of events can show: work that the runtime drops at any point, races between
//! requests, clients that take nothing, a store and a provider of secrets that do not answer.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

mod hazard_account;
mod hazard_setting;

use contract::fixtures::{DONE, answer_text, delta, finish, json, paced, stream, usage_event};
use contract::fixtures::{Receipts, TENANT_KEY, USAGE_JSON, own};
use hazard_setting::{Setting, body, by, code, id, post, streamed, usual, was_replayed, with_key};
use moegate::platform::fake::{Client, End, Got, Piece, Responder, Script, Scripted};
use moegate_wire::Ending;
use std::sync::Arc;

/// Orders in which requests at once are tried.
const SEEDS: u64 = 40;

fn whole() -> Script {
    json(200, answer_text()).into()
}

fn always(script: impl Into<Script>) -> Responder {
    contract::fixtures::always(script)
}

fn events() -> Scripted {
    stream(&[delta("one"), delta(" two"), finish(), usage_event(USAGE_JSON), DONE.to_owned()])
}

fn client(body: &str) -> Client<'static> {
    Client::new(body.as_bytes().to_vec())
}

/// Nothing of a request is left in the instance, and no connection.
fn is_free(setting: &Setting, what: &str) {
    assert_eq!(setting.world.instance(|state| state.in_flight.bytes()), 0, "{what}: bytes stay reserved");
}

#[test]
fn work_that_is_dropped_at_any_point_leaves_nothing_behind() {
    let setting = usual();
    let relayed = || own(events(), Receipts::Signed(Ending::Complete));
    let forms: [(&str, String, Responder); 3] = [
        ("whole", body("far"), always(whole())),
        ("pumped", streamed("far"), always(events())),
        ("relayed", streamed("own"), relayed()),
    ];
    for (form, body, responder) in forms {
        let steps = setting.ask(&responder, post(), client(&body)).steps;
        assert!(steps > 5, "{form}: {steps}");
        for step in 0..steps {
            let what = format!("{form}, dropped at step {step} of {steps}");
            let key = format!("chosen-{form}-{step}");
            let request = client(&body).cancelled_at_step(step);
            setting.ask(&responder, with_key(&key), request);
            is_free(&setting, &what);
            // The next one with the key neither waits nor is refused.
            let begun_ms = setting.world.now_ms();
            let got = setting.ask(&responder, with_key(&key), client(&body));
            assert_eq!((code(&got), got.is_whole), (200, true), "{what}");
            assert_eq!(setting.world.now_ms(), begun_ms, "{what}: it had to wait");
        }
    }
}

#[test]
fn a_stream_whose_work_is_dropped_stops_its_origin() {
    let setting = usual();
    let words = [delta("one")];
    for model in ["far", "own"] {
        let responder = own(paced(&words, End::Stall), Receipts::Missing);
        let got = setting.ask(&responder, post(), client(&streamed(model)).cancelled_after(500));
        assert!(got.is_broken_off && !got.is_whole, "{model}: {got:?}");
        assert!(setting.world.was_dropped(0), "{model}: the origin goes on");
        is_free(&setting, model);
    }
}

#[test]
fn a_probe_whose_work_is_dropped_is_not_waited_for() {
    let setting = usual();
    for _ in 0..3 {
        setting.ask(&always(Script::Reset), post(), client(&body("flaky")));
    }
    assert_eq!(code(&setting.ask(&always(whole()), post(), client(&body("flaky")))), 503);
    setting.world.pass_ms(1_200);
    // The probe is under way when the runtime drops it.
    setting.ask(&always(Script::Silence), post(), client(&body("flaky")).cancelled_after(100));
    assert_eq!(setting.world.arrived().len(), 1);
    let got = setting.ask(&always(whole()), post(), client(&body("flaky")));
    assert_eq!(code(&got), 200, "nobody probes, since a probe is thought to be under way");
}

#[test]
fn one_probe_at_a_time() {
    for seed in 0..SEEDS {
        let setting = usual();
        for _ in 0..3 {
            setting.ask(&always(Script::Reset), post(), client(&body("flaky")));
        }
        setting.world.pass_ms(1_200);
        let late = Script::After(50, Box::new(whole()));
        let got = setting.ask_all(&always(late), (0..8).map(|_| (post(), client(&body("flaky")))), seed);
        let served = got.iter().filter(|got| code(got) == 200).count();
        assert_eq!((setting.calls(), served), (1, 1), "seed {seed}");
    }
}

#[test]
fn a_repeat_at_the_same_time_is_answered_once() {
    for seed in 0..SEEDS {
        for (model, is_stream) in [("far", false), ("far", true), ("own", true)] {
            let setting = usual();
            let script = if is_stream { events().into() } else { whole() };
            let responder = own(Script::After(80, Box::new(script)), Receipts::Signed(Ending::Complete));
            let text = if is_stream { streamed(model) } else { body(model) };
            let requests = (0..4).map(|at| (with_key("k"), client(&text).starting_after(at * 15)));
            let got = setting.ask_all(&responder, requests, seed);
            assert_eq!(setting.calls(), 1, "seed {seed}, {model}");
            assert_eq!(got.iter().filter(|got| was_replayed(got)).count(), 3, "seed {seed}, {model}");
            for one in &got {
                assert_eq!((code(one), one.is_whole, &one.body), (200, true, &got[0].body), "seed {seed}");
                assert_eq!(id(one), id(&got[0]));
            }
        }
    }
}

#[test]
fn the_next_repeat_takes_over_from_one_that_fails() {
    for seed in 0..SEEDS {
        let setting = usual();
        let fails_first: Responder = {
            let asked = std::sync::atomic::AtomicUsize::new(0);
            Arc::new(move |_| {
                let is_first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                let script = if is_first { json(500, "{}").into() } else { whole() };
                Script::After(60, Box::new(script))
            })
        };
        let requests = (0..3).map(|at| (with_key("k"), client(&body("far")).starting_after(at * 10)));
        let got = setting.ask_all(&fails_first, requests, seed);
        let codes: Vec<_> = got.iter().map(code).collect();
        assert_eq!((setting.calls(), &codes[1..]), (2, &[200, 200][..]), "seed {seed}: {codes:?}");
        assert!(codes[0] >= 500, "seed {seed}: {codes:?}");
    }
}

#[test]
fn requests_at_once_share_the_room_for_bodies() {
    let large = |bytes: usize| {
        let (head, tail) = (r#"{"model":"far","messages":[{"content":""#, "\"}]}");
        [head, &"x".repeat(bytes - head.len() - tail.len()), tail].concat()
    };
    for seed in 0..SEEDS {
        let setting = usual();
        let text = large(900_000);
        let late = always(Script::After(100, Box::new(whole())));
        let requests = (0..4).map(|at| {
            let client = client(&text).sending_for(at);
            // Half of them do not say how long they are.
            (if at % 2 == 0 { hazard_setting::sized(post(), text.len()) } else { post() }, client)
        });
        let got = setting.ask_all(&late, requests, seed);
        let served = got.iter().filter(|got| code(got) == 200).count();
        assert_eq!((setting.calls(), served), (2, 2), "seed {seed}: two of 0.9 MB fit into 2 MiB");
        for refused in got.iter().filter(|got| code(got) != 200) {
            let headers = refused.reply.as_ref().unwrap().headers();
            assert_eq!((code(refused), headers.contains_key("retry-after")), (503, true), "seed {seed}");
        }
        is_free(&setting, "bodies");
        assert_eq!(code(&setting.ask(&always(whole()), post(), client(&text))), 200);
    }
}

#[test]
fn a_body_that_never_ends_does_not_hold_its_room_for_ever() {
    let setting = usual();
    let got = setting.ask(&always(whole()), post(), client(&body("far")).sending_for(u64::MAX));
    assert_eq!(code(&got), 408);
    is_free(&setting, "a body that does not come");
}

#[test]
fn a_success_from_before_does_not_end_an_origins_patience() {
    for seed in 0..SEEDS {
        let setting = usual();
        let responder: Responder = Arc::new(|arrived| {
            let is_first = String::from_utf8_lossy(&arrived.body).contains("early");
            let mut limited = json(429, "{}");
            limited.headers.push(("retry-after".to_owned(), "60".to_owned()));
            if is_first { Script::After(500, Box::new(whole())) } else { limited.into() }
        });
        let early = body("held").replace("Hello", "early");
        let requests = [
            (post(), client(&early)),
            (post(), client(&body("held")).starting_after(100)),
            (post(), client(&body("held")).starting_after(700)),
        ];
        let got = setting.ask_all(&responder, requests.into_iter(), seed);
        assert_eq!(got.iter().map(code).collect::<Vec<_>>(), [200, 429, 503], "seed {seed}");
        assert_eq!(setting.calls(), 2, "seed {seed}");
        setting.world.pass_ms(60_000);
        assert_eq!(code(&setting.ask(&always(whole()), post(), client(&body("held")))), 200);
    }
}

/// The budget of every route here, and what a client gets on top for its last bytes.
const BUDGET_MS: u64 = 5_000;
const GRACE_MS: u64 = 1_500;

fn ends_in_time(got: &Got, what: &str) {
    let end_ms = got.end_ms.unwrap();
    assert!((BUDGET_MS..=BUDGET_MS + GRACE_MS).contains(&end_ms), "{what}: after {end_ms} ms");
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let setting = usual();
    let words = vec![delta("word"); 20];
    for tells in [true, false] {
        setting.world.tell_of_leaving(tells);
        for model in ["own", "far"] {
            for (end, takes) in [(End::Endless, 0), (End::Stall, 200), (End::Clean, 200)] {
                let script = Scripted { end, ..stream(&words) };
                let request = client(&streamed(model)).taking_nothing_after(takes);
                let got = setting.ask(&own(script, Receipts::Missing), post(), request);
                let what = format!("{model}, {end:?}");
                assert!(got.is_broken_off && !got.is_whole && got.body.len() == takes, "{what}: {got:?}");
                ends_in_time(&got, &what);
                assert!(setting.world.was_dropped(0) || end == End::Clean, "{what}");
                is_free(&setting, &what);
            }
        }
    }
}

#[test]
fn a_slow_client_gets_all_of_it() {
    let setting = usual();
    for (model, responder) in [("far", always(events())), ("own", own(events(), Receipts::Missing))] {
        let got = setting.ask(&responder, post(), client(&streamed(model)).taking(10, 10));
        assert!(got.is_whole && got.body.ends_with(DONE.as_bytes()), "{model}: {got:?}");
        assert!(got.end_ms.unwrap() > 200, "{model}: {got:?}");
    }
    // Its slowness is not the origin's silence: idle time is a second here.
    let words: Vec<_> = (0..2).map(|_| delta(&"x".repeat(100))).chain([finish(), DONE.to_owned()]).collect();
    let got = setting.ask(&always(stream(&words)), post(), client(&streamed("far")).taking(100, 700));
    assert!(got.is_whole && got.body.ends_with(DONE.as_bytes()), "{got:?}");
}

#[test]
fn a_stream_ends_at_its_end_mark() {
    let setting = usual();
    for end in [End::Stall, End::Endless, End::Reset, End::Cut] {
        let got = setting.ask(&always(Scripted { end, ..events() }), post(), client(&streamed("far")));
        assert!(got.is_whole && got.body.ends_with(DONE.as_bytes()), "{end:?}: {got:?}");
        assert_eq!(got.end_ms, Some(0), "{end:?}");
        assert!(setting.world.was_dropped(0), "{end:?}");
        assert_eq!(setting.records().last().unwrap().ending, Ending::Complete);
    }
}

#[test]
fn silence_is_counted_from_the_last_chunk() {
    let setting = usual();
    let mut script = stream(&[delta("one")]);
    for _ in 0..3 {
        script.pieces.extend([Piece::After(900), Piece::Bytes(delta("two").into_bytes())]);
    }
    let script = Scripted { end: End::Stall, ..script };
    let got = setting.ask(&always(script), post(), client(&streamed("far")));
    assert_eq!((got.end_ms, got.is_whole), (Some(3 * 900 + 1_000), true));
    assert!(String::from_utf8_lossy(&got.body).contains("stream_idle"));
}

#[test]
fn secrets_that_cannot_be_had_are_not_a_wrong_key() {
    let setting = usual();
    setting.world.lose_secrets(true);
    let got = setting.ask(&always(whole()), post(), client(&body("far")));
    assert_eq!((code(&got), setting.calls()), (503, 0));
    setting.world.lose_secrets(false);
    assert_eq!(code(&setting.ask(&always(whole()), post(), client(&body("far")))), 200);
}

#[test]
fn tenants_are_told_nothing_of_origins_and_secrets() {
    let setting = usual();
    let told = |model: &str, script: Script| {
        let got = setting.ask(&always(script), by(post(), TENANT_KEY), client(&body(model)));
        let headers = format!("{:?}", got.reply.as_ref().unwrap().headers());
        (code(&got), String::from_utf8(got.body.clone()).unwrap() + &headers)
    };
    let spent =
        json(402, r#"{"error":{"message":"account acct_17 has 3 cents left","code":"insufficient_quota"}}"#);
    for (model, script, hidden) in [
        ("far", spent.clone().into(), "acct_17"),
        ("fallback", spent.into(), "acct_17"),
        ("far", json(500, "acct_17 is down").into(), "acct_17"),
        ("far", Script::Reset, "far.example"),
        ("keyless", whole(), "UNSET_KEY"),
    ] {
        let (status, text) = told(model, script);
        assert!(status >= 400 && !text.contains(hidden), "{model}: {status} {text}");
        assert!(!text.contains("x-moegate-attempt-log"), "{model}: {text}");
        assert!(text.contains("request"), "{model}: who is asked for the reason? {text}");
    }
    let (status, text) = told("far", json(400, r#"{"error":{"message":"`top_k` is no number"}}"#).into());
    assert!(status == 400 && text.contains("`top_k` is no number"), "about the request itself: {text}");
}

#[test]
fn ids_are_drawn_apart_from_what_routes() {
    let setting = usual();
    let text = body("far");
    let requests = (0..100).map(|_| (hazard_setting::sized(post(), text.len()), client(&text)));
    let got = setting.ask_all(&always(whole()), requests, 7);
    let ids: std::collections::BTreeSet<_> = got.iter().map(id).collect();
    assert_eq!(ids.len(), 100);
    assert_eq!(setting.records().len(), 100);
}

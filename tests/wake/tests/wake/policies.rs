//! What a request gets while an origin wakes, by the route's policy.

use moegate::platform::fake::{Client, Got};
use serde_json::Value;
use wake::{Setting, Start, body, post, sized, status, streamed};

fn client(text: &str) -> Client<'static> {
    Client::new(text.as_bytes().to_vec())
}

fn ask(setting: &Setting, text: &str) -> Got {
    setting.ask(&setting.responder(), post(), client(text))
}

fn error(got: &Got) -> Value {
    serde_json::from_slice::<Value>(&got.body).unwrap()["error"].clone()
}

fn text(got: &Got) -> String {
    String::from_utf8_lossy(&got.body).into_owned()
}

fn retry_after(got: &Got) -> u64 {
    got.reply.as_ref().unwrap().headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

/// What the head says of the origin: its state, and the seconds that are left of its wake.
fn said(got: &Got) -> (Option<&str>, Option<u64>) {
    let headers = got.reply.as_ref().unwrap().headers();
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
    (
        header("x-moegate-origin-state"),
        header("x-moegate-wake-seconds").map(|seconds| seconds.parse().unwrap()),
    )
}

#[test]
fn held_until_it_is_ready() {
    let setting = Setting::new(&[Start::After(42_000)], "");
    let got = ask(&setting, &body("hold"));
    assert_eq!(status(&got), 200, "{}", text(&got));
    assert!((42_000..45_000).contains(&got.end_ms.unwrap()), "{:?}", got.end_ms);
    assert_eq!(said(&got), (Some("ready"), None));
    // The next one waits for nothing.
    let got = ask(&setting, &body("hold"));
    assert_eq!(said(&got), (None, None));
    assert!(status(&got) == 200 && got.end_ms.unwrap() < 100, "{:?}", got.end_ms);
    assert_eq!(setting.origin.lock().unwrap().wakes.len(), 1);
    let wakes = setting.wakes();
    let (began_ms, ended_ms, cost, reason) = &wakes[0];
    // $3.60 an hour are 1,000,000 nano-dollars a second.
    assert_eq!((*cost, reason.as_str()), ((ended_ms - began_ms) * 1_000, ""));
}

#[test]
fn a_stream_gets_its_head_at_once_and_comments() {
    let setting = Setting::new(&[Start::After(42_000)], "");
    let got = ask(&setting, &streamed("hold"));
    assert_eq!(status(&got), 200);
    assert!(got.head_ms.unwrap() < 100, "{:?}", got.head_ms);
    // None was seen yet.
    assert_eq!(said(&got), (Some("waking"), Some(60)));
    let text = text(&got);
    let comments = text.lines().filter(|line| line.starts_with(": the origin is waking")).count();
    assert!((5..=6).contains(&comments), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"Hi\""), "{text}");
}

#[test]
fn past_the_budget_there_is_an_honest_end() {
    for (request, seconds) in [(body("hold"), 240), (streamed("hold"), 480)] {
        let setting = Setting::new(&[Start::After(11 * 60_000)], "");
        let got = ask(&setting, &request);
        let end_s = got.end_ms.unwrap() / 1000;
        assert!((seconds..seconds + 5).contains(&end_s), "{end_s}");
        assert!(got.is_whole);
        if seconds == 240 {
            assert_eq!((status(&got), error(&got)["code"].as_str()), (504, Some("wake_timeout")));
            assert!(retry_after(&got) < 60);
            assert_eq!(said(&got), (Some("waking"), Some(15)));
        } else {
            let text = text(&got);
            assert!(
                status(&got) == 200 && text.contains("wake_timeout") && !text.contains("[DONE]"),
                "{text}"
            );
        }
        // The wake itself ends at its cap.
        let wakes = setting.wakes();
        assert!(wakes.len() <= 1, "{wakes:?}");
    }
}

#[test]
fn served_elsewhere_at_once() {
    let setting = Setting::new(&[Start::After(30_000)], "");
    let got = ask(&setting, &body("fallback"));
    assert!(status(&got) == 200 && got.head_ms.unwrap() < 1_000, "{}", text(&got));
    let origin = setting.origin.lock().unwrap();
    assert_eq!((origin.spare, origin.served, origin.wakes.len()), (1, 0, 1));
    drop(origin);
    assert_eq!(said(&got), (Some("waking"), Some(60)));
    // Behind the answer the wake was led to its end.
    assert_eq!(setting.wakes().len(), 1);
    let got = ask(&setting, &body("fallback"));
    assert_eq!((status(&got), setting.origin.lock().unwrap().served), (200, 1));
    assert_eq!(said(&got), (None, None));
}

#[test]
fn refused_with_a_hint() {
    let setting = Setting::new(&[Start::After(30_000)], "");
    let got = ask(&setting, &body("refuse"));
    assert_eq!((status(&got), error(&got)["code"].as_str()), (503, Some("origin_waking")));
    assert!((1..60).contains(&retry_after(&got)));
    assert_eq!(said(&got), (Some("waking"), Some(60)));
    let got = ask(&setting, &body("refuse"));
    assert_eq!(status(&got), 200, "{}", text(&got));
}

#[test]
fn a_wake_that_fails_is_told_and_not_repeated_at_once() {
    let setting = Setting::new(&[Start::Fails(5_000)], "");
    let got = ask(&setting, &body("hold"));
    assert_eq!(
        (status(&got), error(&got)["code"].as_str()),
        (503, Some("origin_not_woken")),
        "{}",
        text(&got)
    );
    assert!(text(&got).contains("no room on the card"), "{}", text(&got));
    for _ in 0..20 {
        let got = ask(&setting, &body("hold"));
        assert_eq!((status(&got), said(&got)), (503, (Some("cold"), None)));
    }
    assert_eq!(setting.origin.lock().unwrap().wakes.len(), 1);
    // With another origin that is the answer.
    assert_eq!(status(&ask(&setting, &body("fallback"))), 200);
}

#[test]
fn an_origin_that_was_awake_all_along_is_not_woken() {
    let setting = Setting::new(&[Start::After(0)], "");
    assert_eq!(status(&ask(&setting, &body("hold"))), 200);
    setting.world.forget();
    setting.world.pass_ms(50_000);
    assert_eq!(status(&ask(&setting, &body("hold"))), 200);
    assert_eq!(setting.origin.lock().unwrap().wakes.len(), 1);
}

#[test]
fn an_origin_that_fell_asleep_unseen_is_woken_again() {
    let setting = Setting::new(&[Start::After(3_000)], "");
    assert_eq!(status(&ask(&setting, &body("hold"))), 200);
    setting.world.pass_ms(10 * 60_000);
    assert_eq!(status(&ask(&setting, &body("hold"))), 200);
    assert_eq!((setting.origin.lock().unwrap().wakes.len(), setting.wakes().len()), (2, 2));
}

/// The request that finds it out heeds no `Retry-After`: the origin is woken at once.
#[test]
fn an_origin_that_slept_earlier_than_thought_is_woken_at_once() {
    for (request, model) in
        [(body("hold"), "hold"), (streamed("hold"), "hold"), (body("fallback"), "fallback")]
    {
        let setting = Setting::new(&[Start::After(3_000)], "");
        setting.origin.lock().unwrap().sleeps_after_ms = 10_000;
        assert_eq!(status(&ask(&setting, &body("hold"))), 200);
        setting.world.pass_ms(20_000);
        let got = ask(&setting, &request);
        assert_eq!(status(&got), 200, "{}", text(&got));
        let elsewhere = model == "fallback";
        let latest_ms = if elsewhere { 500 } else { 4_000 };
        assert!(got.end_ms.unwrap() < latest_ms, "{model}: {:?}", got.end_ms);
        let origin = setting.origin.lock().unwrap();
        assert_eq!((origin.wakes.len(), origin.spare), (2, usize::from(elsewhere)), "{model}");
    }
}

#[test]
fn only_requests_that_may_spend_wake() {
    let no_money = |config: String| {
        config.replacen(
            "name = \"app\"\n",
            "name = \"app\"\nlimits = [{ per = \"day\", dollars = \"0.000001\" }]\n",
            1,
        )
    };
    let setting = Setting::with(&[Start::After(3_000)], "", no_money);
    let got = ask(&setting, &body("hold"));
    assert_eq!(status(&got), 402, "{}", text(&got));
    let stranger = post();
    let mut stranger = stranger;
    stranger.headers_mut().remove("authorization");
    assert_eq!(status(&setting.ask(&setting.responder(), stranger, client(&body("hold")))), 401);
    assert_eq!(status(&ask(&setting, &body("nothing"))), 404);
    assert_eq!(setting.origin.lock().unwrap().wakes.len(), 0);
    assert_eq!(setting.row().wakes, 0);
}

/// SDKs heed `Retry-After` up to a minute, and retry twice.
#[test]
fn when_to_ask_again() {
    let setting = Setting::new(&[Start::After(40_000), Start::After(200_000)], "");
    for left in [40, 200] {
        ask(&setting, &body("hold"));
        setting.world.pass_ms(10 * 60_000);
        let got = ask(&setting, &body("refuse"));
        let seconds = said(&got).1.unwrap();
        assert!((left..left + 3).contains(&seconds), "{seconds}");
        assert_eq!(retry_after(&got), seconds.min(59));
        assert_eq!(text(&got).contains("own retries end before"), seconds > 118, "{}", text(&got));
        setting.world.pass_ms(10 * 60_000);
    }
}

/// A tenant is told that it has to wait, and not why an origin could not be woken.
#[test]
fn what_tenants_are_told() {
    let tenant =
        |config: String| config.replacen("name = \"app\"\n", "name = \"app\"\ntenant = \"acme\"\n", 1);
    for (start, model, code) in [
        (Start::After(30_000), "refuse", "origin_waking"),
        (Start::After(11 * 60_000), "hold", "wake_timeout"),
        (Start::Fails(5_000), "hold", "provider_error"),
    ] {
        let setting = Setting::with(&[start], "", tenant);
        let got = ask(&setting, &body(model));
        assert_eq!(error(&got)["code"], code, "{}", text(&got));
        assert!(!text(&got).contains("no room"), "{}", text(&got));
        let state = if code == "provider_error" { "cold" } else { "waking" };
        assert_eq!(said(&got).0, Some(state));
    }
}

#[test]
fn so_many_wait_and_no_more() {
    let setting = Setting::new(&[Start::After(20_000)], "queue = 3");
    let requests = (0..8).map(|_| {
        let text = body("hold");
        (sized(post(), text.len()), client(&text))
    });
    let got = setting.ask_all(&setting.responder(), requests, 7);
    let served = got.iter().filter(|got| status(got) == 200).count();
    let refused =
        got.iter().filter(|got| status(got) == 503 && error(got)["code"] == "origin_waking").count();
    assert_eq!((served, refused), (3, 5));
}

#[test]
fn the_operator_sees_it() {
    let setting = Setting::new(&[Start::After(9_000)], "");
    ask(&setting, &body("hold"));
    let got = setting.read("/origins");
    let report: Value = serde_json::from_slice(&got.body).unwrap();
    let own = &report["origins"][0];
    assert_eq!((own["name"].as_str(), own["state"].as_str()), (Some("own"), Some("ready")), "{report}");
    assert_eq!(own["wakes"][0]["key"], "app", "{report}");
    assert!(own["start_seconds"].as_u64().unwrap() >= 9, "{report}");
    assert_eq!(report["origins"][1], serde_json::json!({ "name": "spare" }));
}

#[test]
fn in_use_it_is_not_asked() {
    let setting = Setting::new(&[Start::After(0)], "");
    ask(&setting, &body("hold"));
    let before = setting.world.ledger_operations().len();
    for _ in 0..5 {
        ask(&setting, &body("hold"));
    }
    let operations = setting.world.ledger_operations();
    let wakes = operations[before..].iter().filter(|operation| operation.starts_with("{\"wake\"")).count();
    assert_eq!(wakes, 0, "{operations:?}");
}

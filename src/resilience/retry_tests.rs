use super::*;
use crate::config::{Config, authoring};
use crate::resilience::health::AttemptResult;
use crate::resilience::retry_after::YEAR_MS;
use Failure::{
    BadAnswer, BadKey, Broken, Conflict, Connect, ContentFilter, ContextLength, ModelNotFound, RateLimited,
    Refused, RequestTimeout, ServerError, Timeout, TooEarly, Unsupported, Waking,
};

#[path = "retry_random_tests.rs"]
mod random;

const T: u64 = 1_800_000_000_000;
const SIZE: RequestSize =
    RequestSize { body_bytes: 400, max_tokens: Some(100), choices: 1, media: 0, images: 0 };

/// Origins with the model `m` and one route over all of them, in order.
/// `origins`: name, further fields of the origin, fields of the model besides the name and the price of 1 dollar.
fn config(origins: &[(&str, &str, &str)], route: &str) -> Config {
    let mut text = String::new();
    let mut rule = Vec::new();
    for (name, more, model) in origins {
        text += &format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"https://{name}.example/v1\"\n{more}\n\
             [[origins.models]]\nname = \"m\"\ninput = \"1\"\noutput = \"1\"\n{model}\n"
        );
        rule.push(format!("{{ origin = \"{name}\" }}"));
    }
    text += &format!("[[routes]]\nmodel = \"m\"\nrule = {{ order = [{}] }}\n{route}", rule.join(", "));
    authoring::parse(&text).unwrap()
}

const ABC: &[(&str, &str, &str)] = &[
    ("a", "", "context_tokens = 8000"),
    ("b", "", "context_tokens = 8000"),
    ("c", "", "context_tokens = 32000"),
];
const MANY: &str = "budget = { attempts = 10 }";

struct Bench<'a> {
    retry: RetryState<'a>,
    health: Health,
    rng: Rng,
    now_ms: u64,
    /// Such as `a b/1 wait a`: origins, with the number of the key where it is not the first.
    log: Vec<String>,
    longest_wait_ms: u64,
}

impl<'a> Bench<'a> {
    fn new(config: &'a Config) -> Self {
        let route = &config.routes[0];
        let of = |origin| Target::of(config, route, origin, "m").unwrap();
        let rule = route.rule();
        let targets = rule.leaves().iter().map(|leaf| of(&leaf.origin)).collect();
        Self {
            retry: RetryState::new(Plan { route, targets }, T),
            health: Health::default(),
            rng: Rng::new([7; 8]),
            now_ms: T,
            log: Vec::new(),
            longest_wait_ms: 0,
        }
    }

    /// Up to the next attempt: which target.
    fn step(&mut self) -> Result<usize, Exhausted> {
        loop {
            match self.retry.next(SIZE, &self.health, self.now_ms, &mut self.rng) {
                Decision::Wait(ms) => {
                    assert!(ms > 0);
                    self.now_ms += ms;
                    self.longest_wait_ms = self.longest_wait_ms.max(ms);
                    self.log.push("wait".to_owned());
                }
                Decision::GiveUp(why) => return Err(why),
                Decision::Attempt { at, key, retry: again } => {
                    let target = self.retry.target(at);
                    self.health.begin(&target, again, self.now_ms);
                    let key = if key > 0 { format!("/{key}") } else { String::new() };
                    self.log.push(format!("{}{key}", target.origin.name));
                    return Ok(at);
                }
            }
        }
    }

    fn fail(&mut self, at: usize, failure: Failure, retry_after_ms: Option<u64>) {
        let (target, now_ms) = (self.retry.target(at), self.now_ms);
        let result = AttemptResult::of(failure, retry_after_ms.map(|ms| now_ms + ms));
        self.health.end(&target, result, now_ms, now_ms, &mut self.rng);
        self.retry.spend(estimate(SIZE, &target, 0));
        self.retry.failed(at, failure, retry_after_ms, now_ms, &mut self.rng);
    }

    /// Attempts that fail as listed, then one that succeeds; or why there was none.
    fn run(&mut self, failures: &[(Failure, Option<u64>)]) -> String {
        for (failure, retry_after_ms) in failures {
            match self.step() {
                Ok(at) => self.fail(at, *failure, *retry_after_ms),
                Err(why) => return self.logged(&format!("{why:?}")),
            }
        }
        match self.step() {
            Ok(_) => self.logged("ok"),
            Err(why) => self.logged(&format!("{why:?}")),
        }
    }

    fn logged(&self, end: &str) -> String {
        format!("{} {end}", self.log.join(" ")).trim_start().to_owned()
    }
}

fn run(origins: &[(&str, &str, &str)], route: &str, failures: &[(Failure, Option<u64>)]) -> String {
    Bench::new(&config(origins, route)).run(failures)
}

#[test]
fn what_follows_each_failure() {
    let next = [
        Connect,
        Timeout,
        Broken,
        RateLimited,
        ServerError,
        Waking,
        BadKey,
        ModelNotFound,
        Unsupported,
        BadAnswer,
    ];
    for failure in next {
        assert_eq!(run(ABC, MANY, &[(failure, None)]), "a b ok", "{failure:?}");
    }
    for failure in [RequestTimeout, Conflict, TooEarly] {
        assert_eq!(run(ABC, MANY, &[(failure, None)]), "a wait a ok", "{failure:?}");
        // Once, then the next.
        assert_eq!(run(ABC, MANY, &[(failure, None); 2]), "a wait a b ok", "{failure:?}");
    }
    for failure in [ContentFilter, Refused] {
        assert_eq!(run(ABC, MANY, &[(failure, None)]), "a Stopped", "{failure:?}");
    }
}

#[test]
fn a_route_may_say_otherwise() {
    for (on, failure, expected) in [
        ("server_error = \"retry\"", ServerError, "a wait a ok"),
        ("server_error = \"stop\"", ServerError, "a Stopped"),
        ("server_error = \"stop\"", Timeout, "a b ok"),
        ("conflict = \"next\"", Conflict, "a b ok"),
        ("content_filter = \"next\"", ContentFilter, "a b ok"),
        ("context_length = \"stop\"", ContextLength, "a Stopped"),
    ] {
        let route = format!("{MANY}\non = {{ {on} }}");
        assert_eq!(run(ABC, &route, &[(failure, None)]), expected, "{on}");
    }
}

#[test]
fn after_the_last_one_those_that_may_be_asked_again() {
    let all = [(ServerError, None); 6];
    assert!(run(ABC, MANY, &all).starts_with("a b c wait "));
    // Who would fail the same way is not.
    assert_eq!(run(ABC, MANY, &[(ModelNotFound, None); 4]), "a b c Unavailable { until_ms: None }");
    assert_eq!(
        run(ABC, MANY, &[(BadKey, None), (ServerError, None), (ModelNotFound, None)]),
        "a b c wait b ok"
    );
    assert_eq!(run(ABC, "budget = { attempts = 2 }", &all), "a b Attempts");
}

#[test]
fn pauses_grow_and_are_drawn() {
    let config = config(&[("a", "breaker = { failures = 0 }", "")], MANY);
    let mut longest = [0; 9];
    for seed in 0..200 {
        let mut bench = Bench::new(&config);
        bench.rng = Rng::new([seed; 8]);
        for longest in &mut longest {
            let at = bench.step().unwrap();
            bench.fail(at, ServerError, None);
            let before_ms = bench.now_ms;
            let Ok(again) = bench.step() else { panic!("{:?}", bench.log) };
            *longest = (*longest).max(bench.now_ms - before_ms);
            // One request alone cannot make ten attempts and the test needs two per pause.
            bench.retry.attempts = 0;
            bench.retry.states[again].tries -= 1;
            bench.health = Health::default();
        }
    }
    let bounds = [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000].map(|ms| ms + SPREAD_MS);
    for (longest, bound) in longest.into_iter().zip(bounds) {
        assert!(longest <= bound && longest > bound / 2, "{longest} of {bound}");
    }
}

#[test]
fn a_request_for_patience_is_honoured_or_the_next_is_tried() {
    let one: &[_] = &[("a", "", "")];
    for failure in [RateLimited, ServerError, Waking] {
        for (asked_ms, expected) in [
            (Some(0), "a a ok"),
            (Some(2_000), "a wait a ok"),
            (Some(10_000), "a wait a ok"),
            (Some(10_001), "a Unavailable { until_ms: None }"),
            (Some(YEAR_MS), "a Unavailable { until_ms: None }"),
            (None, "a wait a ok"),
        ] {
            let config = config(one, MANY);
            let mut bench = Bench::new(&config);
            assert_eq!(bench.run(&[(failure, asked_ms)]), expected, "{failure:?} {asked_ms:?}");
            assert!(bench.longest_wait_ms <= 10_000, "{asked_ms:?}: {}", bench.longest_wait_ms);
            if expected.contains("wait") {
                assert!(bench.now_ms >= T + asked_ms.unwrap_or(0), "{failure:?} {asked_ms:?}");
            }
        }
        assert_eq!(
            run(ABC, MANY, &[(failure, Some(2_000))]),
            "a b ok",
            "nobody waits while there is another"
        );
    }
    // The soonest first.
    let failures = [(RateLimited, Some(9_000)), (RateLimited, Some(3_000)), (RateLimited, Some(6_000))];
    assert_eq!(run(ABC, MANY, &failures), "a b c wait b ok");
}

#[test]
fn no_wait_goes_beyond_the_longest_or_the_budget() {
    let one: &[_] = &[("a", "", "")];
    for (budget, asked_ms, expected) in [
        ("longest_wait_s = 0", None, "a a ok"),
        ("longest_wait_s = 0", Some(1), "a Unavailable { until_ms: None }"),
        ("longest_wait_s = 60", Some(60_000), "a wait a ok"),
        ("longest_wait_s = 60, seconds = 30", Some(29_000), "a wait a ok"),
        ("longest_wait_s = 60, seconds = 30", Some(29_999), "a wait a ok"),
        ("longest_wait_s = 60, seconds = 30", Some(30_000), "a Unavailable { until_ms: None }"),
    ] {
        let route = format!("budget = {{ attempts = 10, {budget} }}");
        assert_eq!(run(one, &route, &[(RateLimited, asked_ms)]), expected, "{budget}, {asked_ms:?}");
    }
    let config = config(ABC, "budget = { seconds = 5 }");
    let mut bench = Bench::new(&config);
    let at = bench.step().unwrap();
    bench.now_ms += 5_000;
    bench.fail(at, Timeout, None);
    assert_eq!(bench.step(), Err(Exhausted::Time));
}

#[test]
fn one_that_another_request_was_told_to_leave_alone() {
    let config = config(&ABC[..2], MANY);
    let held = |bench: &mut Bench<'_>, at: usize, ms| {
        let target = bench.retry.target(at);
        bench.health.end(&target, AttemptResult::Backoff(T + ms), T, T, &mut Rng::new([1; 8]));
    };
    let mut bench = Bench::new(&config);
    held(&mut bench, 0, 3_000);
    assert_eq!(bench.run(&[]), "b ok");
    let mut bench = Bench::new(&config);
    held(&mut bench, 0, 4_000);
    held(&mut bench, 1, 3_000);
    assert_eq!(bench.run(&[]), "wait b ok");
    let mut bench = Bench::new(&config);
    held(&mut bench, 0, 40_000);
    held(&mut bench, 1, 30_000);
    assert_eq!(bench.step(), Err(Exhausted::Unavailable { until_ms: Some(T + 30_000) }));
    // One absurd word does not take it away for good.
    let mut bench = Bench::new(&config);
    held(&mut bench, 0, YEAR_MS);
    held(&mut bench, 1, YEAR_MS);
    assert_eq!(bench.step(), Err(Exhausted::Unavailable { until_ms: Some(T + 300_000) }));
}

#[test]
fn spare_keys() {
    let spare: &[_] = &[("a", "secret = \"A\"\nspare_secrets = [\"B\", \"C\"]", ""), ("b", "", "")];
    for (failures, expected) in [
        (&[(BadKey, None)][..], "a a/1 ok"),
        (&[(RateLimited, Some(60_000))], "a a/1 ok"),
        (&[(RateLimited, None), (BadKey, None)], "a a/1 a/2 ok"),
        (&[(BadKey, None), (BadKey, None), (BadKey, None)], "a a/1 a/2 b ok"),
        (&[(BadKey, None), (ServerError, None)], "a a/1 b ok"),
        // With none left the origin is out after a bad key, and asked again after its patience.
        (
            &[(BadKey, None), (BadKey, None), (BadKey, None), (BadKey, None)],
            "a a/1 a/2 b Unavailable { until_ms: None }",
        ),
        (
            &[(BadKey, None), (BadKey, None), (RateLimited, Some(1_000)), (BadKey, None)],
            "a a/1 a/2 b wait a/2 ok",
        ),
    ] {
        assert_eq!(run(spare, MANY, failures), expected, "{failures:?}");
    }
    assert_eq!(run(spare, "budget = { attempts = 2 }", &[(BadKey, None); 3]), "a a/1 Attempts");
}

/// A first key that is no good for hours must not use up the origin's retries.
#[test]
fn another_key_is_no_retry() {
    let spare: &[_] = &[("a", "secret = \"A\"\nspare_secrets = [\"B\"]\nretry_percent = 0", "")];
    let config = config(spare, MANY);
    let mut health = Health::default();
    for _ in 0..50 {
        let mut bench = Bench { health, ..Bench::new(&config) };
        assert_eq!(bench.run(&[(BadKey, None)]), "a a/1 ok");
        health = bench.health;
    }
}

#[test]
fn a_prompt_that_is_too_long_goes_only_to_longer_models() {
    assert_eq!(run(ABC, MANY, &[(ContextLength, None)]), "a c ok");
    assert_eq!(run(ABC, MANY, &[(ContextLength, None); 2]), "a c Unavailable { until_ms: None }");
    let unknown: &[_] =
        &[ABC[0], ("b", "", ""), ("c", "", "context_tokens = 8000"), ("d", "", "context_tokens = 8001")];
    assert_eq!(run(unknown, MANY, &[(ContextLength, None); 2]), "a b d ok");
    // Where nothing is known of the one that failed, nothing is known of the others.
    let blank: &[_] = &[("a", "", ""), ("b", "", "context_tokens = 1"), ("c", "", "")];
    assert_eq!(run(blank, MANY, &[(ContextLength, None); 3]), "a b c Unavailable { until_ms: None }");
}

#[test]
fn money() {
    // Each attempt is 100 tokens in and 100 out at a dollar per million: 0.0002 dollars.
    for (dollars, expected) in [
        ("0.0001", "Money"),
        ("0.0002", "a Money"),
        ("0.00039", "a Money"),
        ("0.0004", "a b Money"),
        ("1", "a b c ok"),
    ] {
        let route = format!("budget = {{ attempts = 10, dollars = \"{dollars}\" }}");
        assert_eq!(run(ABC, &route, &[(ServerError, None); 2]), expected, "{dollars}");
    }
    // A dear one is left out, not the whole request.
    let mut config = config(ABC, "budget = { dollars = \"0.0004\" }");
    config.origins[0].models[0].output.as_mut().unwrap().0 *= 100;
    assert_eq!(Bench::new(&config).run(&[(ServerError, None)]), "b c ok");
    let error = Exhausted::Money.error("m", T);
    assert_eq!((error.status, error.code), (400, "over_budget"));
}

#[test]
fn the_retry_ratio_ends_retries_but_not_fallbacks() {
    let origins: &[_] = &[("a", "retry_percent = 0\nbreaker = { failures = 0 }", ""), ("b", "", "")];
    let config = config(origins, "budget = { attempts = 10 }\non = { server_error = \"retry\" }");
    let mut health = Health::default();
    let mut again = 0;
    for _ in 0..20 {
        let mut bench = Bench::new(&config);
        bench.health = health;
        let log = bench.run(&[(ServerError, None), (BadKey, None), (BadKey, None)]);
        again += u32::from(log.starts_with("a wait a "));
        assert!(log.contains('b'), "{log}");
        health = bench.health;
        // Only the retries of `a` are of interest.
        health.end(&bench.retry.target(1), AttemptResult::Success, T, T, &mut bench.rng);
    }
    assert_eq!(again, 10, "the reserve");
}

fn shut(bench: &mut Bench<'_>, at: usize) -> u64 {
    let target = bench.retry.target(at);
    for _ in 0..5 {
        bench.health.end(&target, AttemptResult::Failure, bench.now_ms, bench.now_ms, &mut Rng::new([2; 8]));
    }
    match bench.health.admission(target.index, bench.now_ms) {
        Admission::BreakerOpen { until_ms, .. } => until_ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_breaker_is_passed_by() {
    let config = config(ABC, MANY);
    let mut bench = Bench::new(&config);
    shut(&mut bench, 0);
    assert_eq!(bench.run(&[(ServerError, None), (ServerError, None)]), "b c wait b ok");
    let mut bench = Bench::new(&config);
    let until = [0, 1, 2].map(|at| shut(&mut bench, at));
    let why = Exhausted::Unavailable { until_ms: until.into_iter().min() };
    assert_eq!(bench.step(), Err(why));
    let error = why.error("m", T);
    assert_eq!((error.status, error.code), (503, "origins_unavailable"));
    assert!((5..=6).contains(&error.retry_after_s.unwrap()), "{error:?}");
    // When it is due, one attempt finds out; others still pass it by.
    let mut bench = Bench::new(&config);
    bench.now_ms = shut(&mut bench, 0);
    assert_eq!(bench.step(), Ok(0));
    let mut other = Bench::new(&config);
    (other.health, other.now_ms) = (bench.health, bench.now_ms);
    assert_eq!(other.step(), Ok(1));
}

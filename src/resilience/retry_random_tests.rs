//! Patience asked for in every form and given on, random plans under random failures, and plans of nothing.

use super::*;
use crate::resilience::retry_after::{http_date_ms, retry_after_ms};

/// 2026-11-21 13:00:00 UTC.
const NOW: u64 = 1_795_266_000_000;

#[test]
fn patience_is_read() {
    for (milliseconds, value, expected) in [
        ("", "", None),
        ("", "2", Some(2_000)),
        ("", " 2 ", Some(2_000)),
        ("", "0", Some(0)),
        ("", "0.5", Some(500)),
        ("", "1e1", Some(10_000)),
        ("250", "", Some(250)),
        ("250.9", "7", Some(250)),
        // What cannot be read says nothing; the other header may.
        ("soon", "7", Some(7_000)),
        ("-1", "7", Some(7_000)),
        ("NaN", "7", Some(7_000)),
        ("inf", "7", Some(7_000)),
        ("", "-1", None),
        ("", "NaN", None),
        ("", "inf", None),
        ("", "soon", None),
        ("", "1e300", Some(YEAR_MS)),
        ("1e300", "", Some(YEAR_MS)),
        ("", "1e999", None),
        ("", "18446744073709551615", Some(YEAR_MS)),
        ("", "Sat, 21 Nov 2026 13:00:05 GMT", Some(5_000)),
        ("", "Sat, 21 Nov 2026 12:59:59 GMT", Some(0)),
        ("", "Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("", "Sun, 22 Nov 2026 13:00:00 GMT", Some(86_400_000)),
        ("", "Fri, 31 Dec 9999 23:59:60 GMT", Some(YEAR_MS)),
        ("", "Sat, 21 Nov 2026 13:00:05 UTC", None),
        ("", "Sat, 21 Nov 2026 13:00:05", None),
        ("", "Saturday, 21-Nov-26 13:00:05 GMT", None),
        ("", "Sat, 21 Nyx 2026 13:00:05 GMT", None),
        ("", "Sat, 0 Nov 2026 13:00:05 GMT", None),
        ("", "Sat, 32 Nov 2026 13:00:05 GMT", None),
        ("", "Sat, 21 Nov 1969 13:00:05 GMT", None),
        ("", "Sat, 21 Nov 2026 24:00:05 GMT", None),
        ("", "Sat, 21 Nov 2026 +3:00:05 GMT", None),
        ("", "Sat, 18446744073709551615 Nov 2026 13:00:05 GMT", None),
        ("", "Sat, 21 Nov 2026 18446744073709551615:00:05 GMT", None),
    ] {
        assert_eq!(retry_after_ms(milliseconds, value, NOW), expected, "{milliseconds:?} {value:?}");
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (text, seconds) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Mon, 28 Feb 2000 23:59:59 GMT", 951_782_399),
        ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
        ("Tue, 31 Dec 2024 23:59:59 GMT", 1_735_689_599),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
    ] {
        assert_eq!(http_date_ms(text), Some(seconds * 1000), "{text}");
    }
    // Every day of four centuries, against the inverse that the records' names use.
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for day in 0..146_097 {
        let ms = day * 86_400_000;
        let name = crate::metering::record::day(ms);
        let month = months[name[5..7].parse::<usize>().unwrap() - 1];
        let text = format!("Xxx, {} {month} {} 00:00:00 GMT", &name[8..], &name[..4]);
        assert_eq!(http_date_ms(&text), Some(ms), "{name}");
    }
}

#[test]
fn hints_are_such_that_clients_heed_them() {
    for (until_ms, seconds) in [(None, 1), (Some(T), 1), (Some(T + 1_001), 2), (Some(T + 400_000), 59)] {
        assert_eq!(
            Exhausted::Unavailable { until_ms }.error("m", T).retry_after_s,
            Some(seconds),
            "{until_ms:?}"
        );
    }
    for (why, code) in [
        (Exhausted::NoOrigin, "no_origin"),
        (Exhausted::Time, "no_time_left"),
        (Exhausted::Attempts, "no_time_left"),
    ] {
        let error = why.error("m", T);
        assert_eq!((error.status, error.code), (503, code));
    }
}

fn random_config(rng: &mut Rng) -> Config {
    let origins: Vec<_> = (0..rng.below(5) + 1)
        .map(|number| {
            // A secret belongs to one origin.
            let spare = match rng.below(3) {
                0 => String::new(),
                1 => format!("secret = \"A{number}\"\nspare_secrets = [\"B{number}\"]"),
                _ => format!("secret = \"A{number}\"\nspare_secrets = [\"B{number}\", \"C{number}\"]"),
            };
            let length = [String::new(), format!("context_tokens = {}", 1000 * (rng.below(4) + 1))];
            let more = format!("retry_percent = {}\n{spare}", rng.below(101));
            (format!("o{number}"), more, length[rng.below(2) as usize].clone())
        })
        .collect();
    let origins: Vec<_> =
        origins.iter().map(|(name, more, model)| (name.as_str(), more.as_str(), model.as_str())).collect();
    let mut route = format!(
        "[routes.budget]\nattempts = {}\nseconds = {}\nlongest_wait_s = {}\n",
        rng.below(10) + 1,
        rng.below(60) + 1,
        rng.below(61)
    );
    if rng.below(3) == 0 {
        route += &format!("dollars = \"0.000{}\"\n", rng.below(9) + 1);
    }
    route += "[routes.on]\n";
    for failure in Failure::ALL {
        let action = ["next", "retry", "stop"][rng.below(3) as usize];
        let usual =
            [ContextLength, BadKey, ModelNotFound, Unsupported, ContentFilter, Refused].contains(&failure);
        if rng.below(5) == 0 && !usual {
            route += &format!("{} = \"{action}\"\n", failure.name());
        }
    }
    config(&origins, &route)
}

/// One request through a world where everything may fail; returns its health for the next one.
fn request(config: &Config, health: Health, rng: &mut Rng, at_ms: u64) -> Health {
    let mut bench = Bench::new(config);
    bench.retry =
        RetryState::new(Plan { targets: bench.retry.plan.targets.clone(), ..bench.retry.plan }, at_ms);
    (bench.health, bench.now_ms, bench.rng) = (health, at_ms, rng.clone());
    let budget = &config.routes[0].budget;
    let deadline_ms = at_ms + u64::from(budget.seconds) * 1000;
    let longest_wait_ms = u64::from(budget.longest_wait_s) * 1000;
    let targets = bench.retry.plan.targets.len();
    let (mut attempts, mut steps, mut out, mut stopped) = (0, 0, vec![false; targets], false);
    loop {
        steps += 1;
        assert!(steps < 100, "it must come to an end: {:?}", bench.log);
        let (now_ms, health) = (bench.now_ms, &bench.health);
        match bench.retry.next(SIZE, health, now_ms, &mut bench.rng) {
            Decision::Wait(ms) => {
                assert!(ms > 0 && ms <= longest_wait_ms && now_ms + ms < deadline_ms, "a wait of {ms}");
                bench.now_ms += ms;
            }
            Decision::GiveUp(why) => {
                for later_ms in [0, 1, 10_000_000] {
                    let again =
                        bench.retry.next(SIZE, &bench.health, bench.now_ms + later_ms, &mut bench.rng);
                    let final_ = matches!(
                        why,
                        Exhausted::Stopped | Exhausted::Attempts | Exhausted::Time | Exhausted::NoOrigin
                    );
                    assert!(!final_ || matches!(again, Decision::GiveUp(_)), "{why:?}, then {again:?}");
                }
                break;
            }
            Decision::Attempt { at, key, retry: again } => {
                attempts += 1;
                assert!(attempts <= budget.attempts && now_ms < deadline_ms && !stopped, "{:?}", bench.log);
                assert!(!out[at], "{at} is out");
                let target = bench.retry.target(at);
                assert!(key <= target.origin.spare_secrets.len());
                let is_alone = bench.retry.targets().iter().all(|other| other.index == target.index);
                assert!(is_alone || !bench.health.is_open(target.index, now_ms), "the breaker is open");
                assert!(!again || bench.health.may_retry(target.index), "the retry ratio is spent");
                if let Some(limit) = budget.dollars {
                    let spent = estimate(SIZE, &target, 0) * u64::from(attempts);
                    assert!(spent <= limit.nanodollars(), "{spent}");
                }
                bench.health.begin(&target, again, now_ms);
                bench.log.push(target.origin.name.clone());
                // An attempt's own timers end at the deadline.
                bench.now_ms = (now_ms + rng.below(20_000)).min(deadline_ms);
                if rng.below(6) == 0 {
                    bench.health.end(&target, AttemptResult::Success, bench.now_ms, bench.now_ms, rng);
                    break;
                }
                let failure = Failure::ALL[rng.below(Failure::ALL.len() as u64) as usize];
                let patience = [None, Some(rng.below(5_000)), Some(rng.below(100_000)), Some(YEAR_MS)];
                bench.fail(at, failure, patience[rng.below(4) as usize]);
                stopped |= config.routes[0].action(failure) == Action::Stop;
                out[at] |= matches!(failure, ContextLength | ModelNotFound | Unsupported);
                out[at] |= failure == BadKey && key == target.origin.spare_secrets.len();
                if failure == ContextLength
                    && let Some(short) = target.model.context_tokens
                {
                    for (other, out) in out.iter_mut().enumerate() {
                        *out |=
                            bench.retry.target(other).model.context_tokens.is_some_and(|own| own <= short);
                    }
                }
                if rng.below(10) == 0 {
                    let kept = rng.below(targets as u64) as usize;
                    let index = bench.retry.target(kept).index;
                    bench.retry.keep_only(|target| target.index == index);
                    out.iter_mut().enumerate().for_each(|(other, out)| *out |= other != kept);
                }
            }
        }
    }
    assert!(bench.now_ms <= deadline_ms, "{} ms late", bench.now_ms - deadline_ms);
    bench.health
}

#[test]
fn no_request_goes_beyond_its_budget_whatever_fails() {
    for seed in 0..1_500_u32 {
        let [a, b, ..] = seed.to_le_bytes();
        let mut rng = Rng::new([a, b, 1, 2, 3, 4, 5, 6]);
        let config = random_config(&mut rng);
        let mut health = Health::default();
        let mut at_ms = T;
        for _ in 0..8 {
            health = request(&config, health, &mut rng, at_ms);
            at_ms += rng.below(30_000);
        }
    }
}

#[test]
fn a_plan_without_targets_and_one_of_which_nobody_is_able() {
    let config = config(ABC, MANY);
    let mut retry = RetryState::new(Plan { route: &config.routes[0], targets: Vec::new() }, T);
    let step = retry.next(SIZE, &Health::default(), T, &mut Rng::new([0; 8]));
    assert_eq!(step, Decision::GiveUp(Exhausted::NoOrigin));
    // After a stream broke off only those who can go on with it.
    let mut bench = Bench::new(&config);
    let at = bench.step().unwrap();
    bench.retry.keep_only(|target| target.origin.name == "c");
    bench.fail(at, Broken, None);
    assert_eq!(bench.run(&[]), "a c ok");
    let mut bench = Bench::new(&config);
    let at = bench.step().unwrap();
    bench.retry.keep_only(|_| false);
    bench.fail(at, Conflict, None);
    assert_eq!(bench.run(&[]), "a Unavailable { until_ms: None }");
}

#[test]
fn places() {
    let config = config(ABC, MANY);
    let bench = Bench::new(&config);
    assert_eq!(bench.retry.position(bench.retry.target(2).index), Some(2));
    assert_eq!(bench.retry.position(TargetIndex { origin: 9, model: 9 }), None);
    assert_eq!(bench.retry.deadline_ms(), T + 600_000);
}

#[test]
fn what_was_spoiled_by_the_gateway_itself_does_not_count() {
    let config = config(ABC, "budget = { attempts = 1 }");
    let mut bench = Bench::new(&config);
    let at = bench.step().unwrap();
    bench.retry.once_more(at);
    assert_eq!(bench.step(), Ok(at), "at once, the same one");
    bench.fail(at, ServerError, None);
    assert_eq!(bench.step(), Err(Exhausted::Attempts));
}

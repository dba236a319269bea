use super::*;

const T: u64 = 1_795_262_400_000;

fn wake(holder: &str, found_ms: u64) -> Ask {
    Ask::Wake {
        holder: holder.into(),
        by: WokenBy { hourly: 3_600, ..WokenBy::default() },
        per_hour: 3,
        found_ms,
    }
}

fn report(holder: &str, wake: u64, progress: Progress) -> Ask {
    Ask::Report { holder: holder.into(), wake, progress }
}

fn failed(reason: &str) -> Progress {
    Progress::Failed { reason: reason.into() }
}

#[test]
fn one_wake_however_many_ask() {
    let mut row = Lifecycle::default();
    let (first, _) = row.ask(wake("a", T), T);
    assert!(first.leads && first.lifecycle.state == OriginState::Waking && first.lifecycle.wakes == 1);
    for (at, holder) in [(1, "b"), (2, "c"), (2, "b")] {
        let (other, _) = row.ask(wake(holder, T), T + at);
        assert!(!other.leads && other.refused.is_none() && other.lifecycle.wakes == 1);
    }
    // Its answer was lost.
    assert!(row.ask(wake("a", T), T + 3).0.leads);
    row.ask(report("a", 1, Progress::Started), T + 10);
    let (done, ended) = row.ask(report("a", 1, Progress::Ready), T + 5_000);
    assert_eq!(done.lifecycle.state, OriginState::Ready);
    let ended = ended.unwrap();
    assert_eq!((ended.wake, ended.began_ms, ended.ended_ms, ended.cost), (1, T, T + 5_000, 5));
    // Said again: nothing happens.
    assert_eq!(row.ask(report("a", 1, Progress::Ready), T + 5_001).1, None);
    assert_eq!(row.ask(report("a", 1, failed("no")), T + 5_001).1, None);
    assert_eq!(row.state, OriginState::Ready);
}

#[test]
fn a_lease_is_taken_over_when_its_holder_is_silent() {
    let mut row = Lifecycle::default();
    row.ask(wake("a", T), T);
    assert!(!row.ask(Ask::Lead { holder: "b".into() }, T + LEASE_MS - 1).0.leads);
    assert!(row.ask(report("a", 1, Progress::Started), T + LEASE_MS - 1).0.leads);
    assert!(!row.ask(Ask::Lead { holder: "b".into() }, T + LEASE_MS + 10).0.leads);
    let (taken, _) = row.ask(Ask::Lead { holder: "b".into() }, T + 2 * LEASE_MS);
    assert!(taken.leads && taken.lifecycle.run.is_some_and(|run| run.started));
    // What the first one says now does not count.
    let (late, ended) = row.ask(report("a", 1, failed("gone")), T + 2 * LEASE_MS + 1);
    assert!(!late.leads && ended.is_none() && row.state == OriginState::Waking);
}

#[test]
fn at_the_cap_a_wake_has_failed() {
    let mut row = Lifecycle::default();
    row.ask(wake("a", T), T);
    assert_eq!(row.ask(Ask::Look, T + CAP_MS - 1).0.lifecycle.state, OriginState::Waking);
    let (late, ended) = row.ask(report("a", 1, Progress::Ready), T + CAP_MS);
    assert_eq!((late.lifecycle.state, late.lifecycle.failures), (OriginState::Cold, 1));
    assert!(ended.unwrap().reason.contains("10 minutes"));
    // It is there after all: who finds that says so.
    let (found, ended) = row.ask(Ask::Ready { found_ms: T + CAP_MS + 5 }, T + CAP_MS + 6);
    assert_eq!((found.lifecycle.state, ended), (OriginState::Ready, None));
}

#[test]
fn wakes_that_fail_are_not_repeated_at_once() {
    let mut row = Lifecycle::default();
    let mut now_ms = T;
    for (pause_s, number) in [(15, 1), (30, 2), (60, 3)] {
        assert!(
            row.ask(
                Ask::Wake { holder: "a".into(), by: WokenBy::default(), per_hour: 60, found_ms: now_ms },
                now_ms
            )
            .0
            .leads
        );
        let (answer, _) = row.ask(report("a", number, failed("no capacity")), now_ms + 1);
        assert_eq!(answer.lifecycle.reason, "no capacity");
        let (refused, _) = row.ask(wake("b", now_ms + 2), now_ms + 2);
        let until_ms = now_ms + 1 + pause_s * 1000;
        assert_eq!(refused.refused, Some(Refused { until_ms, per_hour: false }));
        now_ms = until_ms;
    }
}

#[test]
fn wakes_of_an_hour_are_limited() {
    let mut row = Lifecycle::default();
    for number in 1..=3 {
        let now_ms = T + number * 100_000;
        assert!(row.ask(wake("a", now_ms), now_ms).0.leads, "{number}");
        row.ask(report("a", number, Progress::Ready), now_ms + 1);
        row.ask(Ask::Used, now_ms + 2);
        row.ask(Ask::Asleep { found_ms: now_ms + 60_000 }, now_ms + 60_000);
        assert_eq!(row.state, OriginState::Cold);
    }
    let (refused, _) = row.ask(wake("a", T + 500_000), T + 500_000);
    let until_ms = T + 100_000 + HOUR_MS;
    assert_eq!(refused.refused, Some(Refused { until_ms, per_hour: true }));
    assert!(row.ask(wake("a", until_ms), until_ms).0.leads);
}

#[test]
fn what_lies_about_being_ready_counts_as_failed() {
    let mut row = Lifecycle::default();
    row.ask(wake("a", T), T);
    row.ask(report("a", 1, Progress::Ready), T + 1_000);
    // What was seen before it was ready says nothing.
    row.ask(Ask::Asleep { found_ms: T + 900 }, T + 1_100);
    assert_eq!(row.state, OriginState::Ready);
    let (again, _) = row.ask(wake("b", T + 1_200), T + 1_300);
    assert_eq!((row.state, row.failures), (OriginState::Cold, 1));
    assert!(again.refused.is_some_and(|refused| !refused.per_hour));
}

#[test]
fn how_long_it_takes_is_what_was_seen() {
    let mut row = Lifecycle::default();
    row.ask(wake("a", T), T);
    assert_eq!(row.seconds_left(T), Some(60));
    row.ask(report("a", 1, Progress::Waiting { seconds_left: Some(7) }), T + 1_000);
    assert_eq!(row.seconds_left(T + 2_000), Some(6));
    assert_eq!(row.seconds_left(T + 90_000), Some(15));
    for took_ms in [4_000, 9_000, 5_000] {
        row.took_ms.push(took_ms);
    }
    assert_eq!(row.start_ms(), 5_000);
}

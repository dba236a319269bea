//! The state machine with given times.

use super::{Moment, Power, Rules, Turn};
use moegate_wire::OriginState::{self, Cold, Draining, Ready, Waking};
use std::time::Duration;

/// Monday 2026-11-23, 07:00 UTC.
const MORNING: u64 = 1_795_392_000 + 7 * 3_600;

fn at(seconds: u64) -> Moment {
    Moment { steady: Duration::from_secs(seconds), unix: Duration::from_secs(MORNING + seconds) }
}

fn rules(sleep_after: u64) -> Rules {
    Rules { sleep_after: Some(Duration::from_secs(sleep_after)), ..Rules::default() }
}

#[derive(Debug, Clone, Copy)]
enum Do {
    Wake,
    Sleep,
    /// The one who acts looks; whether it is idle.
    Turn(bool, Turn),
    Loaded,
    Failed,
    Lost,
    Unloaded,
    Admit(Result<(), OriginState>),
}
use Do::{Admit, Failed, Loaded, Lost, Sleep, Unloaded, Wake};

/// Each step a second after the one before; the state after each.
fn run(what: &str, mut power: Power, steps: &[(Do, OriginState)]) -> Power {
    for (index, (step, state)) in steps.iter().enumerate() {
        let now = at(10 + index as u64);
        match *step {
            Wake => power.wake(now),
            Sleep => power.sleep(now),
            Do::Turn(idle, turn) => assert_eq!(power.turn(now, idle), turn, "{what}: step {index}"),
            Loaded => {
                power.loaded(now);
            }
            Failed => power.failed(now, "why".to_owned()),
            Lost => power.lost(now, "why".to_owned()),
            Unloaded => power.unloaded(now),
            Admit(result) => assert_eq!(power.admit(now), result, "{what}: step {index}"),
        }
        assert_eq!(power.state(), *state, "{what}: after step {index}, {step:?}");
    }
    power
}

const BUSY: bool = false;
const IDLE: bool = true;

#[test]
fn ways_from_state_to_state() {
    let start = || Power::loading(Rules::default(), at(0));
    let cold = || Power::cold(Rules::default(), at(0));
    let turn = Do::Turn;
    type Case<'a> = (&'a str, Power, &'a [(Do, OriginState)]);
    let cases: &[Case<'_>] = &[
        (
            "a start, a sleep that drains, a wake",
            start(),
            &[
                (Admit(Ok(())), Waking),
                (Loaded, Ready),
                (turn(IDLE, Turn::Run), Ready),
                (Admit(Ok(())), Ready),
                (Sleep, Draining),
                (Admit(Err(Draining)), Draining),
                (turn(BUSY, Turn::Run), Draining),
                (turn(IDLE, Turn::Unload), Draining),
                (Unloaded, Cold),
                (turn(IDLE, Turn::Rest), Cold),
                (Admit(Err(Cold)), Cold),
                (Wake, Waking),
                (Wake, Waking),
                (Admit(Err(Waking)), Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Wake, Waking),
                (Loaded, Ready),
                (turn(IDLE, Turn::Run), Ready),
            ],
        ),
        (
            "a wake while draining takes the sleep back",
            start(),
            &[(Loaded, Ready), (Sleep, Draining), (Wake, Ready), (turn(IDLE, Turn::Run), Ready)],
        ),
        (
            "a wake while unloading loads again",
            start(),
            &[
                (Loaded, Ready),
                (Sleep, Draining),
                (turn(IDLE, Turn::Unload), Draining),
                (Wake, Waking),
                (Unloaded, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Loaded, Ready),
            ],
        ),
        (
            "a sleep while loading, given up",
            cold(),
            &[
                (Wake, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Sleep, Draining),
                (Unloaded, Cold),
                (turn(IDLE, Turn::Rest), Cold),
            ],
        ),
        (
            "a sleep while loading, seen after it",
            cold(),
            &[
                (Wake, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Sleep, Draining),
                (Loaded, Draining),
                (turn(IDLE, Turn::Unload), Draining),
                (Unloaded, Cold),
            ],
        ),
        (
            "a sleep while loading, taken back before and after it was seen",
            cold(),
            &[
                (Wake, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Sleep, Draining),
                (Wake, Waking),
                (Unloaded, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Sleep, Draining),
                (Wake, Waking),
                (Loaded, Ready),
            ],
        ),
        (
            "what is lost is loaded again, and failing that, when somebody asks",
            start(),
            &[
                (Loaded, Ready),
                (turn(BUSY, Turn::Run), Ready),
                (Lost, Waking),
                (Admit(Err(Waking)), Waking),
                (turn(BUSY, Turn::Load), Waking),
                (Loaded, Ready),
                (Lost, Waking),
                (turn(BUSY, Turn::Load), Waking),
                (Failed, Cold),
                (turn(BUSY, Turn::Rest), Cold),
                (Wake, Waking),
            ],
        ),
        (
            "what is lost while draining is not loaded again",
            start(),
            &[(Loaded, Ready), (Sleep, Draining), (Lost, Cold), (turn(BUSY, Turn::Rest), Cold)],
        ),
        (
            "a wake that fails is not tried again until somebody asks",
            cold(),
            &[
                (Wake, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Failed, Cold),
                (turn(IDLE, Turn::Rest), Cold),
                (Admit(Err(Cold)), Cold),
                (Wake, Waking),
                (turn(IDLE, Turn::Load), Waking),
                (Loaded, Ready),
            ],
        ),
        ("a sleep while cold is nothing", cold(), &[(Sleep, Cold), (turn(IDLE, Turn::Rest), Cold)]),
        (
            "a wake that is taken back before it began",
            cold(),
            &[(Wake, Waking), (Sleep, Cold), (turn(IDLE, Turn::Rest), Cold)],
        ),
        (
            "what is lost while it serves",
            start(),
            &[(Loaded, Ready), (Failed, Cold), (Wake, Waking), (turn(IDLE, Turn::Load), Waking)],
        ),
        (
            "a request wakes where that is wanted, but takes no sleep back",
            Power::cold(Rules { wake_on_request: true, ..Rules::default() }, at(0)),
            &[
                (Admit(Ok(())), Waking),
                (turn(BUSY, Turn::Load), Waking),
                (Admit(Ok(())), Waking),
                (Loaded, Ready),
                (Sleep, Draining),
                (Admit(Err(Draining)), Draining),
                (turn(BUSY, Turn::Run), Draining),
            ],
        ),
    ];
    for (what, power, steps) in cases {
        run(what, power.clone(), steps);
    }
}

#[test]
fn times_and_reasons_are_told() {
    let power = Power::loading(Rules::default(), at(1));
    let power = run("start", power, &[(Loaded, Ready)]);
    assert_eq!((power.last_wake(), power.since()), (Some(Duration::from_secs(9)), at(10).unix));
    let steps =
        [(Sleep, Draining), (Do::Turn(IDLE, Turn::Unload), Draining), (Unloaded, Cold), (Wake, Waking)];
    let power = run("sleep", power, &steps);
    assert_eq!((power.since(), power.waking_for(at(20))), (at(13).unix, Duration::from_secs(7)));
    let power = run("fail", power, &[(Do::Turn(IDLE, Turn::Load), Waking), (Failed, Cold)]);
    assert_eq!((power.reason(), power.last_wake()), (Some("why"), Some(Duration::from_secs(9))));
    let power = run("again", power, &[(Wake, Waking), (Do::Turn(IDLE, Turn::Load), Waking)]);
    assert_eq!(power.reason(), Some("why"), "until one succeeds");
    let power = run("good", power, &[(Wake, Waking), (Wake, Waking), (Loaded, Ready)]);
    assert_eq!((power.reason(), power.last_wake()), (None, Some(Duration::from_secs(2))));
}

/// Whether it goes to sleep when looked at.
fn sleeps(power: &mut Power, now: Moment, idle: bool) -> bool {
    match power.turn(now, idle) {
        Turn::Run => false,
        Turn::Unload => true,
        other => panic!("{other:?}"),
    }
}

fn ready(rules: Rules) -> Power {
    let mut power = Power::loading(rules, at(0));
    power.loaded(at(0));
    power
}

#[test]
fn idle_servers_sleep_when_nothing_holds_them() {
    let patience = |power: &Power, seconds| power.patience(at(seconds)).map(|time| time.as_secs());
    let mut power = ready(Rules::default());
    assert_eq!(patience(&power, 0), None);
    assert!(!sleeps(&mut power, at(1 << 40), IDLE), "off");

    let mut power = ready(rules(60));
    assert_eq!(patience(&power, 10), Some(50));
    assert!(!sleeps(&mut power, at(59), IDLE));
    assert!(!sleeps(&mut power, at(100), BUSY), "what runs holds it");
    assert!(!sleeps(&mut power, at(159), IDLE));
    assert_eq!(power.admit(at(159)), Ok(()));
    assert!(!sleeps(&mut power, at(218), IDLE), "a request does, too");
    power.lease(at(218), Duration::from_secs(1_000));
    power.lease(at(219), Duration::from_secs(10));
    assert_eq!(patience(&power, 300), Some(918));
    assert!(!sleeps(&mut power, at(1_217), IDLE), "of leases the longest");
    assert!(sleeps(&mut power, at(1_218), IDLE));
    assert_eq!(power.state(), Draining);

    let mut power = ready(rules(60));
    power.lease(at(0), Duration::from_secs(1_000));
    power.sleep(at(1));
    assert_eq!(patience(&power, 1), Some(0));
    assert!(sleeps(&mut power, at(1), IDLE), "whoever says so goes before a lease");
    power.unloaded(at(2));
    assert_eq!(patience(&power, 3), None, "asleep, it waits for ever");
    power.wake(at(3));
    assert_eq!(patience(&power, 3), Some(0));
    assert_eq!(power.turn(at(3), IDLE), Turn::Load);
    power.loaded(at(500));
    assert!(!sleeps(&mut power, at(559), IDLE), "it counts from ready on");
    assert!(sleeps(&mut power, at(560), IDLE), "and the old lease is gone");
}

#[test]
fn windows_keep_it_warm_and_wake_it() {
    let hour = 3_600;
    let window = "Mon-Fri 08:00-18:00".parse().unwrap();
    let mut power = ready(Rules { keep_warm: vec![window], ..rules(60) });
    assert_eq!(power.patience(at(50)).map(|time| time.as_secs()), Some(5), "it looks now and then");
    assert!(sleeps(&mut power, at(60), IDLE), "seven o'clock");
    power.unloaded(at(61));
    assert_eq!(power.turn(at(hour - 1), IDLE), Turn::Rest);
    assert_eq!(power.turn(at(hour), IDLE), Turn::Load, "eight");
    power.loaded(at(hour + 5));
    assert!(!sleeps(&mut power, at(5 * hour), IDLE), "noon");
    power.sleep(at(5 * hour));
    assert!(sleeps(&mut power, at(5 * hour), IDLE), "whoever says so goes before a window");
    power.unloaded(at(5 * hour));
    assert_eq!(power.turn(at(6 * hour), IDLE), Turn::Rest, "and it stays so until the next one begins");
    power.wake(at(6 * hour));
    assert_eq!(power.turn(at(6 * hour), IDLE), Turn::Load);
    power.loaded(at(6 * hour));
    assert!(!sleeps(&mut power, at(11 * hour - 1), IDLE));
    assert!(sleeps(&mut power, at(11 * hour), IDLE), "six in the evening");
}

#[test]
fn a_wall_clock_that_jumps_moves_windows_only() {
    let jump = |seconds: u64, by: u64| Moment {
        steady: Duration::from_secs(seconds),
        unix: Duration::from_secs(MORNING + seconds + by),
    };
    let mut power = ready(rules(60));
    assert!(!sleeps(&mut power, jump(30, 9_999_999), IDLE));
    assert!(!sleeps(&mut power, Moment { unix: Duration::ZERO, ..at(59) }, IDLE));
    assert!(sleeps(&mut power, Moment { unix: Duration::ZERO, ..at(60) }, IDLE));
    power.unloaded(at(60));

    let mut power =
        Power::cold(Rules { keep_warm: vec!["Mon 08:00-18:00".parse().unwrap()], ..rules(60) }, at(0));
    assert_eq!(power.turn(jump(1, 3_600), IDLE), Turn::Load, "over the beginning");
    power.loaded(jump(2, 3_600));
    assert!(!sleeps(&mut power, at(61), IDLE), "and back: idle for less than the rule");
    assert!(sleeps(&mut power, at(62), IDLE));
}

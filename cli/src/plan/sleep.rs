//! What it would cost if the GPUs slept when idle, and what their waking would make callers wait: the attempts of the export are
//! played again.
//!
//! The rules are those of `moe-server` (docs/guides/sleeping.md): it sleeps once nothing has run for so long, and stays warm
//! within windows, waking at their beginning. What waits for a wake runs after it for as long as it took.

use super::arithmetic::{HOURS_PER_MONTH, Rates};
use super::load::Load;
use super::ratio::Ratio;
use moegate_wire::window::Window;
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;

/// How the GPUs would sleep.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Milliseconds.
    pub(super) sleep_after: u64,
    /// Milliseconds from the first request to the first token.
    pub(super) wake: u64,
    /// Each is planned by itself.
    pub(super) keep_warm: Vec<Hours>,
}

/// Windows that hold together, and the text that they were given as.
#[derive(Debug, Clone)]
pub(crate) struct Hours {
    pub(super) text: String,
    windows: Vec<Window>,
}

impl Hours {
    /// `Mon-Fri 08:00-18:00`; several with `;` between them.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let windows: Result<_, _> = text.split(';').map(|part| part.trim().parse::<Window>()).collect();
        let windows = windows.map_err(|error| format!("--keep-warm `{text}`: {error}"))?;
        Ok(Self { text: text.trim().to_owned(), windows })
    }

    fn are_open(&self, unix_ms: u64) -> bool {
        self.windows.iter().any(|window| window.is_open(Duration::from_millis(unix_ms)))
    }
}

/// An attempt: Unix milliseconds of its start, and milliseconds that it took.
pub(super) type Attempt = (u64, u64);

/// What one way to sleep comes to, over a month.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) hours: Ratio,
    /// Dollars for all GPUs.
    pub(super) gpus: Ratio,
    /// The same for a million output tokens, their prompts included.
    pub(super) per_million: Ratio,
    pub(super) wakes: Ratio,
    /// How many attempts wait for a wake.
    pub(super) waiting: Ratio,
    /// Of the attempts, between 0 and 1.
    pub(super) share_waiting: Ratio,
    /// Milliseconds, of those that wait; `None`: none does.
    pub(super) median_wait: Option<u64>,
    pub(super) longest_wait: Option<u64>,
}

/// Never asleep, asleep when idle, and that with each kind of keep-warm hours.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) choices: Vec<Choice>,
    /// How long the attempts were watched, in hours.
    pub(super) watched: Ratio,
    pub(super) is_a_week: bool,
}

/// # Errors
/// The attempts say nothing of the time they took, or a number is too large.
pub(super) fn of(load: &Load, rules: &Rules, rates: &Rates) -> Result<Outcome, String> {
    let mut attempts = load.times.clone();
    attempts.sort_unstable();
    let from = attempts.first().map_or(0, |(start, _)| *start);
    let to = attempts.iter().map(|(start, took)| start.saturating_add(*took)).max().unwrap_or(0);
    let span = to - from;
    let watched = Ratio::new(u128::from(span), u128::from(HOUR_MS)).filter(|hours| !hours.is_zero());
    let watched = watched.ok_or("to plan with sleep, the export must span some time")?;
    let per_month = Ratio::whole(HOURS_PER_MONTH).by(watched)?;
    let per_hour = rates.gpu_hour.times(Ratio::whole(u128::from(rates.gpus)))?;
    // By the time that is played, which `--billed-hours` does not change.
    let millions = Ratio::new(load.tokens.output, 1_000_000).unwrap_or(Ratio::ZERO).times(per_month)?;
    let count = |number: usize| Ratio::whole(number as u128);
    let choice = |name: String, played: Played| -> Result<Choice, String> {
        let mut waits = played.waits;
        waits.sort_unstable();
        let hours = Ratio::new(u128::from(played.awake), u128::from(HOUR_MS)).unwrap_or(Ratio::ZERO);
        let hours = hours.times(per_month)?;
        let gpus = hours.times(per_hour)?;
        Ok(Choice {
            name,
            hours,
            gpus,
            per_million: gpus.by(millions)?,
            wakes: count(played.wakes).times(per_month)?,
            waiting: count(waits.len()).times(per_month)?,
            share_waiting: count(waits.len()).by(count(attempts.len()))?,
            median_wait: waits.get(waits.len() / 2).copied(),
            longest_wait: waits.last().copied(),
        })
    };
    let none = Hours { text: String::new(), windows: Vec::new() };
    let always = Played { awake: span, wakes: 0, waits: Vec::new() };
    let mut choices = vec![
        choice("never asleep".to_owned(), always)?,
        choice("asleep when idle".to_owned(), play(&attempts, rules, &none, from, to))?,
    ];
    for hours in &rules.keep_warm {
        choices.push(choice(format!("warm {}", hours.text), play(&attempts, rules, hours, from, to))?);
    }
    Ok(Outcome { choices, watched, is_a_week: span >= WEEK_MS })
}

#[derive(Debug, PartialEq, Eq)]
struct Played {
    /// Milliseconds, waking included.
    awake: u64,
    wakes: usize,
    /// Milliseconds, of each attempt that waited.
    waits: Vec<u64>,
}

/// Awake since when, ready from when on, asleep when if nothing more comes: Unix milliseconds.
#[derive(Clone, Copy)]
struct Awake {
    since: u64,
    ready: u64,
    until: u64,
}

/// `attempts` in the order of their starts.
fn play(attempts: &[Attempt], rules: &Rules, hours: &Hours, from: u64, to: u64) -> Played {
    let mut played = Played { awake: 0, wakes: 0, waits: Vec::new() };
    let mut now: Option<Awake> = None;
    let mut windows = windows(hours, from, to).into_iter().peekable();
    let mut attempts = attempts.iter().copied().peekable();
    loop {
        let window = windows.peek().copied();
        let attempt = attempts.peek().copied();
        let (at, what) = match (window, attempt) {
            (Some((open, close)), next) if next.is_none_or(|(start, _)| open <= start) => {
                windows.next();
                (open, Err(close))
            }
            (_, Some((start, took))) => {
                attempts.next();
                (start, Ok(took))
            }
            (Some(_) | None, None) => break,
        };
        let mut awake = match now {
            Some(awake) if at < awake.until => awake,
            slept => {
                played.awake += slept.map_or(0, |awake| awake.until - awake.since);
                played.wakes += 1;
                let ready = at.saturating_add(rules.wake);
                Awake { since: at, ready, until: ready.saturating_add(rules.sleep_after) }
            }
        };
        let until = match what {
            Err(close) => close,
            Ok(took) => {
                let wait = awake.ready.saturating_sub(at);
                if wait > 0 {
                    played.waits.push(wait);
                }
                at.saturating_add(wait).saturating_add(took).saturating_add(rules.sleep_after)
            }
        };
        awake.until = awake.until.max(until);
        now = Some(awake);
    }
    // After the last attempt nothing is known.
    played.awake += now.map_or(0, |awake| awake.until.min(to).saturating_sub(awake.since));
    played
}

/// When they open and close between two times, Unix milliseconds: to the minute, as windows are written.
fn windows(hours: &Hours, from: u64, to: u64) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut at = from;
    while !hours.windows.is_empty() && at < to {
        let next = (at / MINUTE_MS + 1) * MINUTE_MS;
        if hours.are_open(at) {
            match found.last_mut() {
                Some((_, close)) if *close == at => *close = next,
                _ => found.push((at, next)),
            }
        }
        at = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    fn rules(sleep_after: u64, wake: u64) -> Rules {
        Rules { sleep_after: sleep_after * SECOND, wake: wake * SECOND, keep_warm: Vec::new() }
    }

    /// Seconds of starts and durations; awake seconds, wakes, seconds of waiting.
    fn played(
        attempts: &[(u64, u64)],
        rules: &Rules,
        hours: &str,
        from: u64,
        to: u64,
    ) -> (u64, usize, Vec<u64>) {
        let attempts: Vec<_> = attempts.iter().map(|(start, took)| (start * SECOND, took * SECOND)).collect();
        let hours = if hours.is_empty() {
            Hours { text: String::new(), windows: Vec::new() }
        } else {
            Hours::parse(hours).unwrap()
        };
        let Played { awake, wakes, waits } = play(&attempts, rules, &hours, from * SECOND, to * SECOND);
        (awake / SECOND, wakes, waits.into_iter().map(|wait| wait / SECOND).collect())
    }

    #[test]
    fn who_comes_while_it_sleeps_or_wakes_waits() {
        let rules = rules(60, 30);
        // The second joins the wake, the third finds it awake, the fourth has it woken again.
        let attempts = [(0, 10), (20, 10), (50, 10), (200, 10)];
        // Until 50 + 10 + 60, and from 200 to the end.
        assert_eq!(played(&attempts, &rules, "", 0, 300), (120 + 100, 2, vec![30, 10, 30]));
        assert_eq!(played(&attempts, &rules, "", 0, 210).0, 120 + 10, "nothing is billed past the end");
    }

    #[test]
    fn what_runs_long_is_not_slept_upon() {
        assert_eq!(played(&[(0, 500), (520, 10)], &rules(60, 30), "", 0, 600), (590, 1, vec![30]));
    }

    #[test]
    fn windows_are_warm_from_their_beginning() {
        // 1970-01-01 was a Thursday.
        let (eight, nine, ten) = (8 * 3_600, 9 * 3_600, 10 * 3_600);
        let attempts = [(eight + 600, 10), (ten + 3_000, 10)];
        let warm = played(&attempts, &rules(60, 30), "Thu 08:00-10:00", 0, 12 * 3_600);
        assert_eq!(warm, (7_200 + 30 + 10 + 60, 2, vec![30]));
        // Whoever comes just after the beginning waits for the rest of its wake.
        let early = played(&[(eight + 10, 10)], &rules(60, 30), "Thu 08:00-09:00", 0, ten);
        assert_eq!(early, (3_600, 1, vec![20]));
        // Work goes on past a window's end.
        let late = played(&[(nine - 10, 100)], &rules(60, 30), "Thu 08:00-09:00", 0, ten);
        assert_eq!(late, (3_600 + 90 + 60, 1, vec![]));
        let two = played(&[], &rules(60, 30), "Thu 08:00-09:00; Thu 09:00-10:00", 0, 12 * 3_600);
        assert_eq!(two, (7_200, 1, vec![]), "windows that meet are one");
    }
}

//! One request's way along its plan, under one budget: what is tried next, after what pause, and when it is enough.
//!
//! The budget counts all attempts, wherever they go: nothing here gives a fallback retries of its own.

use super::config::{Action, Failure};
use super::error::ApiError;
use super::health::{Gate, Health};
use super::route::{Dice, Place, Plan, Size, Target};
use std::ops::RangeInclusive;

/// Pauses before an origin is tried again: full jitter (Brooker, "Exponential Backoff And Jitter", AWS, 2015).
const FIRST_PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 8_000;
/// Nobody who was told to wait comes back at the same moment as all others.
const SPREAD_MS: u64 = 200;
/// What is asked for beyond this is absurd, and would not fit into sums.
const YEAR_MS: u64 = 366 * 86_400_000;
/// Clients ignore longer ones (docs/reference/http.md).
const LONGEST_HINT_S: u64 = 59;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Try {
        /// Which of the plan's targets.
        at: usize,
        /// Which of the origin's keys: 0 is `secret`, then the spare ones.
        key: usize,
        /// Not the first attempt of this request there with that key.
        again: bool,
    },
    /// Milliseconds; then ask again.
    Wait(u64),
    GiveUp(Why),
}

/// Why nothing more is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The rule has no origin for such a request.
    NoOrigin,
    /// The failure says that no further attempt helps.
    Stopped,
    Attempts,
    Time,
    Money,
    /// None may be asked (again) soon enough. The earliest time of one that was not asked at all.
    Unavailable {
        until_ms: Option<u64>,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    tries: u32,
    key: usize,
    /// With that key nothing was tried yet.
    new_key: bool,
    not_before_ms: u64,
    out: bool,
}

#[derive(Debug)]
pub struct Course<'a> {
    plan: Plan<'a>,
    standings: Vec<Standing>,
    deadline_ms: u64,
    attempts: u32,
    /// Nano-dollars of the attempts so far.
    spent: u64,
    /// The target that goes first, whatever the order.
    preferred: Option<usize>,
    stopped: bool,
}

impl<'a> Course<'a> {
    #[must_use]
    pub fn new(plan: Plan<'a>, started_ms: u64) -> Self {
        Self {
            standings: vec![Standing::default(); plan.targets.len()],
            deadline_ms: started_ms + u64::from(plan.route.budget.seconds) * 1000,
            plan,
            attempts: 0,
            spent: 0,
            preferred: None,
            stopped: false,
        }
    }

    #[must_use]
    pub fn target(&self, at: usize) -> Target<'a> {
        self.plan.targets[at]
    }

    #[must_use]
    pub fn targets(&self) -> &[Target<'a>] {
        &self.plan.targets
    }

    /// Where in the plan a target stands.
    #[must_use]
    pub fn position(&self, place: Place) -> Option<usize> {
        self.plan.targets.iter().position(|target| target.place == place)
    }

    /// When everything must be over, in Unix milliseconds.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Decides. A `Try` counts at once.
    pub fn next(&mut self, size: Size, health: &Health, now_ms: u64, dice: &mut Dice) -> Step {
        let budget = &self.plan.route.budget;
        let enough = if self.plan.targets.is_empty() {
            Some(Why::NoOrigin)
        } else if self.stopped {
            Some(Why::Stopped)
        } else if self.attempts >= budget.attempts {
            Some(Why::Attempts)
        } else if now_ms >= self.deadline_ms {
            Some(Why::Time)
        } else {
            None
        };
        if let Some(why) = enough {
            return Step::GiveUp(why);
        }
        let longest_wait_ms = u64::from(budget.longest_wait_s) * 1000;
        let latest_ms = (now_ms + longest_wait_ms).min(self.deadline_ms - 1);
        let mut best: Option<(u64, usize)> = None;
        let mut unasked_until: Option<u64> = None;
        let mut too_dear = false;
        let order = self.preferred.into_iter().chain(0..self.plan.targets.len());
        for at in order {
            let ready_ms = match self.ready_ms(at, health, now_ms) {
                Ok(ready_ms) => ready_ms,
                Err(until_ms) => {
                    unasked_until = earliest(unasked_until, until_ms);
                    continue;
                }
            };
            if ready_ms > latest_ms {
                unasked_until = earliest(unasked_until, (self.standings[at].tries == 0).then_some(ready_ms));
                continue;
            }
            if self.is_too_dear(at, size) {
                too_dear = true;
                continue;
            }
            // One that was never tried goes before one that has failed, though that might be ready too; one that is to
            // be asked once more before the others is waited for.
            let fresh = self.standings[at].tries == 0 && ready_ms <= now_ms;
            if fresh || self.preferred == Some(at) {
                best = Some((ready_ms, at));
                break;
            }
            if best.is_none_or(|(earlier, _)| ready_ms < earlier) {
                best = Some((ready_ms, at));
            }
        }
        let Some((ready_ms, at)) = best else {
            return Step::GiveUp(match unasked_until {
                None if too_dear => Why::Money,
                until_ms => Why::Unavailable { until_ms },
            });
        };
        if ready_ms > now_ms {
            return Step::Wait((ready_ms + dice.below(SPREAD_MS)).min(latest_ms) - now_ms);
        }
        self.preferred = None;
        self.attempts += 1;
        let standing = &mut self.standings[at];
        standing.tries += 1;
        let first = standing.tries == 1 || std::mem::take(&mut standing.new_key);
        Step::Try { at, key: standing.key, again: !first }
    }

    fn is_too_dear(&self, at: usize, size: Size) -> bool {
        let estimate = || size.estimate(&self.plan.targets[at]);
        let limit = self.plan.route.budget.dollars;
        limit.is_some_and(|limit| self.spent.saturating_add(estimate()) > limit.nanodollars())
    }

    /// From when on the target may be tried. `Err`: not at all; with a time if it was left out unasked.
    fn ready_ms(&self, at: usize, health: &Health, now_ms: u64) -> Result<u64, Option<u64>> {
        let standing = &self.standings[at];
        let place = self.plan.targets[at].place;
        if standing.out {
            return Err(None);
        }
        let held_ms = match health.gate(place, now_ms) {
            Gate::Open => 0,
            Gate::Held { until_ms } => until_ms,
            // Nobody waits for a breaker: it opens when one attempt has found out.
            Gate::Shut { until_ms } => return Err((standing.tries == 0).then_some(until_ms)),
        };
        // The same with another key is no retry: it burdens nobody who has failed.
        if standing.tries > 0 && !standing.new_key && !health.may_retry(place) {
            return Err(None);
        }
        // A spare key is another customer at the origin: what it said to the first key does not hold for it.
        Ok(if standing.key > 0 { standing.not_before_ms } else { standing.not_before_ms.max(held_ms) })
    }

    /// Leaves out the targets that cannot do what is left to do.
    pub fn keep_only(&mut self, able: impl Fn(&Target<'a>) -> bool) {
        for (standing, target) in self.standings.iter_mut().zip(&self.plan.targets) {
            standing.out |= !able(target);
        }
    }

    /// A target that could not be asked at all.
    pub fn leave_out(&mut self, at: usize) {
        self.standings[at].out = true;
        self.attempts -= 1;
    }

    /// What an attempt has cost: what its origin says, or where nobody knows, the estimate.
    pub fn spend(&mut self, nanodollars: u64) {
        self.spent = self.spent.saturating_add(nanodollars);
    }

    /// An attempt has failed. `retry_after_ms`: what the origin asked for.
    pub fn failed(
        &mut self,
        at: usize,
        failure: Failure,
        retry_after_ms: Option<u64>,
        now_ms: u64,
        dice: &mut Dice,
    ) {
        let target = self.plan.targets[at];
        let action = self.plan.route.action(failure);
        if action == Action::Stop {
            self.stopped = true;
            return;
        }
        let standing = &mut self.standings[at];
        let longest_ms = LONGEST_PAUSE_MS.min(u64::from(self.plan.route.budget.longest_wait_s) * 1000);
        let pause_ms = dice.below((FIRST_PAUSE_MS << standing.tries.min(6)).min(longest_ms));
        standing.not_before_ms = now_ms.saturating_add(retry_after_ms.unwrap_or(pause_ms));
        match failure {
            Failure::BadKey | Failure::RateLimited if standing.key < target.origin.spare_secrets.len() => {
                standing.key += 1;
                standing.new_key = true;
                standing.not_before_ms = now_ms;
                self.preferred = Some(at);
                return;
            }
            // The same again would fail the same way.
            Failure::BadKey | Failure::ModelNotFound | Failure::ContentFilter => standing.out = true,
            Failure::ContextLength => self.only_longer(target.model.context_tokens, at),
            _ => {}
        }
        if action == Action::Retry && self.standings[at].tries == 1 {
            self.preferred = Some(at);
        }
    }

    /// The prompt is too long for this one: so it is for all that are known to hold no more.
    fn only_longer(&mut self, too_short: Option<u32>, at: usize) {
        self.standings[at].out = true;
        for (standing, target) in self.standings.iter_mut().zip(&self.plan.targets) {
            if let (Some(short), Some(own)) = (too_short, target.model.context_tokens) {
                standing.out |= own <= short;
            }
        }
    }
}

fn earliest(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

impl Why {
    /// What the client is told where no origin was asked at all.
    #[must_use]
    pub fn error(self, route: &str, now_ms: u64) -> ApiError {
        let later = |seconds, code, text| ApiError {
            retry_after_s: Some(seconds),
            ..ApiError::unavailable(code, text)
        };
        match self {
            Self::Money => ApiError::invalid(
                "over_budget",
                None,
                format!(
                    "this request could cost more than the route `{route}` allows (budget.dollars): send a shorter prompt or a smaller max_tokens"
                ),
            ),
            Self::NoOrigin => ApiError::unavailable(
                "no_origin",
                format!("the rule of the route `{route}` has no origin for such a request"),
            ),
            Self::Unavailable { until_ms } => {
                let seconds = until_ms.map_or(1, |until| until.saturating_sub(now_ms).div_ceil(1000));
                let seconds = seconds.clamp(1, LONGEST_HINT_S);
                let text = format!(
                    "all origins of `{route}` are failing or ask for patience; one may be tried again in {seconds} s"
                );
                later(seconds, "origins_unavailable", text)
            }
            Self::Stopped | Self::Attempts | Self::Time => {
                let text = format!("the budget of the route `{route}` left no time for an attempt");
                later(1, "no_time_left", text)
            }
        }
    }
}

/// Milliseconds that an origin asks to wait: `retry-after-ms`, else `retry-after` in seconds or as a date (RFC 9110,
/// section 10.2.3); at most a year. `None` where it says nothing that can be read.
#[must_use]
pub fn retry_after_ms(milliseconds: &str, value: &str, now_ms: u64) -> Option<u64> {
    let number = |text: &str| {
        let value: f64 = text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)?;
        Some(value)
    };
    // A float beyond the integers becomes the largest one.
    let asked = if let Some(ms) = number(milliseconds) {
        ms as u64
    } else if let Some(seconds) = number(value) {
        (seconds * 1000.0) as u64
    } else {
        http_date_ms(value.trim())?.saturating_sub(now_ms)
    };
    Some(asked.min(YEAR_MS))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still sent, in Unix milliseconds.
fn http_date_ms(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let fields: Vec<_> = text.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = fields[..] else { return None };
    let number = |text: &str, allowed: RangeInclusive<u64>| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| digits && allowed.contains(number))
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let seconds = number(hour, 0..=23)? * 3600 + number(minute, 0..=59)? * 60 + number(second, 0..=60)?;
    // Hinnant's `days_from_civil`, the inverse of `record::day`.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some((days * 86_400 + seconds) * 1000)
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;

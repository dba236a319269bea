//! One request's way along its plan, under one budget: what is tried next, after what pause, and when it is enough.
//!
//! The budget counts all attempts, wherever they go: nothing here gives a fallback retries of its own.

use super::health::{Admission, Health};
use crate::config::{Action, Failure};
use crate::dialect::request::RequestSize;
use crate::error::ApiError;
use crate::rng::Rng;
use crate::routing::{Plan, Target, TargetIndex, estimate};

/// Pauses before an origin is tried again: full jitter (Brooker, "Exponential Backoff And Jitter", AWS, 2015).
const FIRST_PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 8_000;
/// Nobody who was told to wait comes back at the same moment as all others.
const SPREAD_MS: u64 = 200;
/// Clients ignore longer ones (docs/reference/http.md).
const LONGEST_HINT_S: u32 = 59;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Attempt {
        /// Which of the plan's targets.
        at: usize,
        /// Which of the origin's keys: 0 is `secret`, then the spare ones.
        key: usize,
        /// Not the first attempt of this request there with that key.
        retry: bool,
    },
    /// Milliseconds; then ask again.
    Wait(u64),
    GiveUp(Exhausted),
}

/// Why nothing more is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
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
struct TargetState {
    tries: u32,
    key: usize,
    /// With that key nothing was tried yet.
    new_key: bool,
    not_before_ms: u64,
    out: bool,
}

#[derive(Debug)]
pub struct RetryState<'a> {
    plan: Plan<'a>,
    states: Vec<TargetState>,
    deadline_ms: u64,
    attempts: u32,
    /// Nano-dollars of the attempts so far.
    spent: u64,
    /// The target that goes first, whatever the order.
    preferred: Option<usize>,
    stopped: bool,
}

impl<'a> RetryState<'a> {
    #[must_use]
    pub fn new(plan: Plan<'a>, started_ms: u64) -> Self {
        Self {
            states: vec![TargetState::default(); plan.targets.len()],
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
    pub fn position(&self, index: TargetIndex) -> Option<usize> {
        self.plan.targets.iter().position(|target| target.index == index)
    }

    /// When everything must be over, in Unix milliseconds.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Decides. An `Attempt` counts at once.
    pub fn next(&mut self, size: RequestSize, health: &Health, now_ms: u64, rng: &mut Rng) -> Decision {
        let budget = &self.plan.route.budget;
        let enough = if self.plan.targets.is_empty() {
            Some(Exhausted::NoOrigin)
        } else if self.stopped {
            Some(Exhausted::Stopped)
        } else if self.attempts >= budget.attempts {
            Some(Exhausted::Attempts)
        } else if now_ms >= self.deadline_ms {
            Some(Exhausted::Time)
        } else {
            None
        };
        if let Some(why) = enough {
            return Decision::GiveUp(why);
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
                unasked_until = earliest(unasked_until, (self.states[at].tries == 0).then_some(ready_ms));
                continue;
            }
            if self.is_too_dear(at, size, now_ms) {
                too_dear = true;
                continue;
            }
            // One that was never tried goes before one that has failed, though that might be ready too; one that is to
            // be asked once more before the others is waited for.
            let fresh = self.states[at].tries == 0 && ready_ms <= now_ms;
            if fresh || self.preferred == Some(at) {
                best = Some((ready_ms, at));
                break;
            }
            if best.is_none_or(|(earlier, _)| ready_ms < earlier) {
                best = Some((ready_ms, at));
            }
        }
        let Some((ready_ms, at)) = best else {
            return Decision::GiveUp(match unasked_until {
                None if too_dear => Exhausted::Money,
                until_ms => Exhausted::Unavailable { until_ms },
            });
        };
        if ready_ms > now_ms {
            return Decision::Wait((ready_ms + rng.below(SPREAD_MS)).min(latest_ms) - now_ms);
        }
        self.preferred = None;
        self.attempts += 1;
        let state = &mut self.states[at];
        state.tries += 1;
        let first = state.tries == 1 || std::mem::take(&mut state.new_key);
        Decision::Attempt { at, key: state.key, retry: !first }
    }

    fn is_too_dear(&self, at: usize, size: RequestSize, now_ms: u64) -> bool {
        let estimate = || estimate(size, &self.plan.targets[at], now_ms);
        let limit = self.plan.route.budget.dollars;
        limit.is_some_and(|limit| self.spent.saturating_add(estimate()) > limit.nanodollars())
    }

    /// From when on the target may be tried. `Err`: not at all; with a time if it was left out unasked.
    fn ready_ms(&self, at: usize, health: &Health, now_ms: u64) -> Result<u64, Option<u64>> {
        let state = &self.states[at];
        let index = self.plan.targets[at].index;
        if state.out {
            return Err(None);
        }
        let held_ms = match health.admission(index, now_ms) {
            Admission::Ready => 0,
            Admission::Backoff { until_ms } => until_ms,
            // One request's bad prompt must not take the only origin away from all others.
            Admission::BreakerOpen { answers: true, .. } if self.is_alone(at) => 0,
            // Nobody waits for a breaker: it opens when one attempt has found out.
            Admission::BreakerOpen { until_ms, .. } => return Err((state.tries == 0).then_some(until_ms)),
        };
        // The same with another key is no retry: it burdens nobody who has failed.
        if state.tries > 0 && !state.new_key && !health.may_retry(index) {
            return Err(None);
        }
        // A spare key is another customer at the origin: what it said to the first key does not hold for it.
        Ok(if state.key > 0 { state.not_before_ms } else { state.not_before_ms.max(held_ms) })
    }

    /// Whether the plan has nothing besides.
    fn is_alone(&self, at: usize) -> bool {
        let index = self.plan.targets[at].index;
        self.plan.targets.iter().all(|target| target.index == index)
    }

    /// Leaves out the targets that cannot do what is left to do.
    pub fn keep_only(&mut self, able: impl Fn(&Target<'a>) -> bool) {
        for (state, target) in self.states.iter_mut().zip(&self.plan.targets) {
            state.out |= !able(target);
        }
    }

    /// A target that could not be asked at all.
    pub fn leave_out(&mut self, at: usize) {
        self.states[at].out = true;
        self.attempts -= 1;
    }

    /// A target that was left out may be asked after all.
    pub fn readmit(&mut self, at: usize) {
        self.states[at].out = false;
        self.preferred = Some(at);
    }

    /// Whether another one is left that was not asked yet.
    #[must_use]
    pub fn has_fresh_besides(&self, at: usize) -> bool {
        let origin = self.plan.targets[at].index.origin;
        let others = self.states.iter().zip(&self.plan.targets);
        others
            .into_iter()
            .any(|(state, target)| target.index.origin != origin && !state.out && state.tries == 0)
    }

    /// An attempt that failed by what the gateway itself had added: the same origin at once without it, as if nothing had
    /// been tried.
    pub fn once_more(&mut self, at: usize) {
        self.attempts -= 1;
        self.states[at].tries -= 1;
        self.preferred = Some(at);
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
        rng: &mut Rng,
    ) {
        let target = self.plan.targets[at];
        let action = self.plan.route.action(failure);
        if action == Action::Stop {
            self.stopped = true;
            return;
        }
        let state = &mut self.states[at];
        let longest_ms = LONGEST_PAUSE_MS.min(u64::from(self.plan.route.budget.longest_wait_s) * 1000);
        let pause_ms = rng.below((FIRST_PAUSE_MS << state.tries.min(6)).min(longest_ms));
        state.not_before_ms = now_ms.saturating_add(retry_after_ms.unwrap_or(pause_ms));
        match failure {
            Failure::BadKey | Failure::RateLimited if state.key < target.origin.spare_secrets.len() => {
                state.key += 1;
                state.new_key = true;
                state.not_before_ms = now_ms;
                self.preferred = Some(at);
                return;
            }
            // The same again would fail the same way.
            Failure::BadKey | Failure::ModelNotFound | Failure::Unsupported | Failure::ContentFilter => {
                state.out = true;
            }
            Failure::ContextLength => self.only_longer(target.model.context_tokens, at),
            _ => {}
        }
        if action == Action::Retry && self.states[at].tries == 1 {
            self.preferred = Some(at);
        }
    }

    /// The prompt is too long for this one: so it is for all that are known to hold no more.
    fn only_longer(&mut self, too_short: Option<u32>, at: usize) {
        self.states[at].out = true;
        for (state, target) in self.states.iter_mut().zip(&self.plan.targets) {
            if let (Some(short), Some(own)) = (too_short, target.model.context_tokens) {
                state.out |= own <= short;
            }
        }
    }
}

fn earliest(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

impl Exhausted {
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
                let seconds =
                    u32::try_from(seconds).map_or(LONGEST_HINT_S, |seconds| seconds.clamp(1, LONGEST_HINT_S));
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

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;

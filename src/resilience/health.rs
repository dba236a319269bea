//! What this instance knows of its origins' health. Decisions are local and at once; instances tell each other in the
//! background (`gateway::breaker_sync`).

pub use super::circuit_breaker::{Admission, BreakerState, BreakerUpdate, CircuitBreaker};
pub use super::retry_budget::RetryBudget;

use crate::config::{Breaker, Failure};
use crate::rng::Rng;
use crate::routing::{Target, TargetIndex};

/// An origin that asks for more patience than this is asked again after it all the same: one absurd `Retry-After` must not
/// take it away from everybody for good.
pub(super) const LONGEST_HELD_MS: u64 = 300_000;

/// The state of every model at every origin, and of every origin's retries. Lives as long as the instance.
#[derive(Debug, Clone, Default)]
pub struct Health {
    circuits: Vec<CircuitBreaker>,
    retries: Vec<RetryBudget>,
}

/// What an attempt says of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// It works: it answered, if only that the request is wrong, or a stream has begun.
    Success,
    /// It cannot be reached, or does not answer.
    Failure,
    /// It answers, and with its own fault.
    Fault,
    /// A stream that had begun is at its end.
    StreamCompleted,
    /// A stream that had begun broke off.
    StreamBroken,
    /// It is not to be asked before this time, in Unix milliseconds: it limits the rate or is starting.
    Backoff(u64),
    /// The client left, or the like: nothing is known.
    Unknown,
}

impl AttemptResult {
    /// By how an attempt failed. `until_ms`: what its `Retry-After` says.
    #[must_use]
    pub fn of(failure: Failure, until_ms: Option<u64>) -> Self {
        match failure {
            Failure::RateLimited | Failure::Waking => until_ms.map_or(Self::Unknown, Self::Backoff),
            Failure::Connect | Failure::Timeout | Failure::Broken => Self::Failure,
            Failure::BadAnswer | Failure::ServerError => Self::Fault,
            _ => Self::Success,
        }
    }
}

impl Health {
    fn circuit(&self, index: TargetIndex) -> Option<&CircuitBreaker> {
        self.circuits.get(index.model)
    }

    /// Whether attempts there are refused now.
    #[must_use]
    pub fn is_open(&self, index: TargetIndex, now_ms: u64) -> bool {
        self.circuit(index)
            .is_some_and(|circuit| matches!(circuit.admission(now_ms), Admission::BreakerOpen { .. }))
    }

    /// Whether an attempt may be made.
    #[must_use]
    pub fn admission(&self, index: TargetIndex, now_ms: u64) -> Admission {
        self.circuit(index).map_or(Admission::Ready, |circuit| circuit.admission(now_ms))
    }

    /// For people.
    #[must_use]
    pub fn breaker_state(&self, index: TargetIndex, now_ms: u64) -> BreakerState {
        self.circuit(index).map_or(BreakerState::Closed, |circuit| circuit.state(now_ms))
    }

    /// An attempt begins; `retry` if it is not the request's first one at this origin.
    pub fn begin(&mut self, target: &Target<'_>, retry: bool, now_ms: u64) {
        self.circuit_mut(target.index).begin(now_ms);
        let retries = self.retries_mut(target.index);
        if retry {
            retries.withdraw();
        } else {
            retries.deposit(target.origin.retry_percent);
        }
    }

    /// Whether the origin's retry ratio has room for one more.
    #[must_use]
    pub fn may_retry(&self, index: TargetIndex) -> bool {
        self.retries.get(index.origin).is_none_or(RetryBudget::is_there)
    }

    /// An attempt that began at `began_ms` is over.
    pub fn end(
        &mut self,
        target: &Target<'_>,
        result: AttemptResult,
        began_ms: u64,
        now_ms: u64,
        rng: &mut Rng,
    ) {
        let breaker: &Breaker = &target.origin.breaker;
        let circuit = self.circuit_mut(target.index);
        match result {
            AttemptResult::Success => circuit.works(began_ms, now_ms),
            AttemptResult::Failure => circuit.fails(breaker, false, now_ms, rng),
            AttemptResult::Fault => circuit.fails(breaker, true, now_ms, rng),
            AttemptResult::StreamCompleted => circuit.completes(),
            AttemptResult::StreamBroken => circuit.breaks_off(breaker, now_ms, rng),
            AttemptResult::Backoff(until_ms) => circuit.hold(until_ms.min(now_ms + LONGEST_HELD_MS), now_ms),
            AttemptResult::Unknown => circuit.forget(),
        }
    }

    /// An attempt that has begun will never be said to be over.
    pub fn abandon(&mut self, index: TargetIndex) {
        self.circuit_mut(index).forget();
    }

    /// What other instances are to be told of a target, once.
    pub fn take_update(&mut self, index: TargetIndex) -> Option<BreakerUpdate> {
        self.circuits.get_mut(index.model)?.take_update()
    }

    /// What another instance told.
    pub fn learn(&mut self, index: TargetIndex, update: BreakerUpdate, now_ms: u64) {
        self.circuit_mut(index).learn(update, now_ms);
    }

    /// Whether it is time to ask what other instances know of a target; if so, it counts as asked.
    pub fn asks(&mut self, index: TargetIndex, now_ms: u64) -> bool {
        self.circuit_mut(index).asks(now_ms)
    }

    fn circuit_mut(&mut self, index: TargetIndex) -> &mut CircuitBreaker {
        if self.circuits.len() <= index.model {
            self.circuits.resize_with(index.model + 1, CircuitBreaker::default);
        }
        &mut self.circuits[index.model]
    }

    fn retries_mut(&mut self, index: TargetIndex) -> &mut RetryBudget {
        if self.retries.len() <= index.origin {
            self.retries.resize_with(index.origin + 1, RetryBudget::default);
        }
        &mut self.retries[index.origin]
    }
}

//! What the end of an attempt means for the next ones, and for the origin's health.

use super::attempt::Attempt;
use super::context::RequestContext;
use crate::config::Failure;
use crate::dialect::request::RequestSize;
use crate::platform::Platform;
use crate::resilience::health::AttemptResult;
use crate::routing::estimate;
use http::HeaderMap;
use moegate_wire::Ending;

impl<P: Platform> RequestContext<'_, P> {
    pub(super) fn failed(&mut self, at: usize, failure: Failure, headers: &HeaderMap) {
        let now_ms = self.platform.now_ms();
        if let Some(attempt) = self.attempts.last() {
            self.retry.spend(could_have_cost(attempt, self.facts.size));
        }
        let wait_ms = self.retry_after(headers);
        self.retry.failed(at, failure, wait_ms, now_ms, &mut self.rng);
    }

    /// The client has left between two attempts: that is how the last one counts too.
    pub(super) fn cancelled(&mut self) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ending = Ending::Cancelled;
        }
    }

    /// The stream that is under way is at its end.
    pub(super) fn stream_completed(&mut self) {
        self.stream_ended(AttemptResult::StreamCompleted);
    }

    /// The stream that is under way has broken off.
    pub(super) fn stream_broken(&mut self, failure: Failure) {
        let Some(attempt) = self.attempts.last_mut() else { return };
        attempt.failure = Some(failure);
        let target = attempt.target;
        self.stream_ended(match AttemptResult::of(failure, None) {
            AttemptResult::Failure | AttemptResult::Fault => AttemptResult::StreamBroken,
            other => other,
        });
        if let Some(at) = self.retry.position(target.index) {
            self.failed(at, failure, &HeaderMap::new());
        }
    }

    fn stream_ended(&mut self, result: AttemptResult) {
        let Some(attempt) = self.attempts.last() else { return };
        let rng = &mut self.rng;
        self.platform.state(|state| {
            state.health.end(&attempt.target, result, attempt.began_ms, attempt.ended_ms, rng);
        });
    }
}

/// Nano-dollars that count against the budget.
fn could_have_cost(attempt: &Attempt<'_>, size: RequestSize) -> u64 {
    match attempt.counts {
        Some(counts) => attempt.cost(&counts).0,
        // It may have been a reset as well, but mostly nothing was reached.
        None if attempt.failure == Some(Failure::Connect) => 0,
        None => estimate(size, &attempt.target, attempt.began_ms),
    }
}

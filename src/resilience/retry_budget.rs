//! How many second attempts an origin gets, as a share of the first ones (the retry budget of Finagle and of gRPC's
//! proposal A6): when everything fails, everybody's retries must not double the load.

/// Thousandths of an attempt.
const ONE: u32 = 1_000;
const RESERVE: u32 = 10 * ONE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    left: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: RESERVE }
    }
}

impl RetryBudget {
    pub(super) fn deposit(&mut self, percent: u32) {
        self.left = (self.left + percent * ONE / 100).min(RESERVE);
    }

    pub(super) fn withdraw(&mut self) {
        self.left = self.left.saturating_sub(ONE);
    }

    #[must_use]
    pub(super) fn is_there(&self) -> bool {
        self.left >= ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outage: each request tries once and again as often as it may.
    #[test]
    fn an_outage_is_amplified_by_the_percentage_and_the_reserve() {
        for percent in [0, 20, 100] {
            let mut retries = RetryBudget::default();
            let mut again = 0;
            for _ in 0..1_000 {
                retries.deposit(percent);
                if retries.is_there() {
                    retries.withdraw();
                    again += 1;
                }
            }
            let most = 10 + 10 * percent;
            assert!((most - 10..=most).contains(&again), "{percent} %: {again}");
        }
    }
}

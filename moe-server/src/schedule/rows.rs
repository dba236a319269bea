//! What the last step told of the logits that were wanted, and the tokens that they yield.

use super::Failure;
use super::sample::Sampler;
use super::worker::failure_of;
use crate::engine::{Engine, Outcome, Outcomes, TokenId};

/// See the module. Its buffers are kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) outcomes: Outcomes,
    /// A row of which the outcome did not tell enough.
    whole: Vec<f32>,
}

impl Rows {
    /// The token that row number `index` yields; `engine` has made the step.
    pub(super) fn choose(
        &mut self,
        index: usize,
        sampler: &mut Sampler,
        engine: &mut dyn Engine,
    ) -> Result<TokenId, Failure> {
        let row = match self.outcomes.get(index) {
            None => return Err(Failure::Internal),
            Some(Outcome::Whole(row)) => row,
            Some(Outcome::Best(best)) => {
                if let Some(token) = sampler.next_of(&best) {
                    return Ok(token);
                }
                engine.logits(index, &mut self.whole).map_err(|error| failure_of(&error))?;
                &mut self.whole
            }
        };
        sampler.next(row).map_err(|_| Failure::NotANumber)
    }
}

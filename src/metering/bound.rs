//! The most that an attempt can use.

use crate::dialect::request::RequestSize;
use crate::ledger::operation::{Amounts, Counted, Refused};
use crate::metering::limit::ScopeHolds;
use crate::routing::Target;
use moegate_wire::Price;

/// What an image, a sound or a file takes at most, in tokens: more than any provider's largest image.
const MEDIUM_TOKENS: u64 = 16_384;
/// The longest answer where neither the request nor the model's configuration says one.
const LONGEST_ANSWER: u64 = 131_072;

/// The most tokens that an attempt can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// A token is at least a byte of the request, and no prompt exceeds the model's context.
    pub prompt: u64,
    /// Of each answer.
    pub answer: u64,
    pub choices: u64,
    /// Generated ones.
    pub images: u64,
    /// Milliseconds for which the origin can work on it: so long a request lasts at most.
    pub busy_ms: u64,
}

impl Bound {
    #[must_use]
    pub fn of(size: RequestSize, target: &Target<'_>) -> Self {
        let model = target.model;
        let context = model.context_tokens.map_or(u64::MAX, u64::from);
        let prompt = (size.body_bytes as u64).saturating_add(size.media.saturating_mul(MEDIUM_TOKENS));
        let longest = model.max_output_tokens.map_or(LONGEST_ANSWER.min(context), u64::from);
        Self {
            prompt: prompt.min(context),
            answer: size.max_tokens.unwrap_or(longest).min(context),
            choices: size.choices.max(1),
            images: size.images,
            busy_ms: u64::from(target.route.budget.seconds) * 1000,
        }
    }

    #[must_use]
    pub fn completion(&self) -> u64 {
        self.answer.saturating_mul(self.choices)
    }

    /// The most tokens and nano-dollars. `first`: whether it is the request's first attempt.
    #[must_use]
    pub fn amounts(&self, price: &Price, first: bool) -> Amounts {
        Amounts {
            requests: u64::from(first),
            tokens: self.prompt.saturating_add(self.completion()),
            cost: self.cost(price),
        }
    }

    fn cost(&self, price: &Price) -> u64 {
        price.bound(self.prompt, self.completion(), self.images, self.busy_ms).0
    }

    /// The longest answer with which a refused attempt would fit; `None` where no answer is short enough.
    #[must_use]
    pub fn fitting(&self, price: &Price, holds: &ScopeHolds, refused: &Refused) -> Option<u64> {
        let hold = holds.holds.get(refused.hold)?;
        let with = |answer| Self { answer, ..*self };
        let fits = |answer| match refused.what {
            Counted::Requests => false,
            Counted::Tokens => {
                let tokens = with(answer).amounts(price, true).tokens;
                hold.tokens.is_some_and(|limit| refused.used.saturating_add(tokens) <= limit)
            }
            Counted::Cost => {
                let cost = with(answer).cost(price);
                hold.cost.is_some_and(|limit| refused.used.saturating_add(cost) <= limit)
            }
        };
        if !fits(1) {
            return None;
        }
        // The largest that fits, between one that does and one that does not.
        let (mut fitting, mut too_long) = (1, self.answer);
        while too_long - fitting > 1 {
            let middle = fitting + (too_long - fitting) / 2;
            if fits(middle) { fitting = middle } else { too_long = middle }
        }
        Some(fitting)
    }
}

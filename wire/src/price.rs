//! Money in integers: prices of tokens are nano-dollars per *million* tokens, all other prices and costs are nano-dollars.
//!
//! A cost is rounded once, half up, over the sum of its parts; so the same usage costs the same whether it was
//! streamed or not, and sums of costs never drift.

mod text;

pub use text::MOST_STEPS;

#[cfg(test)]
mod tests;

use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// 10⁻⁹ US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanodollars(pub u64);

impl Nanodollars {
    /// The amount in dollars as a JSON number, exact, without trailing zeros: `0.000123`.
    #[must_use]
    pub fn to_dollars(self) -> String {
        let mut text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        text
    }
}

/// How many classes there are: the fields of [`Rates`].
pub const CLASSES: usize = 10;

/// A price for each class of what is used. Every token belongs to one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// A million prompt tokens that are of none of the next classes.
    pub input: u64,
    /// A million prompt tokens that were served from a cache.
    pub cached_input: u64,
    /// A million prompt tokens that were written to a cache, besides those of `cache_write_1h`.
    pub cache_write: u64,
    /// A million prompt tokens that were written to a cache for an hour.
    pub cache_write_1h: u64,
    /// A million prompt tokens of audio that were neither cached nor written to a cache.
    pub audio_input: u64,
    /// A million completion tokens that are of none of the next classes.
    pub output: u64,
    /// A million tokens of thoughts.
    pub reasoning: u64,
    /// A million completion tokens of audio.
    pub audio_output: u64,
    /// A generated image.
    pub image: u64,
    /// A request that used anything: one that was refused costs nothing.
    pub request: u64,
}

impl Rates {
    /// One price for all of the prompt, and one for all of the completion.
    #[must_use]
    pub fn of_tokens(input: u64, output: u64) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            cache_write_1h: input,
            audio_input: input,
            output,
            reasoning: output,
            audio_output: output,
            image: 0,
            request: 0,
        }
    }

    /// In the order of the fields.
    #[must_use]
    pub fn numbers(&self) -> [u64; CLASSES] {
        let Self { input, cached_input, cache_write, cache_write_1h, audio_input, .. } = *self;
        let Self { output, reasoning, audio_output, image, request, .. } = *self;
        [
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            image,
            request,
        ]
    }
}

impl From<[u64; CLASSES]> for Rates {
    fn from(numbers: [u64; CLASSES]) -> Self {
        let [
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            image,
            request,
        ] = numbers;
        Self {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            image,
            request,
        }
    }
}

/// What a model costs at an origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// By `above`, ascending: for longer prompts others hold instead.
    pub steps: Vec<Step>,
    /// An hour of the origin's GPUs at work.
    pub gpu_hour: u64,
}

/// The rates of a whole request whose prompt has more tokens than `above`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    pub above: u64,
    pub rates: Rates,
}

impl From<Rates> for Price {
    fn from(rates: Rates) -> Self {
        Self { rates, ..Self::default() }
    }
}

/// Tokens, images and requests of each class, in the order of [`Rates`].
type Counts = [u64; CLASSES];

/// Micro-seconds of an hour: what one nano-dollar is divided into, so that tokens (by the million) and time have one
/// denominator and are rounded together.
const HOUR_US: u64 = 3_600_000_000;
const MILLION: u64 = 1_000_000;
const FIRST_OF_COMPLETION: usize = 5;
const FIRST_BY_ONE: usize = 8;

/// Each token in the one class that it is paid by. Parts that are larger than what they are part of are cut.
fn classes(usage: &Usage) -> Counts {
    let Usage { prompt, cached, cache_write, cache_write_1h, audio_prompt, completion, .. } = usage.cut();
    let rest = prompt - cached - cache_write;
    let audio_input = audio_prompt.min(rest);
    let audio_output = usage.audio_completion.min(completion);
    let reasoning = usage.reasoning.min(completion - audio_output);
    [
        rest - audio_input,
        cached,
        cache_write - cache_write_1h,
        cache_write_1h,
        audio_input,
        completion - reasoning - audio_output,
        reasoning,
        audio_output,
        usage.images,
        u64::from((prompt, completion, usage.images) != (0, 0, 0)),
    ]
}

/// `counts` at `rates`, in parts of which [`HOUR_US`] are a nano-dollar. Saturates, far beyond what a [`Nanodollars`] holds.
fn parts(counts: Counts, rates: &Rates) -> u128 {
    let mut sum: u128 = 0;
    for (at, (count, rate)) in counts.into_iter().zip(rates.numbers()).enumerate() {
        let scale = if at < FIRST_BY_ONE { HOUR_US / MILLION } else { HOUR_US };
        // Two 64-bit numbers fit.
        let product = u128::from(count) * u128::from(rate);
        sum = sum.saturating_add(product.saturating_mul(u128::from(scale)));
    }
    sum
}

impl Price {
    /// The rates for a prompt of so many tokens.
    #[must_use]
    pub fn rates_at(&self, prompt: u64) -> &Rates {
        self.steps.iter().rev().find(|step| prompt > step.above).map_or(&self.rates, |step| &step.rates)
    }

    /// What `usage` costs that kept the origin's GPUs busy for so many micro-seconds, rounded once, half up. Saturates at
    /// `u64::MAX` (18 billion dollars).
    #[must_use]
    pub fn cost(&self, usage: &Usage, busy_us: u64) -> Nanodollars {
        self.rounded(parts(classes(usage), self.rates_at(usage.prompt)), busy_us)
    }

    /// The most that a request can cost with at most so many tokens and images, and so many milliseconds of the origin's
    /// GPUs: every token is of the dearest class. Saturates like [`Price::cost`].
    #[must_use]
    pub fn bound(&self, prompt: u64, completion: u64, images: u64, busy_ms: u64) -> Nanodollars {
        let reached = self.steps.iter().filter(|step| prompt > step.above).map(|step| &step.rates);
        let bounds = reached.chain([&self.rates]).map(|rates| {
            let of = |classes: &[u64]| classes.iter().copied().fold(0, u64::max);
            let numbers = rates.numbers();
            let dearest = Rates {
                input: of(&numbers[..FIRST_OF_COMPLETION]),
                output: of(&numbers[FIRST_OF_COMPLETION..FIRST_BY_ONE]),
                ..*rates
            };
            parts(classes(&Usage { prompt, completion, images, ..Usage::default() }), &dearest)
        });
        self.rounded(bounds.fold(0, u128::max), busy_ms.saturating_mul(1000))
    }

    fn rounded(&self, parts: u128, busy_us: u64) -> Nanodollars {
        let time = u128::from(busy_us) * u128::from(self.gpu_hour);
        let (hour, sum) = (u128::from(HOUR_US), parts.saturating_add(time));
        let nano = sum.saturating_add(hour / 2) / hour;
        Nanodollars(u64::try_from(nano).unwrap_or(u64::MAX))
    }
}

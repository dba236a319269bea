//! From logits to a token.
//!
//! A choice depends on the logits, the request's parameters, its seed and the token's position in the answer, and on
//! nothing else: neither the batch nor the history of a generator can change it.

use super::candidates;
use crate::engine::{Best, TokenId};
use std::cmp::Ordering;
use std::collections::HashMap;

/// How to choose. The defaults are `OpenAI`'s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Keeps the smallest set of likeliest tokens whose probabilities sum to at least this.
    pub top_p: f64,
    /// Keeps so many likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Taken off the logit of a token once for each time it was generated.
    pub frequency_penalty: f32,
    /// Taken off the logit of a token that was generated at all.
    pub presence_penalty: f32,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            seed: 0,
        }
    }
}

/// The logits hold a NaN, or none that is finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANumber;

/// Chooses tokens for one request.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    generated: HashMap<TokenId, u32>,
    position: u64,
}

impl Sampler {
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        Self::after(sampling, &[])
    }

    /// Goes on where another sampler has chosen `tokens`.
    #[must_use]
    pub fn after(sampling: Sampling, tokens: &[TokenId]) -> Self {
        let mut sampler = Self { sampling, generated: HashMap::new(), position: 0 };
        tokens.iter().for_each(|&token| sampler.count(token));
        sampler
    }

    fn penalises(&self) -> bool {
        self.sampling.frequency_penalty != 0.0 || self.sampling.presence_penalty != 0.0
    }

    fn count(&mut self, token: TokenId) {
        if self.penalises() {
            *self.generated.entry(token).or_default() += 1;
        }
        self.position += 1;
    }

    /// What is taken off the logit of a token that was generated `count` times.
    fn penalty(&self, count: u32) -> f32 {
        let Sampling { frequency_penalty, presence_penalty, .. } = self.sampling;
        #[expect(clippy::cast_precision_loss, reason = "below the context length")]
        let count = count as f32;
        count * frequency_penalty + presence_penalty
    }

    /// The next token, of one row of logits (changed in place by penalties).
    ///
    /// # Errors
    /// [`NotANumber`]; nothing was chosen then.
    pub fn next(&mut self, logits: &mut [f32]) -> Result<TokenId, NotANumber> {
        for (&token, &count) in &self.generated {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= self.penalty(count);
            }
        }
        let token = choose(logits, &self.sampling, self.position)?;
        self.count(token);
        Ok(token)
    }

    /// The same token without the row, or `None` and no change where it takes the row to tell ([`Self::next`]).
    pub fn next_of(&mut self, best: &Best<'_>) -> Option<TokenId> {
        let penalty = |token| self.generated.get(&token).map(|&count| self.penalty(count));
        let known = best.candidates.iter().filter(|candidate| self.generated.contains_key(&candidate.token));
        let others_fall = known.count() < self.generated.len();
        if others_fall && self.sampling.frequency_penalty.min(self.sampling.presence_penalty) < 0.0 {
            return None;
        }
        let token = candidates::choose(best, &self.sampling, self.position, penalty, others_fall)?;
        self.count(token);
        Some(token)
    }
}

/// The token that `logits` yield at `position` of the answer.
fn choose(logits: &[f32], sampling: &Sampling, position: u64) -> Result<TokenId, NotANumber> {
    let best = likeliest(logits)?;
    if sampling.temperature <= 0.0 || sampling.top_k == 1 {
        return Ok(best);
    }
    let top = f64::from(logits[best as usize]);
    let temperature = f64::from(sampling.temperature);
    let weight = |token: TokenId| ((f64::from(logits[token as usize]) - top) / temperature).exp();
    let point = uniform(sampling.seed, position);

    let tokens = 0..TokenId::try_from(logits.len()).unwrap_or(TokenId::MAX);
    if sampling.top_k == 0 && sampling.top_p >= 1.0 {
        return Ok(pick(tokens.map(|token| (token, weight(token))), point).unwrap_or(best));
    }
    let mut ranked: Vec<TokenId> = tokens.collect();
    let mut kept = if sampling.top_k == 0 { ranked.len() } else { sampling.top_k.min(ranked.len()) };
    let order = |a: &TokenId, b: &TokenId| by_likelihood(logits, *a, *b);
    if sampling.top_p >= 1.0 {
        rank(&mut ranked, kept, order);
    } else {
        // The mass is that of all tokens which top_k leaves. To sort them all would take 10 ms with a vocabulary of
        // 200,000, so sort the head and go on only if it does not hold enough.
        let mut head = kept.min(256);
        rank(&mut ranked, kept, |_, _| Ordering::Equal);
        if kept < ranked.len() {
            ranked.select_nth_unstable_by(kept - 1, order);
            ranked.truncate(kept);
        }
        ranked.sort_unstable(); // One order of summation, whatever the selection did.
        let mass: f64 = ranked.iter().map(|&token| weight(token)).sum();
        let enough = sampling.top_p * mass;
        kept = loop {
            rank(&mut ranked, head, order);
            let mut sum = 0.0;
            let within = ranked[..head].iter().position(|&token| {
                sum += weight(token);
                sum >= enough
            });
            match within {
                Some(last) => break last + 1,
                None if head == ranked.len() => break head,
                None => head = (head * 8).min(ranked.len()),
            }
        };
    }
    Ok(pick(ranked[..kept].iter().map(|&token| (token, weight(token))), point).unwrap_or(best))
}

/// Brings the first `count` of the order to the front, sorted.
fn rank(tokens: &mut [TokenId], count: usize, order: impl Fn(&TokenId, &TokenId) -> Ordering) {
    if count < tokens.len() && count > 0 {
        tokens.select_nth_unstable_by(count - 1, &order);
    }
    tokens[..count].sort_unstable_by(order);
}

/// Likelier first; the lower id where two are alike.
fn by_likelihood(logits: &[f32], a: TokenId, b: TokenId) -> Ordering {
    logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b))
}

fn likeliest(logits: &[f32]) -> Result<TokenId, NotANumber> {
    let mut best = 0;
    let mut top = f32::NEG_INFINITY;
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return Err(NotANumber);
        }
        if logit > top {
            (best, top) = (token, logit);
        }
    }
    if top.is_finite() { TokenId::try_from(best).map_err(|_| NotANumber) } else { Err(NotANumber) }
}

/// The token in whose part of the summed weights `point` (in `[0, 1)`) falls.
pub(super) fn pick(weighted: impl Iterator<Item = (TokenId, f64)> + Clone, point: f64) -> Option<TokenId> {
    let total: f64 = weighted.clone().map(|(_, weight)| weight).sum();
    let mut left = point * total;
    let mut last = None;
    for (token, weight) in weighted {
        if weight > 0.0 {
            last = Some(token);
            if left < weight {
                break;
            }
            left -= weight;
        }
    }
    last
}

/// A number in `[0, 1)` for a seed and a position: `SplitMix64`'s finaliser over both (Steele, Lea, Flood 2014).
pub(super) fn uniform(seed: u64, position: u64) -> f64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let bits = mix(mix(seed.wrapping_add(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(position.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64")]
    let bits = (bits >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits_of(probabilities: &[f64]) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "test data")]
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    fn counts(logits: &[f32], sampling: &Sampling, draws: u64) -> Vec<u64> {
        let mut counts = vec![0; logits.len()];
        for position in 0..draws {
            counts[choose(logits, sampling, position).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_lowest_of_the_likeliest() {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        assert_eq!(choose(&[0.0, 3.0, 3.0, -1.0], &sampling, 0), Ok(1));
        let sampling = Sampling { top_k: 1, ..Sampling::default() };
        assert_eq!(choose(&[0.0, 3.0, 3.0, -1.0], &sampling, 0), Ok(1));
        assert_eq!(choose(&[f32::NEG_INFINITY, -9.0], &sampling, 0), Ok(1));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for logits in [&[1.0, f32::NAN][..], &[f32::NEG_INFINITY; 2], &[f32::INFINITY, 0.0], &[]] {
            for temperature in [0.0, 1.0] {
                let sampling = Sampling { temperature, ..Sampling::default() };
                assert_eq!(choose(logits, &sampling, 0), Err(NotANumber), "{logits:?}");
            }
        }
    }

    /// Pearson's χ² with 3 degrees of freedom stays below 16.27 in 99.9 % of samples; the seeds are fixed.
    #[test]
    fn frequencies_follow_the_probabilities() {
        let p = [0.5, 0.25, 0.15, 0.1];
        let logits = logits_of(&p);
        for seed in 0..5 {
            let draws = 20_000;
            let counts = counts(&logits, &Sampling { seed, ..Sampling::default() }, draws);
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let chi: f64 = counts
                .iter()
                .zip(p)
                .map(|(&n, p)| (n as f64 - p * draws as f64).powi(2) / (p * draws as f64))
                .sum();
            assert!(chi < 16.27, "seed {seed}: {chi} {counts:?}");
        }
    }

    #[test]
    fn the_tail_is_cut() {
        let logits = logits_of(&[0.1, 0.5, 0.15, 0.25]);
        let kept = |sampling: &Sampling| -> Vec<bool> {
            counts(&logits, sampling, 2_000).into_iter().map(|n| n > 0).collect()
        };
        let default = Sampling::default();
        let cases = [
            (Sampling { top_k: 2, ..default }, [false, true, false, true]),
            (Sampling { top_k: 9, ..default }, [true; 4]),
            (Sampling { top_p: 0.49, ..default }, [false, true, false, false]),
            (Sampling { top_p: 0.6, ..default }, [false, true, false, true]),
            (Sampling { top_p: 0.0, ..default }, [false, true, false, false]),
            // After top_k, the masses are of what is left: 2/3 and 1/3.
            (Sampling { top_k: 2, top_p: 0.6, ..default }, [false, true, false, false]),
            (Sampling { top_k: 2, top_p: 0.7, ..default }, [false, true, false, true]),
        ];
        for (sampling, expected) in cases {
            assert_eq!(kept(&sampling), expected, "{sampling:?}");
        }
    }

    #[test]
    fn a_short_head_gives_what_a_full_sort_gives() {
        // Flat logits over many tokens: 0.9 of the mass needs far more than the first 256.
        #[expect(clippy::cast_precision_loss, reason = "test data")]
        let logits: Vec<f32> = (0..5_000).map(|i| ((i * 7_919) % 5_000) as f32 * 1e-4).collect();
        let mut sorted: Vec<TokenId> = (0..5_000).collect();
        sorted.sort_by(|&a, &b| by_likelihood(&logits, a, b));
        let weights: Vec<f64> = sorted.iter().map(|&t| f64::from(logits[t as usize]).exp()).collect();
        let mass: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let kept = weights
            .iter()
            .position(|w| {
                sum += w;
                sum >= 0.9 * mass
            })
            .unwrap()
            + 1;
        let sampling = Sampling { top_p: 0.9, ..Sampling::default() };
        for position in 0..200 {
            let token = choose(&logits, &sampling, position).unwrap();
            let place = sorted.iter().position(|&t| t == token).unwrap();
            assert!(place < kept, "{place} of {kept}");
            let by_sort =
                pick(sorted[..kept].iter().copied().zip(weights.iter().copied()), uniform(0, position));
            assert_eq!(Some(token), by_sort);
        }
    }

    #[test]
    fn a_cold_temperature_is_greedy_and_never_overflows() {
        let sampling = Sampling { temperature: 1e-6, ..Sampling::default() };
        assert_eq!(counts(&[1.0e4, 1.0e4 - 1.0, -1.0e30], &sampling, 100), [100, 0, 0]);
    }

    #[test]
    fn seed_and_position_decide() {
        let logits = vec![0.0; 1_000];
        let run = |seed| -> Vec<TokenId> {
            let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() });
            (0..20).map(|_| sampler.next(&mut logits.clone()).unwrap()).collect()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn penalties_count_what_was_generated() {
        let sampling = Sampling {
            temperature: 0.0,
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(sampling);
        let row = [2.0, 1.5, 0.9];
        // 2.0, then 1.25 after one use; 1.5 wins and falls to 0.75; 1.25, then 0.75; then 0.9.
        let tokens: Vec<_> = (0..4).map(|_| sampler.next(&mut row.clone()).unwrap()).collect();
        assert_eq!(tokens, [0, 1, 0, 2]);
    }

    #[test]
    fn a_sampler_goes_on_where_another_was() {
        let sampling =
            Sampling { seed: 3, frequency_penalty: 0.1, presence_penalty: 0.3, ..Sampling::default() };
        let row = logits_of(&[0.2; 5]);
        let mut sampler = Sampler::new(sampling);
        let tokens: Vec<_> = (0..30).map(|_| sampler.next(&mut row.clone()).unwrap()).collect();
        for cut in 0..30 {
            let mut sampler = Sampler::after(sampling, &tokens[..cut]);
            let rest: Vec<_> = (cut..30).map(|_| sampler.next(&mut row.clone()).unwrap()).collect();
            assert_eq!(rest, tokens[cut..], "after {cut}");
        }
    }
}

//! From a row's best candidates to the token that the whole row would yield ([`super::sample`]), where they decide it.
//!
//! The whole row's choice is a function of all logits. Of those that are not at hand it is known that each comes after the last
//! candidate, and, from the row's sum of exponentials, how much they weigh together: more or less exactly, as the temperature is
//! near 1. A choice that is the same for all that they can be, and for all that rounding can do, is the whole row's.

use super::sample::{Sampling, pick, uniform};
use crate::engine::{Best, Candidate, LOG_SUM_EXP_ERROR, TokenId};
use std::ops::RangeInclusive;

/// How far, relative to a sum of weights, the whole row's may be from it: in `f64` the additions of 2²⁰ tokens stay below 2⁻³².
const ROUNDING: f64 = 1e-9;
/// The same of a bound on the others' weight, which goes through a logarithm.
const BOUND_ROUNDING: f64 = 1e-6;

/// What is known of a row. Weights are relative to the likeliest token's, and by the temperature.
struct Row {
    /// By [`Candidate::order`], after penalties.
    candidates: Vec<Candidate>,
    /// So many of them come before all other tokens.
    ranked: usize,
    vocab_size: usize,
    /// What the others can weigh together.
    others: RangeInclusive<f64>,
    top: f64,
    temperature: f64,
}

/// The token that the whole row would yield at `position` of the answer. `penalty` is what is taken off a token's logit, if
/// anything is; `others_fall` says whether something is taken off tokens that are no candidates (nothing may be added to those).
pub(super) fn choose(
    best: &Best<'_>,
    sampling: &Sampling,
    position: u64,
    penalty: impl Fn(TokenId) -> Option<f32>,
    others_fall: bool,
) -> Option<TokenId> {
    let last = best.candidates.last().filter(|_| best.is_finite && best.log_sum_exp.is_finite())?;
    let mut candidates = best.candidates.to_vec();
    for candidate in &mut candidates {
        if let Some(penalty) = penalty(candidate.token) {
            candidate.logit -= penalty;
        }
    }
    candidates.sort_unstable_by(Candidate::order);
    let others = best.vocab_size.saturating_sub(candidates.len());
    let ranked = match others {
        0 => candidates.len(),
        _ => candidates.partition_point(|candidate| candidate.order(last).is_le()),
    };
    let top = candidates[..ranked].first()?.logit;
    if sampling.temperature <= 0.0 || sampling.top_k == 1 {
        // Both zeros are alike there, and may be among the others.
        let is_hidden = others > 0 && top == 0.0 && last.logit == 0.0;
        let alike = candidates[..ranked].iter().take_while(|candidate| candidate.logit == top);
        return alike.map(|candidate| candidate.token).min().filter(|_| !is_hidden);
    }
    let (top, temperature) = (f64::from(top), f64::from(sampling.temperature));
    let others = others_weigh(best, others, top, temperature, others_fall);
    let row = Row { candidates, ranked, vocab_size: best.vocab_size, others, top, temperature };
    let point = uniform(sampling.seed, position);
    if sampling.top_k == 0 && sampling.top_p >= 1.0 {
        row.in_order_of_tokens(point)
    } else {
        row.in_order_of_likelihood(sampling, point)
    }
}

/// What tokens that are no candidates can weigh together, `count` of them, relative to a logit of `top` and by the temperature.
fn others_weigh(
    best: &Best<'_>,
    count: usize,
    top: f64,
    temperature: f64,
    others_fall: bool,
) -> RangeInclusive<f64> {
    let [Some(first), Some(last)] =
        [best.candidates.first(), best.candidates.last()].map(|c| c.map(|c| f64::from(c.logit)))
    else {
        return 0.0..=f64::INFINITY;
    };
    if count == 0 {
        return 0.0..=0.0;
    }
    // At temperature 1, relative to the first before penalties: what is left of the sum.
    let known: f64 = best.candidates.iter().map(|c| (f64::from(c.logit) - first).exp()).sum();
    let left = |error: f64| ((best.log_sum_exp + error - first).exp() - known).max(0.0).ln();
    let (least, most) = (left(-LOG_SUM_EXP_ERROR), left(LOG_SUM_EXP_ERROR));
    #[expect(clippy::cast_precision_loss, reason = "a vocabulary's size")]
    let count = (count as f64).ln();
    let power = 1.0 / temperature;
    // Weights w, each at most the last candidate's, with a known sum. Their powers' sum is at one end where all are alike (power
    // means), at the other where each is as large as it can be (w^p = w · w^(p-1)).
    let alike = |sum: f64| count + power * (sum - count + first - top);
    let largest = |sum: f64| sum + (first - last) + power * (last - top);
    let each = count + power * (last - top);
    let (least, most) =
        if power >= 1.0 { (alike(least), largest(most)) } else { (largest(least), alike(most)) };
    let most = most.min(each).exp() * (1.0 + BOUND_ROUNDING);
    let least = if others_fall { 0.0 } else { (least.exp() * (1.0 - BOUND_ROUNDING)).min(most) };
    least..=most
}

impl Row {
    fn weight(&self, candidate: &Candidate) -> f64 {
        ((f64::from(candidate.logit) - self.top) / self.temperature).exp()
    }

    /// What all candidates weigh.
    fn known(&self) -> f64 {
        self.candidates.iter().map(|candidate| self.weight(candidate)).sum()
    }

    /// All tokens stand in the order of their numbers, and the others anywhere between the candidates.
    fn in_order_of_tokens(&self, point: f64) -> Option<TokenId> {
        let (known, others) = (self.known(), *self.others.end());
        let margin = ROUNDING * (known + others);
        let mut candidates: Vec<&Candidate> = self.candidates.iter().collect();
        candidates.sort_unstable_by_key(|candidate| candidate.token);
        let mut before = 0.0;
        for candidate in candidates {
            let weight = self.weight(candidate);
            // The point is surely behind what is before it, all others among that, and surely not behind itself, none among it.
            let is_behind = before + (1.0 - point) * others + margin <= point * known;
            let is_within = point * (known + others) + margin < before + weight;
            if is_behind && is_within {
                return Some(candidate.token);
            }
            before += weight;
        }
        None
    }

    /// The likeliest are kept, so many as `top_k` and `top_p` say, and stand in that order.
    fn in_order_of_likelihood(&self, sampling: &Sampling, point: f64) -> Option<TokenId> {
        let top_k = if sampling.top_k == 0 { self.vocab_size } else { sampling.top_k.min(self.vocab_size) };
        let ranked = &self.candidates[..self.ranked];
        let weighted = |count: usize| ranked[..count].iter().map(|c| (c.token, self.weight(c)));
        // What those that top_k leaves weigh.
        let (least, most) = if let Some(left) = ranked.get(..top_k) {
            let mut left = left.to_vec();
            left.sort_unstable_by_key(|candidate| candidate.token); // As the whole row sums.
            let mass: f64 = left.iter().map(|candidate| self.weight(candidate)).sum();
            (mass, mass)
        } else {
            let is_all = top_k == self.vocab_size;
            let least = if is_all {
                self.known() + self.others.start()
            } else {
                weighted(self.ranked).map(|(_, weight)| weight).sum()
            };
            (least * (1.0 - ROUNDING), (self.known() + self.others.end()) * (1.0 + ROUNDING))
        };
        if sampling.top_p >= 1.0 {
            if top_k <= self.ranked {
                return pick(weighted(top_k), point);
            }
            let walk = |mass: f64| {
                let mut left = point * mass;
                ranked.iter().position(|candidate| {
                    let weight = self.weight(candidate);
                    let is_here = left < weight;
                    left -= weight;
                    is_here
                })
            };
            return walk(least).filter(|at| walk(most) == Some(*at)).map(|at| ranked[at].token);
        }
        // More that are kept can only move the choice back: if the fewest and the most yield the same, so do all between.
        let kept = |enough: f64| {
            let mut sum = 0.0;
            let within = weighted(top_k.min(self.ranked)).position(|(_, weight)| {
                sum += weight;
                sum >= enough
            });
            within.map(|last| last + 1).or((top_k <= self.ranked).then_some(top_k))
        };
        let fewest = pick(weighted(kept(sampling.top_p * least)?), point)?;
        let most = pick(weighted(kept(sampling.top_p * most)?), point)?;
        (fewest == most).then_some(fewest)
    }
}

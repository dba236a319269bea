//! Which experts each token goes through, and with what weight.
//!
//! **Invariant**: a token's experts, their order and their weights depend on its own logits alone. Higher logits come
//! first, of equal ones the expert with the lower index. Where one is not finite all weights are NaN, so that the token
//! comes out as NaN and is noticed.

use moe_kernels::elementwise;

use super::pool::{Pool, TOKENS};
use crate::model::decoder::{Config, Score};

/// One of a token's experts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Choice {
    pub(super) expert: usize,
    /// Of the expert's input or output, as [`Score`] says.
    pub(super) weight: f32,
    /// The token's place among those of this expert.
    pub(super) place: usize,
}

/// What goes through one expert: tokens of the batch in rising order, and the weight of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Assigned {
    pub(super) tokens: Vec<usize>,
    pub(super) weights: Vec<f32>,
}

/// The same seen from both sides.
#[derive(Debug)]
pub(super) struct Routing {
    /// By expert.
    pub(super) experts: Vec<Assigned>,
    /// Token after token, each one's experts by rank.
    choices: Vec<Choice>,
    used: usize,
}

impl Routing {
    /// From the router's `logits`, token after token.
    pub(super) fn new(pool: &Pool, config: &Config, logits: &[f32]) -> Self {
        let used = config.experts_used;
        let experts = config.experts;
        let count = logits.len() / experts;
        let mut choices = vec![Choice::default(); count * used];
        let tasks = choices.chunks_mut(TOKENS * used).zip(logits.chunks(TOKENS * experts)).collect();
        pool.for_each(tasks, Vec::new, |(choices, rows), best| {
            for (choices, row) in choices.chunks_exact_mut(used).zip(rows.chunks_exact(experts)) {
                highest(row, used, best);
                weigh(config.score, best);
                // The sigmoid of an infinite one is a number, and an expert that is never chosen shows nowhere.
                if row.iter().any(|logit| !logit.is_finite()) {
                    best.iter_mut().for_each(|(_, weight)| *weight = f32::NAN);
                }
                for (choice, (expert, weight)) in choices.iter_mut().zip(&*best) {
                    *choice = Choice { expert: *expert, weight: *weight, place: 0 };
                }
            }
        });
        let mut experts = vec![Assigned::default(); config.experts];
        for (token, choices) in choices.chunks_exact_mut(used).enumerate() {
            for choice in choices {
                let assigned = &mut experts[choice.expert];
                choice.place = assigned.tokens.len();
                assigned.tokens.push(token);
                assigned.weights.push(choice.weight);
            }
        }
        Self { experts, choices, used }
    }

    /// The token's experts by rank.
    pub(super) fn of(&self, token: usize) -> &[Choice] {
        &self.choices[token * self.used..(token + 1) * self.used]
    }
}

/// Index and value of the `count` first in order.
fn highest(values: &[f32], count: usize, best: &mut Vec<(usize, f32)>) {
    let goes_before = |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan());
    best.clear();
    for (index, value) in values.iter().enumerate() {
        let at = best.iter().rposition(|(_, other)| !goes_before(*value, *other)).map_or(0, |last| last + 1);
        if at < count {
            best.truncate(count - 1);
            best.insert(at, (index, *value));
        }
    }
}

/// Makes weights of the chosen logits.
fn weigh(score: Score, chosen: &mut [(usize, f32)]) {
    match score {
        Score::SigmoidOnInput => {
            for (_, value) in chosen {
                *value = elementwise::sigmoid(*value);
            }
        }
        Score::SoftmaxOnOutput => {
            let most = chosen.first().map_or(0.0, |(_, value)| *value);
            let mut sum = 0.0;
            for (_, value) in chosen.iter_mut() {
                *value = elementwise::exp(*value - most);
                sum += *value;
            }
            for (_, value) in chosen {
                *value /= sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(values: &[f32], count: usize) -> Vec<usize> {
        let mut best = vec![(9, 9.0)];
        highest(values, count, &mut best);
        best.into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn higher_logits_come_first_and_of_equals_the_lower_index() {
        assert_eq!(first(&[1.0, 3.0, 3.0], 1), [1]);
        assert_eq!(first(&[-1.0], 1), [0]);
        assert_eq!(first(&[f32::NEG_INFINITY; 3], 2), [0, 1]);
        assert_eq!(first(&[1.0, 4.0, 2.0, 4.0, 0.0, 4.0, 3.0], 4), [1, 3, 5, 6]);
        assert_eq!(first(&[0.0, -0.0, 0.0], 3), [0, 1, 2]);
        assert_eq!(first(&[2.0, 1.0, 2.0, 1.0], 4), [0, 2, 1, 3]);
    }

    #[test]
    fn a_nan_comes_before_all_and_spoils_the_weights() {
        let nan = f32::NAN;
        for (values, expected) in
            [([nan; 3], [0, 1]), ([1.0, nan, f32::INFINITY], [1, 2]), ([3.0, 1.0, nan], [2, 0])]
        {
            assert_eq!(first(&values, 2), expected, "{values:?}");
            let mut best = Vec::new();
            highest(&values, 2, &mut best);
            weigh(Score::SoftmaxOnOutput, &mut best);
            assert!(best.iter().all(|(_, weight)| weight.is_nan()), "{values:?}: {best:?}");
        }
    }

    #[test]
    fn both_sides_agree_whatever_the_batch() {
        use crate::model::decoder::{Attention, QkNorm, RopePairs};
        let config = Config {
            vocab_size: 1,
            hidden: 1,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: 2,
            attention: Attention::Full,
            qk_norm: QkNorm::Weighted,
            rope_pairs: RopePairs::Halves,
            rope_theta: 1e4,
            rope_factors: None,
            dense_ff: 0,
            moe_step: 1,
            experts: 7,
            experts_used: 3,
            expert_ff: 1,
            shared_expert: false,
            score: Score::SoftmaxOnOutput,
            norm_eps: 1e-6,
            context_length: 1,
        };
        let pool = Pool::new(2).unwrap();
        let logit = |expert: usize, token: usize| ((expert * 5 + token * 3) % 11) as f32;
        let logits = |tokens: std::ops::Range<usize>| -> Vec<f32> {
            tokens.flat_map(|t| (0..7).map(move |e| logit(e, t))).collect()
        };
        let all = Routing::new(&pool, &config, &logits(0..40));
        for token in 0..40 {
            let weights: Vec<f32> = all.of(token).iter().map(|choice| choice.weight).collect();
            assert!(weights.is_sorted_by(|a, b| a >= b) && (weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            for choice in all.of(token) {
                let assigned = &all.experts[choice.expert];
                assert_eq!(assigned.tokens[choice.place], token);
                assert_eq!(assigned.weights[choice.place].to_bits(), choice.weight.to_bits());
            }
            let alone = Routing::new(&pool, &config, &logits(token..token + 1));
            for (alone, among) in alone.of(0).iter().zip(all.of(token)) {
                assert_eq!((alone.expert, alone.weight.to_bits()), (among.expert, among.weight.to_bits()));
            }
        }
        assert_eq!(all.experts.iter().map(|assigned| assigned.tokens.len()).sum::<usize>(), 40 * 3);
        assert!(all.experts.iter().all(|assigned| assigned.tokens.is_sorted()));
    }
}

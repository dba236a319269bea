//! Feed-forward layers: dense ones, and mixtures of experts, each expert run once per step over all its tokens.

use moe_kernels::{Isa, elementwise, matmul::Activations, padded};

use super::{
    pool::Pool,
    products::{Product, by_token, for_each_token, run},
    routing::Routing,
};
use crate::model::decoder::{Config, Gated, Score, Tensor};

/// A feed-forward network and what goes through it.
pub(super) struct Routed<'a> {
    pub(super) weights: &'a Gated,
    /// Which of a stack of experts.
    pub(super) index: usize,
    pub(super) input: Activations<'a>,
}

/// `down(silu(gate(x)) · up(x))` for each of `all`: token after token, `padded(rows)` apart.
pub(super) fn gated(pool: &Pool, isa: Isa, all: &[Routed<'_>]) -> Vec<Vec<f32>> {
    let room = |one: &Routed<'_>, rows: usize| vec![0.0; rows * one.input.count()];
    let mut inner: Vec<_> = all.iter().map(|one| room(one, one.weights.up.shape()[1])).collect();
    let products = all.iter().zip(&mut inner).map(|(one, out)| Product {
        w: one.weights.up.weights(one.index),
        gate: Some(one.weights.gate.weights(one.index)),
        x: one.input,
        out,
    });
    run(pool, isa, products.collect());
    let by_token_all = |rows: Vec<Vec<f32>>| -> Vec<Vec<f32>> {
        rows.iter().zip(all).map(|(rows, one)| by_token(pool, rows, one.input.count())).collect()
    };
    let inner = by_token_all(inner);

    let mut outer: Vec<_> = all.iter().map(|one| room(one, one.weights.down.shape()[1])).collect();
    let products = all.iter().zip(&inner).zip(&mut outer).map(|((one, inner), out)| {
        let w = one.weights.down.weights(one.index);
        Product { w, gate: None, x: Activations::new(inner, one.input.count(), w.columns()), out }
    });
    run(pool, isa, products.collect());
    by_token_all(outer)
}

/// The routed experts' share of each token of `x`, plus the shared expert's where there is one. A token's experts are
/// added up by rank, on top of the shared one.
pub(super) fn mixture(
    pool: &Pool,
    isa: Isa,
    config: &Config,
    router: &Tensor,
    (experts, shared): (&Gated, Option<&Gated>),
    x: &[f32],
) -> Vec<f32> {
    let stride = padded(config.hidden);
    let count = x.len() / stride;
    let input = Activations::new(x, count, config.hidden);
    let mut logits = vec![0.0; config.experts * count];
    run(pool, isa, vec![Product { w: router.weights(0), gate: None, x: input, out: &mut logits }]);
    let routing = Routing::new(pool, config, &logits, count);
    let inputs = gather(pool, config, &routing, x);

    let mut all: Vec<_> = shared.map(|weights| Routed { weights, index: 0, input }).into_iter().collect();
    let mut numbers = vec![0; config.experts];
    for (index, rows) in inputs.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        numbers[index] = all.len();
        let input = Activations::new(rows, rows.len() / stride, config.hidden);
        all.push(Routed { weights: experts, index, input });
    }
    let mut outputs = gated(pool, isa, &all);
    let mut sum = if shared.is_some() { std::mem::take(&mut outputs[0]) } else { vec![0.0; x.len()] };
    for_each_token(pool, &mut sum, stride, |t, sum| {
        for choice in routing.of(t) {
            let rows = &outputs[numbers[choice.expert]];
            let row = &rows[choice.place * stride..(choice.place + 1) * stride];
            match config.score {
                Score::SigmoidOnInput => elementwise::add(sum, row),
                Score::SoftmaxOnOutput => elementwise::add_scaled(sum, row, choice.weight),
            }
        }
    });
    sum
}

/// Each expert's tokens' rows of `x`, scaled where the weight is the input's.
fn gather(pool: &Pool, config: &Config, routing: &Routing, x: &[f32]) -> Vec<Vec<f32>> {
    let stride = padded(config.hidden);
    let mut inputs: Vec<Vec<f32>> = vec![Vec::new(); config.experts];
    let tasks = inputs.iter_mut().zip(&routing.experts).collect();
    pool.for_each(
        tasks,
        || (),
        |(rows, assigned), ()| {
            rows.reserve_exact(assigned.tokens.len() * stride);
            for (token, weight) in assigned.tokens.iter().zip(&assigned.weights) {
                let row = &x[token * stride..(token + 1) * stride];
                match config.score {
                    Score::SigmoidOnInput => rows.extend(row.iter().map(|x| weight * x)),
                    Score::SoftmaxOnOutput => rows.extend_from_slice(row),
                }
            }
        },
    );
    inputs
}

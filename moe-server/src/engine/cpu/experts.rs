//! Feed-forward layers: dense ones, and mixtures of experts, each expert run once per step over all its tokens.

use moe_kernels::{Isa, elementwise, matmul::Activations, padded};

use super::{
    pool::Pool,
    products::{Product, by_token, for_each_token, run},
};
use crate::model::llama4::{Config, Gated, Tensor};

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
        w: one.weights.up.matrix(one.index),
        gate: Some(one.weights.gate.matrix(one.index)),
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
        let w = one.weights.down.matrix(one.index);
        Product { w, gate: None, x: Activations::new(inner, one.input.count(), w.columns()), out }
    });
    run(pool, isa, products.collect());
    by_token_all(outer)
}

/// The index of the highest value, of the first of equals; of the first NaN where there is one, so that the token it
/// belongs to comes out as NaN and is noticed.
fn highest(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value.is_nan() {
            return (index, value);
        }
        if value > best.1 {
            best = (index, value);
        }
    }
    best
}

/// `expert(s · x) + shared(x)` for each token of `x`, where the expert is the one with the highest router logit and `s`
/// that logit's sigmoid.
pub(super) fn mixture(
    pool: &Pool,
    isa: Isa,
    config: &Config,
    router: &Tensor,
    (experts, shared): (&Gated, &Gated),
    x: &[f32],
) -> Vec<f32> {
    let stride = padded(config.hidden);
    let count = x.len() / stride;
    let input = Activations::new(x, count, config.hidden);
    let mut logits = vec![0.0; config.experts * count];
    run(pool, isa, vec![Product { w: router.matrix(0), gate: None, x: input, out: &mut logits }]);

    // For each expert its tokens' scaled inputs, and for each token its expert and its place there.
    let mut inputs: Vec<Vec<f32>> = vec![Vec::new(); config.experts];
    let mut places = Vec::with_capacity(count);
    for (t, row) in x.chunks_exact(stride).enumerate() {
        let (expert, top) = highest((0..config.experts).map(|e| logits[e * count + t]));
        let score = elementwise::sigmoid(top);
        let rows = &mut inputs[expert];
        places.push((expert, rows.len() / stride));
        rows.extend(row.iter().map(|x| score * x));
    }

    let mut all = vec![Routed { weights: shared, index: 0, input }];
    let mut numbers = vec![0; config.experts];
    for (index, rows) in inputs.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        numbers[index] = all.len();
        let input = Activations::new(rows, rows.len() / stride, config.hidden);
        all.push(Routed { weights: experts, index, input });
    }
    let mut outputs = gated(pool, isa, &all);
    let mut sum = std::mem::take(&mut outputs[0]);
    for_each_token(pool, &mut sum, stride, |t, sum| {
        let (expert, place) = places[t];
        let routed = &outputs[numbers[expert]];
        elementwise::add(sum, &routed[place * stride..(place + 1) * stride]);
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::highest;

    #[test]
    fn the_router_takes_the_first_of_equals_and_the_first_nan() {
        assert_eq!(highest([1.0, 3.0, 3.0].into_iter()), (1, 3.0));
        assert_eq!(highest([-1.0].into_iter()), (0, -1.0));
        for (values, first) in [([f32::NAN; 3], 0), ([1.0, f32::NAN, 3.0], 1), ([3.0, 1.0, f32::NAN], 2)] {
            let (index, value) = highest(values.into_iter());
            assert!(index == first && value.is_nan(), "{values:?}: {index} {value}");
        }
    }
}

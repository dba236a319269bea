//! Feed-forward layers: dense ones, and mixtures of experts, each expert run once per step over all its tokens.

use moe_kernels::{elementwise, packed::Columns, padded};

use super::{
    buffers::Buffer,
    inputs::{Forms, Input, Picked, Source},
    machine::Machine,
    products::{Product, run},
    routing::Routing,
};
use crate::model::decoder::{Config, Gated, Score, Tensor};

/// A feed-forward network and what goes through it.
struct Routed<'a> {
    weights: &'a Gated,
    /// Which of a stack of experts.
    index: usize,
    input: &'a Input<'a>,
}

/// One product for each of `all`, its results after those of the one before: rows of `columns`, `padded(columns)` apart.
fn multiply<'a, 'm>(
    machine: &Machine<'m>,
    columns: usize,
    all: impl Iterator<Item = (&'a Gated, usize, &'a Input<'a>)> + Clone,
    weights: impl Fn(&'a Gated) -> (&'a Tensor, Option<&'a Tensor>),
) -> Buffer<'m> {
    let stride = padded(columns);
    let count = all.clone().map(|(.., input)| input.count()).sum();
    let mut results = machine.buffers.rows(count, columns);
    let mut rest = &mut results[..];
    let products = all.map(|(gated, index, input)| {
        let (mine, after) = std::mem::take(&mut rest).split_at_mut(input.count() * stride);
        rest = after;
        let (w, gate) = weights(gated);
        let out = Columns::new(mine, stride, columns);
        Product { w: w.weights(index), gate: gate.map(|gate| gate.weights(index)), input, out }
    });
    run(machine, products.collect());
    results
}

/// `down(silu(gate(x)) · up(x))` for each of `all`, one after the other: rows `padded(hidden)` apart. All are of one width.
fn gated<'m>(machine: &Machine<'m>, all: &[Routed<'_>]) -> Buffer<'m> {
    let Some([_, width, hidden]) = all.first().map(|one| one.weights.up.shape()) else {
        return machine.buffers.rows(0, 0);
    };
    let networks = all.iter().map(|one| (one.weights, one.index, one.input));
    let inner = multiply(machine, width, networks, |gated| (&gated.up, Some(&gated.gate)));

    let forms = Forms::of(machine, all.iter().map(|one| &one.weights.down));
    let mut end = 0;
    let parts = all.iter().map(|one| {
        let first = end;
        end += one.input.count();
        Picked::Range(first..end)
    });
    let inputs = Source::new(machine, &inner, width, forms).pick(machine, &parts.collect::<Vec<_>>(), forms);
    let networks = all.iter().zip(&inputs).map(|(one, input)| (one.weights, one.index, input));
    multiply(machine, hidden, networks, |gated| (&gated.down, None))
}

/// A dense layer for each token of `x`.
pub(super) fn dense<'m>(machine: &Machine<'m>, weights: &Gated, x: &[f32]) -> Buffer<'m> {
    let [.., hidden] = weights.up.shape();
    let forms = Forms::of(machine, [&weights.gate, &weights.up]);
    let input = Source::new(machine, x, hidden, forms).all(machine, forms);
    gated(machine, &[Routed { weights, index: 0, input: &input }])
}

/// The routed experts' share of each token of `x`, plus the shared expert's where there is one. A token's experts are
/// added up by rank, on top of the shared one.
pub(super) fn mixture<'m>(
    machine: &Machine<'m>,
    config: &Config,
    router: &Tensor,
    (experts, shared): (&Gated, Option<&Gated>),
    x: &[f32],
) -> Buffer<'m> {
    let stride = padded(config.hidden);
    let count = x.len() / stride;
    // What all tokens go through, and what only some do.
    let of_all = Forms::of(machine, shared.into_iter().flat_map(|s| [&s.gate, &s.up]).chain([router]));
    let of_some = Forms::of(machine, [&experts.gate, &experts.up]);
    let source = Source::new(machine, x, config.hidden, of_all.and(of_some));
    let whole = source.all(machine, of_all);

    let mut logits = vec![0.0; config.experts * count];
    let out = Columns::new(&mut logits, config.experts, config.experts);
    run(machine, vec![Product { w: router.weights(0), gate: None, input: &whole, out }]);
    let routing = Routing::new(machine.pool, config, &logits);

    let chosen = || routing.experts.iter().enumerate().filter(|(_, assigned)| !assigned.tokens.is_empty());
    let lists = chosen().map(|(_, assigned)| match config.score {
        Score::SigmoidOnInput => Picked::Weighted(&assigned.tokens, &assigned.weights),
        Score::SoftmaxOnOutput => Picked::Listed(&assigned.tokens),
    });
    let inputs = source.pick(machine, &lists.collect::<Vec<_>>(), of_some);
    // The shared expert first, then the others as they are chosen: and so lie their results.
    let mut networks: Vec<_> =
        shared.map(|weights| Routed { weights, index: 0, input: &whole }).into_iter().collect();
    let mut starts = vec![0; config.experts];
    let mut end = if shared.is_some() { count } else { 0 };
    for ((index, assigned), input) in chosen().zip(&inputs) {
        networks.push(Routed { weights: experts, index, input });
        starts[index] = end;
        end += assigned.tokens.len();
    }
    let outputs = gated(machine, &networks);

    let mut sum = machine.buffers.rows(count, config.hidden);
    machine.pool.for_each_row(&mut sum, stride, |t, sum| {
        if shared.is_some() {
            sum.copy_from_slice(&outputs[t * stride..][..stride]);
        } else {
            sum.fill(0.0);
        }
        for choice in routing.of(t) {
            let row = &outputs[(starts[choice.expert] + choice.place) * stride..][..stride];
            match config.score {
                Score::SigmoidOnInput => elementwise::add(sum, row),
                Score::SoftmaxOnOutput => elementwise::add_scaled(sum, row, choice.weight),
            }
        }
    });
    sum
}

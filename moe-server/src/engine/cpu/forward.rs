//! One pass of a batch through the layers.
//!
//! **Invariant**: what is computed for a token depends on the token, its position and the tokens before it; never on
//! which others are in the batch. Products and attention keep their order of reduction (`moe_kernels`), and whatever
//! happens between them happens token by token.

use moe_kernels::{elementwise, packed::Columns, padded};

use super::{
    attention::{Attended, attend},
    buffers::Buffer,
    experts::{dense, mixture},
    inputs::{Forms, Source},
    kv::Kv,
    machine::Machine,
    products::{Product, run},
    store::{Written, store},
};
use crate::{
    engine::{Wanted, paging::Part},
    model::decoder::{Config, FeedForward, Layer, Model, QkNorm, RopePairs, Tensor},
};

/// What a pass needs besides the tokens.
pub(super) struct Pass<'a> {
    pub(super) model: &'a Model,
    pub(super) frequencies: &'a [f64],
    pub(super) machine: Machine<'a>,
}

/// By what angle rope turns each pair of a head, token after token.
struct Turns {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Pass<'_> {
    fn config(&self) -> &Config {
        &self.model.config
    }

    /// Writes the tokens' keys and values, and to `logits` the wanted ones, row after row.
    pub(super) fn run(&self, kv: &mut Kv, parts: &[Part<'_>], logits: &mut Vec<f32>) {
        let c = self.config();
        let stride = padded(c.hidden);
        let count: usize = parts.iter().map(|part| part.tokens.len()).sum();
        let mut x = self.machine.buffers.rows(count, c.hidden);
        let tokens = parts.iter().flat_map(|part| part.tokens);
        let embedding = self.model.embedding.weights(0);
        for (row, token) in x.chunks_exact_mut(stride).zip(tokens) {
            embedding.dequantise_row(*token as usize, row);
        }
        let positions: Vec<usize> =
            parts.iter().flat_map(|part| part.position..part.position + part.tokens.len()).collect();
        let turns = self.turns(&positions);

        let (mut chunked, mut full) = (0, 0);
        for (index, layer) in self.model.layers.iter().enumerate() {
            let group_layer = if c.is_chunked(index) { &mut chunked } else { &mut full };
            self.attention(layer, index, *group_layer, kv, parts, &positions, &turns, &mut x);
            *group_layer += 1;
            self.feed_forward(layer, &mut x);
        }
        self.logits(parts, &x, logits);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn turns(&self, positions: &[usize]) -> Turns {
        let angles = positions.iter().flat_map(|p| self.frequencies.iter().map(|f| *p as f64 * f));
        let (cos, sin) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Turns { cos, sin }
    }

    fn norm(&self, x: &[f32], weight: &[f32]) -> Buffer<'_> {
        let hidden = self.config().hidden;
        let stride = padded(hidden);
        let mut out = self.machine.buffers.rows(x.len() / stride, hidden);
        self.machine.pool.for_each_row(&mut out, stride, |t, out| {
            let x = &x[t * stride..t * stride + hidden];
            elementwise::rms_norm(self.machine.isa, x, weight, self.config().norm_eps, &mut out[..hidden]);
        });
        out
    }

    /// The product of each of `weights` with all rows of `x`, which are `padded(columns)` apart; so are the results' rows.
    fn multiply<const N: usize>(&self, weights: [&Tensor; N], x: &[f32]) -> [Buffer<'_>; N] {
        let columns = weights.first().map_or(1, |w| w.shape()[2]);
        let forms = Forms::of(&self.machine, weights);
        let input = Source::new(&self.machine, x, columns, forms).all(&self.machine, forms);
        let mut outs = weights.map(|w| self.machine.buffers.rows(input.count(), w.shape()[1]));
        let products = weights.into_iter().zip(&mut outs).map(|(w, out)| {
            let rows = w.shape()[1];
            let out = Columns::new(out, padded(rows), rows);
            Product { w: w.weights(0), gate: None, input: &input, out }
        });
        run(&self.machine, products.collect());
        outs
    }

    #[allow(clippy::too_many_arguments)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn attention(
        &self,
        layer: &Layer,
        index: usize,
        group_layer: usize,
        kv: &mut Kv,
        parts: &[Part<'_>],
        positions: &[usize],
        turns: &Turns,
        x: &mut [f32],
    ) {
        let c = self.config();
        let (is_chunked, has_rope) = (c.is_chunked(index), c.has_rope(index));
        let normed = self.norm(x, &layer.attn_norm);
        let weights = [&layer.query, &layer.key, &layer.value];
        let [mut queries, mut keys, values] = self.multiply(weights, &normed);

        let pairs = self.frequencies.len();
        let norms = layer.head_norms.as_ref().map(|norms| (&norms.query[..], &norms.key[..])).unzip();
        let turn = |t: usize, heads: &mut [f32], norm: Option<&[f32]>, scale: f32| {
            let (cos, sin) = (&turns.cos[t * pairs..][..pairs], &turns.sin[t * pairs..][..pairs]);
            for head in heads.chunks_exact_mut(c.head_dim) {
                if let Some(weight) = norm {
                    elementwise::weighted_rms_norm_in_place(self.machine.isa, head, weight, c.norm_eps);
                }
                if has_rope {
                    match c.rope_pairs {
                        RopePairs::Adjacent => elementwise::rope_adjacent(self.machine.isa, head, cos, sin),
                        RopePairs::Halves => elementwise::rope_halves(self.machine.isa, head, cos, sin),
                    }
                    if c.qk_norm == QkNorm::Plain {
                        elementwise::rms_norm_in_place(self.machine.isa, head, c.norm_eps);
                    }
                }
                elementwise::scale(head, scale);
            }
        };
        let by = 1.0 / (c.head_dim as f64).sqrt();
        let (wide, narrow) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        self.machine.pool.for_each_row(&mut queries, padded(wide), |t, heads| {
            turn(t, &mut heads[..wide], norms.0, (by * c.temperature(index, positions[t])) as f32);
        });
        self.machine.pool.for_each_row(&mut keys, padded(narrow), |t, heads| {
            turn(t, &mut heads[..narrow], norms.1, 1.0);
        });
        let written = Written { is_chunked, group_layer, parts, keys: &keys, values: &values };
        store(&self.machine, c, kv, &written);

        let attended = Attended { is_chunked, group_layer, kv, parts, queries: &queries };
        let mixed = attend(&self.machine, c, &attended);
        let [out] = self.multiply([&layer.output], &mixed);
        self.add(x, &out);
    }

    fn add(&self, x: &mut [f32], y: &[f32]) {
        let stride = padded(self.config().hidden);
        self.machine
            .pool
            .for_each_row(x, stride, |t, x| elementwise::add(x, &y[t * stride..(t + 1) * stride]));
    }

    fn feed_forward(&self, layer: &Layer, x: &mut [f32]) {
        let normed = self.norm(x, &layer.ffn_norm);
        match &layer.feed_forward {
            FeedForward::Dense(weights) => self.add(x, &dense(&self.machine, weights, &normed)),
            FeedForward::Moe { router, experts, shared } => {
                let experts = (experts, shared.as_ref());
                self.add(x, &mixture(&self.machine, self.config(), router, experts, &normed));
            }
        }
    }

    fn logits(&self, parts: &[Part<'_>], x: &[f32], logits: &mut Vec<f32>) {
        let c = self.config();
        let stride = padded(c.hidden);
        let mut wanted = Vec::new();
        let mut rows = x.chunks_exact(stride);
        for part in parts {
            let first = match part.wanted {
                Wanted::None => part.tokens.len(),
                Wanted::Last => part.tokens.len() - 1,
                Wanted::All => 0,
            };
            wanted.extend(rows.by_ref().take(part.tokens.len()).skip(first).flatten());
        }
        if wanted.is_empty() {
            logits.clear();
            return;
        }
        let normed = self.norm(&wanted, &self.model.output_norm);
        let output = &self.model.output;
        let forms = Forms::of(&self.machine, [output]);
        let input = Source::new(&self.machine, &normed, c.hidden, forms).all(&self.machine, forms);
        // What was there is overwritten: clearing it would only cost time.
        logits.resize(c.vocab_size * input.count(), 0.0);
        let out = Columns::new(logits, c.vocab_size, c.vocab_size);
        run(&self.machine, vec![Product { w: output.weights(0), gate: None, input: &input, out }]);
    }
}

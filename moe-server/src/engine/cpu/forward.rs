//! One pass of a batch through the layers.
//!
//! **Invariant**: what is computed for a token depends on the token, its position and the tokens before it; never on
//! which others are in the batch. Products and attention keep their order of reduction (`moe_kernels`), and whatever
//! happens between them happens token by token.

use moe_kernels::{Isa, elementwise, matmul::Activations, padded};

use super::{
    attention::{Attended, attend},
    experts::{Routed, gated, mixture},
    kv::{Cache, Held},
    pool::Pool,
    products::{Product, by_token, for_each_token, run},
};
use crate::{
    engine::{TokenId, Wanted},
    model::llama4::{Config, FeedForward, Layer, Model},
};

/// One sequence's part of the batch.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) tokens: &'a [TokenId],
    /// The first token's position.
    pub(super) position: usize,
    /// The sequence with room for these tokens.
    pub(super) held: Held,
    pub(super) wanted: Wanted,
}

/// What a pass needs besides the tokens.
pub(super) struct Pass<'a> {
    pub(super) model: &'a Model,
    pub(super) frequencies: &'a [f64],
    pub(super) pool: &'a Pool,
    pub(super) isa: Isa,
}

/// Cosine and sine for each pair of a head, token after token.
type Turns = Vec<[f32; 2]>;

impl Pass<'_> {
    fn config(&self) -> &Config {
        &self.model.config
    }

    /// Writes the tokens' keys and values and returns the wanted logits, row after row.
    pub(super) fn run(&self, cache: &mut Cache, parts: &[Part<'_>]) -> Vec<f32> {
        let c = self.config();
        let stride = padded(c.hidden);
        let count: usize = parts.iter().map(|part| part.tokens.len()).sum();
        let mut x = vec![0.0; count * stride];
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
            self.attention(
                layer,
                c.is_chunked(index),
                *group_layer,
                cache,
                parts,
                &positions,
                &turns,
                &mut x,
            );
            *group_layer += 1;
            self.feed_forward(layer, &mut x);
        }
        self.logits(parts, &x)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn turns(&self, positions: &[usize]) -> Turns {
        let angles = positions.iter().flat_map(|p| self.frequencies.iter().map(|f| *p as f64 * f));
        angles.map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect()
    }

    fn norm(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let hidden = self.config().hidden;
        let stride = padded(hidden);
        let mut out = vec![0.0; x.len()];
        for_each_token(self.pool, &mut out, stride, |t, out| {
            let x = &x[t * stride..t * stride + hidden];
            elementwise::rms_norm(self.isa, x, weight, self.config().norm_eps, &mut out[..hidden]);
        });
        out
    }

    fn activations<'a>(&self, x: &'a [f32], columns: usize) -> Activations<'a> {
        Activations::new(x, x.len() / padded(columns), columns)
    }

    #[allow(clippy::too_many_arguments)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn attention(
        &self,
        layer: &Layer,
        is_chunked: bool,
        group_layer: usize,
        cache: &mut Cache,
        parts: &[Part<'_>],
        positions: &[usize],
        turns: &Turns,
        x: &mut [f32],
    ) {
        let c = self.config();
        let count = positions.len();
        let normed = self.norm(x, &layer.attn_norm);
        let input = self.activations(&normed, c.hidden);
        let weights = [&layer.query, &layer.key, &layer.value].map(|w| w.matrix(0));
        let mut outs = weights.map(|w| vec![0.0; w.rows() * count]);
        let products = weights.into_iter().zip(&mut outs);
        let products = products.map(|(w, out)| Product { w, gate: None, x: input, out }).collect();
        run(self.pool, self.isa, products);
        let [mut queries, mut keys, values] = outs.map(|rows| by_token(self.pool, &rows, count));

        let pairs = self.frequencies.len();
        let turn = |t: usize, heads: &mut [f32], count: usize, scale: f32| {
            for head in heads[..count * c.head_dim].chunks_exact_mut(c.head_dim) {
                if is_chunked {
                    elementwise::rope(head, &turns[t * pairs..(t + 1) * pairs]);
                    if c.qk_norm {
                        elementwise::rms_norm_in_place(self.isa, head, c.norm_eps);
                    }
                }
                elementwise::scale(head, scale);
            }
        };
        let by = 1.0 / (c.head_dim as f64).sqrt();
        for_each_token(self.pool, &mut queries, padded(c.heads * c.head_dim), |t, heads| {
            let temperature = if is_chunked { 1.0 } else { c.temperature(positions[t]) };
            turn(t, heads, c.heads, (by * temperature) as f32);
        });
        for_each_token(self.pool, &mut keys, padded(c.kv_heads * c.head_dim), |t, heads| {
            turn(t, heads, c.kv_heads, 1.0);
        });
        self.store(is_chunked, group_layer, cache, parts, &keys, &values);

        let attended = Attended { is_chunked, group_layer, cache, parts, queries: &queries };
        let mixed = attend(self.pool, self.isa, c, &attended);
        let input = self.activations(&mixed, c.heads * c.head_dim);
        let w = layer.output.matrix(0);
        let mut out = vec![0.0; w.rows() * count];
        run(self.pool, self.isa, vec![Product { w, gate: None, x: input, out: &mut out }]);
        self.add(x, &by_token(self.pool, &out, count));
    }

    fn store(
        &self,
        is_chunked: bool,
        group_layer: usize,
        cache: &mut Cache,
        parts: &[Part<'_>],
        keys: &[f32],
        values: &[f32],
    ) {
        let c = self.config();
        let stride = padded(c.kv_heads * c.head_dim);
        let mut rows = keys.chunks_exact(stride).zip(values.chunks_exact(stride));
        for part in parts {
            let table = if is_chunked { &part.held.chunked } else { &part.held.full };
            for (index, (key, value)) in (0..part.tokens.len()).zip(&mut rows) {
                let slot = cache.slot(table, part.position + index);
                let group = if is_chunked { &mut cache.chunked } else { &mut cache.full };
                for head in 0..c.kv_heads {
                    let from = head * c.head_dim..(head + 1) * c.head_dim;
                    let (k, v) = group.slot(slot, group_layer, head);
                    k[..c.head_dim].copy_from_slice(&key[from.clone()]);
                    v[..c.head_dim].copy_from_slice(&value[from]);
                }
            }
        }
    }

    fn add(&self, x: &mut [f32], y: &[f32]) {
        let stride = padded(self.config().hidden);
        for_each_token(self.pool, x, stride, |t, x| elementwise::add(x, &y[t * stride..(t + 1) * stride]));
    }

    fn feed_forward(&self, layer: &Layer, x: &mut [f32]) {
        let normed = self.norm(x, &layer.ffn_norm);
        match &layer.feed_forward {
            FeedForward::Dense(weights) => {
                let input = self.activations(&normed, self.config().hidden);
                for out in gated(self.pool, self.isa, &[Routed { weights, index: 0, input }]) {
                    self.add(x, &out);
                }
            }
            FeedForward::Moe { router, experts, shared } => {
                let out = mixture(self.pool, self.isa, self.config(), router, (experts, shared), &normed);
                self.add(x, &out);
            }
        }
    }

    fn logits(&self, parts: &[Part<'_>], x: &[f32]) -> Vec<f32> {
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
            return Vec::new();
        }
        let normed = self.norm(&wanted, &self.model.output_norm);
        let input = self.activations(&normed, c.hidden);
        let w = self.model.output.matrix(0);
        let mut out = vec![0.0; w.rows() * input.count()];
        let count = input.count();
        run(self.pool, self.isa, vec![Product { w, gate: None, x: input, out: &mut out }]);
        let padded_rows = by_token(self.pool, &out, count);
        padded_rows.chunks_exact(padded(c.vocab_size)).flat_map(|row| &row[..c.vocab_size]).copied().collect()
    }
}

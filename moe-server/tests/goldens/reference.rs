//! The model again, as plainly as it can be written, with switches that break it.
//!
//! Attention itself is the kernels' own, which are checked against plain sums elsewhere: the long golden is billions of
//! products. What is attended to, and with what, is not.
//!
//! It shows that a golden would notice each of the mistakes that implementations of Llama 4 have made.

use moe_kernels::{
    Isa,
    attention::{KvType, Layout, Paged, Scratch, attend},
};
use moe_server::model::decoder::{Attention, Config, FeedForward, Gated, Model, QkNorm, Tensor};

/// Keys of a block.
const BLOCK: usize = 32;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The router's score multiplies the expert's output, not its input.
    ScoreOnOutput,
    /// The router's score is left out.
    ScoreOne,
    /// Rope turns `(x[i], x[i + d/2])` instead of adjacent pairs.
    HalfSplitRope,
    NoRopeScaling,
    /// Queries and keys of rope layers are normalised where they should not be, and not where they should.
    QkNormInverted,
    /// Queries and keys of the layers without rope are normalised too.
    QkNormWithoutRope,
    RopeEverywhere,
    /// Rope layers see everything before.
    NoChunks,
    /// Rope layers see the last `chunk` tokens instead of their chunk's.
    SlidingWindow,
    NoTemperature,
}

#[derive(Clone)]
pub(crate) struct Reference<'a> {
    model: &'a Weights,
    config: &'a Config,
    frequencies: Vec<f64>,
    /// Keys and values of each layer's KV heads, token after token.
    cache: Vec<Vec<[Vec<f32>; 2]>>,
    position: usize,
    mutation: Option<Mutation>,
    /// How many tokens each expert of each layer got.
    uses: Vec<Vec<usize>>,
}

/// Every matrix as `f32`.
pub(crate) struct Weights {
    embedding: Vec<f32>,
    layers: Vec<LayerWeights>,
    output_norm: Vec<f32>,
    output: Vec<f32>,
}

struct LayerWeights {
    attn_norm: Vec<f32>,
    /// Query, key, value, output.
    attention: [Vec<f32>; 4],
    ffn_norm: Vec<f32>,
    /// The router and the stack of experts.
    routed: Option<(Vec<f32>, [Vec<f32>; 3])>,
    /// Dense or shared.
    plain: [Vec<f32>; 3],
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let [stack, rows, columns] = tensor.shape();
    let mut all = vec![0.0; stack * rows * columns];
    for (row, out) in all.chunks_mut(columns).enumerate() {
        tensor.weights(row / rows).dequantise_row(row % rows, out);
    }
    all
}

impl Weights {
    pub(crate) fn of(model: &Model) -> Self {
        let gated = |g: &Gated| [&g.gate, &g.up, &g.down].map(floats);
        let layers = model.layers.iter().map(|layer| {
            let (routed, plain) = match &layer.feed_forward {
                FeedForward::Dense(dense) => (None, gated(dense)),
                FeedForward::Moe { router, experts, shared } => {
                    (Some((floats(router), gated(experts))), gated(shared.as_ref().unwrap()))
                }
            };
            LayerWeights {
                attn_norm: layer.attn_norm.clone(),
                attention: [&layer.query, &layer.key, &layer.value, &layer.output].map(floats),
                ffn_norm: layer.ffn_norm.clone(),
                routed,
                plain,
            }
        });
        Self {
            embedding: floats(&model.embedding),
            layers: layers.collect(),
            output_norm: model.output_norm.clone(),
            output: floats(&model.output),
        }
    }
}

/// In eight sums, which the compiler keeps in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

fn times(w: &[f32], x: &[f32]) -> Vec<f32> {
    w.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

fn normed(x: &[f32], eps: f32) -> Vec<f32> {
    let by = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    x.iter().map(|x| x * by).collect()
}

fn weighted_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    normed(x, eps).iter().zip(weight).map(|(x, w)| x * w).collect()
}

fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// `down(silu(gate(x)) · up(x))` with the `index`th of stacked matrices.
fn gated([gate, up, down]: &[Vec<f32>; 3], index: usize, x: &[f32], width: usize) -> Vec<f32> {
    let size = width * x.len();
    let part = |w: &[f32]| w[index * size..(index + 1) * size].to_vec();
    let inner: Vec<f32> =
        times(&part(gate), x).iter().zip(times(&part(up), x)).map(|(g, u)| silu(*g) * u).collect();
    times(&part(down), &inner)
}

impl<'a> Reference<'a> {
    pub(crate) fn new(config: &'a Config, model: &'a Weights, mutation: Option<Mutation>) -> Self {
        let cache = vec![vec![[vec![], vec![]]; config.kv_heads]; config.layers];
        let uses = vec![vec![0; config.experts]; config.layers];
        let mut new =
            Self { model, config, frequencies: Vec::new(), cache, position: 0, mutation: None, uses };
        new.set(mutation);
        new
    }

    /// From now on it makes this mistake.
    pub(crate) fn set(&mut self, mutation: Option<Mutation>) {
        self.mutation = mutation;
        let mut config = self.config.clone();
        if self.is(Mutation::NoRopeScaling) {
            config.rope_factors = None;
        }
        self.frequencies = config.rope_frequencies();
    }

    pub(crate) fn uses(&self) -> &[Vec<usize>] {
        &self.uses
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn rope(&self, head: &mut [f32], position: usize) {
        let half = head.len() / 2;
        for (i, frequency) in self.frequencies.iter().enumerate() {
            let angle = position as f64 * frequency;
            let (sin, cos) = (angle.sin() as f32, angle.cos() as f32);
            let (a, b) = if self.is(Mutation::HalfSplitRope) { (i, i + half) } else { (2 * i, 2 * i + 1) };
            (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
        }
    }

    /// The next token; its logits where they are wanted.
    pub(crate) fn next(&mut self, token: u32, wanted: bool) -> Option<Vec<f32>> {
        self.pass(&[token], wanted)
    }

    /// The next tokens, without their logits. Many together, since each key is then read once for all of them.
    pub(crate) fn skip(&mut self, tokens: &[u32]) {
        for tokens in tokens.chunks(64) {
            self.pass(tokens, false);
        }
    }

    /// The last token's logits where they are wanted.
    fn pass(&mut self, tokens: &[u32], wanted: bool) -> Option<Vec<f32>> {
        let c = self.config;
        let row = |token: &u32| self.model.embedding[*token as usize * c.hidden..][..c.hidden].to_vec();
        let mut xs: Vec<Vec<f32>> = tokens.iter().map(row).collect();
        let start = self.position;
        for (index, layer) in self.model.layers.iter().enumerate() {
            let project = |(i, x): (usize, &Vec<f32>)| self.project(index, layer, x, start + i);
            let queries: Vec<Vec<f32>> = xs.iter().enumerate().map(project).collect();
            if index + 1 == c.layers && !wanted {
                break; // Nothing sees this token's last layer but its own logits.
            }
            for (x, mixed) in xs.iter_mut().zip(self.attend(index, &queries)) {
                for (x, y) in x.iter_mut().zip(times(&layer.attention[3], &mixed)) {
                    *x += y;
                }
                let y = self.feed_forward(layer, &weighted_norm(x, &layer.ffn_norm, c.norm_eps), index);
                for (x, y) in x.iter_mut().zip(y) {
                    *x += y;
                }
            }
        }
        self.position += tokens.len();
        let last = xs.last().filter(|_| wanted)?;
        Some(times(&self.model.output, &weighted_norm(last, &self.model.output_norm, c.norm_eps)))
    }

    /// Caches key and value and returns the queries.
    fn project(&mut self, index: usize, layer: &LayerWeights, x: &[f32], position: usize) -> Vec<f32> {
        let c = self.config;
        let Attention::Chunked { temperature_floor, temperature_scale, .. } = c.attention else { panic!() };
        let x = weighted_norm(x, &layer.attn_norm, c.norm_eps);
        let [mut queries, mut keys, values] = [0, 1, 2].map(|i| times(&layer.attention[i], &x));
        let rope = c.is_chunked(index) || self.is(Mutation::RopeEverywhere);
        let norm = if c.is_chunked(index) {
            (c.qk_norm == QkNorm::Plain) != self.is(Mutation::QkNormInverted)
        } else {
            self.is(Mutation::QkNormWithoutRope)
        };
        for head in queries.chunks_mut(c.head_dim).chain(keys.chunks_mut(c.head_dim)) {
            if rope {
                self.rope(head, position);
            }
            if norm {
                head.copy_from_slice(&normed(head, c.norm_eps));
            }
        }
        if !c.is_chunked(index) && !self.is(Mutation::NoTemperature) {
            let by = 1.0 + temperature_scale * (1.0 + ((position + 1) / temperature_floor) as f64).ln();
            queries.iter_mut().for_each(|q| *q *= by as f32);
        }
        let at = position * c.head_dim;
        for (head, cache) in self.cache[index].iter_mut().enumerate() {
            for (cache, new) in cache.iter_mut().zip([&keys, &values]) {
                cache.truncate(at);
                cache.extend(&new[head * c.head_dim..(head + 1) * c.head_dim]);
            }
        }
        queries
    }

    /// The first token that the one at `p` sees.
    fn first(&self, index: usize, p: usize) -> usize {
        let c = self.config;
        if !c.is_chunked(index) || self.is(Mutation::NoChunks) {
            0
        } else if self.is(Mutation::SlidingWindow) {
            (p + 1).saturating_sub(c.chunk())
        } else {
            p / c.chunk() * c.chunk()
        }
    }

    /// For the queries of one token after the other, from the present position on.
    fn attend(&self, index: usize, queries: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let positions: Vec<usize> = (self.position..self.position + queries.len()).collect();
        let mut mixed = Vec::new();
        for same in positions.chunk_by(|a, b| self.first(index, *a) == self.first(index, *b)) {
            let queries = &queries[mixed.len()..mixed.len() + same.len()];
            mixed.extend(self.attend_from(index, self.first(index, same[0]), same, queries));
        }
        mixed
    }

    /// For the tokens at `positions`, all of which see what is from `first` on.
    fn attend_from(
        &self,
        index: usize,
        first: usize,
        positions: &[usize],
        queries: &[Vec<f32>],
    ) -> Vec<Vec<f32>> {
        let c = self.config;
        let shared = c.heads / c.kv_heads;
        let width = shared * c.head_dim;
        let by = 1.0 / (c.head_dim as f32).sqrt();
        let layout = Layout::new(KvType::F32, c.head_dim, BLOCK).unwrap();
        let seen = positions[positions.len() - 1] + 1 - first;
        let table: Vec<u32> = (0..seen.div_ceil(BLOCK) as u32).collect();
        let mut data = vec![0; table.len() * layout.bytes()];
        let mut mixed = vec![vec![0.0; c.heads * c.head_dim]; queries.len()];
        for (head, [keys, values]) in self.cache[index].iter().enumerate() {
            let own = head * width..(head + 1) * width;
            let [keys, values] =
                [keys, values].map(|of| of[first * c.head_dim..].chunks_exact(c.head_dim).take(seen));
            for (i, (key, value)) in keys.zip(values).enumerate() {
                let block = &mut data[i / BLOCK * layout.bytes()..][..layout.bytes()];
                layout.store(Isa::detect(), block, i % BLOCK, key, value);
            }
            let scaled: Vec<f32> =
                queries.iter().flat_map(|queries| &queries[own.clone()]).map(|q| q * by).collect();
            let attention = moe_kernels::attention::Attention {
                layout,
                blocks: Paged { data: &data, table: &table, stride: layout.bytes(), offset: 0 },
                queries: &scaled,
                stride: width,
                tokens: positions.len(),
                shared,
                visible: positions[0] + 1 - first,
            };
            let mut out = vec![0.0; scaled.len()];
            let mut rows: Vec<&mut [f32]> = out.chunks_mut(width).collect();
            attend(Isa::detect(), &attention, &mut Scratch::default(), &mut rows);
            for (mixed, out) in mixed.iter_mut().zip(out.chunks(width)) {
                mixed[own.clone()].copy_from_slice(out);
            }
        }
        mixed
    }

    fn feed_forward(&mut self, layer: &LayerWeights, x: &[f32], index: usize) -> Vec<f32> {
        let c = self.config;
        let Some((router, experts)) = &layer.routed else {
            return gated(&layer.plain, 0, x, c.dense_ff);
        };
        assert!(c.is_moe(index));
        let logits = times(router, x);
        let best = (0..c.experts).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        self.uses[index][best] += 1;
        let score = 1.0 / (1.0 + (-logits[best]).exp());
        let (before, after) = match self.mutation {
            Some(Mutation::ScoreOnOutput) => (1.0, score),
            Some(Mutation::ScoreOne) => (1.0, 1.0),
            _ => (score, 1.0),
        };
        let scaled: Vec<f32> = x.iter().map(|x| x * before).collect();
        let routed = gated(experts, best, &scaled, c.expert_ff);
        let shared = gated(&layer.plain, 0, x, c.expert_ff);
        routed.iter().zip(shared).map(|(r, s)| r * after + s).collect()
    }
}

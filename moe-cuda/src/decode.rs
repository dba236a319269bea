//! A decode step: buffers, inputs, and launches for up to a bucket of sequences.

mod describe;
mod launch;
mod many;

use crate::{
    Error,
    device::Device,
    layout::{KEPT, Layer, SPLIT, Step},
    model::{Gated, Model, Tensor, WeightType},
};

/// How many sequences a step of decoding is laid out for.
pub const BUCKETS: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// How many rows the products of prompts are timed with.
pub const PROMPTS: [usize; 2] = [512, 2048];

/// Phases of a layer: queries, keys and values with the norm before; attention; its output; the experts' first halves with norm
/// and router before; their second halves.
pub const STAGES: u32 = 5;

/// How a decoder is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows of a step at most.
    pub capacity: usize,
    /// Positions of a sequence at most.
    pub context: usize,
    /// Positions of a block of KV; a multiple of 16.
    pub block_tokens: usize,
    /// From so many tokens on, one block norms a token; below, a block for each 256 columns.
    pub whole_from: usize,
    /// Whether kernels begin while those before end.
    pub overlaps: bool,
    /// Whether weights of the next product are asked for while memory has little to do. Not measured yet, so off.
    pub prefetches: bool,
}

impl Options {
    #[must_use]
    pub fn new(capacity: usize, context: usize) -> Self {
        Self { capacity, context, block_tokens: 64, whole_from: 9, overlaps: true, prefetches: false }
    }
}

/// One candidate for the next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub token: u32,
    pub logit: f32,
}

/// What a step says of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The best, in order; of equal logits the lower token first.
    pub candidates: Vec<Candidate>,
    pub log_sum_exp: f32,
    /// Whether all logits are finite.
    pub is_finite: bool,
}

/// A model with buffers for a bucket of sequences, each with KV of its own.
#[derive(Debug)]
pub struct Decoder<'d, D: Device> {
    pub(crate) device: &'d D,
    pub(crate) model: &'d Model,
    pub(crate) options: Options,
    pub(crate) step: Step,
    pub(crate) layers: Vec<Layer>,
    buffers: Vec<u64>,
    /// Blocks of KV of each sequence.
    blocks: usize,
}

impl<'d, D: Device> Decoder<'d, D> {
    /// # Errors
    /// [`Error::Model`] for what the kernels do not compute, or [`Error::OutOfMemory`].
    pub fn new(device: &'d D, model: &'d Model, options: Options) -> Result<Self, Error> {
        model.check()?;
        let layers = vec![Layer::default(); model.layers.len()];
        let blocks = options.context.div_ceil(options.block_tokens);
        let mut decoder =
            Self { device, model, options, step: Step::default(), layers, buffers: Vec::new(), blocks };
        decoder.describe_layers()?;
        decoder.describe_step()?;
        Ok(decoder)
    }

    fn room(&mut self, bytes: usize) -> Result<u64, Error> {
        let at = self.device.allocate(bytes)?;
        self.buffers.push(at);
        Ok(at)
    }

    /// Says which token of each sequence is computed next, and where it stands.
    ///
    /// # Errors
    /// As [`Device::write`].
    ///
    /// # Panics
    /// Where there are more sequences than room, or a position is beyond the context.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn set_inputs(&mut self, tokens: &[u32], positions: &[u32]) -> Result<(), Error> {
        assert!(
            tokens.len() == positions.len() && tokens.len() <= self.options.capacity,
            "room for the tokens"
        );
        assert!(
            positions.iter().all(|p| (*p as usize) < self.options.context),
            "positions inside the context"
        );
        let s = &self.model.shape;
        let starts: Vec<u32> =
            positions.iter().map(|p| s.chunk.map_or(0, |chunk| p / chunk as u32 * chunk as u32)).collect();
        let angles = positions.iter().flat_map(|p| s.frequencies.iter().map(|f| f64::from(*p) * f));
        let rope: Vec<f32> = angles.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect();
        let by = 1.0 / (s.head_dim as f64).sqrt();
        let scales: Vec<f32> = positions
            .iter()
            .flat_map(|p| {
                let warmer = s
                    .temperature
                    .map_or(1.0, |(floor, scale)| 1.0 + scale * (((*p as usize + 1) / floor) as f64).ln_1p());
                [by as f32, (by * warmer) as f32]
            })
            .collect();
        self.device.write(self.step.tokens_in, tokens)?;
        self.device.write(self.step.positions, positions)?;
        self.device.write(self.step.starts, &starts)?;
        self.device.write(self.step.rope, &rope)?;
        self.device.write(self.step.query_scale, &scales)?;
        self.step.tokens = tokens.len() as u32;
        let last = positions.iter().copied().max().unwrap_or(0) as usize;
        self.step.splits = (last / SPLIT + 1) as u32;
        Ok(())
    }

    /// Phases of a whole step: [`STAGES`] a layer, the head, and the candidates.
    #[must_use]
    pub fn phases(&self) -> u32 {
        self.layers.len() as u32 * STAGES + 2
    }

    /// Random keys and values for all positions, for checks and timing.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn fill_cache(&self, seed: u32) -> Result<(), Error> {
        let s = &self.model.shape;
        let count = self.options.capacity * self.blocks * self.options.block_tokens;
        for (index, layer) in self.layers.iter().enumerate() {
            for (at, seed) in [(layer.keys, seed), (layer.values, !seed)] {
                let seed = seed.wrapping_add(index as u32 * 0x9E37);
                let cache = Tensor {
                    weight_type: WeightType::F16,
                    rows: count,
                    columns: s.kv_heads * s.head_dim,
                    count: 1,
                    at,
                };
                crate::random::fill(self.device, &cache, 1.0, seed)?;
            }
        }
        Ok(())
    }

    /// The first `count` positions' keys and values of a KV head of sequence `t`.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub(crate) fn cached(
        &self,
        layer: usize,
        t: usize,
        count: usize,
        kv_head: usize,
    ) -> Result<[Vec<f32>; 2], Error> {
        let s = &self.model.shape;
        let len = self.options.block_tokens * s.head_dim;
        let table: Vec<u32> =
            self.device.read(self.step.tables + (t * self.blocks * 4) as u64, self.blocks)?;
        let read = |base: u64| {
            let mut values = Vec::new();
            for block in table.iter().take(count.div_ceil(self.options.block_tokens)) {
                let at = base + ((*block as usize * s.kv_heads + kv_head) * len * 2) as u64;
                let halves: Vec<u16> = self.device.read(at, len)?;
                values.extend(halves.into_iter().map(half));
            }
            values.truncate(count * s.head_dim);
            Ok(values)
        };
        Ok([read(self.layers[layer].keys)?, read(self.layers[layer].values)?])
    }

    /// What the last step said of each sequence.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub fn outcomes(&self) -> Result<Vec<Outcome>, Error> {
        let count = self.step.tokens as usize;
        let keys: Vec<u64> = self.device.read(self.step.candidates, count * KEPT)?;
        let sums: Vec<f32> = self.device.read(self.step.sums, count * 2)?;
        let candidate = |key: &u64| {
            let ordered = (key >> 32) as u32;
            let bits = if ordered & 0x8000_0000 > 0 { ordered & 0x7FFF_FFFF } else { !ordered };
            let logit = if ordered == u32::MAX { f32::NAN } else { f32::from_bits(bits) };
            Candidate { token: u32::MAX - (*key & 0xFFFF_FFFF) as u32, logit }
        };
        let outcome = |(keys, sums): (&[u64], &[f32])| Outcome {
            candidates: keys.iter().filter(|key| **key > 0).map(candidate).collect(),
            log_sum_exp: sums[0],
            is_finite: sums[1] > 0.0,
        };
        Ok(keys.chunks(KEPT).zip(sums.chunks(2)).map(outcome).collect())
    }
}

impl<D: Device> Drop for Decoder<'_, D> {
    fn drop(&mut self) {
        for at in &self.buffers {
            self.device.free(*at);
        }
    }
}

/// A half as `f32`, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7FFF);
    // The exponent's bias grows by 112; multiplying by 2^112 does that and sets subnormals right.
    let magnitude = f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000);
    let magnitude = if rest >= 0x7C00 { magnitude.to_bits() | 0x7F80_0000 } else { magnitude.to_bits() };
    f32::from_bits(sign | magnitude)
}

/// Bytes of weights that a step reads: each expert that is used once, everything else once, and the head.
#[must_use]
pub fn weights_read(model: &Model, experts_used: f64) -> f64 {
    let bytes = |tensor: &Tensor| tensor.matrix_bytes() as f64;
    let gated = |g: &Gated| bytes(&g.gate) + bytes(&g.up) + bytes(&g.down);
    let of = |layer: &crate::model::Layer| {
        let attention =
            [&layer.query, &layer.key, &layer.value, &layer.output].map(bytes).iter().sum::<f64>();
        let routed = layer.routed.as_ref().map_or(0.0, |(router, g)| bytes(router) + experts_used * gated(g));
        attention + layer.common.as_ref().map_or(0.0, gated) + routed
    };
    model.layers.iter().map(of).sum::<f64>() + bytes(&model.head)
}

//! A decode step: buffers, inputs, and launches for up to a bucket of sequences.

use crate::{
    Error,
    device::{Device, Kernel, Launch, Parameters},
    layout::{self, COARSE, CHUNK, FINE, KEPT, Layer, Rows, PARTS, SPLIT, STAGES, Step, row_stride},
    model::{Gated, HeadNorm, Model, Tensor, WeightType},
};

/// How many sequences a step is compiled and laid out for.
pub const BUCKETS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// How a decoder is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Sequences at most; of [`BUCKETS`].
    pub capacity: usize,
    /// Positions of a sequence at most.
    pub context: usize,
    /// Positions of a block of KV; a multiple of 16.
    pub block_tokens: usize,
    /// Slots of each warp's ring at most.
    pub ring: u32,
    /// From so many tokens on, a block norms a token; below, each block norms all for itself.
    pub spread_from: usize,
}

impl Options {
    #[must_use]
    pub fn new(capacity: usize, context: usize) -> Self {
        let ring = if capacity > 8 { 4 } else { 16 };
        Self { capacity, context, block_tokens: 64, ring, spread_from: 3 }
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
    shared_bytes: u32,
    buffers: Vec<u64>,
    /// Blocks of KV of each sequence.
    blocks: usize,
}

fn forms<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> u32 {
    tensors.into_iter().fold(0, |forms, tensor| forms | tensor.weight_type.form())
}

impl<'d, D: Device> Decoder<'d, D> {
    /// # Errors
    /// [`Error::Model`] for what the kernels do not compute, or [`Error::OutOfMemory`].
    pub fn new(device: &'d D, model: &'d Model, options: Options) -> Result<Self, Error> {
        model.check()?;
        let layers = vec![Layer::default(); model.layers.len()];
        let blocks = options.context.div_ceil(options.block_tokens);
        let mut decoder = Self {
            device,
            model,
            options,
            step: Step::default(),
            layers,
            shared_bytes: 0,
            buffers: Vec::new(),
            blocks,
        };
        decoder.describe_layers()?;
        decoder.describe_step()?;
        decoder.divide_shared_memory()?;
        Ok(decoder)
    }

    fn room(&mut self, bytes: usize) -> Result<u64, Error> {
        let at = self.device.allocate(bytes)?;
        self.buffers.push(at);
        Ok(at)
    }

    fn describe_layers(&mut self) -> Result<(), Error> {
        let s = &self.model.shape;
        let kv = self.options.capacity * self.blocks * self.options.block_tokens * s.kv_heads * s.head_dim * 2;
        // Tiles so far: each stage begins where the one before ended.
        let mut tiles = 0;
        for index in 0..self.layers.len() {
            let (keys, values) = (self.room(kv)?, self.room(kv)?);
            let from = &self.model.layers[index];
            let to = &mut self.layers[index];
            (to.keys, to.values) = (keys, values);
            (to.query, to.key, to.value) = (from.query.matrix(), from.key.matrix(), from.value.matrix());
            to.output = from.output.matrix();
            (to.attn_norm, to.ffn_norm) = (from.attn_norm, from.ffn_norm);
            (to.query_norm, to.key_norm) = from.head_norms.unwrap_or((0, 0));
            to.flags |= if from.has_rope { layout::ROPE } else { 0 };
            to.flags |= if from.is_chunked { layout::CHUNKED } else { 0 };
            let mut networks: Vec<&Gated> = Vec::new();
            if let Some(common) = &from.common {
                to.flags |= layout::SHARED;
                to.shared_gate = common.gate.matrix();
                to.shared_up = common.up.matrix();
                to.shared_down = common.down.matrix();
                networks.push(common);
            }
            if let Some((router, experts)) = &from.routed {
                to.flags |= layout::ROUTED;
                to.router = router.matrix();
                to.gate = experts.gate.matrix();
                to.up = experts.up.matrix();
                to.down = experts.down.matrix();
                networks.push(experts);
            }
            to.qkv_forms = forms([&from.query, &from.key, &from.value]);
            to.output_forms = forms([&from.output]);
            to.up_forms = forms(networks.iter().flat_map(|gated| [&gated.gate, &gated.up]));
            to.down_forms = forms(networks.iter().map(|gated| &gated.down));
            let count = |tensor: &Tensor| tensor.rows.div_ceil(16);
            to.first[0] = tiles as u32;
            tiles += count(&from.query) + count(&from.key) + count(&from.value);
            to.first[1] = tiles as u32;
            tiles += count(&from.output);
            to.first[2] = tiles as u32;
            tiles += networks.iter().map(|gated| 2 * count(&gated.gate)).sum::<usize>();
            to.first[3] = tiles as u32;
            tiles += networks.iter().map(|gated| count(&gated.down)).sum::<usize>();
        }
        Ok(())
    }

    fn rows(&mut self, columns: usize, count: usize, forms: u32) -> Result<Rows, Error> {
        let mut rows = Rows {
            coarse_stride: row_stride(columns, COARSE),
            fine_stride: row_stride(columns, FINE),
            plain_stride: (columns.next_multiple_of(256) * 4) as u32,
            ..Rows::default()
        };
        if forms & COARSE > 0 {
            rows.coarse = self.room(rows.coarse_stride as usize * count)?;
        }
        if forms & FINE > 0 {
            rows.fine = self.room(rows.fine_stride as usize * count)?;
        }
        if forms & layout::FLOAT > 0 {
            rows.plain = self.room(rows.plain_stride as usize * count)?;
        }
        Ok(rows)
    }

    fn describe_step(&mut self) -> Result<(), Error> {
        let (model, options) = (self.model, self.options);
        let s = &model.shape;
        let capacity = options.capacity;
        let queries = s.heads * s.head_dim;
        let inner = model.inner_columns();
        let rows = capacity * (1 + s.used);
        let all = |of: fn(&Layer) -> u32| self.layers.iter().fold(0, |forms, layer| forms | of(layer));
        let head_forms = forms([&model.head]);
        let normed_forms = all(|l| l.qkv_forms | l.up_forms) | head_forms;
        let (attended_forms, inner_forms) = (all(|l| l.output_forms), all(|l| l.down_forms));
        let splits = options.context.div_ceil(SPLIT) + 1;
        let chunks = s.vocab.div_ceil(CHUNK);
        let max_slots = s.experts.min(capacity * s.used);
        let attention_counts = capacity * queries.div_ceil(256);
        let counter_words = 2 + attention_counts + (max_slots + 1) * inner.div_ceil(256);

        let mut step = Step {
            layer_count: self.layers.len() as u32,
            hidden: s.hidden as u32,
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            experts: s.experts as u32,
            used: s.used as u32,
            vocab: s.vocab as u32,
            capacity: capacity as u32,
            splits: splits as u32,
            block_tokens: options.block_tokens as u32,
            table_stride: self.blocks as u32,
            chunks: chunks as u32,
            inner_columns: inner as u32,
            max_slots: max_slots as u32,
            counter_words: counter_words as u32,
            eps: s.eps,
            head_forms,
            embedding: model.embedding.matrix(),
            head: model.head.matrix(),
            final_norm: model.final_norm,
            ..Step::default()
        };
        step.flags |= if s.softmax_on_output { layout::SOFTMAX_ON_OUTPUT } else { 0 };
        step.flags |= if s.rope_halves { layout::ROPE_HALVES } else { 0 };
        step.flags |= match s.head_norm {
            HeadNorm::Off => 0,
            HeadNorm::Plain => layout::NORM_PLAIN,
            HeadNorm::Weighted => layout::NORM_WEIGHTED,
        };
        step.normed = self.rows(s.hidden, capacity, normed_forms)?;
        step.attended = self.rows(queries, capacity, attended_forms)?;
        step.inner = self.rows(inner, rows, inner_forms)?;
        let f = 4;
        step.layers = self.device.place(&self.layers)?;
        self.buffers.push(step.layers);
        step.tokens_in = self.room(capacity * f)?;
        step.positions = self.room(capacity * f)?;
        step.starts = self.room(capacity * f)?;
        step.rope = self.room(capacity * s.head_dim * f)?;
        step.query_scale = self.room(capacity * 2 * f)?;
        step.x = [self.room(capacity * s.hidden * f)?, self.room(capacity * s.hidden * f)?];
        step.qkv = self.room(capacity * (s.heads + 2 * s.kv_heads) * s.head_dim * f)?;
        step.partial = self.room(capacity * splits * queries * f)?;
        step.partial_ml = self.room(capacity * splits * s.heads * 2 * f)?;
        step.attn_out = self.room(capacity * s.hidden * f)?;
        step.router_logits = self.room(capacity * s.experts * f)?;
        step.choices = self.room(capacity * s.used * f)?;
        step.choice_weights = self.room(capacity * s.used * f)?;
        step.slots = self.room((1 + max_slots * (2 + capacity)) * f)?;
        step.inner_float = self.room(rows * inner * f)?;
        step.mixed = self.room(rows * s.hidden * f)?;
        step.logits = self.room(capacity * s.vocab * f)?;
        step.chunk_candidates = self.room(capacity * chunks * KEPT * 8)?;
        step.chunk_sums = self.room(capacity * chunks * 4 * f)?;
        step.candidates = self.room(capacity * KEPT * 8)?;
        step.sums = self.room(capacity * 2 * f)?;
        step.counters = self.room(counter_words * f)?;
        step.barrier = self.room(128)?;
        // Each sequence has blocks of its own, in order.
        let tables: Vec<u32> = (0..(capacity * self.blocks) as u32).collect();
        step.tables = self.device.place(&tables)?;
        self.buffers.push(step.tables);
        // So that a first launch of some phases only finds counters at zero.
        self.device.write(step.counters, &vec![0_u32; counter_words])?;
        self.device.write(step.barrier, &[0_u32; 32])?;
        self.step = step;
        Ok(())
    }

    /// Ring, staged activations and the rest: what a block's shared memory holds.
    fn divide_shared_memory(&mut self) -> Result<(), Error> {
        const STAGED: u32 = 48 << 10;
        let (step, s) = (&self.step, &self.model.shape);
        let group = (s.heads / s.kv_heads) as u32;
        // Attention's mixtures lie over what products use otherwise.
        let dim = s.head_dim as u32;
        let attention = (PARTS as u32 * group * (dim + 2) + (group + 1) * dim + 32) * 4;
        let exchange = self.exchange_bytes();
        let row = |rows: &Rows| {
            (if rows.coarse > 0 { rows.coarse_stride } else { 0 }) + if rows.fine > 0 { rows.fine_stride } else { 0 }
        };
        let few = self.options.capacity.min(self.options.spread_from - 1) as u32;
        // The router reads normed floats.
        let kept = if self.model.layers.iter().any(|layer| layer.routed.is_some()) { s.hidden as u32 * 4 } else { 0 };
        let wanted = (row(&step.normed).max(row(&step.attended)) * self.options.capacity as u32)
            .max(row(&step.inner) * (self.options.capacity * (1 + s.used)) as u32)
            .min(STAGED);
        let stage = attention.saturating_sub(exchange).max(row(&step.normed) * few + kept).max(wanted).max(4096);
        let stage = stage.next_multiple_of(128);
        let slot = self.model.tensors().map(|tensor| tensor.weight_type.slot_bytes()).max().unwrap_or(0);
        let rest = self.fixed_shared_bytes() + stage;
        let limit = self.device.shared_bytes();
        let slots = match slot {
            0 => 0,
            slot => limit.saturating_sub(rest) / (self.kernel().warps() * (slot + 16)),
        }
        .min(self.options.ring);
        if slot > 0 && slots < 2 {
            return Err(Error::Model("its heads and rows leave too little of a multiprocessor's shared memory"));
        }
        (self.step.slot_bytes, self.step.slot_count, self.step.stage_bytes) = (slot, slots, stage);
        self.shared_bytes = rest + self.kernel().warps() * slots * (slot + 16);
        Ok(())
    }

    /// What warps hand each other: results of pairs, or the terms of teams.
    fn exchange_bytes(&self) -> u32 {
        match self.kernel() {
            Kernel::Step { panels: 0 } => self.kernel().warps() / 4 * 8192,
            Kernel::Step { panels } => self.kernel().warps() * panels * 512,
            _ => 0,
        }
    }

    fn fixed_shared_bytes(&self) -> u32 {
        let words = 32 + 2 * 32 + 1 + 2 * layout::MOST_EXPERTS + size_of::<Step>() / 4;
        self.exchange_bytes() + 4 * size_of::<Layer>() as u32 + (words * 4) as u32 + 1028 + 64
    }

    /// Slots of each warp's ring, their bytes, and the bytes of staged activations.
    #[must_use]
    pub fn shared_memory(&self) -> (u32, u32, u32) {
        (self.step.slot_count, self.step.slot_bytes, self.step.stage_bytes)
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
        assert!(tokens.len() == positions.len() && tokens.len() <= self.options.capacity, "room for the tokens");
        assert!(positions.iter().all(|p| (*p as usize) < self.options.context), "positions inside the context");
        let s = &self.model.shape;
        let starts: Vec<u32> =
            positions.iter().map(|p| s.chunk.map_or(0, |chunk| p / chunk as u32 * chunk as u32)).collect();
        let angles = positions.iter().flat_map(|p| s.frequencies.iter().map(|f| f64::from(*p) * f));
        let rope: Vec<f32> = angles.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect();
        let by = 1.0 / (s.head_dim as f64).sqrt();
        let scales: Vec<f32> = positions
            .iter()
            .flat_map(|p| {
                let warmer = s.temperature.map_or(1.0, |(floor, scale)| {
                    1.0 + scale * (((*p as usize + 1) / floor) as f64).ln_1p()
                });
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
        let plain = [self.step.normed.plain, self.step.attended.plain].iter().any(|at| *at > 0);
        self.step.flags &= !layout::SPREAD;
        let few = tokens.len() < self.options.spread_from && tokens.len() * s.used <= 32;
        if !few || plain {
            self.step.flags |= layout::SPREAD;
        }
        Ok(())
    }

    /// Phases of a whole step: [`STAGES`] a layer, the head, two of candidates.
    #[must_use]
    pub fn phases(&self) -> u32 {
        self.step.layer_count * STAGES + 3
    }

    /// Zeroes counters and looks up the tokens' embeddings.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn begin(&self) -> Result<(), Error> {
        self.device.launch(&Launch {
            kernel: Kernel::Begin,
            grid: [self.step.tokens.max(1), 1, 1],
            threads: Kernel::Begin.warps() * 32,
            shared_bytes: 0,
            cooperative: false,
            parameters: Parameters::Step(&self.step),
        })
    }

    /// Phases `begin..end`, after [`Self::begin`] or those before. A launch's grid barrier counts from zero, so where a step
    /// is divided, [`Self::reset_barrier`] comes before each part.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn run(&self, begin: u32, end: u32) -> Result<(), Error> {
        let step = Step { begin, end, ..self.step };
        self.device.launch(&Launch {
            kernel: self.kernel(),
            grid: [self.device.multiprocessors(), 1, 1],
            // One warp more: the producer.
            threads: self.kernel().warps() * 32 + 32,
            shared_bytes: self.shared_bytes,
            cooperative: true,
            parameters: Parameters::Step(&step),
        })
    }

    /// The kernel of its bucket.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        let panels = (self.options.capacity.div_ceil(8) as u32).next_power_of_two();
        Kernel::Step { panels: if self.options.capacity == 1 { 0 } else { panels } }
    }

    /// # Errors
    /// As [`Device::write`].
    pub fn reset_barrier(&self) -> Result<(), Error> {
        self.device.write(self.step.barrier, &[0_u32])
    }

    /// Has the phases' beginnings written down, in the GPU's nanoseconds, at `times`; 0 for no longer.
    pub fn record_times(&mut self, times: u64) {
        self.step.times = times;
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
                let cache =
                    Tensor { weight_type: WeightType::F16, rows: count, columns: s.kv_heads * s.head_dim, count: 1, at };
                crate::random::fill(self.device, &cache, 1.0, seed)?;
            }
        }
        Ok(())
    }

    /// The first `count` positions' keys and values of a KV head of sequence `t`.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub(crate) fn cached(&self, layer: usize, t: usize, count: usize, kv_head: usize) -> Result<[Vec<f32>; 2], Error> {
        let s = &self.model.shape;
        let len = self.options.block_tokens * s.head_dim;
        let table: Vec<u32> = self.device.read(self.step.tables + (t * self.blocks * 4) as u64, self.blocks)?;
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
        let attention = [&layer.query, &layer.key, &layer.value, &layer.output].map(bytes).iter().sum::<f64>();
        let routed = layer.routed.as_ref().map_or(0.0, |(router, g)| bytes(router) + experts_used * gated(g));
        attention + layer.common.as_ref().map_or(0.0, gated) + routed
    };
    model.layers.iter().map(of).sum::<f64>() + bytes(&model.head)
}

/// Whether a weight type is multiplied out of a ring.
#[must_use]
pub fn is_packed(weight_type: WeightType) -> bool {
    matches!(weight_type, WeightType::Packed(_))
}

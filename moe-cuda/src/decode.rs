//! A decode step: buffers, inputs, and launches for up to a bucket of sequences.

use moe_kernels::packed::PackedType;

use crate::{
    Error,
    device::{Device, Kernel, Launch, Parameter, Stage},
    layout::{self, CHUNK, COARSE, FINE, FLOAT, KEPT, Layer, PANEL, PARTS, Rows, SPLIT, Step, THREADS, row_stride},
    model::{Gated, HeadNorm, Model, Tensor, WeightType},
};

/// How many sequences a step is compiled and laid out for.
pub const BUCKETS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Phases of a layer: queries, keys and values with the norm before; attention; its output; the experts' first halves with norm
/// and router before; their second halves.
pub const STAGES: u32 = 5;

/// How a decoder is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Sequences at most; of [`BUCKETS`].
    pub capacity: usize,
    /// Positions of a sequence at most.
    pub context: usize,
    /// Positions of a block of KV; a multiple of 16.
    pub block_tokens: usize,
    /// From so many tokens on, one block norms a token; below, a block for each 256 columns.
    pub whole_from: usize,
    /// Whether kernels begin while those before end.
    pub overlaps: bool,
    /// Whether weights of the next product are asked for while memory has little to do.
    pub prefetches: bool,
}

impl Options {
    #[must_use]
    pub fn new(capacity: usize, context: usize) -> Self {
        Self { capacity, context, block_tokens: 64, whole_from: 9, overlaps: true, prefetches: true }
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
            buffers: Vec::new(),
            blocks,
        };
        decoder.describe_layers()?;
        decoder.describe_step()?;
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
        if forms & FLOAT > 0 {
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
        let counter_words =
            2 + attention_counts + (max_slots + 1) * capacity.div_ceil(PANEL) * inner.div_ceil(256);
        let term_bytes = self.term_bytes()?;

        let mut step = Step {
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
            term_bytes,
            eps: s.eps,
            head_forms,
            embedding: model.embedding.matrix(),
            head: model.head.matrix(),
            final_norm: model.final_norm,
            ..Step::default()
        };
        step.flags |= if options.prefetches { layout::PREFETCH } else { 0 };
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
        // Each sequence has blocks of its own, in order.
        let tables: Vec<u32> = (0..(capacity * self.blocks) as u32).collect();
        step.tables = self.device.place(&tables)?;
        self.buffers.push(step.tables);
        // So that launches without a beginning find counters at zero.
        self.device.write(step.counters, &vec![0_u32; counter_words])?;
        self.step = step;
        Ok(())
    }

    /// Room for the terms of the widest tile, in a product's shared memory: twice that for gate and up.
    fn term_bytes(&self) -> Result<u32, Error> {
        let one = self.is_one();
        let terms = |tensor: &Tensor| {
            let units = tensor.columns.div_ceil(256) as u32;
            let each = match (tensor.weight_type.slot_bytes(), tensor.weight_type.form()) {
                (_, FLOAT) => return (16 * PANEL * 4) as u32,
                (2304, COARSE) => 2,
                (_, COARSE) => 1,
                _ => 8,
            };
            units * each * if one { 128 } else { ((PANEL + 1) * 16 * 4) as u32 }
        };
        let most = self.model.tensors().map(terms).max().unwrap_or(0).next_multiple_of(128);
        if 2 * most + 1024 > self.device.shared_bytes() {
            return Err(Error::Model("its rows leave too little of a multiprocessor's shared memory"));
        }
        Ok(most)
    }

    /// Whether its products are those of one token.
    fn is_one(&self) -> bool {
        self.options.capacity == 1
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
        Ok(())
    }

    /// Phases of a whole step: [`STAGES`] a layer, the head, and the candidates.
    #[must_use]
    pub fn phases(&self) -> u32 {
        self.layers.len() as u32 * STAGES + 2
    }

    fn launch(
        &self,
        kernel: Kernel,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        parameters: &[Parameter<'_>],
    ) -> Result<(), Error> {
        let overlaps = self.options.overlaps && kernel != Kernel::Begin;
        self.device.launch(&Launch { kernel, grid, threads, shared_bytes, overlaps, parameters })
    }

    /// Zeroes counters and looks up the tokens' embeddings.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn begin(&self) -> Result<(), Error> {
        let grid = [self.step.tokens.max(1), 1, 1];
        self.launch(Kernel::Begin, grid, THREADS, 0, &[Parameter::Step(&self.step)])
    }

    /// Phases `begin..end`, after [`Self::begin`] or those before.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn run(&self, begin: u32, end: u32) -> Result<(), Error> {
        let count = self.layers.len();
        for phase in begin..end {
            let (index, stage) = ((phase / STAGES) as usize, phase % STAGES);
            let Some(layer) = self.layers.get(index) else {
                if index == count && stage == 0 {
                    self.norm(Stage::Head, &Layer::default(), count)?;
                    self.product(Stage::Head, &Layer::default())?;
                } else {
                    self.candidates()?;
                }
                continue;
            };
            match stage {
                0 => {
                    self.norm(Stage::Qkv, layer, index)?;
                    self.product(Stage::Qkv, layer)?;
                }
                1 => self.attention(layer)?,
                2 => self.product(Stage::Output, layer)?,
                3 => {
                    self.norm(Stage::Up, layer, index)?;
                    self.product(Stage::Up, layer)?;
                }
                _ => self.product(Stage::Down, layer)?,
            }
        }
        Ok(())
    }

    /// The norm before a product; before experts with the router. `index` is the layer's.
    pub(crate) fn norm(&self, stage: Stage, layer: &Layer, index: usize) -> Result<(), Error> {
        let number = match stage {
            Stage::Up => 2,
            Stage::Head => 4,
            _ => 0,
        };
        let before = index.checked_sub(1).map_or(0, |before| self.layers[before].flags);
        let units = self.step.hidden.div_ceil(256);
        let blocks = if self.step.tokens as usize >= self.options.whole_from { 1 } else { units };
        let words = (32 + 1 + 2 * layout::MOST_EXPERTS).next_multiple_of(8) as u32;
        let shared = words * 4;
        let parameters = [
            Parameter::Step(&self.step),
            Parameter::Layer(layer),
            Parameter::Number(&number),
            Parameter::Number(&before),
        ];
        self.launch(Kernel::Norm, [blocks, self.step.tokens, 1], THREADS, shared, &parameters)
    }

    /// One of a layer's products, or the head's.
    pub(crate) fn product(&self, stage: Stage, layer: &Layer) -> Result<(), Error> {
        let tiles = |matrix: &layout::Matrix| matrix.rows.div_ceil(16);
        let (common, routed) = (layer.flags & layout::SHARED > 0, layer.flags & layout::ROUTED > 0);
        let (count, columns) = match stage {
            Stage::Qkv => (tiles(&layer.query) + tiles(&layer.key) + tiles(&layer.value), layer.query.columns),
            Stage::Output => (tiles(&layer.output), layer.output.columns),
            Stage::Up => (tiles(&layer.shared_gate).max(tiles(&layer.gate)), layer.gate.columns.max(layer.shared_gate.columns)),
            Stage::Down => (tiles(&layer.shared_down).max(tiles(&layer.down)), layer.down.columns.max(layer.shared_down.columns)),
            Stage::Head => (tiles(&self.step.head), self.step.head.columns),
        };
        let slots = match stage {
            Stage::Up | Stage::Down => {
                u32::from(common) + if routed { self.step.experts.min(self.step.tokens * self.step.used) } else { 0 }
            }
            _ => 1,
        };
        // As many warps as divide the blocks of a tile well; for gate and up so many for each.
        let warps = if stage == Stage::Up || columns.div_ceil(256).is_multiple_of(8) { 8 } else { 4 };
        let chunks = if self.is_one() { 1 } else { self.step.tokens.div_ceil(PANEL as u32) };
        let shared = if stage == Stage::Up {
            2 * self.step.term_bytes + (16 * PANEL * 4) as u32 + 16
        } else {
            self.step.term_bytes
        };
        let matrices: &[&layout::Matrix] = match stage {
            Stage::Qkv => &[&layer.query, &layer.key, &layer.value],
            Stage::Output => &[&layer.output],
            Stage::Up => &[&layer.shared_gate, &layer.shared_up, &layer.gate, &layer.up],
            Stage::Down => &[&layer.shared_down, &layer.down],
            Stage::Head => &[&self.step.head],
        };
        let q6_k = WeightType::Packed(PackedType::Q6_K).kind();
        let six = matrices.iter().any(|matrix| matrix.kind == q6_k);
        let kernel = Kernel::Product { stage, one: self.is_one(), six };
        let parameters = [Parameter::Step(&self.step), Parameter::Layer(layer)];
        self.launch(kernel, [count * chunks, slots, 1], warps * 32, shared, &parameters)
    }

    pub(crate) fn attention(&self, layer: &Layer) -> Result<(), Error> {
        let s = &self.model.shape;
        let (group, dim) = ((s.heads / s.kv_heads) as u32, s.head_dim as u32);
        let shared = (PARTS as u32 * group * (dim + 2) + (group + 1) * dim + 32) * 4;
        let items = self.step.tokens * self.step.kv_heads * self.step.splits;
        let parameters = [Parameter::Step(&self.step), Parameter::Layer(layer)];
        let many = items > self.device.multiprocessors();
        self.launch(Kernel::Attention { many }, [items, 1, 1], THREADS, shared, &parameters)
    }

    pub(crate) fn candidates(&self) -> Result<(), Error> {
        let warps = THREADS / 32;
        let parameters = [Parameter::Step(&self.step)];
        let grid = [(self.step.tokens * self.step.chunks).div_ceil(warps), 1, 1];
        self.launch(Kernel::Chunks, grid, THREADS, 0, &parameters)?;
        let shared = warps * KEPT as u32 * 8;
        self.launch(Kernel::Candidates, [self.step.tokens, 1, 1], THREADS, shared, &parameters)
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

//! Steps of a model: buffers, KV in blocks, inputs, and launches.
//!
//! A step computes rows: one token of each of up to 32 sequences, or up to [`Options::rows`] tokens of prompts. Which blocks of KV
//! are whose is the caller's to say.

mod blocks;
mod describe;
mod inputs;
mod kv;
mod launch;
mod many;
mod outcome;

pub use inputs::Batch;
pub use outcome::{Candidate, Outcome};

use crate::{
    Error,
    device::Device,
    layout::{Layer, Step},
    model::{Gated, Model, Tensor},
};
use inputs::Inputs;

/// How many sequences steps are timed with.
pub const BUCKETS: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// How many tokens prompts are timed with.
pub const PROMPTS: [usize; 2] = [512, 2048];

/// Phases of a layer: queries, keys and values with the norm before; attention; its output; the experts' first halves with norm
/// and router before; their second halves.
pub const STAGES: u32 = 5;

/// How a decoder is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows of a step at most.
    pub rows: usize,
    /// Rows whose logits are wanted, at most.
    pub wanted: usize,
    /// Sequences of a step at most, each with a table of its blocks.
    pub slots: usize,
    /// Positions of a sequence at most.
    pub context: usize,
    /// Positions of a block of KV; a multiple of 8.
    pub block_tokens: usize,
    /// Blocks of KV of the layers that see all tokens, and of the chunked ones.
    pub blocks: usize,
    /// From so many tokens on, one block norms a token; below, a block for each 256 columns.
    pub whole_from: usize,
    /// Whether kernels begin while those before end.
    pub overlaps: bool,
    /// Whether weights of the next product are asked for while memory has little to do. Not measured yet, so off.
    pub prefetches: bool,
}

impl Options {
    /// For steps of one token of each of `capacity` sequences, each with room for `context` positions.
    #[must_use]
    pub fn new(capacity: usize, context: usize) -> Self {
        let block_tokens = 64;
        Self {
            rows: capacity,
            wanted: capacity,
            slots: capacity,
            context,
            block_tokens,
            blocks: capacity * context.div_ceil(block_tokens),
            whole_from: 9,
            overlaps: true,
            prefetches: false,
        }
    }
}

/// The layers whose tables of KV blocks are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvGroup {
    /// Those that see all tokens.
    Full,
    /// Those that see the tokens of a chunk.
    Chunked,
}

/// A model with the buffers of its steps and the KV of its sequences.
#[derive(Debug)]
pub struct Decoder<D: Device> {
    pub(crate) device: D,
    pub(crate) model: Model,
    pub(crate) options: Options,
    /// As the next launches take it.
    pub(crate) step: Step,
    pub(crate) layers: Vec<Layer>,
    inputs: Inputs,
    buffers: Vec<u64>,
    /// Blocks of a sequence at most.
    table_blocks: usize,
    /// Of the terms of the widest tile in a product's shared memory: for one row, and for several.
    term_bytes: [u32; 2],
    /// Rows times splits that attention's scratch has room for.
    attended: usize,
}

impl<D: Device> Decoder<D> {
    /// # Errors
    /// [`Error::Model`] for what the kernels do not compute, or [`Error::OutOfMemory`].
    pub fn new(device: D, model: &Model, options: Options) -> Result<Self, Error> {
        model.check()?;
        let layers = vec![Layer::default(); model.layers.len()];
        let table_blocks = options.context.div_ceil(options.block_tokens);
        let mut decoder = Self {
            device,
            model: model.clone(),
            options,
            step: Step::default(),
            layers,
            inputs: Inputs::default(),
            buffers: Vec::new(),
            table_blocks,
            term_bytes: [0; 2],
            attended: 0,
        };
        decoder.describe_layers()?;
        decoder.describe_step()?;
        decoder.number_blocks()?;
        Ok(decoder)
    }

    #[must_use]
    pub fn device(&self) -> &D {
        &self.device
    }

    fn room(&mut self, bytes: usize) -> Result<u64, Error> {
        let at = self.device.allocate(bytes)?;
        self.buffers.push(at);
        Ok(at)
    }

    /// Bytes of a layer's keys, and as many of its values.
    fn kv_room(&self) -> usize {
        self.options.blocks * self.kv_block_bytes()
    }

    /// Bytes of the keys and values of all layers.
    #[must_use]
    pub fn kv_bytes(&self) -> usize {
        2 * self.layers.len() * self.kv_room()
    }

    /// Phases of a whole step: [`STAGES`] a layer, the head, and the candidates.
    #[must_use]
    pub fn phases(&self) -> u32 {
        self.layers.len() as u32 * STAGES + 2
    }

    /// Computes what [`Self::set`] has said.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn compute(&self) -> Result<(), Error> {
        let phases = if self.step.wanted == 0 { self.phases() - 2 } else { self.phases() };
        // Graphs are kept by what their launches depend on.
        let key = u64::from(self.step.splits) << 32
            | u64::from(self.step.wanted) << 16
            | u64::from(self.step.tokens);
        let decodes = self.step.flags & crate::layout::STORED == 0;
        let mut launches = || {
            self.begin()?;
            self.run(0, phases)
        };
        if decodes { self.device.replay(key, &mut launches) } else { launches() }
    }
}

impl<D: Device> Drop for Decoder<D> {
    fn drop(&mut self) {
        // By whichever thread; an error would be an earlier launch's.
        let _ = self.device.enter();
        self.device.forget_replays();
        for at in &self.buffers {
            self.device.free(*at);
        }
    }
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

//! The engine that runs decoders ([`crate::model::decoder`]) on an NVIDIA GPU, by the kernels of [`moe_cuda`].
//!
//! Weights and KV lie on the device; tables of KV blocks, positions and tokens are sent there with each step, and the best
//! candidates come back. It is generic over [`Device`], so that tests run it on a processor that emulates the kernels.

mod arrange;
mod kept;
mod open;
mod options;
mod plan;
mod step;
mod tables;
mod upload;

use std::{fmt, sync::Arc};

use moe_cuda::{
    Error,
    decode::{Decoder, KvGroup},
    device::Device,
};

use self::{arrange::Arranged, tables::Tables};
pub use moe_cuda::kv::KvType;

pub use self::{
    open::{card, gpu, kv_type, unusable},
    options::CudaOptions,
    plan::{Card, room},
};
use super::{
    Capabilities, DeviceMemory, Engine, EngineError, Kept, KeptFormat, Known, Outcomes, Span, outside,
    paging::Sequences,
};
use crate::{
    ids::{SequenceId, TokenId},
    model::decoder::{Model, ModelError},
    sleep::Progress,
};

/// Runs a model on a device.
pub struct CudaEngine<D: Device> {
    decoder: Decoder<D>,
    sequences: Sequences,
    tables: Tables,
    capabilities: Capabilities,
    /// Names the model, and how its keys and values are held.
    print: u64,
    options: CudaOptions,
    /// Rows of the last step whose logits are on the device.
    told: usize,
    /// Why nothing here can be trusted any more.
    broken: Option<String>,
}

impl<D: Device> fmt::Debug for CudaEngine<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaEngine")
            .field("capabilities", &self.capabilities)
            .field("sequences", &self.sequences.count())
            .finish_non_exhaustive()
    }
}

impl<D: Device> CudaEngine<D> {
    /// Brings `model` to the device, and makes room for its KV there. `progress` counts the bytes of tensors.
    ///
    /// # Errors
    /// [`ModelError`]: what the device cannot compute, or has no room for.
    pub fn new(
        device: D,
        model: &Model,
        options: CudaOptions,
        progress: &Progress,
    ) -> Result<Self, ModelError> {
        let config = &model.config;
        arrange::check(config)?;
        let weights = upload::upload(&device, model, progress)?;
        let Arranged { decoder, sizes, options, layout } =
            arrange::arrange(device, &weights, config, options)?;
        Ok(Self {
            tables: Tables::new(layout.slots),
            sequences: Sequences::new(sizes, options.prefix_cache),
            capabilities: Capabilities {
                vocab_size: config.vocab_size,
                context_length: options.context(config),
                max_batch_tokens: options.max_batch_tokens.max(1),
                can_export: true,
            },
            print: outside::fingerprint(model, &kept::held(&layout, decoder.device().kv_type())),
            decoder,
            options,
            told: 0,
            broken: None,
        })
    }

    /// What it was made with, where nothing is left open.
    #[must_use]
    pub fn options(&self) -> &CudaOptions {
        &self.options
    }

    /// What it runs on.
    #[must_use]
    pub fn device(&self) -> &D {
        self.decoder.device()
    }

    fn intact(&self) -> Result<(), EngineError> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(EngineError::Broken(why.clone())))
    }

    /// Appends the last pass' row number `row`.
    fn read(&self, row: usize, logits: &mut Vec<f32>) -> Result<(), Error> {
        self.decoder.device().enter()?;
        logits.extend(self.decoder.logits(row)?);
        Ok(())
    }

    /// From here on every call tells of an error after which nothing can be trusted.
    fn mark(&mut self, error: &EngineError) {
        if let EngineError::Broken(why) = error {
            self.broken = Some(why.clone());
        }
    }

    /// What a device's failure in a step leaves: kernels may have written anything anywhere.
    fn torn(&mut self, error: &Error) -> EngineError {
        let why = error.to_string();
        self.broken = Some(why.clone());
        EngineError::Broken(why)
    }

    /// Copies blocks that are about to be written to and that others hold.
    fn copy_blocks(&mut self) -> Result<(), Error> {
        let [full, chunked] = self.sequences.copies();
        for copy in full {
            self.decoder.copy_block(KvGroup::Full, copy.from, copy.to)?;
        }
        for copy in chunked {
            self.decoder.copy_block(KvGroup::Chunked, copy.from, copy.to)?;
        }
        Ok(())
    }
}

impl<D: Device + Send> Engine for CudaEngine<D> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn create(&mut self) -> Result<SequenceId, EngineError> {
        self.intact()?;
        Ok(self.sequences.create())
    }

    fn begin(&mut self, salt: &Arc<str>, prompt: &[TokenId]) -> Result<SequenceId, EngineError> {
        self.intact()?;
        Ok(self.sequences.begin(salt, prompt))
    }

    fn known(&self) -> Known {
        self.sequences.known()
    }

    fn kept_format(&self) -> Option<KeptFormat> {
        let how = kept::computed(self.decoder.device());
        let tokens = self.sequences.cache.sizes.block_len;
        let format = || outside::kept_format(&self.decoder, self.print, &how, tokens);
        self.sequences.has_prefix_cache().then(format)
    }

    fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        if self.intact().is_ok() {
            // What cannot be read any more is not kept; the next step tells that the device is lost.
            let _ = outside::visit_kept(&self.decoder, &self.sequences.cache, visit);
        }
    }

    fn restore(&mut self, block: &Kept<'_>) -> Option<u64> {
        self.intact().ok()?;
        let restored = outside::restore(&mut self.decoder, &mut self.sequences.cache, block);
        restored.inspect_err(|error| self.mark(error)).ok()?
    }

    fn step(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError> {
        self.advance(spans, outcomes).inspect_err(|_| outcomes.clear())
    }

    fn logits(&mut self, row: usize, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.intact()?;
        if row >= self.told {
            return Err(EngineError::Unsupported("rows of logits that the last step has not told in part"));
        }
        logits.clear();
        self.read(row, logits).map_err(|error| self.torn(&error))
    }

    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.sequences.len(sequence)
    }

    fn fork(&mut self, sequence: SequenceId, position: usize) -> Result<SequenceId, EngineError> {
        self.intact()?;
        self.sequences.fork(sequence, position)
    }

    fn truncate(&mut self, sequence: SequenceId, position: usize) -> Result<(), EngineError> {
        self.intact()?;
        self.sequences.truncate(sequence, position)
    }

    fn can_resume_at(&self, sequence: SequenceId, position: usize) -> bool {
        self.sequences.can_resume_at(sequence, position)
    }

    fn release(&mut self, sequence: SequenceId) {
        self.sequences.release(sequence);
    }

    fn free_tokens(&self) -> usize {
        self.sequences.free_tokens()
    }

    fn device_memory(&self) -> Option<DeviceMemory> {
        let device = self.decoder.device();
        device.enter().ok()?;
        Some(DeviceMemory { free: device.free_bytes().ok()?, total: device.total_bytes()? })
    }

    fn export(&self, sequence: SequenceId) -> Result<Vec<u8>, EngineError> {
        self.intact()?;
        outside::export(&self.decoder, self.print, self.sequences.held(sequence)?)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<SequenceId, EngineError> {
        self.intact()?;
        let (most, cache) = (self.capabilities.context_length, &mut self.sequences.cache);
        let held = outside::import(&mut self.decoder, self.print, most, cache, bytes);
        let held = held.inspect_err(|error| self.mark(error))?;
        Ok(self.sequences.insert(held))
    }
}

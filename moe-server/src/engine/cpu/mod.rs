//! The engine that runs decoders ([`crate::model::decoder`]) on the processor.
//!
//! Weights stay where they are (mapped, or packed in memory when the model was loaded); keys and values lie in blocks, rounded
//! to [`KvType`]. See [`crate::engine`] for the invariant on bits, which `moe-server/tests/goldens/schedules.rs` holds.

mod attention;
mod buffers;
mod experts;
mod forward;
mod inputs;
mod kv;
mod machine;
mod options;
mod plan;
mod pool;
mod products;
mod routing;
mod store;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use moe_kernels::Isa;
pub use moe_kernels::attention::KvType;
pub use options::{Arithmetic, CpuOptions};
pub use plan::room;

use self::{buffers::Buffers, forward::Pass, kv::Kv, machine::Machine, pool::Pool};
use super::{
    Capabilities, Engine, EngineError, Kept, KeptFormat, Known, Outcomes, SequenceId, Span, TokenId, Wanted,
    outside,
    paging::{Part, Sequences},
};
use crate::{
    model::{
        decoder::{Model, ModelError},
        gguf::Gguf,
    },
    sleep::Progress,
};

/// Runs a model on the processor.
pub struct CpuEngine {
    model: Model,
    frequencies: Vec<f64>,
    pool: Pool,
    buffers: Buffers,
    isa: Isa,
    arithmetic: Arithmetic,
    kv: Kv,
    sequences: Sequences,
    capabilities: Capabilities,
    /// Why nothing here can be trusted any more.
    broken: Option<String>,
}

impl fmt::Debug for CpuEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuEngine")
            .field("isa", &self.isa)
            .field("threads", &self.pool.threads())
            .field("capabilities", &self.capabilities)
            .field("sequences", &self.sequences.count())
            .finish_non_exhaustive()
    }
}

impl CpuEngine {
    /// Takes the model from a mapped file.
    ///
    /// # Errors
    /// [`ModelError`], saying what is wrong with the file or the options.
    pub fn from_gguf(file: &Arc<Gguf>, options: CpuOptions) -> Result<Self, ModelError> {
        Self::load(file, options, &Progress::default())
    }

    /// The same; `progress` counts the bytes of tensors.
    ///
    /// # Errors
    /// As [`Self::from_gguf`].
    pub fn load(file: &Arc<Gguf>, options: CpuOptions, progress: &Progress) -> Result<Self, ModelError> {
        Self::new(Model::load_telling(file, pool::threads_of(options.threads), progress)?, options)
    }

    /// # Errors
    /// [`ModelError::Resources`] where threads or memory cannot be had.
    #[allow(clippy::needless_pass_by_value, reason = "options are given away")]
    pub fn new(model: Model, options: CpuOptions) -> Result<Self, ModelError> {
        let config = &model.config;
        let longest = config.context_length;
        let capabilities = Capabilities {
            vocab_size: config.vocab_size,
            context_length: options.context_limit.map_or(longest, |limit| limit.min(longest)),
            max_batch_tokens: options.max_batch_tokens.max(1),
            can_export: true,
        };
        let kv = Kv::new(config, options.kv_tokens, options.kv_type)?;
        Ok(Self {
            frequencies: config.rope_frequencies(),
            pool: Pool::new(options.threads)?,
            buffers: Buffers::default(),
            isa: Isa::detect(),
            arithmetic: options.arithmetic,
            sequences: Sequences::new(kv.sizes, options.prefix_cache),
            kv,
            capabilities,
            broken: None,
            model,
        })
    }

    /// The number of compute threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Names the model, and how its keys and values are held.
    fn print(&self) -> u64 {
        outside::fingerprint(&self.model, &format!("{:?}", self.kv.layout))
    }

    fn intact(&self) -> Result<(), EngineError> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(EngineError::Broken(why.clone())))
    }

    /// Runs `f`; where it panics, the engine is broken from then on.
    fn guarded<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> Result<T, EngineError> {
        catch_unwind(AssertUnwindSafe(|| f(self))).map_err(|panic| {
            let why = format!("a compute thread died: {}", message(panic.as_ref()));
            self.broken = Some(why.clone());
            EngineError::Broken(why)
        })
    }

    /// A step; after an error `logits` hold anything.
    fn advance(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.intact()?;
        self.sequences.check(spans, &self.capabilities)?;
        if spans.is_empty() {
            logits.clear();
            return Ok(());
        }
        let parts = self.sequences.grow(spans).inspect_err(|error| {
            if let EngineError::Broken(why) = error {
                self.broken = Some(why.clone());
            }
        })?;
        let [full, chunked] = self.sequences.copies();
        full.for_each(|copy| self.kv.full.copy(copy));
        chunked.for_each(|copy| self.kv.chunked.copy(copy));
        self.guarded(|engine| engine.compute(&parts, logits))?;
        match not_finite(spans, logits, self.capabilities.vocab_size) {
            None => {
                self.sequences.commit(parts);
                Ok(())
            }
            Some(sequence) => {
                self.sequences.abandon(parts, Some(sequence));
                Err(EngineError::NotANumber { sequence })
            }
        }
    }

    fn compute(&mut self, parts: &[Part<'_>], logits: &mut Vec<f32>) {
        let Self { model, frequencies, pool, buffers, isa, arithmetic, kv, .. } = self;
        let machine = Machine { pool, buffers, isa: *isa, is_exact: *arithmetic == Arithmetic::Exact };
        Pass { model, frequencies, machine }.run(kv, parts, logits);
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The first sequence with a logit that is no finite number.
fn not_finite(spans: &[Span<'_>], logits: &[f32], vocab_size: usize) -> Option<SequenceId> {
    let mut rows = logits.chunks_exact(vocab_size);
    spans.iter().find_map(|span| {
        let count = match span.logits {
            Wanted::None => 0,
            Wanted::Last => 1,
            Wanted::All => span.tokens.len(),
        };
        let odd = rows.by_ref().take(count).flatten().filter(|logit| !logit.is_finite()).count() > 0;
        odd.then_some(span.sequence)
    })
}

impl Engine for CpuEngine {
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
        // Other instructions do not round otherwise.
        let how = format!("{:?}", self.arithmetic);
        let format = || outside::kept_format(&self.kv, self.print(), &how, self.kv.sizes.block_len);
        self.sequences.has_prefix_cache().then(format)
    }

    fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        // Memory can always be read.
        let _ = outside::visit_kept(&self.kv, &self.sequences.cache, visit);
    }

    fn restore(&mut self, block: &Kept<'_>) -> Option<u64> {
        self.intact().ok()?;
        outside::restore(&mut self.kv, &mut self.sequences.cache, block).ok()?
    }

    fn step(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError> {
        let logits = outcomes.whole(self.capabilities.vocab_size);
        self.advance(spans, logits).inspect_err(|_| logits.clear())
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

    fn export(&self, sequence: SequenceId) -> Result<Vec<u8>, EngineError> {
        self.intact()?;
        outside::export(&self.kv, self.print(), self.sequences.held(sequence)?)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<SequenceId, EngineError> {
        self.intact()?;
        let (print, most) = (self.print(), self.model.config.context_length);
        let held = outside::import(&mut self.kv, print, most, &mut self.sequences.cache, bytes)?;
        Ok(self.sequences.insert(held))
    }
}

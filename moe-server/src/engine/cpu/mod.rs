//! The engine that runs decoders ([`crate::model::decoder`]) on the processor.
//!
//! Weights stay where they are (mapped, or packed in memory when the model was loaded); keys and values lie in blocks, rounded
//! to [`KvType`]. See [`crate::engine`] for the invariant on bits, which `moe-server/tests/goldens/schedules.rs` holds.

mod attention;
mod buffers;
mod experts;
mod forward;
mod inputs;
mod kept;
mod kv;
mod machine;
mod options;
mod pool;
mod prefix;
mod products;
mod routing;
mod state;
mod store;

use std::{
    any::Any,
    collections::{BTreeMap, HashSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use moe_kernels::Isa;
pub use moe_kernels::attention::KvType;
pub use options::{Arithmetic, CpuOptions};

use self::{
    buffers::Buffers,
    forward::{Part, Pass},
    kv::{Cache, Held},
    machine::Machine,
    pool::Pool,
    prefix::Lineage,
};
use super::{Capabilities, Engine, EngineError, Kept, KeptFormat, Known, SequenceId, Span, TokenId, Wanted};
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
    cache: Cache,
    sequences: BTreeMap<SequenceId, Held>,
    /// Of the sequences that take part in the prefix cache.
    lineages: BTreeMap<SequenceId, Lineage>,
    prefix_cache: bool,
    next: u64,
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
            .field("sequences", &self.sequences.len())
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
        Ok(Self {
            frequencies: config.rope_frequencies(),
            pool: Pool::new(options.threads)?,
            buffers: Buffers::default(),
            isa: Isa::detect(),
            arithmetic: options.arithmetic,
            cache: Cache::new(config, options.kv_tokens, options.kv_type)?,
            sequences: BTreeMap::new(),
            lineages: BTreeMap::new(),
            prefix_cache: options.prefix_cache,
            next: 0,
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

    fn intact(&self) -> Result<(), EngineError> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(EngineError::Broken(why.clone())))
    }

    fn held(&self, sequence: SequenceId) -> Result<&Held, EngineError> {
        self.sequences.get(&sequence).ok_or(EngineError::UnknownSequence(sequence))
    }

    fn insert(&mut self, held: Held) -> SequenceId {
        let id = SequenceId(self.next);
        self.next += 1;
        self.sequences.insert(id, held);
        id
    }

    /// Refuses what cannot be run, before anything changes.
    fn check(&self, spans: &[Span<'_>]) -> Result<(), EngineError> {
        self.intact()?;
        let mut seen = HashSet::new();
        let mut total = 0;
        let mut blocks = 0;
        for span in spans {
            let held = self.held(span.sequence)?;
            if span.tokens.is_empty() {
                return Err(EngineError::Unsupported("a span without tokens"));
            }
            if !seen.insert(span.sequence) {
                return Err(EngineError::Unsupported("two spans of one sequence in a step"));
            }
            let length = held.length + span.tokens.len();
            let limit = self.capabilities.context_length;
            if length > limit {
                return Err(EngineError::ContextFull { length, limit });
            }
            if let Some(token) = span.tokens.iter().find(|t| **t as usize >= self.capabilities.vocab_size) {
                return Err(EngineError::UnknownToken(*token));
            }
            total += span.tokens.len();
            blocks += self.cache.blocks_for(held, span.tokens.len());
        }
        if total > self.capabilities.max_batch_tokens {
            return Err(EngineError::Unsupported("more tokens in a step than max_batch_tokens"));
        }
        let (wanted, free) = (blocks * self.cache.block_len, self.cache.free_tokens());
        if wanted > free { Err(EngineError::OutOfBlocks { wanted, free }) } else { Ok(()) }
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
        self.check(spans)?;
        if spans.is_empty() {
            logits.clear();
            return Ok(());
        }
        let mut parts: Vec<Part<'_>> = Vec::with_capacity(spans.len());
        for span in spans {
            let held =
                self.sequences.get(&span.sequence).ok_or(EngineError::UnknownSequence(span.sequence))?;
            let Some(grown) = self.cache.grown(held, span.tokens.len()) else {
                let why = "blocks that were free are not".to_owned();
                self.broken = Some(why.clone());
                return Err(EngineError::Broken(why));
            };
            let position = held.length;
            parts.push(Part { tokens: span.tokens, position, held: grown, wanted: span.logits });
        }
        self.guarded(|engine| engine.compute(&parts, logits))?;
        let odd = not_finite(spans, logits, self.capabilities.vocab_size);
        for (span, part) in spans.iter().zip(parts) {
            let mut loser = part.held;
            if odd.is_none() {
                if let Some(lineage) = self.lineages.get_mut(&span.sequence) {
                    lineage.extend(span.tokens);
                    self.cache.know(&mut loser, lineage);
                }
                self.cache.leave_old_chunks(&mut loser);
                if let Some(held) = self.sequences.get_mut(&span.sequence) {
                    std::mem::swap(held, &mut loser);
                }
            }
            self.cache.release(loser);
        }
        let Some(sequence) = odd else { return Ok(()) };
        // What it was computed from may be damaged: whoever asks again is not to be given the same.
        if let Some(lineage) = self.lineages.remove(&sequence) {
            self.cache.distrust(&lineage);
        }
        Err(EngineError::NotANumber { sequence })
    }

    fn compute(&mut self, parts: &[Part<'_>], logits: &mut Vec<f32>) {
        let Self { model, frequencies, pool, buffers, isa, arithmetic, cache, .. } = self;
        let machine = Machine { pool, buffers, isa: *isa, is_exact: *arithmetic == Arithmetic::Exact };
        Pass { model, frequencies, machine }.run(cache, parts, logits);
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
        Ok(self.insert(Held::default()))
    }

    fn begin(&mut self, salt: &Arc<str>, prompt: &[TokenId]) -> Result<SequenceId, EngineError> {
        if !self.prefix_cache {
            return self.create();
        }
        self.intact()?;
        let (held, lineage) = self.cache.begin(salt, prompt);
        let id = self.insert(held);
        self.lineages.insert(id, lineage);
        Ok(id)
    }

    fn known(&self) -> Known {
        let prefixes = &self.cache.prefixes;
        Known {
            blocks: prefixes.len(),
            tokens: prefixes.len() * self.cache.block_len,
            evictions: prefixes.evictions(),
        }
    }

    fn kept_format(&self) -> Option<KeptFormat> {
        let format = || self.cache.kept_format(&self.model, self.arithmetic);
        self.prefix_cache.then(format)
    }

    fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        self.cache.visit_kept(visit);
    }

    fn restore(&mut self, block: &Kept<'_>) -> Option<u64> {
        self.broken.is_none().then(|| self.cache.restore(block)).flatten()
    }

    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.advance(spans, logits).inspect_err(|_| logits.clear())
    }

    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.sequences.get(&sequence).map(|held| held.length)
    }

    fn fork(&mut self, sequence: SequenceId, position: usize) -> Result<SequenceId, EngineError> {
        self.intact()?;
        let held = self.sequences.get(&sequence).ok_or(EngineError::UnknownSequence(sequence))?;
        if !self.cache.can_resume_at(held, position) {
            return Err(EngineError::CannotResumeAt(position));
        }
        let part = self.cache.shared(held, position);
        let id = self.insert(part);
        if let Some(mut lineage) = self.lineages.get(&sequence).cloned() {
            lineage.cut(position, self.cache.block_len);
            self.lineages.insert(id, lineage);
        }
        Ok(id)
    }

    fn truncate(&mut self, sequence: SequenceId, position: usize) -> Result<(), EngineError> {
        self.intact()?;
        let held = self.sequences.get_mut(&sequence).ok_or(EngineError::UnknownSequence(sequence))?;
        if !self.cache.can_resume_at(held, position) {
            return Err(EngineError::CannotResumeAt(position));
        }
        self.cache.cut(held, position);
        if let Some(lineage) = self.lineages.get_mut(&sequence) {
            lineage.cut(position, self.cache.block_len);
        }
        Ok(())
    }

    fn can_resume_at(&self, sequence: SequenceId, position: usize) -> bool {
        self.sequences.get(&sequence).is_some_and(|held| self.cache.can_resume_at(held, position))
    }

    fn release(&mut self, sequence: SequenceId) {
        self.lineages.remove(&sequence);
        if let Some(held) = self.sequences.remove(&sequence) {
            self.cache.release(held);
        }
    }

    fn free_tokens(&self) -> usize {
        self.cache.free_tokens()
    }

    fn export(&self, sequence: SequenceId) -> Result<Vec<u8>, EngineError> {
        self.intact()?;
        Ok(state::export(&self.model, &self.cache, self.held(sequence)?))
    }

    fn import(&mut self, bytes: &[u8]) -> Result<SequenceId, EngineError> {
        self.intact()?;
        let held = state::import(&self.model, &mut self.cache, bytes)?;
        Ok(self.insert(held))
    }
}

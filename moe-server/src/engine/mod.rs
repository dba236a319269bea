//! The seam between scheduling and arithmetic.
//!
//! An [`Engine`] **owns the KV** and speaks sequences, so that paged kernels of our own and llama.cpp fit alike.
//!
//! **Invariant**: a token's logits are bit-identical whatever the batch size, the chunking, a cache hit or the thread
//! count. Each output has one fixed order of reduction. Seeds and prefix caches can be trusted only then.
//!
//! A [`Factory`] makes an engine anew after it was dropped, so that a server can sleep.

pub mod cpu;
pub mod cuda;
mod outcomes;
mod outside;
mod paging;
mod room;

pub use crate::ids::{SequenceId, TokenId};
pub use outcomes::{Best, Candidate, LOG_SUM_EXP_ERROR, Outcome, Outcomes};
pub use room::Room;

use crate::sleep::Progress;
use std::fmt;
use std::sync::Arc;

/// What the engine can do beyond the minimum, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Logits per position.
    pub vocab_size: usize,
    /// The longest sequence, in tokens.
    pub context_length: usize,
    /// The most tokens one [`Engine::step`] takes, over all its spans.
    pub max_batch_tokens: usize,
    /// Whether [`Engine::export`] and [`Engine::import`] work.
    pub can_export: bool,
}

/// Tokens to append to one sequence in one step.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    pub sequence: SequenceId,
    /// Appended at the sequence's present end; not empty.
    pub tokens: &'a [TokenId],
    /// Which of these tokens' logits are wanted.
    pub logits: Wanted,
}

/// Which positions of a span yield logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A chunk of a prompt that goes on.
    None,
    /// The usual case: to sample the next token.
    Last,
    /// Teacher-forced evaluation.
    All,
}

/// Why the engine could not do it. After [`EngineError::Broken`] nothing it holds can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineError {
    /// The sequence would grow past the context length.
    ContextFull {
        length: usize,
        limit: usize,
    },
    /// No KV blocks are left for these tokens; end or truncate another sequence.
    OutOfBlocks {
        wanted: usize,
        free: usize,
    },
    UnknownSequence(SequenceId),
    /// A token outside the vocabulary.
    UnknownToken(TokenId),
    /// A position to which the sequence cannot be taken back ([`Engine::can_resume_at`]).
    CannotResumeAt(usize),
    /// A logit is not a finite number.
    NotANumber {
        sequence: SequenceId,
    },
    Unsupported(&'static str),
    /// Bytes that are no exported sequence of this engine and model.
    Incompatible(&'static str),
    /// A compute thread died, or the state is torn.
    Broken(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContextFull { length, limit } => {
                write!(f, "{length} tokens do not fit the context of {limit}")
            }
            Self::OutOfBlocks { wanted, free } => {
                write!(f, "{wanted} more tokens of KV cache are needed and {free} are free")
            }
            Self::UnknownSequence(SequenceId(id)) => write!(f, "there is no sequence {id}"),
            Self::UnknownToken(id) => write!(f, "token {id} is outside the vocabulary"),
            Self::CannotResumeAt(position) => write!(f, "the sequence cannot be resumed at {position}"),
            Self::NotANumber { .. } => f.write_str("the model computed a logit that is not a number"),
            Self::Unsupported(what) => write!(f, "this engine does not support {what}"),
            Self::Incompatible(why) => write!(f, "the sequence cannot be imported: {why}"),
            Self::Broken(why) => write!(f, "the engine is broken: {why}"),
        }
    }
}

impl std::error::Error for EngineError {}

/// What the prefix cache holds. It takes no room from sequences: it is made of what they left in the KV's free blocks, and of
/// what those that run hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    pub blocks: usize,
    pub tokens: usize,
    /// Blocks that were overwritten so far.
    pub evictions: u64,
}

/// Memory of the GPU that an engine computes on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What no process has.
    pub free: usize,
    pub total: usize,
}

/// How an engine keeps blocks of its prefix cache outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFormat {
    /// All that a block's bytes depend on besides its text: blocks kept under another one are of no use.
    pub print: String,
    /// Tokens of a block.
    pub tokens: usize,
    /// Bytes of [`Kept::full`] and of [`Kept::chunked`].
    pub bytes: [usize; 2],
}

/// A block of the prefix cache.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Names the block in this engine.
    pub id: u64,
    pub parent: KeptParent<'a>,
    pub tokens: &'a [TokenId],
    /// Keys and values of the layers that see all tokens.
    pub full: &'a [u8],
    /// Those of the chunked layers, which may be gone before.
    pub chunked: Option<&'a [u8]>,
}

/// What stands before a block.
#[derive(Debug, Clone, Copy)]
pub enum KeptParent<'a> {
    /// Nothing; its text began under this salt.
    Salt(&'a str),
    Block(u64),
}

/// Runs a model. One owner drives it from one thread; it may use more threads inside.
pub trait Engine: Send {
    fn capabilities(&self) -> &Capabilities;

    /// A new, empty sequence.
    ///
    /// # Errors
    /// [`EngineError::OutOfBlocks`] where even an empty one needs room.
    fn create(&mut self) -> Result<SequenceId, EngineError>;

    /// A new sequence for `prompt`, which already has as many of its tokens as the engine still knows the KV of
    /// ([`Self::len`] says how many), never the last. What it then computes is known to those that begin after it. Sequences
    /// with different salts share nothing.
    ///
    /// # Errors
    /// As [`Self::create`].
    fn begin(&mut self, salt: &Arc<str>, prompt: &[TokenId]) -> Result<SequenceId, EngineError> {
        let _ = (salt, prompt);
        self.create()
    }

    /// What [`Self::begin`] may find.
    fn known(&self) -> Known {
        Known::default()
    }

    /// None where this engine keeps nothing.
    fn kept_format(&self) -> Option<KeptFormat> {
        None
    }

    /// Shows the prefix cache's blocks, the most recently used first and parents before their children, until the answer is
    /// false.
    fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        let _ = visit;
    }

    /// Takes a block of an engine with the same [`KeptFormat`] into the prefix cache, as less recently used than all that is
    /// there; `parent` by its name in this engine. Answers the block's name here; none where there is no room that
    /// holds nothing, or no such parent. The bytes are taken as they are: they must be known to be whole.
    fn restore(&mut self, block: &Kept<'_>) -> Option<u64> {
        let _ = block;
        None
    }

    /// Appends every span's tokens and tells the wanted rows of logits, in the order of the spans: whole, or the best of each,
    /// as the engine likes. Prefill and decode are the same thing and may be mixed. A sequence appears in one span at most.
    /// On an error no sequence has changed (except after [`EngineError::Broken`]), and nothing is told.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn step(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError>;

    /// Overwrites `logits` with a whole row of the last step, number `row` of its outcomes, where [`Outcome::Best`] was told of it.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] where there is no such row, or it was told whole; [`EngineError::Broken`].
    fn logits(&mut self, row: usize, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        let _ = (row, logits);
        Err(EngineError::Unsupported("rows of logits after their step"))
    }

    /// As [`Self::step`], and all rows whole: one after the other, each `vocab_size` long.
    ///
    /// # Errors
    /// As [`Self::step`]; `logits` are empty then.
    fn step_logits(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), EngineError> {
        let mut outcomes = Outcomes::with_buffer(std::mem::take(logits));
        let told = self.step(spans, &mut outcomes);
        let best = outcomes.best_rows();
        *logits = outcomes.into_buffer();
        told.and_then(|()| {
            let mut whole = Vec::new();
            (0..best).try_for_each(|row| {
                self.logits(row, &mut whole)?;
                logits.extend_from_slice(&whole);
                Ok(())
            })
        })
        .inspect_err(|_| logits.clear())
    }

    /// The number of tokens in the sequence.
    fn len(&self, sequence: SequenceId) -> Option<usize>;

    /// A second sequence that shares the first `position` tokens' KV.
    ///
    /// # Errors
    /// [`EngineError::CannotResumeAt`] where [`Self::can_resume_at`] says no.
    fn fork(&mut self, sequence: SequenceId, position: usize) -> Result<SequenceId, EngineError>;

    /// Forgets everything from `position` on.
    ///
    /// # Errors
    /// [`EngineError::CannotResumeAt`] where [`Self::can_resume_at`] says no.
    fn truncate(&mut self, sequence: SequenceId, position: usize) -> Result<(), EngineError>;

    /// Whether all KV that a token at `position` would see is still held: the full layers' for `[0, position)`, the
    /// chunked layers' for the chunk in which `position` lies.
    fn can_resume_at(&self, sequence: SequenceId, position: usize) -> bool;

    /// Ends the sequence and frees what only it held. Unknown ones are ignored.
    fn release(&mut self, sequence: SequenceId);

    /// How many more tokens the KV cache takes.
    fn free_tokens(&self) -> usize;

    /// The GPU's memory, where it computes on one and that tells.
    fn device_memory(&self) -> Option<DeviceMemory> {
        None
    }

    /// The sequence's KV as bytes that [`Self::import`] of the same engine and model takes.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] where [`Capabilities::can_export`] is false.
    fn export(&self, sequence: SequenceId) -> Result<Vec<u8>, EngineError>;

    /// # Errors
    /// [`EngineError::Unsupported`] likewise, [`EngineError::Incompatible`] for bytes of another model, or
    /// [`EngineError::OutOfBlocks`].
    fn import(&mut self, bytes: &[u8]) -> Result<SequenceId, EngineError>;
}

/// Why there is no engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadFailure {
    /// [`Progress`] said that it is not wanted any more.
    Cancelled,
    /// For operators: what is wrong and what to do.
    Failed(String),
}

/// Makes an engine of one model, again and again. Called by one thread, one call at a time.
pub trait Factory: Send {
    /// A new engine with nothing in it. The one before is dropped. It must have the same [`Capabilities`] each time, and
    /// tokens must mean the same.
    ///
    /// # Errors
    /// [`LoadFailure`].
    fn load(&mut self, progress: &Progress) -> Result<Box<dyn Engine>, LoadFailure>;

    /// After [`Self::load`]: brings all that the engine computes with to where it computes fast.
    ///
    /// # Errors
    /// [`LoadFailure`]; the engine is to be dropped then.
    fn warm(&mut self, progress: &Progress) -> Result<(), LoadFailure>;
}

//! What of a model has room where: told from its file's header and table of tensors, before it is loaded. No weight is read.
//!
//! What an engine takes is asked of that engine ([`cuda::room`], [`cpu::room`]); here are only what it is for ([`weights`]), the
//! search for what has room, and what to do where nothing has ([`advice`]).

mod advice;
mod search;
mod weights;

use std::path::Path;

use crate::{
    engine::{
        Room,
        cpu::{self, CpuOptions, KvType},
        cuda::{self, Card, CudaOptions},
    },
    model::{
        ModelError,
        decoder::{Config, ModelError as Unfit, ModelOutline},
        gguf::Gguf,
        packing::{Manifest, beside},
        weights::MemoryPlan,
    },
};

pub use crate::model::weights::available_memory;
use search::{least, most};
pub use weights::{Group, Weights};

/// Cards as they are sold, and bytes of memory of one of each: by `nvidia-smi`, of L4, L40S, H100 and H200.
pub const CARDS: [(&str, usize); 4] =
    [("24 GB", 23_034 << 20), ("48 GB", 46_068 << 20), ("80 GB", 81_559 << 20), ("141 GB", 143_771 << 20)];

/// More than any machine has.
const MOST_MEMORY: usize = 1 << 50;
/// Memory is searched for in steps of this.
const STEP: usize = 1 << 20;

/// A model, as its file tells of it.
#[derive(Debug)]
pub struct ModelPlan {
    outline: ModelOutline,
    pub architecture: String,
    pub weights: Weights,
    /// Bytes that are packed in the machine's memory at each start, on whatever it runs then.
    pub packed_at_start: usize,
}

/// How it is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The longest sequence; without one, as long as the engine makes it.
    pub context: Option<usize>,
    pub kv_type: KvType,
    /// Sequences that are computed at once.
    pub max_batch: usize,
}

/// Where it is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the processor, with so many bytes of memory.
    Cpu {
        memory: usize,
    },
    Gpu(Card),
}

/// What becomes of the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What is taken, and how long one sequence may be alone.
    Fits { room: Room, longest: usize },
    /// With `needed` bytes of memory it would take `room`; here a sequence has room up to `longest`, if at all.
    TooLarge { needed: usize, room: Room, longest: Option<usize> },
    /// Whatever memory there is.
    Never(String),
}

impl Place {
    /// Bytes that there are.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Self::Cpu { memory } => *memory,
            Self::Gpu(card) => card.memory,
        }
    }

    /// The same place with so many.
    fn with(self, memory: usize) -> Self {
        match self {
            Self::Cpu { .. } => Self::Cpu { memory },
            Self::Gpu(card) => Self::Gpu(Card { memory, ..card }),
        }
    }

    /// What keys and values can be of there.
    #[must_use]
    pub fn kv_types(&self) -> &'static [KvType] {
        match self {
            Self::Cpu { .. } => &KvType::ALL,
            Self::Gpu(_) => &CudaOptions::KV_TYPES,
        }
    }
}

impl ModelPlan {
    /// Reads a file's header, or those of all its parts.
    ///
    /// # Errors
    /// [`ModelError`], naming the file and what is wrong in it, or that no engine runs such a model.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::of(path).map_err(|error| error.in_file(path))
    }

    fn of(path: &Path) -> Result<Self, ModelError> {
        let gguf = Gguf::open(path)?;
        let outline = ModelOutline::of(&gguf)?;
        let is_packed = Manifest::of(&gguf)?.is_some() || matches!(beside(path, &gguf), Ok(Some(_)));
        Ok(Self {
            weights: Weights::of(&outline),
            architecture: gguf.get::<&str>("general.architecture")?.to_owned(),
            packed_at_start: if is_packed { 0 } else { MemoryPlan::of(&gguf).bytes },
            outline,
        })
    }

    #[must_use]
    pub fn config(&self) -> &Config {
        &self.outline.config
    }

    /// What the engine would take.
    ///
    /// # Errors
    /// [`Unfit`], as the engine would say.
    pub fn room(&self, place: Place, wish: &Wish) -> Result<Room, Unfit> {
        match place {
            Place::Cpu { memory } => {
                let options = CpuOptions {
                    kv_type: wish.kv_type,
                    context_limit: wish.context,
                    ..CpuOptions::default()
                };
                cpu::room(memory, &self.outline, self.weights.bytes, &options, wish.max_batch)
            }
            Place::Gpu(card) => {
                let options = CudaOptions {
                    context_limit: wish.context,
                    max_sequences: wish.max_batch,
                    max_wanted: wish.max_batch,
                    ..CudaOptions::default()
                };
                cuda::room(card, &self.outline, options, wish.kv_type)
            }
        }
    }

    /// Whether it has room, and else what is missing.
    #[must_use]
    pub fn outcome(&self, place: Place, wish: &Wish) -> Outcome {
        if let Err(why) = self.room(place.with(MOST_MEMORY), wish) {
            return Outcome::Never(reason(why));
        }
        let longest = most(self.config().context_length, |context| {
            self.room(place, &Wish { context: Some(context), ..*wish }).is_ok()
        });
        if let Ok(room) = self.room(place, wish) {
            return Outcome::Fits { room, longest: longest.unwrap_or(room.context) };
        }
        let at = |steps: usize| self.room(place.with(steps * STEP), wish);
        let steps = least(MOST_MEMORY / STEP, |steps| at(steps).is_ok());
        match at(steps) {
            Ok(room) => Outcome::TooLarge { needed: steps * STEP, room, longest },
            Err(why) => Outcome::Never(reason(why)),
        }
    }

    /// What to do about an outcome, or to know of it: a line each.
    #[must_use]
    pub fn advice(&self, place: Place, wish: &Wish, outcome: &Outcome) -> Vec<String> {
        advice::advice(self, place, wish, outcome)
    }
}

/// Without the words that are for a file's mistakes.
fn reason(why: Unfit) -> String {
    match why {
        Unfit::Config(why) => why,
        why => why.to_string(),
    }
}

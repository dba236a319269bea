//! What tokens and sequences are called.

/// A token of the model's vocabulary.
pub type TokenId = u32;

/// Names a sequence inside its engine. Never reused within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

//! How much of a device's memory an engine takes.

/// What an engine takes, and what it can do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the weights.
    pub weights: usize,
    /// Bytes of keys and values, of all sequences.
    pub kv: usize,
    /// Bytes of what a step computes with.
    pub buffers: usize,
    /// The longest sequence, in tokens.
    pub context: usize,
    /// Tokens whose keys and values have room.
    pub kv_tokens: usize,
    /// Bytes of the keys and values of one sequence of that length.
    pub sequence: usize,
    /// Sequences of that length that have room at once.
    pub sequences: usize,
}

impl Room {
    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.weights + self.kv + self.buffers
    }

    /// Bytes of a token's keys and values.
    #[must_use]
    pub fn token(&self) -> usize {
        self.kv / self.kv_tokens.max(1)
    }
}

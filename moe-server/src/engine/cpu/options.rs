//! How to run a model on the processor.

use moe_kernels::attention::KvType;

/// What packed weights are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// Activations quantised to 8 bits, with a scale for each 32 or 256 values: all sums inside a block are integers.
    #[default]
    Integer,
    /// The activations themselves; weights as the `f32` values that they stand for. Slow: the reference for the other.
    Exact,
}

/// How to run a model.
#[derive(Debug, Clone)]
pub struct CpuOptions {
    /// Compute threads; 0 takes as many as the process may use (affinity and cgroup quota).
    pub threads: usize,
    /// Tokens of KV cache, over all sequences. Memory is taken as it is used.
    pub kv_tokens: usize,
    /// What keys and values are rounded to.
    pub kv_type: KvType,
    /// The longest sequence; at most, and by default, what the model was made for.
    pub context_limit: Option<usize>,
    /// The most tokens of one step.
    pub max_batch_tokens: usize,
    pub arithmetic: Arithmetic,
    /// Whether a sequence takes what is known of its prompt ([`crate::engine::Engine::begin`]) instead of computing it again.
    pub prefix_cache: bool,
}

impl CpuOptions {
    /// Threads that convert weights while a model is loaded.
    #[must_use]
    pub fn conversion_threads(&self) -> usize {
        super::pool::threads_of(self.threads)
    }
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            kv_tokens: 8192,
            kv_type: KvType::F32,
            context_limit: None,
            max_batch_tokens: 512,
            arithmetic: Arithmetic::default(),
            prefix_cache: false,
        }
    }
}

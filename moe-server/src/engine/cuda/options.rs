//! How to run a model on a GPU.

use moe_cuda::{decode::Options as Layout, kv};
use moe_kernels::attention::KvType;

use crate::{
    engine::paging::Sizes,
    model::decoder::{Config, ModelError},
};

/// The longest sequence, where none is asked for: buffers grow with it.
const USUAL_CONTEXT: usize = 131_072;

/// How to run a model.
#[derive(Debug, Clone)]
pub struct CudaOptions {
    /// Tokens of KV cache, over all sequences; by default as many as there is room for, and no more than the sequences that are
    /// computed at once can have.
    pub kv_tokens: Option<usize>,
    /// The longest sequence; at most what the model was made for. By default that, but no more than has room, or than 131,072.
    pub context_limit: Option<usize>,
    /// The most tokens of one step.
    pub max_batch_tokens: usize,
    /// Sequences that the kernels compute at once; steps of more are several on the device.
    pub max_sequences: usize,
    /// Rows whose logits the kernels find at once, likewise.
    pub max_wanted: usize,
    /// Whether a sequence takes what is known of its prompt ([`crate::engine::Engine::begin`]) instead of computing it again.
    pub prefix_cache: bool,
}

impl Default for CudaOptions {
    fn default() -> Self {
        Self {
            kv_tokens: None,
            context_limit: None,
            max_batch_tokens: 2048,
            max_sequences: 32,
            max_wanted: 32,
            prefix_cache: false,
        }
    }
}

impl CudaOptions {
    /// What keys and values can be of.
    pub const KV_TYPES: [KvType; 2] = [KvType::F16, KvType::Q8_0];

    /// The longest sequence, where the limit is settled.
    pub(super) fn context(&self, config: &Config) -> usize {
        self.context_limit.map_or(config.context_length, |limit| limit.min(config.context_length))
    }

    /// With what was left open decided, where `free` bytes are free beside the weights, and keys and values are of `kv_type`.
    ///
    /// # Errors
    /// [`ModelError::Resources`], where not even one sequence has room.
    pub(super) fn settled(
        mut self,
        config: &Config,
        kv_type: kv::KvType,
        free: usize,
    ) -> Result<Self, ModelError> {
        // A key and a value.
        let token = config.layers * config.kv_heads * 2 * kv_type.vector_bytes(config.head_dim);
        // Buffers of a step and what the driver takes; they are not large beside what a GPU has.
        let room = self.kv_tokens.unwrap_or((free - free / 8) / token);
        let context = match self.context_limit {
            Some(_) => self.context(config),
            None => config.context_length.min(USUAL_CONTEXT).min(room),
        };
        let is_open = self.kv_tokens.is_none();
        if is_open && (room < context || room == 0) {
            return Err(ModelError::Resources(format!(
                "beside the weights the GPU has room for the keys and values of {room} tokens, and the context is {context}: \
                 give a shorter --context"
            )));
        }
        self.context_limit = Some(context.max(1));
        // What is asked for is given, or there is an error when it has no room.
        let most = if is_open { context.saturating_mul(self.max_sequences) } else { room };
        self.kv_tokens = Some(room.min(most));
        Ok(self)
    }

    /// How the device's buffers are laid out.
    pub(super) fn layout(&self, context: usize, sizes: &Sizes) -> Layout {
        let rows = self.max_batch_tokens.max(1);
        Layout {
            wanted: self.max_wanted.clamp(1, rows),
            slots: self.max_sequences.clamp(1, rows),
            blocks: sizes.blocks as usize,
            block_tokens: sizes.block_len,
            ..Layout::new(rows, context.next_multiple_of(sizes.block_len))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decoder::{Attention, QkNorm, RopePairs, Score};

    fn config() -> Config {
        Config {
            vocab_size: 100,
            hidden: 64,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            attention: Attention::Full,
            qk_norm: QkNorm::Off,
            rope_pairs: RopePairs::Halves,
            rope_theta: 1e4,
            rope_factors: None,
            dense_ff: 64,
            moe_step: 0,
            experts: 0,
            experts_used: 0,
            expert_ff: 0,
            shared_expert: false,
            score: Score::SoftmaxOnOutput,
            norm_eps: 1e-5,
            context_length: 1000,
        }
    }

    #[test]
    fn what_is_left_open_is_decided_by_what_has_room() {
        // 512 bytes a token, and an eighth of what is free stays free.
        let settled = |kv_tokens, context_limit, tokens: usize| {
            let options =
                CudaOptions { kv_tokens, context_limit, max_sequences: 4, ..CudaOptions::default() };
            let settled = options.settled(&config(), kv::KvType::F16, tokens * 512 / 7 * 8 + 512).ok()?;
            Some((settled.kv_tokens?, settled.context_limit?))
        };
        assert_eq!(settled(None, None, 9000), Some((4000, 1000)));
        assert_eq!(settled(None, None, 2100), Some((2100, 1000)));
        assert_eq!(settled(None, None, 210), Some((210, 210)));
        assert_eq!(settled(None, Some(300), 2100), Some((1200, 300)));
        assert_eq!(settled(None, Some(5000), 2100), Some((2100, 1000)));
        assert_eq!(settled(None, Some(300), 210), None);
        // What is asked for is given, longer sequences or not.
        assert_eq!(settled(Some(64), Some(300), 2100), Some((64, 300)));
        assert_eq!(settled(Some(8000), Some(300), 2100), Some((8000, 300)));
    }

    #[test]
    fn eight_bits_have_room_for_more_tokens() {
        // 512 bytes of halves, 272 of eight bits with their scales.
        let tokens = |kv_type| {
            let options = CudaOptions { max_sequences: 100, ..CudaOptions::default() };
            options.settled(&config(), kv_type, 512 * 2720 * 8 / 7).ok()?.kv_tokens
        };
        assert_eq!(tokens(kv::KvType::F16), Some(2720));
        assert_eq!(tokens(kv::KvType::Q8_0), Some(5120));
    }
}

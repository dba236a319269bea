//! Qwen3-MoE.
//!
//! Every layer attends to all positions, with rope on the halves of each head, whose queries and keys are normalised
//! with weights before it. Every feed-forward layer is a mixture: each token goes through the experts with the highest
//! logits, whose outputs are added up by a softmax over these logits.
//!
//! `norm_topk_prob` has no key in GGUF; like llama.cpp this takes it to be true, as in every released model.

use super::{Config, ModelError, QkNorm, RopePairs, Score, keys::Keys};

pub(super) const NAME: &str = "qwen3moe";

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ModelError> {
    if let Some(window) = keys.find_size("attention.sliding_window")?.filter(|window| *window != 0) {
        let remedy = "only full attention is supported; convert the model again without this key";
        return Err(keys.refuse("attention.sliding_window", window, remedy));
    }
    keys.expect_gating(1, "Qwen3-MoE's router uses the softmax, 1")?;
    let used = keys.size("expert_used_count")?;
    Ok(Config {
        qk_norm: QkNorm::Weighted,
        rope_pairs: RopePairs::Halves,
        moe_step: 1,
        experts: keys.size("expert_count")?,
        experts_used: used,
        expert_ff: match keys.find_size("expert_feed_forward_length")? {
            Some(width) => width,
            // As llama.cpp reads files from before that key.
            None => keys.size("feed_forward_length")? / used.max(1),
        },
        score: Score::SoftmaxOnOutput,
        ..keys.plain()?
    })
}

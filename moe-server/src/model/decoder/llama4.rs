//! Llama 4's text model.
//!
//! Every fourth layer attends to all positions, without rope and with a temperature that grows with the position; the
//! others attend within chunks, with rope. Feed-forward layers are dense or mixtures of experts, of which the router
//! picks one; the router's score scales that expert's **input**.
//!
//! GGUF has no key for the chunk, for the temperature or for the norm of queries and keys: like llama.cpp this takes
//! the released models' constants, and 128 experts to mean no such norm.

use super::{
    Attention, Config, ModelError, QkNorm, RopePairs, Score,
    keys::{Keys, tensor_values},
};

pub(super) const NAME: &str = "llama4";

const CHUNK: usize = 8192;
const TEMPERATURE_FLOOR: usize = 8192;
const TEMPERATURE_SCALE: f64 = 0.1;
/// Maverick's.
const EXPERTS_WITHOUT_QK_NORM: usize = 128;

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ModelError> {
    if let Some(window) = keys.find_size("attention.sliding_window")?.filter(|window| *window != CHUNK) {
        let remedy = "only chunks of 8192 are supported; convert the model again without this key";
        return Err(keys.refuse("attention.sliding_window", window, remedy));
    }
    let used = keys.size("expert_used_count")?;
    if used != 1 {
        return Err(keys.refuse("expert_used_count", used, "Llama 4 picks one expert"));
    }
    keys.expect_gating(2, "Llama 4's router uses the sigmoid, 2")?;

    let plain = keys.plain()?;
    let experts = keys.size("expert_count")?;
    Ok(Config {
        attention: Attention::Chunked {
            chunk: CHUNK,
            temperature_floor: TEMPERATURE_FLOOR,
            temperature_scale: TEMPERATURE_SCALE,
        },
        qk_norm: if experts == EXPERTS_WITHOUT_QK_NORM { QkNorm::Off } else { QkNorm::Plain },
        rope_pairs: RopePairs::Adjacent,
        rope_factors: rope_factors(keys, plain.head_dim)?,
        dense_ff: keys.find_size("feed_forward_length")?.unwrap_or(0),
        moe_step: keys.size("interleave_moe_layer_step")?,
        experts,
        experts_used: used,
        expert_ff: keys.find_size("expert_feed_forward_length")?.unwrap_or(0),
        shared_expert: true,
        score: Score::SigmoidOnInput,
        ..plain
    })
}

/// Scout's rope scaling.
fn rope_factors(keys: &Keys<'_>, head_dim: usize) -> Result<Option<Vec<f32>>, ModelError> {
    let Some(info) = keys.file.find_tensor("rope_freqs.weight") else { return Ok(None) };
    if info.dims != [head_dim / 2] {
        return Err(ModelError::Shape {
            name: info.name.to_owned(),
            expected: [1, 1, head_dim / 2],
            found: [1, info.elements() / info.dims[0], info.dims[0]],
        });
    }
    tensor_values(&info).map(Some)
}

//! What the engine would take of the machine's memory.

use super::{CpuOptions, kv::Kv};
use crate::{
    engine::{Room, paging::Sizes},
    model::decoder::{ModelError, ModelOutline},
};

/// What a model takes where `weights` bytes are its weights and `memory` bytes are there in all, with keys and values for as
/// many sequences as have room and no more than `sequences`. An eighth is left for what a step computes with, which is not
/// allocated ahead.
///
/// # Errors
/// [`ModelError`]: not even one sequence has room, or keys and values do not suit the type.
pub fn room(
    memory: usize,
    model: &ModelOutline,
    weights: usize,
    options: &CpuOptions,
    sequences: usize,
) -> Result<Room, ModelError> {
    let config = &model.config;
    // Without a context the cache is what limits a sequence.
    let limit = options.context_limit.unwrap_or(options.kv_tokens);
    let context = config.context_length.min(limit).max(1);
    let Sizes { block_len, .. } = Kv::sizes(config, 0)?;
    let block = Kv::bytes(config, block_len, options.kv_type)?;
    let of_sequence = context.div_ceil(block_len);
    let left = (memory - memory / 8).saturating_sub(weights);
    let blocks = (left / block).min(of_sequence.saturating_mul(sequences));
    if blocks < of_sequence {
        return Err(ModelError::Resources(format!(
            "beside the weights there is room for the keys and values of {} tokens, and the context is {context}",
            blocks * block_len
        )));
    }
    let kv_tokens = blocks * block_len;
    Ok(Room {
        weights,
        kv: Kv::bytes(config, kv_tokens, options.kv_type)?,
        buffers: 0,
        context,
        kv_tokens,
        sequence: block * of_sequence,
        sequences: blocks / of_sequence,
    })
}

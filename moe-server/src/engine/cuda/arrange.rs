//! What has room beside a model's weights: keys and values, and the buffers of a step.

use moe_cuda::{
    decode::{Decoder, Options as Layout},
    device::Device,
    model as cuda,
};

use super::{CudaOptions, unusable};
use crate::{
    engine::paging::Sizes,
    model::decoder::{Config, ModelError},
};

/// Tokens of a KV block at most.
const LONGEST_BLOCK: usize = 64;
/// Attention reads so many positions at a time, inside one block.
const BLOCK_GRAIN: usize = 8;

/// A device that is ready to compute.
pub(super) struct Arranged<D: Device> {
    pub(super) decoder: Decoder<D>,
    pub(super) sizes: Sizes,
    /// With nothing left open.
    pub(super) options: CudaOptions,
    pub(super) layout: Layout,
}

fn sizes(config: &Config, tokens: usize) -> Option<Sizes> {
    Sizes::new(tokens, config.chunk(), LONGEST_BLOCK)
}

/// Whether KV of this configuration can be paged: to be asked before weights are brought.
///
/// # Errors
/// [`ModelError::Config`].
pub(super) fn check(config: &Config) -> Result<(), ModelError> {
    if sizes(config, 0).is_none_or(|sizes| !sizes.block_len.is_multiple_of(BLOCK_GRAIN)) {
        return Err(ModelError::Config(format!(
            "a GPU does not compute attention chunks of {} tokens, which have no blocks of a multiple of {BLOCK_GRAIN}",
            config.chunk()
        )));
    }
    Ok(())
}

/// Makes room on a device that has the weights.
///
/// # Errors
/// [`ModelError`], where there is none.
pub(super) fn arrange<D: Device>(
    device: D,
    weights: &cuda::Model,
    config: &Config,
    options: CudaOptions,
) -> Result<Arranged<D>, ModelError> {
    let free = device.free_bytes().map_err(unusable)?;
    let options = options.settled(config, device.kv_type(), free)?;
    let (context, tokens) = (options.context(config), options.kv_tokens.unwrap_or_default());
    let sizes = sizes(config, tokens)
        .ok_or_else(|| ModelError::Resources(format!("a KV cache of {tokens} tokens is too large")))?;
    let layout = options.layout(context, &sizes);
    let decoder = Decoder::new(device, weights, layout).map_err(unusable)?;
    Ok(Arranged { decoder, sizes, options, layout })
}

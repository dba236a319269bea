//! What the engine would take of a GPU, counted by making one on a device that only counts.

use moe_cuda::tally::Tally;
use moe_kernels::attention::KvType;

use super::{
    CudaOptions,
    arrange::{arrange, check},
    open::kv_type,
    upload,
};
use crate::{
    engine::Room,
    model::decoder::{ModelError, ModelOutline},
};

/// A card, here or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Bytes that are free.
    pub memory: usize,
    /// Shared memory that a block of threads may have, in bytes.
    pub shared: u32,
}

impl Card {
    /// One that can what any can, with so many bytes free.
    #[must_use]
    pub fn with_memory(memory: usize) -> Self {
        Self { memory, shared: Tally::MOST_SHARED_BYTES }
    }
}

/// What [`super::CudaEngine::new`] would allocate for this model, with keys and values of type `kv`.
///
/// # Errors
/// [`ModelError`], as that would say.
pub fn room(card: Card, model: &ModelOutline, options: CudaOptions, kv: KvType) -> Result<Room, ModelError> {
    let tally = Tally::new(card.memory, card.shared, kv_type(kv)?);
    check(&model.config)?;
    let on_device = upload::make_room(&tally, model)?;
    let weights = tally.used();
    let arranged = arrange(&tally, &on_device, &model.config, options)?;
    let kv = arranged.decoder.kv_bytes();
    let sizes = arranged.sizes;
    let blocks = sizes.blocks as usize;
    let context = arranged.options.context(&model.config);
    let of_sequence = sizes.blocks_of(context);
    Ok(Room {
        weights,
        kv,
        buffers: tally.used() - weights - kv,
        context,
        kv_tokens: blocks * sizes.block_len,
        sequence: kv / blocks.max(1) * of_sequence,
        sequences: blocks / of_sequence.max(1),
    })
}

//! The bytes of the paged KV cache. Who holds which block is [`crate::engine::paging`]'s concern.

use memmap2::MmapMut;
use moe_kernels::attention::{KvType, Layout, MAX_BLOCK, Paged};

use crate::{
    engine::{
        EngineError,
        outside::{self, BlockStore},
        paging::{BlockCopy, BlockId, Sizes},
    },
    model::decoder::{Config, ModelError},
};

/// One group's blocks. A block holds, for each layer of the group and each KV head, what [`Layout`] says.
#[derive(Debug)]
pub(super) struct Group {
    /// The system gives pages, zeroed, when they are first touched.
    data: MmapMut,
    layout: Layout,
    kv_heads: usize,
    /// Bytes of a block.
    size: usize,
}

impl Group {
    /// Bytes of a block, where there are so many layers.
    fn block(layers: usize, kv_heads: usize, layout: Layout) -> Option<usize> {
        layout.bytes().checked_mul(layers)?.checked_mul(kv_heads)
    }

    fn new(layers: usize, blocks: usize, kv_heads: usize, layout: Layout) -> Option<Self> {
        let size = Self::block(layers, kv_heads, layout)?;
        let bytes = size.checked_mul(blocks).filter(|n| isize::try_from(*n).is_ok())?;
        let data = MmapMut::map_anon(bytes.max(1)).ok()?;
        // A head's block is a few pages: without large ones, looking up where they lie takes as long as reading them.
        // Where there are none, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = data.advise(memmap2::Advice::HugePage);
        Some(Self { data, layout, kv_heads, size })
    }

    pub(super) fn copy(&mut self, BlockCopy { from, to }: BlockCopy) {
        let (from, to) = (from as usize * self.size, to as usize * self.size);
        self.data.copy_within(from..from + self.size, to);
    }

    /// The blocks of `table` as head `head` in the group's layer `layer` sees them.
    pub(super) fn paged<'a>(&'a self, table: &'a [BlockId], layer: usize, head: usize) -> Paged<'a> {
        let offset = (layer * self.kv_heads + head) * self.layout.bytes();
        Paged { data: &self.data, table, stride: self.size, offset }
    }

    /// For each block in `ids`, which ascend, the heads' parts of layer `layer`, one behind the other.
    pub(super) fn layer_mut(&mut self, ids: impl Iterator<Item = BlockId>, layer: usize) -> Vec<&mut [u8]> {
        let length = self.kv_heads * self.layout.bytes();
        let mut rest = &mut self.data[..];
        let mut done = 0;
        ids.map(|id| {
            let start = id as usize * self.size + layer * length;
            let (part, after) = std::mem::take(&mut rest)[start - done..].split_at_mut(length);
            rest = after;
            done = start + length;
            part
        })
        .collect()
    }

    /// All of a block.
    fn raw(&self, id: BlockId) -> &[u8] {
        &self.data[id as usize * self.size..][..self.size]
    }

    fn raw_mut(&mut self, id: BlockId) -> &mut [u8] {
        &mut self.data[id as usize * self.size..][..self.size]
    }
}

/// Both groups.
#[derive(Debug)]
pub(super) struct Kv {
    pub(super) full: Group,
    pub(super) chunked: Group,
    pub(super) layout: Layout,
    pub(super) sizes: Sizes,
}

impl Kv {
    /// Room for `tokens` tokens, rounded up to blocks.
    ///
    /// # Errors
    /// [`ModelError`], where the heads do not suit the type or memory cannot be had.
    pub(super) fn new(config: &Config, tokens: usize, kv_type: KvType) -> Result<Self, ModelError> {
        let sizes = Self::sizes(config, tokens)?;
        let layout = layout(config, &sizes, kv_type)?;
        let chunked = (0..config.layers).filter(|i| config.is_chunked(*i)).count();
        let group = |layers| Group::new(layers, sizes.blocks as usize, config.kv_heads, layout);
        let full = group(config.layers - chunked).ok_or_else(|| too_large(tokens))?;
        let chunked = group(chunked).ok_or_else(|| too_large(tokens))?;
        Ok(Self { full, chunked, layout, sizes })
    }

    /// How room for `tokens` tokens is divided.
    ///
    /// # Errors
    /// [`ModelError::Resources`], where it is too large.
    pub(super) fn sizes(config: &Config, tokens: usize) -> Result<Sizes, ModelError> {
        Sizes::new(tokens, config.chunk(), MAX_BLOCK).ok_or_else(|| too_large(tokens))
    }

    /// The bytes of [`Self::new`]'s two groups together.
    ///
    /// # Errors
    /// As that.
    pub(super) fn bytes(config: &Config, tokens: usize, kv_type: KvType) -> Result<usize, ModelError> {
        let sizes = Self::sizes(config, tokens)?;
        // Both groups have as many blocks.
        let block = Group::block(config.layers, config.kv_heads, layout(config, &sizes, kv_type)?);
        block.and_then(|block| block.checked_mul(sizes.blocks as usize)).ok_or_else(|| too_large(tokens))
    }

    fn of(&self, group: outside::Group) -> &Group {
        match group {
            outside::Group::Full => &self.full,
            outside::Group::Chunked => &self.chunked,
        }
    }
}

impl BlockStore for Kv {
    fn block_bytes(&self, group: outside::Group) -> usize {
        self.of(group).size
    }

    fn read(&self, group: outside::Group, block: BlockId, bytes: &mut [u8]) -> Result<(), EngineError> {
        bytes.copy_from_slice(self.of(group).raw(block));
        Ok(())
    }

    fn write(&mut self, group: outside::Group, block: BlockId, bytes: &[u8]) -> Result<(), EngineError> {
        let own = match group {
            outside::Group::Full => &mut self.full,
            outside::Group::Chunked => &mut self.chunked,
        };
        own.raw_mut(block).copy_from_slice(bytes);
        Ok(())
    }
}

fn layout(config: &Config, sizes: &Sizes, kv_type: KvType) -> Result<Layout, ModelError> {
    Layout::new(kv_type, config.head_dim, sizes.block_len).ok_or_else(|| unsuited(config, kv_type))
}

fn too_large(tokens: usize) -> ModelError {
    ModelError::Resources(format!(
        "a KV cache of {tokens} tokens in blocks of {MAX_BLOCK} or fewer does not fit; ask for fewer KV tokens"
    ))
}

fn unsuited(config: &Config, kv_type: KvType) -> ModelError {
    ModelError::Config(match kv_type {
        KvType::Q8_0 => format!(
            "keys and values of type q8_0 want heads of 32 dimensions or a multiple, and these have {}; take f16",
            config.head_dim
        ),
        KvType::F16 | KvType::F32 => format!("heads of {} dimensions are too large", config.head_dim),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{decoder::ModelOutline, gguf::Gguf};
    use std::path::Path;

    #[test]
    fn bytes_are_told_before_they_are_had() {
        for model in ["demo", "tiny"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{model}.gguf"));
            let config = ModelOutline::of(&Gguf::open(&path).unwrap()).unwrap().config;
            for (kv_type, tokens) in KvType::ALL.into_iter().zip([1, 100, 8192]) {
                let Ok(kv) = Kv::new(&config, tokens, kv_type) else {
                    assert!(Kv::bytes(&config, tokens, kv_type).is_err());
                    continue;
                };
                let had = kv.full.data.len() + kv.chunked.data.len();
                assert_eq!(Kv::bytes(&config, tokens, kv_type).unwrap(), had, "{model} {kv_type}");
            }
        }
    }
}

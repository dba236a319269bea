//! How large a paged KV cache is, and the arithmetic of positions in it.

use super::blocks::BlockId;

/// How many tokens there are in what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Of each group.
    pub(crate) blocks: BlockId,
    /// Tokens of a block.
    pub(crate) block_len: usize,
    /// Tokens of a chunk, a multiple of the block's: no block straddles two.
    pub(crate) chunk: usize,
}

/// A sequence's blocks in one group: those from `first` (a block's number in the sequence) on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) first: usize,
    pub(crate) blocks: Vec<BlockId>,
}

/// What tells one token's place in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) block: BlockId,
    /// Inside the block.
    pub(crate) index: usize,
}

impl Sizes {
    /// Room for `tokens` tokens, rounded up to blocks of at most `longest`. `None` where that are too many blocks.
    pub(crate) fn new(tokens: usize, chunk: usize, longest: usize) -> Option<Self> {
        let block_len = (1..=longest.min(chunk)).rev().find(|n| chunk.is_multiple_of(*n)).unwrap_or(1);
        let blocks = BlockId::try_from(tokens.div_ceil(block_len)).ok()?;
        Some(Self { blocks, block_len, chunk })
    }

    /// How many blocks `tokens` tokens fill, the last one perhaps in part.
    pub(crate) fn blocks_of(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.block_len)
    }

    /// Where the chunk of `position` starts.
    pub(crate) fn chunk_start(&self, position: usize) -> usize {
        position / self.chunk * self.chunk
    }

    /// Where the chunk of `position` ends.
    pub(crate) fn chunk_end(&self, position: usize) -> usize {
        self.chunk_start(position) + self.chunk
    }

    /// Where position `position` of a sequence lies. It must be held.
    pub(crate) fn slot(&self, table: &Table, position: usize) -> Slot {
        let block = table.blocks[position / self.block_len - table.first];
        Slot { block, index: position % self.block_len }
    }
}

#[cfg(test)]
mod tests {
    use super::Sizes;

    #[test]
    fn blocks_divide_the_chunk() {
        let sizes = |tokens, chunk| Sizes::new(tokens, chunk, 32);
        let of = |blocks, block_len, chunk| Some(Sizes { blocks, block_len, chunk });
        assert_eq!(sizes(64, 8192), of(2, 32, 8192));
        assert_eq!(sizes(65, 16), of(5, 16, 16));
        assert_eq!(sizes(40, 40), of(2, 20, 40));
        assert_eq!(sizes(3, 61), of(3, 1, 61));
        assert_eq!(sizes(usize::MAX, 8192), None);
    }
}

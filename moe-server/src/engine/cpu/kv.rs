//! The paged KV cache: blocks of a few tokens, counted by how many sequences share them.
//!
//! There are two groups of layers. The **full** ones need every token's keys and values, the **chunked** ones only those
//! of the chunk in which a sequence stands; so each group has its own blocks, and a sequence lets go of the chunked
//! group's blocks when it enters the next chunk.
//!
//! A block that nobody holds is free. It may still be known to the prefix cache ([`super::prefix`]): it is then taken only
//! when no other is free, and of several the one that was let go of first.

use std::collections::BTreeMap;

use memmap2::MmapMut;
use moe_kernels::attention::{KvType, Layout, MAX_BLOCK, Paged};

use super::prefix::{NodeId, Prefixes};
use crate::model::decoder::{Config, ModelError};

pub(super) type BlockId = u32;

/// What tells one token's place in the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) block: BlockId,
    /// Inside the block.
    pub(super) index: usize,
}

/// One group's blocks. A block holds, for each layer of the group and each KV head, what [`Layout`] says.
#[derive(Debug)]
pub(super) struct Group {
    /// The system gives pages, zeroed, when they are first touched.
    data: MmapMut,
    /// How many sequences hold each block.
    holders: Vec<u32>,
    /// Free, and not known to the prefix cache.
    blank: Vec<BlockId>,
    /// Free, and known: by when they were let go of.
    idle: BTreeMap<i64, BlockId>,
    /// Of each block: what the prefix cache knows it by, and its key in `idle` while it is there.
    known: Vec<Known>,
    clock: i64,
    /// Below the keys of all that was let go of.
    oldest: i64,
    /// Who lost a block to [`Self::take`]; the prefix cache is to be told.
    pub(super) evicted: Vec<NodeId>,
    layout: Layout,
    kv_heads: usize,
    /// Bytes of a block.
    size: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    node: Option<NodeId>,
    since: i64,
}

impl Group {
    fn new(layers: usize, blocks: usize, kv_heads: usize, layout: Layout) -> Result<Self, ModelError> {
        let too_large = || {
            ModelError::Resources(format!(
                "a KV cache of {blocks} blocks of {MAX_BLOCK} tokens or fewer does not fit; ask for fewer KV tokens"
            ))
        };
        let count = BlockId::try_from(blocks).map_err(|_| too_large())?;
        let size = layout.bytes().checked_mul(layers).and_then(|size| size.checked_mul(kv_heads));
        let bytes = size.and_then(|size| size.checked_mul(blocks)).filter(|n| isize::try_from(*n).is_ok());
        let (Some(size), Some(bytes)) = (size, bytes) else { return Err(too_large()) };
        let data = MmapMut::map_anon(bytes.max(1)).map_err(|_| too_large())?;
        // A head's block is a few pages: without large ones, looking up where they lie takes as long as reading them.
        // Where there are none, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = data.advise(memmap2::Advice::HugePage);
        Ok(Self {
            data,
            holders: vec![0; blocks],
            blank: (0..count).rev().collect(),
            idle: BTreeMap::new(),
            known: vec![Known::default(); blocks],
            clock: 0,
            oldest: 0,
            evicted: Vec::new(),
            layout,
            kv_heads,
            size,
        })
    }

    pub(super) fn free_blocks(&self) -> usize {
        self.blank.len() + self.idle.len()
    }

    /// A block with one holder. What it holds is what its last holder left.
    pub(super) fn take(&mut self) -> Option<BlockId> {
        let id = self.blank.pop().or_else(|| {
            let (_, id) = self.idle.pop_first()?;
            self.evicted.extend(self.known[id as usize].node.take());
            Some(id)
        })?;
        self.holders[id as usize] = 1;
        Some(id)
    }

    /// A free block that the prefix cache then knows by `node`, and holds for less recently used than all others that it
    /// knows; only of those that it did not know.
    pub(super) fn take_idle(&mut self, node: NodeId) -> Option<BlockId> {
        let id = self.blank.pop()?;
        // Before all that was let go of, and the later the further.
        self.oldest -= 1;
        self.known[id as usize] = Known { node: Some(node), since: self.oldest };
        self.idle.insert(self.oldest, id);
        Some(id)
    }

    pub(super) fn blank_blocks(&self) -> usize {
        self.blank.len()
    }

    /// When the prefix cache's block was let go of; nothing where somebody holds it.
    pub(super) fn idle_since(&self, id: BlockId) -> Option<i64> {
        (self.holders[id as usize] == 0).then(|| self.known[id as usize].since)
    }

    pub(super) fn share(&mut self, id: BlockId) {
        let holders = &mut self.holders[id as usize];
        if *holders == 0 {
            self.idle.remove(&self.known[id as usize].since);
        }
        *holders += 1;
    }

    /// Whether others would see what is written to it.
    pub(super) fn is_shared(&self, id: BlockId) -> bool {
        self.holders[id as usize] > 1 || self.known[id as usize].node.is_some()
    }

    pub(super) fn release(&mut self, id: BlockId) {
        let holders = &mut self.holders[id as usize];
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        let known = &mut self.known[id as usize];
        if known.node.is_some() {
            self.clock += 1;
            known.since = self.clock;
            self.idle.insert(self.clock, id);
        } else {
            self.blank.push(id);
        }
    }

    /// The last first, so that of a sequence's known blocks the last ones are taken first.
    fn release_all(&mut self, ids: impl DoubleEndedIterator<Item = BlockId>) {
        ids.rev().for_each(|id| self.release(id));
    }

    /// From now on the prefix cache knows this block, which somebody holds.
    pub(super) fn know(&mut self, id: BlockId, node: NodeId) {
        self.known[id as usize].node = Some(node);
    }

    /// The prefix cache knows it no more.
    pub(super) fn forget(&mut self, id: BlockId) {
        let known = &mut self.known[id as usize];
        if known.node.take().is_some() && self.holders[id as usize] == 0 {
            self.idle.remove(&known.since);
            self.blank.push(id);
        }
    }

    pub(super) fn copy(&mut self, from: BlockId, to: BlockId) {
        let (from, to) = (from as usize * self.size, to as usize * self.size);
        self.data.copy_within(from..from + self.size, to);
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        self.size
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

    /// All of a block, for export.
    pub(super) fn raw(&self, id: BlockId) -> &[u8] {
        &self.data[id as usize * self.size..][..self.size]
    }

    pub(super) fn raw_mut(&mut self, id: BlockId) -> &mut [u8] {
        &mut self.data[id as usize * self.size..][..self.size]
    }
}

/// A sequence's blocks in one group: those from `first` (a block's number in the sequence) on.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) first: usize,
    pub(super) blocks: Vec<BlockId>,
}

/// Both groups.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) full: Group,
    pub(super) chunked: Group,
    pub(super) block_len: usize,
    pub(super) layout: Layout,
    pub(super) prefixes: Prefixes,
    chunk: usize,
}

/// A sequence: how long it is and where it lies.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) length: usize,
    pub(super) full: Table,
    pub(super) chunked: Table,
}

impl Cache {
    /// Room for `tokens` tokens, rounded up to blocks. Blocks divide the chunk, so that none straddles two.
    ///
    /// # Errors
    /// [`ModelError`], where the heads do not suit the type or memory cannot be had.
    pub(super) fn new(config: &Config, tokens: usize, kv_type: KvType) -> Result<Self, ModelError> {
        let chunk = config.chunk();
        let block_len = (1..=MAX_BLOCK.min(chunk)).rev().find(|n| chunk.is_multiple_of(*n)).unwrap_or(1);
        let layout =
            Layout::new(kv_type, config.head_dim, block_len).ok_or_else(|| unsuited(config, kv_type))?;
        let blocks = tokens.div_ceil(block_len);
        let chunked = (0..config.layers).filter(|i| config.is_chunked(*i)).count();
        Ok(Self {
            full: Group::new(config.layers - chunked, blocks, config.kv_heads, layout)?,
            chunked: Group::new(chunked, blocks, config.kv_heads, layout)?,
            block_len,
            layout,
            prefixes: Prefixes::default(),
            chunk,
        })
    }

    pub(super) fn free_tokens(&self) -> usize {
        self.full.free_blocks().min(self.chunked.free_blocks()) * self.block_len
    }

    /// Where the chunk of `position` starts.
    pub(super) fn chunk_start(&self, position: usize) -> usize {
        position / self.chunk * self.chunk
    }

    /// Where the chunk of `position` ends.
    pub(super) fn chunk_end(&self, position: usize) -> usize {
        self.chunk_start(position) + self.chunk
    }

    /// Whether all that a token at `position` would see is held.
    pub(super) fn can_resume_at(&self, held: &Held, position: usize) -> bool {
        let start = self.chunk_start(position);
        position <= held.length && (start == position || held.chunked.first * self.block_len <= start)
    }

    /// The blocks that `more` tokens after `held` need, in one group: new ones, and whether the last one, being shared,
    /// must be copied before it is written to.
    fn wanted(&self, group: &Group, table: &Table, length: usize, more: usize) -> (usize, bool) {
        let blocks = (length + more).div_ceil(self.block_len) - table.first - table.blocks.len();
        let part = !length.is_multiple_of(self.block_len);
        let copy = part && table.blocks.last().is_some_and(|last| group.is_shared(*last));
        (blocks, copy)
    }

    /// How many free blocks `more` tokens take, in the group that needs more of them.
    pub(super) fn blocks_for(&self, held: &Held, more: usize) -> usize {
        let full = self.wanted(&self.full, &held.full, held.length, more);
        let chunked = self.wanted(&self.chunked, &held.chunked, held.length, more);
        (full.0 + usize::from(full.1)).max(chunked.0 + usize::from(chunked.1))
    }

    /// `held`, grown by room for `more` tokens, as a value of its own: the old one keeps its blocks. `None`, changing
    /// nothing, where blocks are missing.
    pub(super) fn grown(&mut self, held: &Held, more: usize) -> Option<Held> {
        if self.blocks_for(held, more) > self.full.free_blocks().min(self.chunked.free_blocks()) {
            return None;
        }
        let full = self.wanted(&self.full, &held.full, held.length, more);
        let chunked = self.wanted(&self.chunked, &held.chunked, held.length, more);
        let full = grow(&mut self.full, &held.full, full)?;
        let chunked = grow(&mut self.chunked, &held.chunked, chunked)?;
        self.settle();
        Some(Held { length: held.length + more, full, chunked })
    }

    /// Lets go of the chunked group's blocks before the chunk of the last token.
    pub(super) fn leave_old_chunks(&mut self, held: &mut Held) {
        let keep = self.chunk_start(held.length.saturating_sub(1)) / self.block_len;
        if keep > held.chunked.first {
            self.chunked.release_all(held.chunked.blocks.drain(..keep - held.chunked.first));
            held.chunked.first = keep;
        }
    }

    /// The first `position` tokens of `held`, shared with it. [`Self::can_resume_at`] must hold.
    pub(super) fn shared(&mut self, held: &Held, position: usize) -> Held {
        let mut part = held.clone();
        for id in &part.full.blocks {
            self.full.share(*id);
        }
        for id in &part.chunked.blocks {
            self.chunked.share(*id);
        }
        self.cut(&mut part, position);
        part
    }

    /// Forgets everything from `position` on. [`Self::can_resume_at`] must hold.
    pub(super) fn cut(&mut self, held: &mut Held, position: usize) {
        held.length = position;
        let blocks = position.div_ceil(self.block_len);
        cut(&mut self.full, &mut held.full, blocks);
        cut(&mut self.chunked, &mut held.chunked, blocks);
        self.leave_old_chunks(held);
    }

    pub(super) fn release(&mut self, held: Held) {
        self.full.release_all(held.full.blocks.into_iter());
        self.chunked.release_all(held.chunked.blocks.into_iter());
    }

    /// Where position `position` of a sequence lies in each group. It must be held.
    pub(super) fn slot(&self, table: &Table, position: usize) -> Slot {
        let block = table.blocks[position / self.block_len - table.first];
        Slot { block, index: position % self.block_len }
    }
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

fn grow(group: &mut Group, table: &Table, (new, copy): (usize, bool)) -> Option<Table> {
    let mut grown = table.clone();
    let fresh = if copy { grown.blocks.pop() } else { None };
    for id in &grown.blocks {
        group.share(*id);
    }
    if let Some(shared) = fresh {
        let own = group.take()?;
        group.copy(shared, own);
        grown.blocks.push(own);
    }
    for _ in 0..new {
        grown.blocks.push(group.take()?);
    }
    Some(grown)
}

fn cut(group: &mut Group, table: &mut Table, blocks: usize) {
    while table.first + table.blocks.len() > blocks {
        match table.blocks.pop() {
            Some(id) => group.release(id),
            // Nothing is held before `first`: an empty table may stand further back.
            None => table.first = blocks,
        }
    }
}

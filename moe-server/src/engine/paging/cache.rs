//! Both groups' blocks, and what sequences hold of them.

use super::{
    blocks::{Blocks, NodeId},
    prefix::{Node, Prefixes},
    sizes::{Sizes, Table},
};
use crate::engine::EngineError;

/// A sequence: how long it is and where it lies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// Tokens.
    pub(crate) length: usize,
    pub(crate) full: Table,
    pub(crate) chunked: Table,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) full: Blocks,
    pub(super) chunked: Blocks,
    pub(crate) sizes: Sizes,
    pub(super) prefixes: Prefixes,
}

impl Cache {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            full: Blocks::new(sizes.blocks),
            chunked: Blocks::new(sizes.blocks),
            sizes,
            prefixes: Prefixes::default(),
        }
    }

    fn free_blocks(&self) -> usize {
        self.full.free_blocks().min(self.chunked.free_blocks())
    }

    pub(super) fn free_tokens(&self) -> usize {
        self.free_blocks() * self.sizes.block_len
    }

    /// Whether all that a token at `position` would see is held.
    pub(super) fn can_resume_at(&self, held: &Held, position: usize) -> bool {
        let start = self.sizes.chunk_start(position);
        position <= held.length && (start == position || held.chunked.first * self.sizes.block_len <= start)
    }

    /// The blocks that `more` tokens after `held` need, in one group: new ones, and whether the last one, being shared,
    /// must be copied before it is written to.
    fn wanted(&self, group: &Blocks, table: &Table, length: usize, more: usize) -> (usize, bool) {
        let blocks = self.sizes.blocks_of(length + more) - table.first - table.blocks.len();
        let part = !length.is_multiple_of(self.sizes.block_len);
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
        if self.blocks_for(held, more) > self.free_blocks() {
            return None;
        }
        let full = self.wanted(&self.full, &held.full, held.length, more);
        let chunked = self.wanted(&self.chunked, &held.chunked, held.length, more);
        let full = grow(&mut self.full, &held.full, full)?;
        let chunked = grow(&mut self.chunked, &held.chunked, chunked)?;
        self.settle();
        Some(Held { length: held.length + more, full, chunked })
    }

    /// Room for a sequence of `length` tokens, whose blocks of the chunked group begin with block `first`.
    ///
    /// # Errors
    /// [`EngineError::Incompatible`] where no sequence of that length holds these, [`EngineError::OutOfBlocks`].
    pub(crate) fn claim(&mut self, length: usize, first: usize) -> Result<Held, EngineError> {
        let block_len = self.sizes.block_len;
        let wanted = self.sizes.blocks_of(length);
        // A sequence holds the chunk in which it stands, or more.
        if first > wanted || first * block_len > self.sizes.chunk_start(length) {
            return Err(EngineError::Incompatible("the sequence's length is impossible"));
        }
        let free = self.free_blocks();
        if wanted > free {
            return Err(EngineError::OutOfBlocks { wanted: wanted * block_len, free: free * block_len });
        }
        // As many are free.
        let take = |group: &mut Blocks, first: usize| Table {
            first,
            blocks: std::iter::from_fn(|| group.take()).take(wanted - first).collect(),
        };
        let held = Held { length, full: take(&mut self.full, 0), chunked: take(&mut self.chunked, first) };
        self.settle();
        Ok(held)
    }

    /// Lets go of the chunked group's blocks before the chunk of the last token.
    pub(super) fn leave_old_chunks(&mut self, held: &mut Held) {
        let keep = self.sizes.chunk_start(held.length.saturating_sub(1)) / self.sizes.block_len;
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
        let blocks = self.sizes.blocks_of(position);
        cut(&mut self.full, &mut held.full, blocks);
        cut(&mut self.chunked, &mut held.chunked, blocks);
        self.leave_old_chunks(held);
    }

    /// Takes note of blocks that were taken: to be called after each [`Blocks::take`].
    pub(super) fn settle(&mut self) {
        for id in std::mem::take(&mut self.full.evicted) {
            self.prefixes.evictions += u64::from(self.remove(id).is_some());
        }
        for id in std::mem::take(&mut self.chunked.evicted) {
            if let Some(node) = self.prefixes.nodes.get_mut(&id) {
                node.chunked = None;
            }
        }
    }

    /// The prefix cache knows it no more; without its block of the full group, which is the caller's concern.
    pub(super) fn remove(&mut self, id: NodeId) -> Option<Node> {
        let node = self.prefixes.remove(id)?;
        if let Some(chunked) = node.chunked {
            self.chunked.forget(chunked);
        }
        Some(node)
    }

    pub(super) fn release(&mut self, held: Held) {
        self.full.release_all(held.full.blocks.into_iter());
        self.chunked.release_all(held.chunked.blocks.into_iter());
    }
}

fn grow(group: &mut Blocks, table: &Table, (new, copy): (usize, bool)) -> Option<Table> {
    let mut grown = table.clone();
    let fresh = if copy { grown.blocks.pop() } else { None };
    for id in &grown.blocks {
        group.share(*id);
    }
    if let Some(shared) = fresh {
        grown.blocks.push(group.take_copy(shared)?);
    }
    for _ in 0..new {
        grown.blocks.push(group.take()?);
    }
    Some(grown)
}

fn cut(group: &mut Blocks, table: &mut Table, blocks: usize) {
    while table.first + table.blocks.len() > blocks {
        match table.blocks.pop() {
            Some(id) => group.release(id),
            // Nothing is held before `first`: an empty table may stand further back.
            None => table.first = blocks,
        }
    }
}

//! One group's blocks, counted by how many sequences share them.
//!
//! A block that nobody holds is free. It may still be known to the prefix cache ([`super::prefix`]): it is then taken only
//! when no other is free, and of several the one that was let go of first.

use std::collections::BTreeMap;

pub(crate) type BlockId = u32;

/// What the prefix cache knows a block by. Never reused within one cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u64);

/// All that `from` holds is to be in `to` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockCopy {
    pub(crate) from: BlockId,
    pub(crate) to: BlockId,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Blocks {
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
    /// Due before anything is written to the blocks that were taken.
    pub(super) copies: Vec<BlockCopy>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    node: Option<NodeId>,
    since: i64,
}

impl Blocks {
    pub(super) fn new(count: BlockId) -> Self {
        Self {
            holders: vec![0; count as usize],
            blank: (0..count).rev().collect(),
            idle: BTreeMap::new(),
            known: vec![Known::default(); count as usize],
            clock: 0,
            oldest: 0,
            evicted: Vec::new(),
            copies: Vec::new(),
        }
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

    /// A block with one holder, in place of `shared`, of which it is to be a copy.
    pub(super) fn take_copy(&mut self, shared: BlockId) -> Option<BlockId> {
        let own = self.take()?;
        self.copies.push(BlockCopy { from: shared, to: own });
        Some(own)
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
    pub(super) fn release_all(&mut self, ids: impl DoubleEndedIterator<Item = BlockId>) {
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
}

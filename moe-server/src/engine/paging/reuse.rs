//! What sequences take from the prefix cache, what they give to it, and what comes back to it from outside.

use std::{cmp::Reverse, sync::Arc};

use super::{
    blocks::{BlockId, NodeId},
    cache::{Cache, Held},
    prefix::{Key, Lineage, Node, Parent},
    sizes::Table,
};
use crate::ids::TokenId;

/// A block that was kept outside, in the prefix cache again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// It had not gone, or was computed again.
    Known(NodeId),
    /// Its bytes are to be written to these blocks.
    New { id: NodeId, full: BlockId, chunked: Option<BlockId> },
}

impl Cache {
    /// A sequence that holds the longest known beginning of `tokens`, in whole blocks and without the last token, which is
    /// to be computed.
    pub(super) fn begin(&mut self, salt: &Arc<str>, tokens: &[TokenId]) -> (Held, Lineage) {
        let mut lineage = Lineage::new(salt, tokens);
        let most = tokens.len().saturating_sub(1) / self.sizes.block_len;
        while lineage.nodes.len() < most
            && let Some(id) = self.prefixes.find(&lineage.key(self.sizes.block_len))
        {
            lineage.nodes.push(id);
        }
        let found: Vec<(BlockId, Option<BlockId>)> = lineage
            .nodes
            .iter()
            .filter_map(|id| self.prefixes.nodes.get(id).map(|node| (node.full, node.chunked)))
            .collect();
        // The chunked layers need what is known of the chunk in which the sequence then stands.
        let first =
            |blocks: usize| self.sizes.chunk_start(blocks * self.sizes.block_len) / self.sizes.block_len;
        let mut whole = 0;
        let mut unbroken = 0;
        for (index, (_, chunked)) in found.iter().enumerate() {
            if chunked.is_none() {
                unbroken = index + 1;
            }
            if unbroken <= first(index + 1) {
                whole = index + 1;
            }
        }
        let length = whole * self.sizes.block_len;
        let first = first(whole);
        let full: Vec<BlockId> = found[..whole].iter().map(|(full, _)| *full).collect();
        let chunked: Vec<BlockId> = found[first..whole].iter().filter_map(|(_, chunked)| *chunked).collect();
        full.iter().for_each(|id| self.full.share(*id));
        chunked.iter().for_each(|id| self.chunked.share(*id));
        lineage.cut(length, self.sizes.block_len);
        let (full, chunked) = (Table { first: 0, blocks: full }, Table { first, blocks: chunked });
        (Held { length, full, chunked }, lineage)
    }

    /// Makes the whole blocks of a sequence known. Where others hold the same text already, it takes theirs and lets go of
    /// its own: their bits are the same.
    pub(super) fn know(&mut self, held: &mut Held, lineage: &mut Lineage) {
        for index in lineage.nodes.len()..held.length / self.sizes.block_len {
            let key = lineage.key(self.sizes.block_len);
            let full = &mut held.full.blocks[index];
            let mut chunked =
                index.checked_sub(held.chunked.first).and_then(|index| held.chunked.blocks.get_mut(index));
            let known = self.prefixes.find(&key).and_then(|id| Some((id, self.prefixes.nodes.get_mut(&id)?)));
            let id = if let Some((id, node)) = known {
                self.full.share(node.full);
                self.full.release(std::mem::replace(full, node.full));
                match (node.chunked, &mut chunked) {
                    (Some(theirs), Some(own)) => {
                        self.chunked.share(theirs);
                        self.chunked.release(std::mem::replace(own, theirs));
                    }
                    (None, Some(own)) => {
                        node.chunked = Some(**own);
                        self.chunked.know(**own, id);
                    }
                    (_, None) => {}
                }
                id
            } else {
                let id = self.prefixes.next_id();
                self.full.know(*full, id);
                if let Some(own) = &chunked {
                    self.chunked.know(**own, id);
                }
                self.prefixes.insert(id, key, *full, chunked.map(|own| *own));
                id
            };
            lineage.nodes.push(id);
        }
    }

    /// Makes a sequence's blocks unknown, since they cannot be trusted.
    pub(super) fn distrust(&mut self, lineage: &Lineage) {
        for id in &lineage.nodes {
            if let Some(node) = self.remove(*id) {
                self.full.forget(node.full);
            }
        }
    }

    /// What the prefix cache knows, the most recently used first and parents before their children.
    pub(crate) fn by_use(&self) -> Vec<(NodeId, &Node)> {
        let mut nodes: Vec<_> = self.prefixes.nodes.iter().map(|(id, node)| (*id, node)).collect();
        // What somebody holds is in use now. Parents are let go of later than their children, and are known before them.
        nodes.sort_unstable_by_key(|(id, node)| {
            (Reverse(self.full.idle_since(node.full).unwrap_or(i64::MAX)), id.0)
        });
        nodes
    }

    /// Takes a block into the prefix cache, as less recently used than all that is there. `None` where its parent is not
    /// known, it is no whole block, or no block is left that holds nothing.
    pub(crate) fn restore(
        &mut self,
        parent: Parent,
        tokens: &[TokenId],
        has_chunked: bool,
    ) -> Option<Restored> {
        if let Parent::Node(id) = &parent {
            self.prefixes.nodes.get(id)?;
        }
        let key = Key { parent, tokens: tokens.into() };
        if let Some(id) = self.prefixes.find(&key) {
            return Some(Restored::Known(id));
        }
        let is_whole = tokens.len() == self.sizes.block_len;
        if !is_whole || self.full.blank_blocks() == 0 || self.chunked.blank_blocks() == 0 {
            return None;
        }
        let id = self.prefixes.next_id();
        let full = self.full.take_idle(id)?;
        let chunked = if has_chunked { self.chunked.take_idle(id) } else { None };
        self.prefixes.insert(id, key, full, chunked);
        Some(Restored::New { id, full, chunked })
    }
}

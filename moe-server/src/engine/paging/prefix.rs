//! The prefix cache: which blocks hold the keys and values of which texts, so that a sequence that begins like an earlier
//! one need not compute them again.
//!
//! Whole blocks form a tree: a node is what a block's tokens are called behind its parent's. It is found by the tokens
//! themselves (a hash table compares them), so that no collision can serve another text's keys and values, and the first
//! block's parent is the salt, so that texts with different salts share nothing. Ids of nodes are never used again: a child whose
//! parent is gone can only be out of reach.
//!
//! A node lives as long as its block of the full group. Its block of the chunked group may go before, and be given back by
//! a sequence that computes it again. Who holds a node's block holds those of its parents, and lets go of them last:
//! so parents outlive their children, and what is evicted is a text's end.

use std::{collections::HashMap, sync::Arc};

use super::blocks::{BlockId, NodeId};
use crate::ids::TokenId;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Parent {
    Salt(Arc<str>),
    Node(NodeId),
}

/// By what a node is found.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) parent: Parent,
    pub(crate) tokens: Box<[TokenId]>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: Arc<Key>,
    pub(crate) full: BlockId,
    pub(crate) chunked: Option<BlockId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    ids: HashMap<Arc<Key>, NodeId>,
    pub(super) nodes: HashMap<NodeId, Node>,
    next: u64,
    /// Nodes that were evicted so far.
    pub(super) evictions: u64,
}

/// What a sequence consists of, where its blocks are to be found again.
#[derive(Debug, Clone)]
pub(super) struct Lineage {
    salt: Arc<str>,
    tokens: Vec<TokenId>,
    /// Of its whole blocks.
    pub(super) nodes: Vec<NodeId>,
}

impl Lineage {
    /// Of which no block is known yet.
    pub(super) fn new(salt: &Arc<str>, tokens: &[TokenId]) -> Self {
        Self { salt: salt.clone(), tokens: tokens.to_vec(), nodes: Vec::new() }
    }

    /// Of the block behind those that are known; it must be whole.
    pub(super) fn key(&self, block_len: usize) -> Key {
        let parent =
            self.nodes.last().map_or_else(|| Parent::Salt(self.salt.clone()), |id| Parent::Node(*id));
        Key { parent, tokens: self.tokens[self.nodes.len() * block_len..][..block_len].into() }
    }

    /// Tokens are appended.
    pub(super) fn extend(&mut self, tokens: &[TokenId]) {
        self.tokens.extend_from_slice(tokens);
    }

    /// Everything from `position` on is gone.
    pub(super) fn cut(&mut self, position: usize, block_len: usize) {
        self.tokens.truncate(position);
        self.nodes.truncate(position / block_len);
    }
}

impl Prefixes {
    pub(super) fn find(&self, key: &Key) -> Option<NodeId> {
        self.ids.get(key).copied()
    }

    pub(super) fn next_id(&mut self) -> NodeId {
        self.next += 1;
        NodeId(self.next)
    }

    pub(super) fn insert(&mut self, id: NodeId, key: Key, full: BlockId, chunked: Option<BlockId>) {
        let key = Arc::new(key);
        self.ids.insert(key.clone(), id);
        self.nodes.insert(id, Node { key, full, chunked });
    }

    pub(super) fn remove(&mut self, id: NodeId) -> Option<Node> {
        let node = self.nodes.remove(&id)?;
        self.ids.remove(&node.key);
        Some(node)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

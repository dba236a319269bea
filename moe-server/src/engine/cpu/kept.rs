//! Blocks of the prefix cache that are kept outside and brought back.

use std::cmp::Reverse;

use super::{
    Arithmetic,
    kv::Cache,
    prefix::{Key, NodeId, Parent},
    state,
};
use crate::{
    engine::{Kept, KeptFormat, KeptParent},
    model::decoder::Model,
};

impl Cache {
    /// Another version of the kernels may round otherwise; other instructions do not.
    pub(super) fn kept_format(&self, model: &Model, arithmetic: Arithmetic) -> KeptFormat {
        let (tokens, bytes) = (self.block_len, [self.full.block_bytes(), self.chunked.block_bytes()]);
        let print = state::fingerprint(model, self);
        let version = env!("CARGO_PKG_VERSION");
        KeptFormat {
            print: format!("{print:016x} {arithmetic:?} {version} {tokens} {bytes:?}"),
            tokens,
            bytes,
        }
    }

    pub(super) fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        let mut nodes: Vec<_> = self.prefixes.iter().collect();
        // What somebody holds is in use now. Parents are let go of later than their children, and are known before them.
        nodes.sort_unstable_by_key(|(id, node)| {
            (Reverse(self.full.idle_since(node.full).unwrap_or(i64::MAX)), id.0)
        });
        for (id, node) in nodes {
            let parent = match &node.key.parent {
                Parent::Salt(salt) => KeptParent::Salt(salt),
                Parent::Node(parent) => KeptParent::Block(parent.0),
            };
            let kept = Kept {
                id: id.0,
                parent,
                tokens: &node.key.tokens,
                full: self.full.raw(node.full),
                chunked: node.chunked.map(|id| self.chunked.raw(id)),
            };
            if !visit(&kept) {
                return;
            }
        }
    }

    pub(super) fn restore(&mut self, block: &Kept<'_>) -> Option<u64> {
        let parent = match block.parent {
            KeptParent::Salt(salt) => Parent::Salt(salt.into()),
            KeptParent::Block(id) => Parent::Node(self.prefixes.get(NodeId(id)).map(|_| NodeId(id))?),
        };
        let key = Key { parent, tokens: block.tokens.into() };
        if let Some(id) = self.prefixes.find(&key) {
            return Some(id.0);
        }
        let fits = block.tokens.len() == self.block_len
            && block.full.len() == self.full.block_bytes()
            && block.chunked.is_none_or(|bytes| bytes.len() == self.chunked.block_bytes());
        if !fits || self.full.blank_blocks() == 0 || self.chunked.blank_blocks() == 0 {
            return None;
        }
        let id = self.prefixes.next_id();
        let full = self.full.take_idle(id)?;
        self.full.raw_mut(full).copy_from_slice(block.full);
        let chunked = block.chunked.and_then(|bytes| {
            let own = self.chunked.take_idle(id)?;
            self.chunked.raw_mut(own).copy_from_slice(bytes);
            Some(own)
        });
        self.prefixes.insert(id, key, full, chunked);
        Some(id.0)
    }
}

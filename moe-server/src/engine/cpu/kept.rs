//! Blocks of the prefix cache that are kept outside and brought back.

use super::{Arithmetic, kv::Kv, state};
use crate::{
    engine::{
        Kept, KeptFormat, KeptParent,
        paging::{Cache, NodeId, Parent, Restored},
    },
    model::decoder::Model,
};

impl Kv {
    /// Another version of the kernels may round otherwise; other instructions do not.
    pub(super) fn kept_format(&self, model: &Model, arithmetic: Arithmetic) -> KeptFormat {
        let (tokens, bytes) = (self.sizes.block_len, [self.full.block_bytes(), self.chunked.block_bytes()]);
        let print = state::fingerprint(model, self);
        let version = env!("CARGO_PKG_VERSION");
        KeptFormat {
            print: format!("{print:016x} {arithmetic:?} {version} {tokens} {bytes:?}"),
            tokens,
            bytes,
        }
    }

    pub(super) fn visit_kept(&self, cache: &Cache, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        for (id, node) in cache.by_use() {
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

    pub(super) fn restore(&mut self, cache: &mut Cache, block: &Kept<'_>) -> Option<u64> {
        let parent = match block.parent {
            KeptParent::Salt(salt) => Parent::Salt(salt.into()),
            KeptParent::Block(id) => Parent::Node(NodeId(id)),
        };
        let fits = block.full.len() == self.full.block_bytes()
            && block.chunked.is_none_or(|bytes| bytes.len() == self.chunked.block_bytes());
        if !fits {
            return None;
        }
        match cache.restore(parent, block.tokens, block.chunked.is_some())? {
            Restored::Known(id) => Some(id.0),
            Restored::New { id, full, chunked } => {
                self.full.raw_mut(full).copy_from_slice(block.full);
                if let (Some(own), Some(bytes)) = (chunked, block.chunked) {
                    self.chunked.raw_mut(own).copy_from_slice(bytes);
                }
                Some(id.0)
            }
        }
    }
}

//! Blocks of the prefix cache outside of an engine.

use std::collections::HashMap;

use moe_server::engine::{Engine, Kept, KeptParent, TokenId};

/// A block as it is kept outside.
pub(crate) struct Copied {
    pub(crate) id: u64,
    pub(crate) parent: Result<u64, String>,
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) full: Vec<u8>,
    pub(crate) chunked: Option<Vec<u8>>,
}

pub(crate) fn kept(engine: &impl Engine) -> Vec<Copied> {
    let mut blocks = Vec::new();
    engine.visit_kept(&mut |block| {
        let parent = match block.parent {
            KeptParent::Salt(salt) => Err(salt.to_owned()),
            KeptParent::Block(id) => Ok(id),
        };
        let (tokens, full) = (block.tokens.to_vec(), block.full.to_vec());
        blocks.push(Copied {
            id: block.id,
            parent,
            tokens,
            full,
            chunked: block.chunked.map(<[u8]>::to_vec),
        });
        true
    });
    blocks
}

/// Answers how many blocks were taken.
pub(crate) fn restore(engine: &mut impl Engine, blocks: &[Copied]) -> usize {
    let mut names = HashMap::new();
    for block in blocks {
        let parent = match &block.parent {
            Err(salt) => KeptParent::Salt(salt),
            Ok(id) => match names.get(id) {
                Some(name) => KeptParent::Block(*name),
                None => continue,
            },
        };
        let (tokens, full, chunked) = (&block.tokens, &block.full, block.chunked.as_deref());
        if let Some(name) = engine.restore(&Kept { id: 0, parent, tokens, full, chunked }) {
            names.insert(block.id, name);
        }
    }
    names.len()
}

//! Writing a batch's keys and values.

use moe_kernels::padded;

use super::{kv::Kv, machine::Machine};
use crate::{
    engine::paging::{BlockId, Part, Sizes},
    model::decoder::Config,
};

/// A layer's keys and values: token after token, heads side by side, turned and normalised.
pub(super) struct Written<'a> {
    pub(super) is_chunked: bool,
    /// The layer's number in its group.
    pub(super) group_layer: usize,
    pub(super) parts: &'a [Part<'a>],
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
}

/// Tokens `token..token + count` of the batch, which go to one block from position `index` of it on.
#[derive(Debug, Clone, Copy)]
struct Run {
    block: BlockId,
    index: usize,
    token: usize,
    count: usize,
}

/// From this many tokens on, waking the other threads is worth it.
const SHARE_FROM: usize = 32;

pub(super) fn store(machine: &Machine<'_>, config: &Config, kv: &mut Kv, what: &Written<'_>) {
    let mut runs = runs(&kv.sizes, what);
    // Each block is one sequence's, so no two runs write to the same one.
    runs.sort_unstable_by_key(|run| run.block);
    let layout = kv.layout;
    let group = if what.is_chunked { &mut kv.chunked } else { &mut kv.full };
    let blocks = group.layer_mut(runs.iter().map(|run| run.block), what.group_layer);
    let head_dim = config.head_dim;
    let stride = padded(config.kv_heads * head_dim);
    let write = |(run, block): (Run, &mut [u8])| {
        for (head, block) in block.chunks_exact_mut(layout.bytes()).enumerate() {
            for i in 0..run.count {
                let from = (run.token + i) * stride + head * head_dim;
                let (key, value) = (&what.keys[from..][..head_dim], &what.values[from..][..head_dim]);
                layout.store(machine.isa, block, run.index + i, key, value);
            }
        }
    };
    let tokens: usize = runs.iter().map(|run| run.count).sum();
    let tasks = runs.into_iter().zip(blocks);
    if tokens < SHARE_FROM {
        tasks.for_each(write);
    } else {
        machine.pool.for_each(tasks.collect(), || (), |task, ()| write(task));
    }
}

fn runs(sizes: &Sizes, what: &Written<'_>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut token = 0;
    for part in what.parts {
        let table = if what.is_chunked { &part.held.chunked } else { &part.held.full };
        let mut position = part.position;
        let end = position + part.tokens.len();
        while position < end {
            let slot = sizes.slot(table, position);
            let count = (sizes.block_len - slot.index).min(end - position);
            runs.push(Run { block: slot.block, index: slot.index, token, count });
            token += count;
            position += count;
        }
    }
    runs
}

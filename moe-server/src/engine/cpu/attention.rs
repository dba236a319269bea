//! Attention of a batch, cut into tasks of a few queries of one KV head.

use std::cell::RefCell;

use moe_kernels::{
    Isa,
    attention::{self, Attention, Partial, Scratch},
    padded,
};

use super::{buffers::Buffer, kv::Kv, machine::Machine, pool::Pool};
use crate::{
    engine::paging::{Part, Sizes},
    model::decoder::Config,
};

/// What to attend to, in one layer.
pub(super) struct Attended<'a> {
    pub(super) is_chunked: bool,
    /// The layer's number in its group.
    pub(super) group_layer: usize,
    pub(super) kv: &'a Kv,
    pub(super) parts: &'a [Part<'a>],
    /// Token after token, heads side by side, scaled.
    pub(super) queries: &'a [f32],
}

/// Queries that one thread takes at a time. The keys are read once for all of them.
const QUERIES: usize = 64;

thread_local! {
    /// Kept from layer to layer.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Tokens `first..first + count` of the batch, which stand from `position` on in one sequence and see the same chunk.
#[derive(Debug, Clone, Copy)]
struct Tile {
    part: usize,
    first: usize,
    count: usize,
    position: usize,
}

/// One KV head's part of a tile, and where its results go: a row for each token.
type Task<'a> = (Attention<'a>, Vec<&'a mut [f32]>);

/// The mixed values of all tokens, laid out as the queries.
pub(super) fn attend<'m>(machine: &Machine<'m>, config: &Config, what: &Attended<'_>) -> Buffer<'m> {
    let Machine { pool, buffers, isa, .. } = *machine;
    let columns = config.heads * config.head_dim;
    let mut mixed = buffers.rows(what.queries.len() / padded(columns), columns);
    let mut tasks = tasks(config, what, &mut mixed);
    let parts = tasks.iter().map(|(attention, _)| attention.parts()).max().unwrap_or(0);
    let threads = pool.threads();
    if parts > 1 && tasks.len() < 2 * threads && !tasks.len().is_multiple_of(threads) {
        in_parts(pool, isa, tasks);
    } else {
        // The longest first, so that none is left at the end.
        tasks.reverse();
        pool.for_each(
            tasks,
            || (),
            |(attention, mut out), ()| {
                SCRATCH.with_borrow_mut(|scratch| attention::attend(isa, &attention, scratch, &mut out));
            },
        );
    }
    mixed
}

/// Few tasks and long ones: the parts of their keys are tasks of their own. The bits are the same.
fn in_parts(pool: &Pool, isa: Isa, tasks: Vec<Task<'_>>) {
    let mut partials: Vec<Vec<Partial>> =
        tasks.iter().map(|(attention, _)| vec![Partial::default(); attention.parts()]).collect();
    let mut parts = Vec::new();
    for ((attention, _), partials) in tasks.iter().zip(&mut partials) {
        parts.extend(partials.iter_mut().enumerate().map(|(index, partial)| (attention, index, partial)));
    }
    pool.for_each(
        parts,
        || (),
        |(attention, index, partial), ()| {
            SCRATCH
                .with_borrow_mut(|scratch| attention::attend_part(isa, attention, index, scratch, partial));
        },
    );
    for ((_, mut out), mut partials) in tasks.into_iter().zip(partials) {
        attention::merge(&mut partials, &mut out);
    }
}

/// Tile after tile, KV head after KV head.
fn tasks<'a>(config: &Config, what: &Attended<'a>, mixed: &'a mut [f32]) -> Vec<Task<'a>> {
    let shared = config.heads / config.kv_heads;
    let heads = shared * config.head_dim;
    let columns = padded(config.heads * config.head_dim);
    let tiles = tiles(what, (QUERIES / shared).max(1), &what.kv.sizes);
    let mut tasks = Vec::with_capacity(tiles.len() * config.kv_heads);
    let mut rest = mixed;
    for tile in tiles {
        let (rows, after) = rest.split_at_mut(tile.count * columns);
        rest = after;
        let mut rows: Vec<_> =
            rows.chunks_exact_mut(columns).map(|row| row.chunks_exact_mut(heads)).collect();
        let start = if what.is_chunked { what.kv.sizes.chunk_start(tile.position) } else { 0 };
        let held = &what.parts[tile.part].held;
        let (table, group) =
            if what.is_chunked { (&held.chunked, &what.kv.chunked) } else { (&held.full, &what.kv.full) };
        let len = what.kv.sizes.block_len;
        let seen = start / len - table.first..(tile.position + tile.count).div_ceil(len) - table.first;
        for head in 0..config.kv_heads {
            let attention = Attention {
                layout: what.kv.layout,
                blocks: group.paged(&table.blocks[seen.clone()], what.group_layer, head),
                queries: &what.queries[tile.first * columns + head * heads..],
                stride: columns,
                tokens: tile.count,
                shared,
                visible: tile.position + 1 - start,
            };
            tasks.push((attention, rows.iter_mut().filter_map(Iterator::next).collect()));
        }
    }
    tasks
}

fn tiles(what: &Attended<'_>, most: usize, sizes: &Sizes) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut first = 0;
    for (part, Part { tokens, position, .. }) in what.parts.iter().enumerate() {
        let mut done = 0;
        while done < tokens.len() {
            let position = position + done;
            let mut count = most.min(tokens.len() - done);
            if what.is_chunked {
                count = count.min(sizes.chunk_end(position) - position);
            }
            tiles.push(Tile { part, first: first + done, count, position });
            done += count;
        }
        first += tokens.len();
    }
    tiles
}

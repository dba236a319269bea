//! Attention of a batch, cut into tasks of a few queries of one KV head.

use moe_kernels::{
    Isa,
    attention::{self, Attention, Block, Scratch},
    padded,
};

use super::{forward::Part, kv::Cache, pool::Pool};
use crate::model::llama4::Config;

/// What to attend to, in one layer.
pub(super) struct Attended<'a> {
    pub(super) is_chunked: bool,
    /// The layer's number in its group.
    pub(super) group_layer: usize,
    pub(super) cache: &'a Cache,
    pub(super) parts: &'a [Part<'a>],
    /// Token after token, heads side by side, scaled.
    pub(super) queries: &'a [f32],
}

/// Queries that one thread takes at a time. The keys are read once for all of them.
const QUERIES: usize = 32;

/// Tokens `first..first + count` of the batch, which stand from `position` on in one sequence and see the same chunk.
#[derive(Debug, Clone, Copy)]
struct Tile {
    part: usize,
    first: usize,
    count: usize,
    position: usize,
}

/// The mixed values of all tokens, laid out as the queries.
pub(super) fn attend(pool: &Pool, isa: Isa, config: &Config, what: &Attended<'_>) -> Vec<f32> {
    let shared = config.heads / config.kv_heads;
    let stride = padded(config.head_dim);
    let columns = padded(config.heads * config.head_dim);
    let tiles = tiles(what, (QUERIES / shared).max(1), what.cache);

    // Tile after tile, KV head after KV head, token after token, head after head.
    let tokens = what.queries.len() / columns;
    let mut mixed = vec![0.0; tokens * config.heads * stride];
    let mut tasks = Vec::with_capacity(tiles.len() * config.kv_heads);
    let mut rest = &mut mixed[..];
    for tile in &tiles {
        for head in 0..config.kv_heads {
            let (out, after) = rest.split_at_mut(tile.count * shared * stride);
            rest = after;
            tasks.push((*tile, head, out));
        }
    }
    pool.for_each(tasks, Memory::default, |(tile, head, out), memory| {
        let queries = what.queries[tile.first * columns..].chunks_exact(columns).take(tile.count);
        memory.queries.clear();
        for token in queries {
            let heads = &token[head * shared * config.head_dim..][..shared * config.head_dim];
            for query in heads.chunks_exact(config.head_dim) {
                memory.queries.extend_from_slice(query);
                memory.queries.resize(memory.queries.len().next_multiple_of(stride), 0.0);
            }
        }
        let start = if what.is_chunked { what.cache.chunk_start(tile.position) } else { 0 };
        memory.visible.clear();
        for t in 0..tile.count {
            memory.visible.extend(std::iter::repeat_n(tile.position + t + 1 - start, shared));
        }
        let attention = Attention {
            queries: &memory.queries,
            visible: &memory.visible,
            blocks: &blocks(what, &tile, start, head),
            block_len: what.cache.block_len,
            head_dim: config.head_dim,
        };
        attention::attend(isa, &attention, &mut memory.scratch, out);
    });

    let mut by_token = vec![0.0; what.queries.len()];
    let tile_of: Vec<Tile> = tiles.iter().flat_map(|tile| std::iter::repeat_n(*tile, tile.count)).collect();
    pool.for_each_row(&mut by_token, columns, |t, row| {
        let tile = tile_of[t];
        let base = tile.first * config.heads * stride;
        for (head, out) in row.chunks_exact_mut(config.head_dim).take(config.heads).enumerate() {
            let (kv_head, query) = (head / shared, head % shared);
            let at = (kv_head * tile.count + (t - tile.first)) * shared + query;
            out.copy_from_slice(&mixed[base + at * stride..][..config.head_dim]);
        }
    });
    by_token
}

#[derive(Debug, Default)]
struct Memory {
    queries: Vec<f32>,
    visible: Vec<usize>,
    scratch: Scratch,
}

fn tiles(what: &Attended<'_>, most: usize, cache: &Cache) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut first = 0;
    for (part, Part { tokens, position, .. }) in what.parts.iter().enumerate() {
        let mut done = 0;
        while done < tokens.len() {
            let position = position + done;
            let mut count = most.min(tokens.len() - done);
            if what.is_chunked {
                count = count.min(cache.chunk_end(position) - position);
            }
            tiles.push(Tile { part, first: first + done, count, position });
            done += count;
        }
        first += tokens.len();
    }
    tiles
}

/// The blocks from position `start` to the tile's last token.
fn blocks<'a>(what: &Attended<'a>, tile: &Tile, start: usize, head: usize) -> Vec<Block<'a>> {
    let held = &what.parts[tile.part].held;
    let (table, group) =
        if what.is_chunked { (&held.chunked, &what.cache.chunked) } else { (&held.full, &what.cache.full) };
    let len = what.cache.block_len;
    let range = start / len - table.first..(tile.position + tile.count).div_ceil(len) - table.first;
    table.blocks[range].iter().map(|id| group.block(*id, what.group_layer, head)).collect()
}

//! Softmax attention over keys and values that lie in blocks, in one pass with a running maximum
//! ([Milakov and Gimelshein 2018](https://arxiv.org/abs/1805.02867)).
//!
//! **The order of reduction** depends on the blocks' length and on where the visible keys begin, and on nothing else: not on
//! how many queries are asked together. A score is one sum over the dimensions; positions are weighed in groups of up to
//! 128, groups are added in order within parts of eight groups (1,024 positions in blocks of 32), and parts are merged in
//! order. So a query's parts may be computed apart ([`attend_part`]) and give the same bits.

mod group;
mod lanes;
mod layout;
mod partial;
mod stored;
mod tile;

pub use layout::{KvType, Layout, MAX_BLOCK};
pub use partial::{Partial, merge};

use self::{
    group::{Expanded, Group, attend_group},
    tile::{MOST_QUERIES, ROW, Row, Running},
};
use crate::Isa;

/// Groups of a part.
const PART_GROUPS: usize = 8;

/// Blocks of one head, somewhere in `data`: number `i` is `data[table[i] · stride + offset..]`.
#[derive(Debug, Clone, Copy)]
pub struct Paged<'a> {
    pub data: &'a [u8],
    pub table: &'a [u32],
    /// From block to block, and to the head's part of one, in bytes.
    pub stride: usize,
    pub offset: usize,
}

/// What to attend to: tokens that follow each other, each with a few queries that share a head's keys and values.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    pub layout: Layout,
    pub blocks: Paged<'a>,
    /// The tokens' queries, already scaled: `shared` times the head's dimensions side by side.
    pub queries: &'a [f32],
    /// From token to token, in values.
    pub stride: usize,
    pub tokens: usize,
    pub shared: usize,
    /// How many keys the first token sees, from the start of the first block; at least one. Each further token sees one
    /// more.
    pub visible: usize,
}

impl Attention<'_> {
    /// Keys that the last token sees.
    fn furthest(&self) -> usize {
        self.visible + self.tokens - 1
    }

    fn group_keys(&self) -> usize {
        ROW / self.layout.lanes * self.layout.block_len
    }

    /// How many parts the keys have.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.furthest().div_ceil(PART_GROUPS * self.group_keys())
    }

    fn check(&self) {
        let Layout { head_dim, block_len, .. } = self.layout;
        assert!(self.tokens > 0 && self.shared > 0 && self.visible > 0, "queries that see something");
        let heads = self.shared * head_dim;
        assert!(heads <= self.stride || self.tokens == 1, "{heads} values every {}", self.stride);
        assert!(self.queries.len() >= (self.tokens - 1) * self.stride + heads, "queries of {heads} values");
        assert!(
            self.furthest() <= self.blocks.table.len() * block_len,
            "blocks for {} keys",
            self.furthest()
        );
    }
}

/// Room for intermediate results, kept from call to call.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Tile after tile of queries, as [`Tile`] wants them.
    queries: Vec<f32>,
    running: Vec<Running>,
    rows: Vec<Row>,
    expanded: Expanded,
    total: Partial,
    part: Partial,
}

/// Writes for each token and each of its queries the mean of the values it sees, weighted by softmax, to `out`: for each
/// token `shared` times the head's dimensions.
///
/// # Panics
/// Where lengths do not fit each other.
pub fn attend(isa: Isa, what: &Attention<'_>, scratch: &mut Scratch, out: &mut [&mut [f32]]) {
    what.check();
    let mut total = std::mem::take(&mut scratch.total);
    let mut part = std::mem::take(&mut scratch.part);
    compute(isa, what, 0, scratch, &mut total);
    for index in 1..what.parts() {
        compute(isa, what, index, scratch, &mut part);
        total.add(&part);
    }
    total.write(out);
    scratch.total = total;
    scratch.part = part;
}

/// Attends to part `index` of the keys alone, one of [`Attention::parts`]; [`merge`] makes the whole of all of them.
///
/// # Panics
/// Where lengths do not fit each other.
pub fn attend_part(isa: Isa, what: &Attention<'_>, index: usize, scratch: &mut Scratch, out: &mut Partial) {
    what.check();
    compute(isa, what, index, scratch, out);
}

fn compute(isa: Isa, what: &Attention<'_>, index: usize, scratch: &mut Scratch, out: &mut Partial) {
    let Layout { block_len, .. } = what.layout;
    let count = what.tokens * what.shared;
    out.reset(&what.layout, count);
    scratch.running.clear();
    scratch.running.resize(count, Running::FRESH);
    scratch.rows.resize(MOST_QUERIES, Row([0.0; ROW]));
    pack(what, tile::queries(isa), &mut scratch.queries);
    let step = what.group_keys();
    let length = PART_GROUPS * step;
    let end = ((index + 1) * length).min(what.furthest());
    for first in (index * length..end).step_by(step) {
        let here = step.min(end - first);
        let blocks = first / block_len..(first + here).div_ceil(block_len);
        let group = Group::new(&what.layout, &what.blocks, blocks);
        attend_group(isa, what, first, &group, scratch, &mut out.mixed);
    }
    for (running, (maximum, sum)) in scratch.running.iter().zip(out.maxima.iter_mut().zip(&mut out.sums)) {
        *maximum = running.maximum;
        *sum = partial::fold(&running.sum);
    }
}

/// Tiles of up to `most` queries, in each dimension after dimension, the queries side by side.
fn pack(what: &Attention<'_>, most: usize, out: &mut Vec<f32>) {
    let head_dim = what.layout.head_dim;
    let count = what.tokens * what.shared;
    out.resize(count * head_dim, 0.0);
    for (tile, out) in out.chunks_mut(most * head_dim).enumerate() {
        let width = out.len() / head_dim;
        for t in 0..width {
            let query = tile * most + t;
            let from = query / what.shared * what.stride + query % what.shared * head_dim;
            let from = &what.queries[from..from + head_dim];
            for (row, x) in out.chunks_exact_mut(width).zip(from) {
                row[t] = *x;
            }
        }
    }
}

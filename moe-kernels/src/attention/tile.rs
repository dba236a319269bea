//! Register tiles: a few queries against a group of blocks.

use super::{
    group::Group,
    lanes::{Lanes, exp},
    layout::{GROUP, Layout},
    stored::Stored,
};
use crate::{Isa, LANES, isa::dispatch};

/// Positions that are weighed at a time (each block's rounded up to whole vectors): their maximum is looked for once.
pub(super) const ROW: usize = 128;
/// The most blocks of a group.
pub(super) const MOST_BLOCKS: usize = ROW / LANES;
/// The most queries of a tile.
pub(super) const MOST_QUERIES: usize = 8;

/// A query's scores, then its weights.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Row(pub(super) [f32; ROW]);

dispatch! { fn queries_into(out: &mut usize) = queries_of }

#[inline(always)]
fn queries_of<V: Lanes>(out: &mut usize) {
    *out = V::QUERIES;
}

/// Queries of a tile.
pub(super) fn queries(isa: Isa) -> usize {
    let mut out = 0;
    queries_into(isa, &mut out);
    out
}

/// How far one query has come.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Running {
    /// The sum of the weights so far, in lanes.
    pub(super) sum: [f32; LANES],
    pub(super) maximum: f32,
}

impl Running {
    pub(super) const FRESH: Self = Self { sum: [0.0; LANES], maximum: f32::NEG_INFINITY };
}

/// The queries of a tile and what they have come to.
pub(super) struct Tile<'a> {
    /// Dimension after dimension, the queries side by side.
    pub(super) queries: &'a [f32],
    /// How many of the group's keys each sees; none fewer than the one before.
    pub(super) visible: [usize; MOST_QUERIES],
    pub(super) running: &'a mut [Running],
    /// `width` of each query.
    pub(super) mixed: &'a mut [f32],
    pub(super) rows: &'a mut [Row; MOST_QUERIES],
    /// Whether to fetch what comes next into the caches: the hardware does not see where the next block lies.
    pub(super) fetches: bool,
}

impl Tile<'_> {
    /// Attends to the group's keys.
    ///
    /// # Safety
    /// The group has the blocks that the last query sees, of type `S`.
    #[inline(always)]
    pub(super) unsafe fn attend<V: Lanes, S: Stored>(&mut self, group: &Group) {
        // SAFETY: as above.
        unsafe {
            match self.running.len() {
                1 => self.attend_exactly::<V, S, 1>(group),
                2 => self.attend_exactly::<V, S, 2>(group),
                3 => self.attend_exactly::<V, S, 3>(group),
                4 => self.attend_exactly::<V, S, 4>(group),
                5 if V::QUERIES > 4 => self.attend_exactly::<V, S, 5>(group),
                6 if V::QUERIES > 4 => self.attend_exactly::<V, S, 6>(group),
                7 if V::QUERIES > 6 => self.attend_exactly::<V, S, 7>(group),
                8 if V::QUERIES > 6 => self.attend_exactly::<V, S, 8>(group),
                n => unreachable!("a tile of {n} queries"),
            }
        }
    }

    #[inline(always)]
    unsafe fn attend_exactly<V: Lanes, S: Stored, const T: usize>(&mut self, group: &Group) {
        let layout = &group.layout;
        assert!(self.queries.len() == T * layout.head_dim && self.mixed.len() == T * layout.width);
        let furthest = self.visible[T - 1];
        let mut block = 0;
        while block * layout.block_len < furthest {
            let seen = (furthest - block * layout.block_len).min(layout.block_len);
            let mut lane = 0;
            // SAFETY: the block is one that the last query sees; `lane` is below its lanes, a multiple of 16.
            unsafe {
                if V::VECTORS == 2 && seen > LANES {
                    self.scores::<V, S, T, 2>(group, block, 0);
                    lane = 2 * LANES;
                }
                while lane < seen {
                    self.scores::<V, S, T, 1>(group, block, lane);
                    lane += LANES;
                }
            }
            block += 1;
        }
        let mut shrink = [1.0; T];
        for t in 0..T {
            // A query that sees nothing of this group keeps what it has.
            if self.visible[t] > 0 {
                shrink[t] = weigh::<V>(layout, self.visible[t], &mut self.rows[t].0, &mut self.running[t]);
            }
        }
        let mut vector = 0;
        // SAFETY: vectors inside of the values' width, and positions that are seen.
        unsafe {
            while vector * LANES < layout.width {
                if V::VECTORS == 2 {
                    self.mix::<V, S, T, 2>(group, &shrink, vector);
                } else {
                    self.mix::<V, S, T, 1>(group, &shrink, vector);
                }
                vector += V::VECTORS;
            }
        }
    }

    /// Writes the products of the queries and `16 · N` keys of a block, each one sum over the dimensions in order.
    #[inline(always)]
    unsafe fn scores<V: Lanes, S: Stored, const T: usize, const N: usize>(
        &mut self,
        group: &Group,
        block: usize,
        lane: usize,
    ) {
        let (layout, keys) = (&group.layout, group.keys[block]);
        let mut acc = [[V::zero(); N]; T];
        let mut scale = [V::zero(); N];
        let mut key = [V::zero(); N];
        let queries = self.queries.as_ptr();
        let mut first = 0;
        while first < layout.head_dim {
            let last = layout.head_dim.min(first + GROUP);
            if self.fetches && lane == 0 {
                group.fetch::<V>(block, first..last);
            }
            for n in 0..N {
                // SAFETY: by the caller.
                scale[n] = unsafe { S::key_scale::<V>(keys, layout, first, lane + n * LANES) };
            }
            for d in first..last {
                for n in 0..N {
                    // SAFETY: by the caller.
                    key[n] = unsafe { S::key::<V>(keys, layout, d, lane + n * LANES, scale[n]) };
                }
                for t in 0..T {
                    // SAFETY: there are `T · head_dim`.
                    let query = V::splat(unsafe { *queries.add(d * T + t) });
                    for n in 0..N {
                        acc[t][n] = acc[t][n].fma(query, key[n]);
                    }
                }
            }
            first = last;
        }
        for t in 0..T {
            let (row, _) = self.rows[t].0.as_chunks_mut::<LANES>();
            for n in 0..N {
                acc[t][n].store(&mut row[(block * layout.lanes + lane) / LANES + n]);
            }
        }
    }

    /// Shrinks what the queries have and adds the weighted values of `16 · N` dimensions, position by position.
    #[inline(always)]
    unsafe fn mix<V: Lanes, S: Stored, const T: usize, const N: usize>(
        &mut self,
        group: &Group,
        shrink: &[f32; T],
        vector: usize,
    ) {
        let stride = group.layout.width / LANES;
        let (mixed, _) = self.mixed.as_chunks_mut::<LANES>();
        let mut acc = [[V::zero(); N]; T];
        for t in 0..T {
            for n in 0..N {
                acc[t][n] = V::load(&mixed[t * stride + vector + n]).mul(V::splat(shrink[t]));
            }
        }
        // SAFETY: by the caller.
        unsafe { add_values::<V, S, T, N>(group, self.rows, 0..self.visible[0], vector, &mut acc) };
        for t in 0..T {
            for n in 0..N {
                acc[t][n].store(&mut mixed[t * stride + vector + n]);
            }
        }
        // What only later queries see.
        for t in 1..T {
            let range = self.visible[0]..self.visible[t];
            if range.is_empty() {
                continue;
            }
            let mut one = [[V::zero(); N]; 1];
            for n in 0..N {
                one[0][n] = V::load(&mixed[t * stride + vector + n]);
            }
            // SAFETY: by the caller.
            unsafe { add_values::<V, S, 1, N>(group, &self.rows[t..], range, vector, &mut one) };
            for n in 0..N {
                one[0][n].store(&mut mixed[t * stride + vector + n]);
            }
        }
    }
}

#[inline(always)]
unsafe fn add_values<V: Lanes, S: Stored, const T: usize, const N: usize>(
    group: &Group,
    rows: &[Row],
    range: std::ops::Range<usize>,
    vector: usize,
    acc: &mut [[V; N]; T],
) {
    let layout = &group.layout;
    let rows = &rows[..T];
    let mut block = range.start / layout.block_len;
    let mut sums = *acc;
    let mut value = [V::zero(); N];
    while block * layout.block_len < range.end {
        let first = block * layout.block_len;
        let values = group.values[block];
        // SAFETY: by the caller: the block is seen. Two vectors start at an even one, so that one group holds them.
        let scales = unsafe { S::value_scales::<V>(values, layout, vector * LANES) };
        for position in range.start.saturating_sub(first)..layout.block_len.min(range.end - first) {
            for n in 0..N {
                // SAFETY: likewise.
                value[n] = unsafe { S::value::<V>(values, layout, position, vector + n, &scales) };
            }
            for t in 0..T {
                let weight = V::splat(rows[t].0[block * layout.lanes + position]);
                for n in 0..N {
                    sums[t][n] = sums[t][n].fma(weight, value[n]);
                }
            }
        }
        block += 1;
    }
    *acc = sums;
}

/// Turns a query's scores into weights and brings its maximum and sum up to date; returns by how much what it has mixed
/// so far shrinks.
#[inline(always)]
fn weigh<V: Lanes>(layout: &Layout, visible: usize, row: &mut [f32; ROW], running: &mut Running) -> f32 {
    let blocks = visible.div_ceil(layout.block_len);
    for block in 0..blocks {
        let seen = (visible - block * layout.block_len).min(layout.block_len);
        row[block * layout.lanes + seen..(block + 1) * layout.lanes].fill(f32::NEG_INFINITY);
    }
    let (row, _) = row.as_chunks_mut::<LANES>();
    let row = &mut row[..blocks * layout.lanes / LANES];
    let old = V::splat(running.maximum);
    let mut highest = old;
    for lanes in row.iter() {
        highest = V::load(lanes).higher(highest);
    }
    let maximum = highest.highest();
    let below = V::splat(-maximum);
    let mut lanes = [0.0; LANES];
    let shrink = exp(old.add(below));
    shrink.store(&mut lanes);
    let mut sum = V::load(&running.sum).mul(shrink);
    for lanes in row {
        let weights = exp(V::load(lanes).add(below));
        weights.store(lanes);
        sum = sum.add(weights);
    }
    sum.store(&mut running.sum);
    running.maximum = maximum;
    lanes[0]
}

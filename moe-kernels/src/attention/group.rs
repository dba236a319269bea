//! All of a task's queries against one group of blocks.

use std::ops::Range;

use super::{
    Attention, Paged, Scratch,
    lanes::Lanes,
    layout::{GROUP, KvType, Layout},
    stored::{F16, F32, Q8, Stored},
    tile::{MOST_BLOCKS, MOST_QUERIES, Tile},
};
use crate::{Isa, LANES, isa::dispatch};

/// From this many queries on, a group is expanded to `f32` once for all of them.
const EXPAND_FROM: usize = 24;

/// Keys and values of the blocks of a group: the first `count` pointers are those of whole blocks of `layout`, which live
/// as long as what they were made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) layout: Layout,
    pub(super) count: usize,
    pub(super) keys: [*const u8; MOST_BLOCKS],
    pub(super) values: [*const u8; MOST_BLOCKS],
    /// The keys that follow.
    next: *const u8,
}

impl Group {
    fn empty(layout: Layout) -> Self {
        let none = [std::ptr::null(); MOST_BLOCKS];
        Self { layout, count: 0, keys: none, values: none, next: std::ptr::null() }
    }

    fn push(&mut self, keys: *const u8, values: *const u8) {
        self.keys[self.count] = keys;
        self.values[self.count] = values;
        self.count += 1;
    }

    /// Blocks `range` of the table, at most [`MOST_BLOCKS`].
    ///
    /// # Panics
    /// Where one is not there.
    pub(super) fn new(layout: &Layout, blocks: &Paged<'_>, range: Range<usize>) -> Self {
        let block = |id: &u32| &blocks.data[*id as usize * blocks.stride + blocks.offset..][..layout.bytes()];
        let mut group = Self::empty(*layout);
        for id in &blocks.table[range.clone()] {
            let (keys, values) = block(id).split_at(layout.keys_bytes());
            group.push(keys.as_ptr(), values.as_ptr());
        }
        if let Some(id) = blocks.table.get(range.end) {
            group.next = block(id).as_ptr();
        }
        group
    }

    /// Fetches a share of what is read after block `block`'s keys: its values and the next keys.
    #[inline(always)]
    pub(super) fn fetch<V: Lanes>(&self, block: usize, share: Range<usize>) {
        const LINE: usize = 64;
        let bytes = self.layout.keys_bytes();
        let part = |d: usize| (bytes * d / self.layout.head_dim).next_multiple_of(LINE);
        let next = if block + 1 < self.count { self.keys[block + 1] } else { self.next };
        for at in (part(share.start)..part(share.end)).step_by(LINE) {
            V::prefetch(next.wrapping_add(at));
            V::prefetch(self.values[block].wrapping_add(at));
        }
    }
}

/// A group's keys and values as `f32`.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    keys: Vec<Aligned>,
    values: Vec<Aligned>,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Aligned([f32; LANES]);

/// Attends to the keys of `group`, of which the first is number `first` of those that the tokens see.
pub(super) fn attend_group(
    isa: Isa,
    what: &Attention<'_>,
    first: usize,
    group: &Group,
    scratch: &mut Scratch,
    mixed: &mut [f32],
) {
    let mut expanded = std::mem::take(&mut scratch.expanded);
    let mut group = *group;
    if what.tokens * what.shared >= EXPAND_FROM {
        match group.layout.kv_type {
            KvType::F32 => {}
            KvType::F16 => expand_f16(isa, &mut group, &mut expanded),
            KvType::Q8_0 => expand_q8(isa, &mut group, &mut expanded),
        }
    }
    match group.layout.kv_type {
        KvType::F32 => tiles_f32(isa, what, first, &group, scratch, mixed),
        KvType::F16 => tiles_f16(isa, what, first, &group, scratch, mixed),
        KvType::Q8_0 => tiles_q8(isa, what, first, &group, scratch, mixed),
    }
    scratch.expanded = expanded;
}

macro_rules! tiles_of {
    ($($name:ident = $body:ident, $stored:ident);*) => {$(
        dispatch! {
            fn $name(what: &Attention<'_>, first: usize, group: &Group, scratch: &mut Scratch, mixed: &mut [f32]) = $body
        }
        #[inline(always)]
        fn $body<V: Lanes>(
            what: &Attention<'_>,
            first: usize,
            group: &Group,
            scratch: &mut Scratch,
            mixed: &mut [f32],
        ) {
            tiles::<V, $stored>(what, first, group, scratch, mixed);
        }
    )*};
}

tiles_of!(tiles_f32 = each_f32, F32; tiles_f16 = each_f16, F16; tiles_q8 = each_q8, Q8);

#[inline(always)]
fn tiles<V: Lanes, S: Stored>(
    what: &Attention<'_>,
    first: usize,
    group: &Group,
    scratch: &mut Scratch,
    mixed: &mut [f32],
) {
    let Layout { kv_type, head_dim, block_len, width, .. } = group.layout;
    assert!(kv_type == S::KV_TYPE, "blocks of {kv_type}");
    let count = what.tokens * what.shared;
    let Some(rows) = scratch.rows.first_chunk_mut::<MOST_QUERIES>() else { unreachable!("rows for a tile") };
    // What was expanded has just been written.
    let fetches = what.layout.kv_type == kv_type;
    let mut query = 0;
    while query < count {
        let next = count.min(query + V::QUERIES);
        let mut visible = [0; MOST_QUERIES];
        for (index, visible) in (query..next).zip(&mut visible) {
            let sees = what.visible + index / what.shared;
            *visible = sees.saturating_sub(first).min(group.count * block_len);
        }
        let mut tile = Tile {
            queries: &scratch.queries[query * head_dim..next * head_dim],
            visible,
            running: &mut scratch.running[query..next],
            mixed: &mut mixed[query * width..next * width],
            rows,
            fetches: fetches && query == 0,
        };
        if visible[next - query - 1] > 0 {
            // SAFETY: none sees more than the group's blocks, which are of type `S`.
            unsafe { tile.attend::<V, S>(group) };
        }
        query = next;
    }
}

dispatch! { fn expand_f16(group: &mut Group, to: &mut Expanded) = each_of_f16 }
dispatch! { fn expand_q8(group: &mut Group, to: &mut Expanded) = each_of_q8 }

#[inline(always)]
fn each_of_f16<V: Lanes>(group: &mut Group, to: &mut Expanded) {
    expand::<V, F16>(group, to);
}

#[inline(always)]
fn each_of_q8<V: Lanes>(group: &mut Group, to: &mut Expanded) {
    expand::<V, Q8>(group, to);
}

/// Turns the group into one of `f32`.
#[inline(always)]
fn expand<V: Lanes, S: Stored>(group: &mut Group, to: &mut Expanded) {
    let layout = group.layout;
    assert!(layout.kv_type == S::KV_TYPE, "blocks of {}", layout.kv_type);
    let (vectors, width) = (layout.lanes / LANES, layout.width / LANES);
    let (key_size, value_size) = (layout.head_dim * vectors, layout.block_len * width);
    to.keys.resize(MOST_BLOCKS * key_size, Aligned([0.0; LANES]));
    to.values.resize(MOST_BLOCKS * value_size, Aligned([0.0; LANES]));
    for index in 0..group.count {
        let (keys, values) = (group.keys[index], group.values[index]);
        let keys_to = &mut to.keys[index * key_size..][..key_size];
        let mut scale = [V::zero(); 2];
        for d in 0..layout.head_dim {
            for vector in 0..vectors {
                // SAFETY: the block is whole; dimensions and lanes are those of its layout.
                let key = unsafe {
                    if d % GROUP == 0 {
                        scale[vector] = S::key_scale::<V>(keys, &layout, d, vector * LANES);
                    }
                    S::key::<V>(keys, &layout, d, vector * LANES, scale[vector])
                };
                key.store(&mut keys_to[d * vectors + vector].0);
            }
        }
        let values_to = &mut to.values[index * value_size..][..value_size];
        for vector in 0..width {
            // SAFETY: likewise.
            let scales = unsafe { S::value_scales::<V>(values, &layout, vector * LANES) };
            for position in 0..layout.block_len {
                // SAFETY: likewise.
                let value = unsafe { S::value::<V>(values, &layout, position, vector, &scales) };
                value.store(&mut values_to[layout.value_at(position, vector) / LANES].0);
            }
        }
    }
    let mut out = Group::empty(Layout { kv_type: KvType::F32, ..layout });
    let parts = to.keys.chunks_exact(key_size).zip(to.values.chunks_exact(value_size));
    for (keys, values) in parts.take(group.count) {
        out.push(keys.as_ptr().cast(), values.as_ptr().cast());
    }
    *group = out;
}

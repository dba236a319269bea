//! One tile of weights times one panel of activations, format by format.
//!
//! **Order of reduction**, for each output: blocks from the first to the last, each added by fused multiply-add; what is
//! inside a block are exact integers. So neither the panel's width nor the instruction set matters.

use super::{
    PackedType, TILE_ROWS,
    activations::Panel,
    pack::{MXFP4_SCALES, MXFP4_VALUES, Q8_SCALES, half_e8m0, q4_k, q6_k},
};
use crate::{
    isa::dispatch,
    simd::{Int, Vector},
};

/// Bytes of a vector.
const VECTOR: usize = 64;

/// A block's part of a panel, from the first token to compute on.
#[derive(Clone, Copy)]
struct Slices {
    quants: *const i32,
    sums: *const i32,
    scales: *const f32,
}

trait Format {
    const TYPE: PackedType;
    const EARLY: Early;

    /// Adds one block's products to the sums of `T` tokens of a panel `P` wide.
    ///
    /// # Safety
    /// `block` is one of a tile, and `x` of as many columns in panels of `P`.
    unsafe fn block<V: Vector, const P: usize, const T: usize>(block: *const u8, x: Slices, acc: &mut [V; T]);
}

/// How far ahead weights are asked for, in bytes: what was seen to be fastest, format by format. With few tokens memory is
/// the limit, and the hardware sees the stream by itself within a page of memory; with more tokens, work between the loads
/// hides it from the hardware.
struct Early {
    /// For up to 2 tokens: one line for each block, so that the next page is known in time; 0 for not at all.
    prime: usize,
    /// For more: each vector with the one that is loaded.
    spread: usize,
    /// From that many tokens on.
    spread_from: usize,
}

#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch touches nothing, wherever it points to.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// # Safety
/// A vector can be read at `at`.
#[inline(always)]
unsafe fn load<I: Int, F: Format, const P: usize>(at: *const u8) -> I {
    if P > 2 && P >= F::EARLY.spread_from {
        prefetch(at.wrapping_add(F::EARLY.spread));
    }
    // SAFETY: by the contract.
    I::load(unsafe { &*at.cast() })
}

/// The four vectors at `at` as eight groups of four columns.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn nibbles<I: Int, F: Format, const P: usize>(at: *const u8) -> [I; 8] {
    let mask = I::splat(0x0F0F_0F0F);
    let mut groups = [mask; 8];
    for i in 0..4 {
        // SAFETY: by the contract.
        let v: I = unsafe { load::<I, F, P>(at.add(i * VECTOR)) };
        groups[2 * i] = v.and(mask);
        groups[2 * i + 1] = v.shift_right_16::<4>().and(mask);
    }
    groups
}

/// Adds the products of `GROUPS` groups of four columns.
///
/// # Safety
/// `x` is of that many groups in panels of `P`.
#[inline(always)]
unsafe fn dots<I: Int, const WIDE: bool, const GROUPS: usize, const P: usize, const T: usize>(
    w: &[I],
    x: *const i32,
    sums: &mut [I; T],
) {
    for g in 0..GROUPS {
        for t in 0..T {
            // SAFETY: by the contract.
            sums[t] = sums[t].dot::<WIDE>(w[g], unsafe { *x.add(g * P + t) });
        }
    }
}

struct Q4K;

impl Format for Q4K {
    const TYPE: PackedType = PackedType::Q4_K;
    const EARLY: Early = Early { prime: 6144, spread: 4096, spread_from: 4 };

    #[inline(always)]
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one line for all of them")]
    unsafe fn block<V: Vector, const P: usize, const T: usize>(
        block: *const u8,
        x: Slices,
        acc: &mut [V; T],
    ) {
        // SAFETY (all blocks here): inside the block and the panel's part, by the contract.
        let [scales, mins] = unsafe { q4_k_scales::<V::Int, P>(block) };
        let zero = V::Int::splat(0);
        let mut whole = [zero; T];
        for sub in 0..8 {
            let w = unsafe { nibbles::<V::Int, Self, P>(block.add(sub * 4 * VECTOR)) };
            let mut sums = [zero; T];
            unsafe { dots::<V::Int, false, 8, P, T>(&w, x.quants.add(sub * 8 * P), &mut sums) };
            let scale = V::Int::widen_u8(&scales[sub]);
            for t in 0..T {
                whole[t] = whole[t].add(sums[t].mul(scale));
            }
        }
        let mut least = [zero; T];
        for pair in 0..4 {
            let m = V::Int::interleave_u8(&mins[2 * pair], &mins[2 * pair + 1]);
            for t in 0..T {
                least[t] = least[t].dot_pairs(m, unsafe { *x.sums.add(pair * P + t) });
            }
        }
        let (d, dmin) = unsafe {
            (V::load_f16(&*block.add(q4_k::D).cast()), V::load_f16(&*block.add(q4_k::DMIN).cast()))
        };
        let dmin = dmin.mul(V::splat(-1.0));
        for t in 0..T {
            let by = V::splat(unsafe { *x.scales.add(t) });
            acc[t] = acc[t].fma(whole[t].to_float(), d.mul(by)).fma(least[t].to_float(), dmin.mul(by));
        }
    }
}

/// Scales and minima of the eight sub-blocks, each for all rows.
///
/// # Safety
/// `block` is one of a Q4_K tile.
#[inline(always)]
unsafe fn q4_k_scales<I: Int, const P: usize>(block: *const u8) -> [[[u8; TILE_ROWS]; 8]; 2] {
    // SAFETY: ggml's twelve bytes of each row fill three vectors.
    let [a, b, c]: [I; 3] = unsafe {
        let at = block.add(q4_k::SCALES);
        [load::<I, Q4K, P>(at), load::<I, Q4K, P>(at.add(VECTOR)), load::<I, Q4K, P>(at.add(2 * VECTOR))]
    };
    let (six, four, high) = (I::splat(0x3F3F_3F3F), I::splat(0x0F0F_0F0F), I::splat(0x3030_3030));
    let halves = [
        [a.and(six), c.and(four).or(a.shift_right_16::<2>().and(high))],
        [b.and(six), c.shift_right_16::<4>().and(four).or(b.shift_right_16::<2>().and(high))],
    ];
    let mut all = [[[0; TILE_ROWS]; 8]; 2];
    for kind in 0..2 {
        let (low, high) = all[kind].as_flattened_mut().split_at_mut(VECTOR);
        if let (Some(low), Some(high)) = (low.first_chunk_mut(), high.first_chunk_mut()) {
            halves[kind][0].store(low);
            halves[kind][1].store(high);
        }
    }
    all
}

struct Q6K;

impl Format for Q6K {
    const TYPE: PackedType = PackedType::Q6_K;
    const EARLY: Early = Early { prime: 6144, spread: 4096, spread_from: 4 };

    #[inline(always)]
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one line for all of them")]
    unsafe fn block<V: Vector, const P: usize, const T: usize>(
        block: *const u8,
        x: Slices,
        acc: &mut [V; T],
    ) {
        // SAFETY (all blocks here): inside the block and the panel's part, by the contract.
        let mut whole = [V::Int::splat(0); T];
        let mask = V::Int::splat(0x3030_3030);
        for sub in 0..16 {
            let [high, low @ ..]: [V::Int; 3] = unsafe {
                let at = block.add(sub * q6_k::SUB);
                let high = load::<V::Int, Self, P>(at.add(q6_k::HIGH));
                [high, load::<V::Int, Self, P>(at), load::<V::Int, Self, P>(at.add(VECTOR))]
            };
            let four = V::Int::splat(0x0F0F_0F0F);
            let w = [
                low[0].and(four).or(high.shift_left_16::<4>().and(mask)),
                low[0].shift_right_16::<4>().and(four).or(high.shift_left_16::<2>().and(mask)),
                low[1].and(four).or(high.and(mask)),
                low[1].shift_right_16::<4>().and(four).or(high.shift_right_16::<2>().and(mask)),
            ];
            let mut sums = [mask; T];
            for t in 0..T {
                sums[t] = V::Int::splat(unsafe { *x.sums.add((4 + sub) * P + t) });
            }
            unsafe { dots::<V::Int, false, 4, P, T>(&w, x.quants.add(sub * 4 * P), &mut sums) };
            let scale = V::Int::widen_i8(unsafe { &*block.add(q6_k::SCALES + sub * TILE_ROWS).cast() });
            for t in 0..T {
                whole[t] = whole[t].add(sums[t].mul(scale));
            }
        }
        let d = V::load_f16(unsafe { &*block.add(q6_k::D).cast() });
        for t in 0..T {
            acc[t] = acc[t].fma(whole[t].to_float(), d.mul(V::splat(unsafe { *x.scales.add(t) })));
        }
    }
}

struct Q8;

impl Format for Q8 {
    const TYPE: PackedType = PackedType::Q8_0;
    const EARLY: Early = Early { prime: 0, spread: 4096, spread_from: 8 };

    #[inline(always)]
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one line for all of them")]
    unsafe fn block<V: Vector, const P: usize, const T: usize>(
        block: *const u8,
        x: Slices,
        acc: &mut [V; T],
    ) {
        // SAFETY (all blocks here): inside the block and the panel's part, by the contract.
        let mut w = [V::Int::splat(0); 8];
        for i in 0..8 {
            w[i] = unsafe { load::<V::Int, Self, P>(block.add(i * VECTOR)) };
        }
        let d = V::load_f16(unsafe { &*block.add(Q8_SCALES).cast() });
        unsafe { fine::<V, true, P, T>(&w, d, x.sums, x, acc) };
    }
}

struct Mxfp4;

impl Format for Mxfp4 {
    const TYPE: PackedType = PackedType::MXFP4;
    const EARLY: Early = Early { prime: 0, spread: 2048, spread_from: 4 };

    #[inline(always)]
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one line for all of them")]
    unsafe fn block<V: Vector, const P: usize, const T: usize>(
        block: *const u8,
        x: Slices,
        acc: &mut [V; T],
    ) {
        const TABLE: [u8; 16] = {
            let mut table = [0; 16];
            let mut i = 0;
            while i < 16 {
                table[i] = (MXFP4_VALUES[i] as i32 + PackedType::MXFP4.offset()) as u8;
                i += 1;
            }
            table
        };
        // SAFETY (all blocks here): inside the block and the panel's part, by the contract.
        let mut w = unsafe { nibbles::<V::Int, Self, P>(block) };
        for group in &mut w {
            *group = group.look_up(&TABLE);
        }
        let exponents: &[u8; TILE_ROWS] = unsafe { &*block.add(MXFP4_SCALES).cast() };
        let mut scales = [0.0; TILE_ROWS];
        for i in 0..TILE_ROWS {
            scales[i] = half_e8m0(exponents[i]);
        }
        unsafe { fine::<V, false, P, T>(&w, V::load(&scales), x.sums.add(P), x, acc) };
    }
}

/// A block of 32 columns. `sums` is where the panel has the correction for the weights' offset.
///
/// # Safety
/// As [`Format::block`].
#[inline(always)]
unsafe fn fine<V: Vector, const WIDE: bool, const P: usize, const T: usize>(
    w: &[V::Int; 8],
    d: V,
    sums: *const i32,
    x: Slices,
    acc: &mut [V; T],
) {
    let mut dot = [V::Int::splat(0); T];
    for t in 0..T {
        // SAFETY: by the contract.
        dot[t] = V::Int::splat(unsafe { *sums.add(t) });
    }
    // SAFETY: by the contract.
    unsafe { dots::<V::Int, WIDE, 8, P, T>(w, x.quants, &mut dot) };
    for t in 0..T {
        // SAFETY: by the contract.
        let by = V::splat(unsafe { *x.scales.add(t) });
        acc[t] = acc[t].fma(dot[t].to_float(), d.mul(by));
    }
}

/// A tile's results for one panel: token after token, row after row.
pub(super) type Results = [[f32; TILE_ROWS]; super::activations::PANEL];

dispatch! {
    /// Multiplies a whole tile with a whole panel; results beyond the panel's width are left as they are.
    pub(super) fn tile(packed_type: PackedType, tile: &[u8], panel: &Panel<'_>, out: &mut Results) = by_type
}

#[inline(always)]
fn by_type<V: Vector>(packed_type: PackedType, tile: &[u8], panel: &Panel<'_>, out: &mut Results) {
    match packed_type {
        PackedType::Q4_K => by_width::<V, Q4K>(tile, panel, out),
        PackedType::Q6_K => by_width::<V, Q6K>(tile, panel, out),
        PackedType::Q8_0 => by_width::<V, Q8>(tile, panel, out),
        PackedType::MXFP4 => by_width::<V, Mxfp4>(tile, panel, out),
    }
}

#[inline(always)]
fn by_width<V: Vector, F: Format>(tile: &[u8], panel: &Panel<'_>, out: &mut Results) {
    match (panel.width, V::WIDE) {
        (1, _) => columns::<V, F, 1, 1>(tile, panel, out),
        (2, _) => columns::<V, F, 2, 2>(tile, panel, out),
        (4, true) => columns::<V, F, 4, 4>(tile, panel, out),
        (4, false) => columns::<V, F, 4, 2>(tile, panel, out),
        (_, true) => columns::<V, F, 8, 8>(tile, panel, out),
        (_, false) => columns::<V, F, 8, 2>(tile, panel, out),
    }
}

/// `T` tokens at a time of a panel `P` wide.
#[inline(always)]
fn columns<V: Vector, F: Format, const P: usize, const T: usize>(
    tile: &[u8],
    panel: &Panel<'_>,
    out: &mut Results,
) {
    let bytes = F::TYPE.block_bytes() * TILE_ROWS;
    let grain = F::TYPE.grain();
    let blocks = tile.len() / bytes;
    // What is read below.
    assert!(panel.width == P && panel.scales.len() == blocks * P);
    assert!(panel.quants.len() == blocks * grain.columns() / 4 * P);
    assert!(panel.sums.len() == blocks * grain.sums() * P);
    for first in (0..P).step_by(T) {
        let mut acc = [V::zero(); T];
        for index in 0..blocks {
            if P <= 2 && F::EARLY.prime > 0 {
                prefetch(tile.as_ptr().wrapping_add(index * bytes + F::EARLY.prime));
            }
            // SAFETY: the lengths were checked; `first + T <= P`.
            unsafe {
                let x = Slices {
                    quants: panel.quants.as_ptr().add(index * grain.columns() / 4 * P + first),
                    sums: panel.sums.as_ptr().add(index * grain.sums() * P + first),
                    scales: panel.scales.as_ptr().add(index * P + first),
                };
                F::block::<V, P, T>(tile.as_ptr().add(index * bytes), x, &mut acc);
            }
        }
        for t in 0..T {
            acc[t].store(&mut out[first + t]);
        }
    }
}

//! Reading keys and values as `f32`: exact for every type, so that it does not matter when it is done.

use super::layout::{GROUP, KvType, Layout, MAX_BLOCK};
use crate::{LANES, simd::Vector};

/// One of [`KvType`]. Pointers are those of a block's keys or values.
///
/// # Safety
/// For all functions: the pointer is that of a whole part of a block of this layout; dimension `d` (or the group of 32
/// that starts at it), positions `lane..lane + 16`, `position` and dimensions `16 · vector..16 · vector + 16` are inside.
pub(super) trait Stored {
    const KV_TYPE: KvType;
    /// Of one group of dimensions and every position, as far as the type has any.
    type Scales;

    /// Those of sixteen keys.
    unsafe fn key_scale<V: Vector>(keys: *const u8, layout: &Layout, d: usize, lane: usize) -> V;
    /// Dimension `d` of sixteen keys.
    unsafe fn key<V: Vector>(keys: *const u8, layout: &Layout, d: usize, lane: usize, scale: V) -> V;
    unsafe fn value_scales<V: Vector>(values: *const u8, layout: &Layout, d: usize) -> Self::Scales;
    unsafe fn value<V: Vector>(
        values: *const u8,
        layout: &Layout,
        position: usize,
        vector: usize,
        scales: &Self::Scales,
    ) -> V;
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct Q8;

/// A number for each dimension, and no scales.
trait Number {
    const KV_TYPE: KvType;

    /// # Safety
    /// The `n`th number from `first` on and the fifteen after it are of this type, and inside.
    unsafe fn load<V: Vector>(first: *const u8, n: usize) -> V;
}

impl Number for F32 {
    const KV_TYPE: KvType = KvType::F32;

    #[inline(always)]
    unsafe fn load<V: Vector>(first: *const u8, n: usize) -> V {
        // SAFETY: the caller's promise.
        V::load_f32(unsafe { &*first.add(4 * n).cast() })
    }
}

impl Number for F16 {
    const KV_TYPE: KvType = KvType::F16;

    #[inline(always)]
    unsafe fn load<V: Vector>(first: *const u8, n: usize) -> V {
        // SAFETY: the caller's promise.
        V::load_f16(unsafe { &*first.add(2 * n).cast() })
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, each time")]
impl<N: Number> Stored for N {
    const KV_TYPE: KvType = N::KV_TYPE;
    type Scales = ();

    #[inline(always)]
    unsafe fn key_scale<V: Vector>(_: *const u8, _: &Layout, _: usize, _: usize) -> V {
        V::zero()
    }

    #[inline(always)]
    unsafe fn key<V: Vector>(keys: *const u8, layout: &Layout, d: usize, lane: usize, _: V) -> V {
        unsafe { N::load(keys, d * layout.lanes + lane) }
    }

    #[inline(always)]
    unsafe fn value_scales<V: Vector>(_: *const u8, _: &Layout, _: usize) {}

    #[inline(always)]
    unsafe fn value<V: Vector>(
        values: *const u8,
        layout: &Layout,
        position: usize,
        vector: usize,
        (): &(),
    ) -> V {
        unsafe { N::load(values, layout.value_at(position, vector)) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, each time")]
impl Stored for Q8 {
    const KV_TYPE: KvType = KvType::Q8_0;
    type Scales = [f32; MAX_BLOCK];

    #[inline(always)]
    unsafe fn key_scale<V: Vector>(keys: *const u8, layout: &Layout, d: usize, lane: usize) -> V {
        V::load_f16(unsafe { &*keys.add(2 * (d / GROUP * layout.lanes + lane)).cast() })
    }

    #[inline(always)]
    unsafe fn key<V: Vector>(keys: *const u8, layout: &Layout, d: usize, lane: usize, scale: V) -> V {
        let quants = unsafe { keys.add(layout.scales_bytes() + d * layout.lanes + lane) };
        V::load_i8(unsafe { &*quants.cast() }).mul(scale)
    }

    #[inline(always)]
    unsafe fn value_scales<V: Vector>(values: *const u8, layout: &Layout, d: usize) -> [f32; MAX_BLOCK] {
        let mut scales = [0.0; MAX_BLOCK];
        let from = unsafe { values.add(2 * (d / GROUP * layout.lanes)) };
        let (to, _) = scales.as_chunks_mut::<LANES>();
        for (i, to) in to.iter_mut().take(layout.lanes / LANES).enumerate() {
            V::load_f16(unsafe { &*from.add(2 * LANES * i).cast() }).store(to);
        }
        scales
    }

    #[inline(always)]
    unsafe fn value<V: Vector>(
        values: *const u8,
        layout: &Layout,
        position: usize,
        vector: usize,
        scales: &[f32; MAX_BLOCK],
    ) -> V {
        let quants = unsafe { values.add(layout.scales_bytes() + layout.value_at(position, vector)) };
        V::load_i8(unsafe { &*quants.cast() }).mul(V::splat(scales[position]))
    }
}

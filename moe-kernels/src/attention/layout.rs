//! How keys and values lie in a block, and how they get there.
//!
//! Keys lie dimension after dimension, so that a vector holds the same dimension of sixteen positions and scores need no
//! sum across lanes. Values lie in groups of 32 dimensions, in each position after position, so that they are read in
//! order. Q8_0 is ggml's (32 quants and one half as scale, along the head's dimensions), with the scales in front: for each
//! 32 dimensions one per position, then the quants as above.

use std::fmt;

use super::lanes::Lanes;
use crate::{LANES, isa::dispatch, padded, simd::f16_to_f32};

/// The longest block.
pub const MAX_BLOCK: usize = 32;
/// Dimensions that lie together in values and share a scale in Q8_0.
pub(super) const GROUP: usize = 32;
/// The largest finite half. What lies beyond is stored as this, but see [`Layout::store`].
const MOST_F16: f32 = 65504.0;
/// What is stored of a head that is not finite.
static SPOILT: [f32; GROUP] = [f32::NAN; GROUP];
/// Of a half that is no number.
const NAN_F16: u16 = 0x7E00;
/// More than any model has.
const MOST_DIMENSIONS: usize = 1 << 16;
/// Parts of a block begin at multiples of this, as cache lines do.
const ALIGNED: usize = 64;

/// What keys and values are rounded to (to the nearest, ties to even).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "ggml's own names")]
pub enum KvType {
    /// As computed.
    F32,
    /// IEEE halves.
    F16,
    /// 8 bits and a scale per 32 dimensions.
    Q8_0,
}

impl KvType {
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8_0];
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        })
    }
}

/// One head's block: `block_len` keys, then as many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub(super) kv_type: KvType,
    pub(super) head_dim: usize,
    pub(super) block_len: usize,
    /// Positions of a key's dimension: `padded(block_len)`.
    pub(super) lanes: usize,
    /// Dimensions of a value, in whole groups; those beyond the head's are zero.
    pub(super) width: usize,
}

impl Layout {
    /// `None` for blocks of no or more than [`MAX_BLOCK`] positions, heads of no or more than 65,536 dimensions, and Q8_0
    /// where these are no multiple of 32.
    #[must_use]
    pub fn new(kv_type: KvType, head_dim: usize, block_len: usize) -> Option<Self> {
        let fits = (1..=MAX_BLOCK).contains(&block_len)
            && (1..=MOST_DIMENSIONS).contains(&head_dim)
            && (kv_type != KvType::Q8_0 || head_dim.is_multiple_of(GROUP));
        let (lanes, width) = (padded(block_len), head_dim.next_multiple_of(GROUP));
        fits.then_some(Self { kv_type, head_dim, block_len, lanes, width })
    }

    #[must_use]
    pub fn kv_type(&self) -> KvType {
        self.kv_type
    }

    /// Of a block.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keys_bytes() + self.values_bytes()
    }

    pub(super) fn keys_bytes(&self) -> usize {
        self.part_bytes(self.head_dim * self.lanes)
    }

    fn values_bytes(&self) -> usize {
        self.part_bytes(self.width * self.block_len)
    }

    fn part_bytes(&self, elements: usize) -> usize {
        match self.kv_type {
            KvType::F32 => 4 * elements,
            KvType::F16 => 2 * elements,
            KvType::Q8_0 => self.scales_bytes() + elements,
        }
        .next_multiple_of(ALIGNED)
    }

    /// Of the scales in front of the quants.
    pub(super) fn scales_bytes(&self) -> usize {
        (self.head_dim / GROUP * self.lanes * 2).next_multiple_of(ALIGNED)
    }

    /// Where sixteen dimensions of a value begin, in elements.
    #[inline(always)]
    pub(super) fn value_at(&self, position: usize, vector: usize) -> usize {
        const VECTORS: usize = GROUP / LANES;
        (vector / VECTORS * self.block_len + position) * GROUP + vector % VECTORS * LANES
    }

    /// Writes the key and the value of position `index` into a head's block. Where any of their elements is not finite, all
    /// become NaN: an infinite one would be cut to the largest finite one, or weigh nothing, and nobody would notice.
    ///
    /// # Panics
    /// Where lengths do not fit the layout.
    pub fn store(&self, isa: crate::Isa, block: &mut [u8], index: usize, key: &[f32], value: &[f32]) {
        assert_eq!(block.len(), self.bytes(), "a block of {self:?}");
        assert!(index < self.block_len, "position {index} of a block of {}", self.block_len);
        assert!(key.len() == self.head_dim && value.len() == self.head_dim, "heads of {}", self.head_dim);
        let (keys, values) = block.split_at_mut(self.keys_bytes());
        let scales = self.scales_bytes();
        // Counted, not looked for: that is vectors' work.
        let odd = |x: &[f32]| x.iter().filter(|x| !x.is_finite()).count();
        let is_spoilt = odd(key) + odd(value) > 0;
        // Group after group.
        for first in (0..self.head_dim).step_by(GROUP) {
            let last = self.head_dim.min(first + GROUP);
            let (key, value) = if is_spoilt {
                (&SPOILT[..last - first], &SPOILT[..last - first])
            } else {
                (&key[first..last], &value[first..last])
            };
            let key_at = first * self.lanes + index;
            let value_at = self.value_at(index, first / LANES);
            match self.kv_type {
                KvType::F32 => {
                    scatter(&mut keys[4 * key_at..], 4 * self.lanes, key.iter().map(|x| x.to_le_bytes()));
                    scatter(&mut values[4 * value_at..], 4, value.iter().map(|x| x.to_le_bytes()));
                }
                KvType::F16 => {
                    store_f16(isa, key, &mut keys[2 * key_at..], 2 * self.lanes);
                    store_f16(isa, value, &mut values[2 * value_at..], 2);
                }
                KvType::Q8_0 => {
                    let scale_at = 2 * (first / GROUP * self.lanes + index);
                    let (s, q) = keys.split_at_mut(scales);
                    store_q8(isa, key, &mut s[scale_at..], &mut q[key_at..], self.lanes);
                    let (s, q) = values.split_at_mut(scales);
                    store_q8(isa, value, &mut s[scale_at..], &mut q[value_at..], 1);
                }
            }
        }
    }
}

/// Writes each item `stride` bytes after the one before.
#[inline(always)]
fn scatter<const N: usize>(to: &mut [u8], stride: usize, items: impl Iterator<Item = [u8; N]>) {
    for (to, item) in to.chunks_mut(stride).zip(items) {
        to[..N].copy_from_slice(&item);
    }
}

dispatch! { fn store_f16(from: &[f32], to: &mut [u8], stride: usize) = store_halves }

#[inline(always)]
fn store_halves<V: Lanes>(from: &[f32], to: &mut [u8], stride: usize) {
    for (from, to) in from.chunks(LANES).zip(to.chunks_mut(LANES * stride)) {
        let mut whole = [0.0; LANES];
        whole[..from.len()].copy_from_slice(from);
        let finite = V::splat(MOST_F16).lower(V::splat(-MOST_F16).higher(V::load(&whole)));
        let halves = finite.to_f16();
        scatter(to, stride, halves[..from.len()].iter().map(|h| h.to_le_bytes()));
    }
}

dispatch! {
    fn store_q8(from: &[f32], scale_to: &mut [u8], quants_to: &mut [u8], stride: usize) = store_quants
}

#[inline(always)]
fn store_quants<V: Lanes>(from: &[f32], scale_to: &mut [u8], quants_to: &mut [u8], stride: usize) {
    let Some(group) = from.first_chunk::<GROUP>() else { unreachable!("a whole group") };
    let (scale, by) = scale_of::<V>(group);
    scale_to[..2].copy_from_slice(&scale.to_le_bytes());
    // Beyond ±127 only where the scale could not grow any more, or was rounded down.
    let quants = group.map(|x| [((x * by).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned()]);
    scatter(quants_to, stride, quants.into_iter());
}

/// A group's scale as a half, and what its elements are to be multiplied by.
#[inline(always)]
fn scale_of<V: Lanes>(group: &[f32; GROUP]) -> (u16, f32) {
    let mut most = 0.0_f32;
    for x in group {
        most = if x.abs() > most || x.is_nan() { x.abs() } else { most };
        if most.is_nan() {
            return (NAN_F16, 0.0);
        }
    }
    let exact = most / 127.0;
    let scale = V::splat(if exact > MOST_F16 { MOST_F16 } else { exact }).to_f16()[0];
    let rounded = f16_to_f32(scale);
    (scale, if rounded > 0.0 { 1.0 / rounded } else { 0.0 })
}

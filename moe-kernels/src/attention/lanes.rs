//! What attention needs of a vector beyond the products'. Every operation gives the same bits in every implementation.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::{
    LANES,
    simd::{Portable, Vector},
};

pub(crate) trait Lanes: Vector {
    /// Queries of a register tile, at most [`super::tile::MOST_QUERIES`], …
    const QUERIES: usize;
    /// … and vectors.
    const VECTORS: usize;

    /// `self > other ? self : other`, so `other` where either is no number.
    fn higher(self, other: Self) -> Self;
    /// `self < other ? self : other`.
    fn lower(self, other: Self) -> Self;
    /// The end of [`exp`]: `value · 2^n` where `rounded` is `n + 1.5 · 2²³`; 0 where `x < −87`, `x` where it is no number.
    fn exponent(value: Self, rounded: Self, x: Self) -> Self;
    /// To the nearest half, ties to even.
    fn to_f16(self) -> [u16; LANES];
    /// Hints that the cache line at `address` will be read. Any address will do.
    fn prefetch(address: *const u8);

    /// The highest lane, folded as [`Vector::sum`] is.
    #[inline(always)]
    fn highest(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = if lanes[i] > lanes[i + half] { lanes[i] } else { lanes[i + half] };
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// [`crate::elementwise::exp`], lane by lane, with its bits.
#[inline(always)]
pub(crate) fn exp<V: Lanes>(x: V) -> V {
    const ROUND: f32 = 12_582_912.0;
    let clamped = V::splat(88.0).lower(x);
    let rounded = V::splat(ROUND).fma(clamped, V::splat(std::f32::consts::LOG2_E));
    let n = rounded.add(V::splat(-ROUND));
    let r = clamped.fma(n, V::splat(-0.693_359_4));
    let r = r.fma(n, V::splat(2.121_944_4e-4));
    let mut p = V::splat(1.398_199_9e-3).fma(V::splat(1.987_569_1e-4), r);
    p = V::splat(8.333_452e-3).fma(p, r);
    p = V::splat(4.166_579_6e-2).fma(p, r);
    p = V::splat(1.666_666_6e-1).fma(p, r);
    p = V::splat(0.5).fma(p, r);
    let value = r.fma(p, r.mul(r)).add(V::splat(1.0));
    V::exponent(value, rounded, x)
}

/// The nearest half, ties to even. Of what is no number, quiet and with the upper bits, as processors do.
#[inline(always)]
pub(crate) fn f32_to_f16(x: f32) -> u16 {
    const INFINITE: u32 = 0x7F80_0000;
    /// 65,520: from here on, infinite.
    const TOO_LARGE: u32 = 0x477F_F000;
    /// 2⁻¹⁴.
    const NORMAL: u32 = 0x3880_0000;
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let rest = x.to_bits() & 0x7FFF_FFFF;
    let half = if rest > INFINITE {
        0x7E00 | (rest >> 13) & 0x3FF
    } else if rest >= TOO_LARGE {
        0x7C00
    } else if rest < NORMAL {
        // In [½, 1), one unit in the last place is 2⁻²⁴, the smallest half.
        (f32::from_bits(rest) + 0.5).to_bits() - 0.5_f32.to_bits()
    } else {
        (rest - (112 << 23) + 0xFFF + ((rest >> 13) & 1)) >> 13
    };
    sign | half as u16
}

impl Lanes for Portable {
    const QUERIES: usize = 4;
    const VECTORS: usize = 1;

    #[inline(always)]
    fn higher(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn lower(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn exponent(value: Self, rounded: Self, x: Self) -> Self {
        let scaled = value.zip(rounded, |v, r| f32::from_bits(v.to_bits().wrapping_add(r.to_bits() << 23)));
        scaled.zip(x, |s, x| {
            if x < -87.0 {
                0.0
            } else if x.is_nan() {
                x
            } else {
                s
            }
        })
    }

    #[inline(always)]
    fn to_f16(self) -> [u16; LANES] {
        self.lanes().map(f32_to_f16)
    }

    #[inline(always)]
    fn prefetch(_: *const u8) {}
}

// SAFETY (all blocks below): the features are there by `Vector`'s contract, and memory is touched through references of the
// full length only; a prefetch reads nothing.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx2 {
    const QUERIES: usize = 6;
    const VECTORS: usize = 1;

    #[inline(always)]
    fn higher(self, other: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn lower(self, other: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn exponent(value: Self, rounded: Self, x: Self) -> Self {
        #[inline(always)]
        fn half(value: __m256, rounded: __m256, x: __m256) -> __m256 {
            unsafe {
                let shift = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded));
                let scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), shift));
                let low = _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_set1_ps(-87.0));
                let odd = _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x);
                _mm256_blendv_ps(_mm256_andnot_ps(low, scaled), x, odd)
            }
        }
        Self(half(value.0, rounded.0, x.0), half(value.1, rounded.1, x.1))
    }

    #[inline(always)]
    fn to_f16(self) -> [u16; LANES] {
        let mut out = [0; LANES];
        unsafe {
            let p = out.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(p, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(p.add(1), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
        out
    }

    #[inline(always)]
    fn prefetch(address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx512 {
    const QUERIES: usize = 8;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn higher(self, other: Self) -> Self {
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn lower(self, other: Self) -> Self {
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn exponent(value: Self, rounded: Self, x: Self) -> Self {
        unsafe {
            let shift = _mm512_slli_epi32::<23>(_mm512_castps_si512(rounded.0));
            let scaled = _mm512_add_epi32(_mm512_castps_si512(value.0), shift);
            let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x.0, _mm512_set1_ps(-87.0));
            let odd = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x.0, x.0);
            let kept = _mm512_castsi512_ps(_mm512_maskz_mov_epi32(keep, scaled));
            Self(_mm512_mask_mov_ps(kept, odd, x.0))
        }
    }

    #[inline(always)]
    fn to_f16(self) -> [u16; LANES] {
        let mut out = [0; LANES];
        unsafe {
            let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), halves);
        }
        out
    }

    #[inline(always)]
    fn prefetch(address: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, exp};
    use crate::{Isa, LANES, elementwise, isa::dispatch};

    dispatch! { fn exp_of(x: &mut [f32; LANES]) = exp_all }

    #[inline(always)]
    fn exp_all<V: Lanes>(x: &mut [f32; LANES]) {
        exp(V::load(x)).store(x);
    }

    dispatch! { fn fold_of(x: &[f32; LANES], out: &mut f32) = fold_all }

    #[inline(always)]
    fn fold_all<V: Lanes>(x: &[f32; LANES], out: &mut f32) {
        *out = V::load(x).highest();
    }

    #[test]
    fn vectors_have_the_bits_of_single_numbers() {
        let odd = [
            0.0,
            -0.0,
            88.0,
            88.5,
            1e30,
            -87.0,
            -87.1,
            -88.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            1e-40,
        ];
        let many = (0..300_000_u32).map(|i| f32::from_bits(i * 14_313));
        for isa in Isa::available() {
            for x in odd.into_iter().chain(many.clone()) {
                let mut lanes = [x; LANES];
                exp_of(isa, &mut lanes);
                assert_eq!(lanes.map(f32::to_bits), [elementwise::exp(x).to_bits(); LANES], "{x:e} on {isa}");
            }
        }
    }

    #[test]
    fn the_highest_lane() {
        for isa in Isa::available() {
            for at in 0..LANES {
                let mut lanes = [-3.0; LANES];
                lanes[at] = -2.0;
                let mut out = 0.0;
                fold_of(isa, &lanes, &mut out);
                assert_eq!(out.to_bits(), (-2.0_f32).to_bits(), "{at} on {isa}");
            }
        }
    }
}

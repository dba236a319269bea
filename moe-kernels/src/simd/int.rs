//! Sixteen `i32` lanes, or the 64 bytes they are made of, three ways.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::Vector;

/// Bytes of a vector.
const BYTES: usize = 64;

/// A vector of sixteen `i32`, or of 64 bytes. Every operation gives the same bits in every implementation, and as with
/// [`Vector`] an implementation may only be used inside a function compiled with its target features.
pub(crate) trait Int: Copy {
    type Float: Vector<Int = Self>;

    fn splat(x: i32) -> Self;
    fn load(from: &[u8; BYTES]) -> Self;
    fn store(self, to: &mut [u8; BYTES]);
    /// Each byte zero-extended.
    fn widen_u8(from: &[u8; 16]) -> Self;
    /// Each byte sign-extended.
    fn widen_i8(from: &[u8; 16]) -> Self;
    /// In each lane, a byte of `low` and, in the upper half, one of `high`.
    fn interleave_u8(low: &[u8; 16], high: &[u8; 16]) -> Self;
    fn add(self, other: Self) -> Self;
    /// The low half of the product.
    fn mul(self, by: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    /// Of each pair of bytes as one number.
    fn shift_left_16<const BY: u32>(self) -> Self;
    fn shift_right_16<const BY: u32>(self) -> Self;
    /// In each lane, the bytes 0 to 15 replaced by what stands there in the table.
    fn look_up(self, table: &[u8; 16]) -> Self;
    /// `self + Σ w · x` over the four bytes of each lane, `w` unsigned and `x`, the same four for all lanes, signed. No
    /// byte of `w` may be above 127 unless `WIDE`.
    fn dot<const WIDE: bool>(self, w: Self, x: i32) -> Self;
    /// `self + Σ a · x` over the two signed halves of each lane.
    fn dot_pairs(self, a: Self, x: i32) -> Self;
    fn to_float(self) -> Self::Float;
}

/// Plain arrays.
#[derive(Clone, Copy)]
pub(crate) struct Portable([i32; 16]);

impl Portable {
    #[inline(always)]
    fn bytes(self, f: impl Fn(u8) -> u8) -> Self {
        Self(self.0.map(|lane| i32::from_le_bytes(lane.to_le_bytes().map(&f))))
    }

    #[inline(always)]
    fn halves(self, f: impl Fn(u16) -> u16) -> Self {
        Self(self.0.map(|lane| {
            let lane = lane.cast_unsigned();
            (u32::from(f((lane >> 16) as u16)) << 16 | u32::from(f(lane as u16))).cast_signed()
        }))
    }
}

impl Int for Portable {
    type Float = super::Portable;

    #[inline(always)]
    fn splat(x: i32) -> Self {
        Self([x; 16])
    }

    #[inline(always)]
    fn load(from: &[u8; BYTES]) -> Self {
        Self(std::array::from_fn(|i| {
            i32::from_le_bytes([from[4 * i], from[4 * i + 1], from[4 * i + 2], from[4 * i + 3]])
        }))
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; BYTES]) {
        for (to, lane) in to.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            *to = lane.to_le_bytes();
        }
    }

    #[inline(always)]
    fn widen_u8(from: &[u8; 16]) -> Self {
        Self(from.map(i32::from))
    }

    #[inline(always)]
    fn widen_i8(from: &[u8; 16]) -> Self {
        Self(from.map(|b| i32::from(b.cast_signed())))
    }

    #[inline(always)]
    fn interleave_u8(low: &[u8; 16], high: &[u8; 16]) -> Self {
        Self(std::array::from_fn(|i| i32::from(low[i]) | i32::from(high[i]) << 16))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_mul(by.0[i])))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    #[inline(always)]
    fn shift_left_16<const BY: u32>(self) -> Self {
        self.halves(|half| half << BY)
    }

    #[inline(always)]
    fn shift_right_16<const BY: u32>(self) -> Self {
        self.halves(|half| half >> BY)
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16]) -> Self {
        self.bytes(|byte| table[usize::from(byte & 15)])
    }

    #[inline(always)]
    fn dot<const WIDE: bool>(self, w: Self, x: i32) -> Self {
        let x = x.to_le_bytes().map(|b| i32::from(b.cast_signed()));
        Self(std::array::from_fn(|i| {
            let w = w.0[i].to_le_bytes().map(i32::from);
            let sum = w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
            self.0[i].wrapping_add(sum)
        }))
    }

    #[inline(always)]
    fn dot_pairs(self, a: Self, x: i32) -> Self {
        let halves = |v: i32| [i32::from(v as i16), v >> 16];
        let [x0, x1] = halves(x);
        Self(std::array::from_fn(|i| {
            let [a0, a1] = halves(a.0[i]);
            self.0[i].wrapping_add(a0 * x0 + a1 * x1)
        }))
    }

    #[inline(always)]
    #[allow(clippy::cast_precision_loss)]
    fn to_float(self) -> Self::Float {
        super::Portable(self.0.map(|lane| lane as f32))
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256i, __m256i);

// SAFETY (all blocks below): pointers come from references of the full length and loads are unaligned; the features
// are there by the trait's contract.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Int for Avx2 {
    type Float = super::Avx2;

    #[inline(always)]
    fn splat(x: i32) -> Self {
        unsafe { Self(_mm256_set1_epi32(x), _mm256_set1_epi32(x)) }
    }

    #[inline(always)]
    fn load(from: &[u8; BYTES]) -> Self {
        let p = from.as_ptr().cast::<__m256i>();
        unsafe { Self(_mm256_loadu_si256(p), _mm256_loadu_si256(p.add(1))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; BYTES]) {
        let p = to.as_mut_ptr().cast::<__m256i>();
        unsafe {
            _mm256_storeu_si256(p, self.0);
            _mm256_storeu_si256(p.add(1), self.1);
        }
    }

    #[inline(always)]
    fn widen_u8(from: &[u8; 16]) -> Self {
        let p = from.as_ptr();
        unsafe {
            Self(
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast())),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.add(8).cast())),
            )
        }
    }

    #[inline(always)]
    fn widen_i8(from: &[u8; 16]) -> Self {
        let p = from.as_ptr();
        unsafe {
            Self(
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())),
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.add(8).cast())),
            )
        }
    }

    #[inline(always)]
    fn interleave_u8(low: &[u8; 16], high: &[u8; 16]) -> Self {
        let (low, high) = (Self::widen_u8(low), Self::widen_u8(high));
        unsafe {
            Self(
                _mm256_or_si256(low.0, _mm256_slli_epi32::<16>(high.0)),
                _mm256_or_si256(low.1, _mm256_slli_epi32::<16>(high.1)),
            )
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_epi32(self.0, other.0), _mm256_add_epi32(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        unsafe { Self(_mm256_mullo_epi32(self.0, by.0), _mm256_mullo_epi32(self.1, by.1)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        unsafe { Self(_mm256_and_si256(self.0, other.0), _mm256_and_si256(self.1, other.1)) }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        unsafe { Self(_mm256_or_si256(self.0, other.0), _mm256_or_si256(self.1, other.1)) }
    }

    #[inline(always)]
    fn shift_left_16<const BY: u32>(self) -> Self {
        unsafe {
            let by = _mm_cvtsi32_si128(BY.cast_signed());
            Self(_mm256_sll_epi16(self.0, by), _mm256_sll_epi16(self.1, by))
        }
    }

    #[inline(always)]
    fn shift_right_16<const BY: u32>(self) -> Self {
        unsafe {
            let by = _mm_cvtsi32_si128(BY.cast_signed());
            Self(_mm256_srl_epi16(self.0, by), _mm256_srl_epi16(self.1, by))
        }
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16]) -> Self {
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            Self(_mm256_shuffle_epi8(table, self.0), _mm256_shuffle_epi8(table, self.1))
        }
    }

    #[inline(always)]
    fn dot<const WIDE: bool>(self, w: Self, x: i32) -> Self {
        #[inline(always)]
        fn half<const WIDE: bool>(acc: __m256i, w: __m256i, x: __m256i) -> __m256i {
            // Sums of two products saturate at 16 bits, so the high bit of wide bytes goes apart.
            unsafe {
                let ones = _mm256_set1_epi16(1);
                let low = if WIDE { _mm256_and_si256(w, _mm256_set1_epi8(0x7F)) } else { w };
                let sums = _mm256_madd_epi16(_mm256_maddubs_epi16(low, x), ones);
                let acc = _mm256_add_epi32(acc, sums);
                if !WIDE {
                    return acc;
                }
                let high = _mm256_and_si256(w, _mm256_set1_epi8(-128));
                _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(high, x), ones))
            }
        }
        let x = unsafe { _mm256_set1_epi32(x) };
        Self(half::<WIDE>(self.0, w.0, x), half::<WIDE>(self.1, w.1, x))
    }

    #[inline(always)]
    fn dot_pairs(self, a: Self, x: i32) -> Self {
        unsafe {
            let x = _mm256_set1_epi32(x);
            Self(
                _mm256_add_epi32(self.0, _mm256_madd_epi16(a.0, x)),
                _mm256_add_epi32(self.1, _mm256_madd_epi16(a.1, x)),
            )
        }
    }

    #[inline(always)]
    fn to_float(self) -> Self::Float {
        unsafe { super::Avx2(_mm256_cvtepi32_ps(self.0), _mm256_cvtepi32_ps(self.1)) }
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512i);

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Int for Avx512 {
    type Float = super::Avx512;

    #[inline(always)]
    fn splat(x: i32) -> Self {
        unsafe { Self(_mm512_set1_epi32(x)) }
    }

    #[inline(always)]
    fn load(from: &[u8; BYTES]) -> Self {
        unsafe { Self(_mm512_loadu_si512(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u8; BYTES]) {
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn widen_u8(from: &[u8; 16]) -> Self {
        unsafe { Self(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn widen_i8(from: &[u8; 16]) -> Self {
        unsafe { Self(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn interleave_u8(low: &[u8; 16], high: &[u8; 16]) -> Self {
        let (low, high) = (Self::widen_u8(low), Self::widen_u8(high));
        unsafe { Self(_mm512_or_si512(low.0, _mm512_slli_epi32::<16>(high.0))) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi32(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        unsafe { Self(_mm512_mullo_epi32(self.0, by.0)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        unsafe { Self(_mm512_and_si512(self.0, other.0)) }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        unsafe { Self(_mm512_or_si512(self.0, other.0)) }
    }

    #[inline(always)]
    fn shift_left_16<const BY: u32>(self) -> Self {
        unsafe { Self(_mm512_slli_epi16::<BY>(self.0)) }
    }

    #[inline(always)]
    fn shift_right_16<const BY: u32>(self) -> Self {
        unsafe { Self(_mm512_srli_epi16::<BY>(self.0)) }
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; 16]) -> Self {
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            Self(_mm512_shuffle_epi8(table, self.0))
        }
    }

    #[inline(always)]
    fn dot<const WIDE: bool>(self, w: Self, x: i32) -> Self {
        unsafe { Self(_mm512_dpbusd_epi32(self.0, w.0, _mm512_set1_epi32(x))) }
    }

    #[inline(always)]
    fn dot_pairs(self, a: Self, x: i32) -> Self {
        unsafe { Self(_mm512_dpwssd_epi32(self.0, a.0, _mm512_set1_epi32(x))) }
    }

    #[inline(always)]
    fn to_float(self) -> Self::Float {
        unsafe { super::Avx512(_mm512_cvtepi32_ps(self.0)) }
    }
}

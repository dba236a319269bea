//! Sixteen `f32` lanes, three ways.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

mod int;

use crate::LANES;
pub(crate) use int::Int;

/// A vector of sixteen `f32`. Every operation gives the same bits in every implementation.
///
/// The methods are safe to name, not to run just anywhere: an implementation may only be used inside a function
/// compiled with its target features, which `dispatch!` alone does.
pub(crate) trait Vector: Copy {
    /// As many `i32`.
    type Int: Int<Float = Self>;

    /// Whether thirty-two registers hold one vector each, so that tiles can be large.
    const WIDE: bool;

    fn zero() -> Self;
    fn splat(x: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    /// Little-endian `f32`.
    fn load_f32(from: &[u8; 64]) -> Self;
    fn load_bf16(from: &[u8; 32]) -> Self;
    fn load_f16(from: &[u8; 32]) -> Self;
    fn load_i8(from: &[u8; 16]) -> Self;
    fn mul(self, by: Self) -> Self;
    fn add(self, other: Self) -> Self;
    /// `self + a * b`, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    /// Lanes folded as a tree: 16 to 8 (`i` with `i + 8`), 8 to 4, 4 to 2, 2 to 1.
    fn sum(self) -> f32;
}

/// Plain arrays.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    pub(crate) fn lanes(self) -> [f32; LANES] {
        self.0
    }

    #[inline(always)]
    pub(crate) fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    type Int = int::Portable;

    const WIDE: bool = false;

    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        Self(std::array::from_fn(|i| {
            f32::from_le_bytes([from[4 * i], from[4 * i + 1], from[4 * i + 2], from[4 * i + 3]])
        }))
    }

    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        Self(std::array::from_fn(|i| f32::from_le_bytes([0, 0, from[2 * i], from[2 * i + 1]])))
    }

    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        Self(std::array::from_fn(|i| f16_to_f32(u16::from_le_bytes([from[2 * i], from[2 * i + 1]]))))
    }

    #[inline(always)]
    fn load_i8(from: &[u8; 16]) -> Self {
        Self(std::array::from_fn(|i| f32::from(from[i].cast_signed())))
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * by.0[i]))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| a.0[i].mul_add(b.0[i], self.0[i])))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let a = self.0;
        let b: [f32; 8] = std::array::from_fn(|i| a[i] + a[i + 8]);
        let c: [f32; 4] = std::array::from_fn(|i| b[i] + b[i + 4]);
        (c[0] + c[2]) + (c[1] + c[3])
    }
}

/// An IEEE half as `f32`, exactly.
#[inline(always)]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7FFF);
    // The exponent's bias grows by 112; multiplying by 2^112 does that and sets subnormals right.
    let magnitude = f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000);
    let magnitude = if rest >= 0x7C00 { magnitude.to_bits() | 0x7F80_0000 } else { magnitude.to_bits() };
    f32::from_bits(sign | magnitude)
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sum8(v: __m256) -> f32 {
    // SAFETY: only reached from `Avx2` and `Avx512`, inside functions with these features.
    unsafe {
        let quad = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let pair = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
    }
}

// SAFETY (all blocks below): pointers come from references of the full length and loads are unaligned; the features
// are there by the trait's contract.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Vector for Avx2 {
    type Int = int::Avx2;

    const WIDE: bool = false;

    #[inline(always)]
    fn zero() -> Self {
        unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        let p = from.as_ptr();
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        let p = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        let p = from.as_ptr().cast::<f32>();
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }

    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        let p = from.as_ptr().cast::<__m128i>();
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(1)));
            Self(
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            )
        }
    }

    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        let p = from.as_ptr().cast::<__m128i>();
        unsafe { Self(_mm256_cvtph_ps(_mm_loadu_si128(p)), _mm256_cvtph_ps(_mm_loadu_si128(p.add(1)))) }
    }

    #[inline(always)]
    fn load_i8(from: &[u8; 16]) -> Self {
        let p = from.as_ptr();
        unsafe {
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.add(8).cast()));
            Self(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, by.0), _mm256_mul_ps(self.1, by.1)) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        sum8(unsafe { _mm256_add_ps(self.0, self.1) })
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Vector for Avx512 {
    type Int = int::Avx512;

    const WIDE: bool = true;

    #[inline(always)]
    fn zero() -> Self {
        unsafe { Self(_mm512_setzero_ps()) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        unsafe { Self(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        unsafe { Self(_mm512_loadu_ps(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }

    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_i8(from: &[u8; 16]) -> Self {
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())))) }
    }

    #[inline(always)]
    fn mul(self, by: Self) -> Self {
        unsafe { Self(_mm512_mul_ps(self.0, by.0)) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        sum8(unsafe { _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) })
    }
}

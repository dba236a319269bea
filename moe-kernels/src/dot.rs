//! Register tiles of dot products: the one place where a product's order of reduction is written.

use crate::{LANES, simd::Vector, weights::Decode};

/// A stack of rows in memory, all `columns` long, read by [`tile`].
pub(crate) struct Stack<T> {
    pub(crate) start: *const T,
    /// From row to row, in units of `T`.
    pub(crate) stride: usize,
}

/// `out[r · out_stride + t] = Σ w[r] · x[t]` for `R` rows of weights and `T` of activations.
///
/// # Safety
/// `R` rows of weights of `columns` elements, and `T` rows of activations of `padded(columns)`, can be read.
#[inline(always)]
pub(crate) unsafe fn tile<V: Vector, D: Decode, const R: usize, const T: usize>(
    w: &Stack<u8>,
    x: &Stack<f32>,
    columns: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    let mut acc = [[V::zero(); T]; R];
    let mut xs = [V::zero(); T];
    let units = columns / LANES;
    for unit in 0..units {
        for t in 0..T {
            // SAFETY: `(unit + 1) * LANES <= columns`.
            xs[t] = V::load(unsafe { &*x.start.add(t * x.stride + unit * LANES).cast() });
        }
        for r in 0..R {
            // SAFETY: this unit is a whole one of the row.
            let w = unsafe { D::vector::<V>(w.start.add(r * w.stride + unit * D::UNIT_BYTES)) };
            for t in 0..T {
                acc[r][t] = acc[r][t].fma(w, xs[t]);
            }
        }
    }
    let rest = columns - units * LANES;
    if rest > 0 {
        // Missing elements count as zero.
        let bytes = rest * (D::UNIT_BYTES / LANES);
        let at = units * LANES;
        for t in 0..T {
            // SAFETY: activations are padded.
            xs[t] = V::load(unsafe { &*x.start.add(t * x.stride + at).cast() });
        }
        for r in 0..R {
            let mut unit = [0_u8; 4 * LANES];
            // SAFETY: the row's last `bytes` bytes, fewer than the buffer's.
            let w = unsafe {
                let from = w.start.add(r * w.stride + units * D::UNIT_BYTES);
                std::ptr::copy_nonoverlapping(from, unit.as_mut_ptr(), bytes);
                D::vector::<V>(unit.as_ptr())
            };
            for t in 0..T {
                acc[r][t] = acc[r][t].fma(w, xs[t]);
            }
        }
    }
    for r in 0..R {
        for t in 0..T {
            out[r * out_stride + t] = acc[r][t].sum();
        }
    }
}

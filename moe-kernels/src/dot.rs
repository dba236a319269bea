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
    let unit_columns = D::UNIT_VECTORS * LANES;
    let units = columns / unit_columns;
    for unit in 0..units {
        for index in 0..D::UNIT_VECTORS {
            let at = unit * unit_columns + index * LANES;
            // SAFETY: `at + LANES <= columns`; units before the last whole one are inside the row.
            let xs: [V; T] =
                std::array::from_fn(|t| unsafe { V::load(&*x.start.add(t * x.stride + at).cast()) });
            for (r, acc) in acc.iter_mut().enumerate() {
                // SAFETY: likewise.
                let w = unsafe { D::vector::<V>(w.start.add(r * w.stride + unit * D::UNIT_BYTES), index) };
                for (acc, x) in acc.iter_mut().zip(xs) {
                    *acc = acc.fma(w, x);
                }
            }
        }
    }
    let rest = columns - units * unit_columns;
    if rest > 0 {
        // Only the unblocked types get here: a row of blocks is whole. Missing elements count as zero.
        let bytes = rest * (D::UNIT_BYTES / LANES);
        let at = units * unit_columns;
        // SAFETY: activations are padded.
        let xs: [V; T] = std::array::from_fn(|t| unsafe { V::load(&*x.start.add(t * x.stride + at).cast()) });
        for (r, acc) in acc.iter_mut().enumerate() {
            let mut unit = [0_u8; 4 * LANES];
            // SAFETY: the row's last `bytes` bytes, fewer than the buffer's.
            let w = unsafe {
                let from = w.start.add(r * w.stride + units * D::UNIT_BYTES);
                std::ptr::copy_nonoverlapping(from, unit.as_mut_ptr(), bytes);
                D::vector::<V>(unit.as_ptr(), 0)
            };
            for (acc, x) in acc.iter_mut().zip(xs) {
                *acc = acc.fma(w, x);
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        for (t, acc) in acc.iter().enumerate() {
            out[r * out_stride + t] = acc.sum();
        }
    }
}

//! Weights times a batch of activations.

use std::ops::Range;

use crate::{
    Isa, LANES,
    dot::{Stack, tile},
    isa::dispatch,
    padded,
    simd::Vector,
    weights::{Bf16, DType, Decode, F16, F32, Matrix},
};

/// A batch of activations: `count` rows of `columns` values, each `padded(columns)` apart. What the padding holds is
/// multiplied by zero, so it must be finite.
#[derive(Debug, Clone, Copy)]
pub struct Activations<'a> {
    data: &'a [f32],
    count: usize,
    columns: usize,
}

impl<'a> Activations<'a> {
    /// # Panics
    /// Where `data` is not `count · padded(columns)` long.
    #[must_use]
    pub fn new(data: &'a [f32], count: usize, columns: usize) -> Self {
        assert_eq!(data.len(), count * padded(columns), "{count} rows of {columns} activations");
        Self { data, count, columns }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

/// From this many tokens on, a row of halves is expanded once and used for all of them.
const EXPAND_FROM: usize = 12;

/// `out[(r - rows.start) · count + t] = w[r] · x[t]` for the weights' rows in `rows` and all of `x`: row after row, the
/// tokens side by side.
///
/// # Panics
/// Where the columns differ, `rows` reaches past the matrix, or `out` is not `rows.len() · count` long.
pub fn matmul(isa: Isa, w: &Matrix<'_>, rows: Range<usize>, x: &Activations<'_>, out: &mut [f32]) {
    assert_eq!(w.columns(), x.columns, "a matrix of {} columns and {} activations", w.columns(), x.columns);
    assert!(rows.end <= w.rows() && rows.start <= rows.end, "rows {rows:?} of {}", w.rows());
    assert_eq!(out.len(), rows.len() * x.count, "room for the products");
    if x.count == 0 {
        return;
    }
    if x.count >= EXPAND_FROM && w.dtype() != DType::F32 {
        return expanded(isa, w, rows, x, out);
    }
    let bytes = w.dtype().row_bytes(w.columns());
    let weights = w.rows_from(rows.start);
    match w.dtype() {
        DType::F32 => run_f32(isa, weights, bytes, rows.len(), x, out),
        DType::F16 => run_f16(isa, weights, bytes, rows.len(), x, out),
        DType::BF16 => run_bf16(isa, weights, bytes, rows.len(), x, out),
    }
}

/// The same through a panel of a few rows as `f32`. Dequantisation is exact, so the bits are the same.
fn expanded(isa: Isa, w: &Matrix<'_>, rows: Range<usize>, x: &Activations<'_>, out: &mut [f32]) {
    const PANEL: usize = 8;
    let stride = padded(w.columns());
    let mut panel = vec![0.0_f32; PANEL * stride];
    for (first, out) in rows.clone().step_by(PANEL).zip(out.chunks_mut(PANEL * x.count)) {
        let count = out.len() / x.count;
        dequantise(isa, w, first, &mut panel[..count * stride]);
        // SAFETY: any `f32` is four bytes; the slice covers the same memory.
        let bytes = unsafe { std::slice::from_raw_parts(panel.as_ptr().cast::<u8>(), panel.len() * 4) };
        run_f32(isa, bytes, stride * 4, count, x, out);
    }
}

dispatch! { fn dequantise(w: &Matrix<'_>, first: usize, panel: &mut [f32]) = dequantise_rows }

#[inline(always)]
fn dequantise_rows<V: Vector>(w: &Matrix<'_>, first: usize, panel: &mut [f32]) {
    let rows = panel.chunks_exact_mut(padded(w.columns())).enumerate();
    for (index, out) in rows {
        let row = w.row(first + index);
        let done = match w.dtype() {
            DType::F32 => expand::<V, F32>(row, out),
            DType::F16 => expand::<V, F16>(row, out),
            DType::BF16 => expand::<V, Bf16>(row, out),
        };
        if !done {
            w.dequantise_row(first + index, out);
        }
    }
}

/// Vector by vector; false, doing nothing, for a row that is no whole number of them.
#[inline(always)]
fn expand<V: Vector, D: Decode>(row: &[u8], out: &mut [f32]) -> bool {
    if !row.len().is_multiple_of(D::UNIT_BYTES) {
        return false;
    }
    let vectors = row.len() / D::UNIT_BYTES;
    let (out, _) = out.as_chunks_mut::<LANES>();
    assert_eq!(out.len(), vectors);
    for i in 0..vectors {
        // SAFETY: the row has so many units.
        let v = unsafe { D::vector::<V>(row.as_ptr().add(i * D::UNIT_BYTES)) };
        v.store(&mut out[i]);
    }
    true
}

dispatch! {
    fn run_f32(w: &[u8], row_bytes: usize, rows: usize, x: &Activations<'_>, out: &mut [f32]) = blocks_f32
}
dispatch! {
    fn run_f16(w: &[u8], row_bytes: usize, rows: usize, x: &Activations<'_>, out: &mut [f32]) = blocks_f16
}
dispatch! {
    fn run_bf16(w: &[u8], row_bytes: usize, rows: usize, x: &Activations<'_>, out: &mut [f32]) = blocks_bf16
}

macro_rules! blocks_of {
    ($($name:ident = $decode:ident),*) => {$(
        #[inline(always)]
        pub(crate) fn $name<V: Vector>(w: &[u8], row_bytes: usize, rows: usize, x: &Activations<'_>, out: &mut [f32]) {
            blocks::<V, $decode>(w, row_bytes, rows, x, out);
        }
    )*};
}

blocks_of!(blocks_f32 = F32, blocks_f16 = F16, blocks_bf16 = Bf16);

/// Cuts rows × tokens into register tiles. Which tile an output falls into does not change its bits.
#[inline(always)]
fn blocks<V: Vector, D: Decode>(
    w: &[u8],
    row_bytes: usize,
    rows: usize,
    x: &Activations<'_>,
    out: &mut [f32],
) {
    // Reads below stay inside these rows.
    assert!(rows * row_bytes <= w.len());
    let w = Blocks { w, row_bytes, x: *x };
    let mut row = 0;
    if V::WIDE {
        row = w.strips::<V, D, 8, 4, 4>(row, rows, out);
    } else {
        row = w.strips::<V, D, 4, 2, 2>(row, rows, out);
    }
    w.strips::<V, D, 1, 1, 4>(row, rows, out);
}

struct Blocks<'a> {
    w: &'a [u8],
    row_bytes: usize,
    x: Activations<'a>,
}

impl Blocks<'_> {
    /// Takes `STRIP` rows at a time from `row` on while there are so many: tiles of `R × T`, then, for the tokens left
    /// over, of `STRIP × 1`. Returns the first row not done.
    #[inline(always)]
    fn strips<V: Vector, D: Decode, const STRIP: usize, const R: usize, const T: usize>(
        &self,
        mut row: usize,
        rows: usize,
        out: &mut [f32],
    ) -> usize {
        while row + STRIP <= rows {
            let mut t = 0;
            while T > 1 && t + T <= self.x.count {
                for r in (row..row + STRIP).step_by(R) {
                    self.one::<V, D, R, T>(r, t, out);
                }
                t += T;
            }
            while t < self.x.count {
                self.one::<V, D, STRIP, 1>(row, t, out);
                t += 1;
            }
            row += STRIP;
        }
        row
    }

    #[inline(always)]
    fn one<V: Vector, D: Decode, const R: usize, const T: usize>(&self, r: usize, t: usize, out: &mut [f32]) {
        let stride = padded(self.x.columns);
        debug_assert!((r + R) * self.row_bytes <= self.w.len() && (t + T) * stride <= self.x.data.len());
        // SAFETY: `r + R` rows lie in `w` (asserted in `blocks`) and `t + T` rows in `x` (by `Activations::new`).
        unsafe {
            let w = Stack { start: self.w.as_ptr().add(r * self.row_bytes), stride: self.row_bytes };
            let x = Stack { start: self.x.data.as_ptr().add(t * stride), stride };
            tile::<V, D, R, T>(&w, &x, self.x.columns, &mut out[r * self.x.count + t..], self.x.count);
        }
    }
}

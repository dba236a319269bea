//! Matrix products spread over the threads.

use std::ops::Range;

use moe_kernels::{
    Isa, elementwise,
    matmul::{Activations, matmul},
    padded,
    weights::{DType, Matrix},
};

use super::pool::Pool;
use crate::model::decoder::Weights;

/// `out[row · count + t] = w[row] · x[t]`, or, with `gate`, `silu(gate[row] · x[t]) · (w[row] · x[t])`.
pub(super) struct Product<'a> {
    pub(super) w: Weights<'a>,
    pub(super) gate: Option<Weights<'a>>,
    pub(super) x: Activations<'a>,
    /// As many values as `w` has rows, times the number of activations.
    pub(super) out: &'a mut [f32],
}

/// Rows that one thread takes at a time: enough to be worth it, few enough to share out evenly.
const MOST_ROWS: usize = 64;
const LEAST_ROWS: usize = 8;
const TILES_PER_THREAD: usize = 6;

/// Computes all products at once.
pub(super) fn run(pool: &Pool, isa: Isa, products: Vec<Product<'_>>) {
    let rows: usize = products.iter().map(|p| p.w.rows()).sum();
    let per_tile = (rows / (pool.threads() * TILES_PER_THREAD)).clamp(LEAST_ROWS, MOST_ROWS);
    let per_tile = per_tile.next_multiple_of(LEAST_ROWS);
    let mut tiles = Vec::with_capacity(rows / per_tile + products.len());
    for product in products {
        let Product { w, gate, x, out } = product;
        if x.count() == 0 {
            continue;
        }
        for (index, out) in out.chunks_mut(per_tile * x.count()).enumerate() {
            let first = index * per_tile;
            let last = first + out.len() / x.count();
            tiles.push((Product { w, gate, x, out }, first..last));
        }
    }
    pool.for_each(tiles, Vec::new, |(tile, rows), other| {
        let Some(gate) = tile.gate else {
            return multiply(isa, &tile.w, rows, &tile.x, tile.out);
        };
        other.resize(tile.out.len(), 0.0);
        multiply(isa, &gate, rows.clone(), &tile.x, tile.out);
        multiply(isa, &tile.w, rows, &tile.x, other);
        elementwise::swiglu(isa, tile.out, other);
    });
}

/// Packed rows go through their values as `f32`.
fn multiply(isa: Isa, w: &Weights<'_>, rows: Range<usize>, x: &Activations<'_>, out: &mut [f32]) {
    let packed = match w {
        Weights::Rows(matrix) => return matmul(isa, matrix, rows, x, out),
        Weights::Packed(packed) => packed,
    };
    let columns = packed.columns();
    let mut values = vec![0.0; columns];
    let mut bytes = Vec::with_capacity(4 * columns * rows.len());
    for row in rows.clone() {
        packed.dequantise_row(row, &mut values);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    if let Some(matrix) = Matrix::new(DType::F32, rows.len(), columns, &bytes) {
        matmul(isa, &matrix, 0..rows.len(), x, out);
    }
}

/// Tokens that one thread takes at a time where the work per token is small.
const TOKENS: usize = 16;

/// From row after row (tokens side by side) to token after token, each `padded(rows)` apart.
pub(super) fn by_token(pool: &Pool, rows: &[f32], count: usize) -> Vec<f32> {
    let height = rows.len() / count.max(1);
    let stride = padded(height);
    let mut tokens = vec![0.0; count * stride];
    let parts: Vec<_> = tokens.chunks_mut(TOKENS * stride).enumerate().collect();
    pool.for_each(
        parts,
        || (),
        |(part, tokens), ()| {
            let first = part * TOKENS;
            for row in 0..height {
                for (t, token) in tokens.chunks_exact_mut(stride).enumerate() {
                    token[row] = rows[row * count + first + t];
                }
            }
        },
    );
    tokens
}

/// Calls `f` for each token's row of `x` with the token's index, on all threads.
pub(super) fn for_each_token(
    pool: &Pool,
    x: &mut [f32],
    stride: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    let parts: Vec<_> = x.chunks_mut(TOKENS * stride).enumerate().collect();
    pool.for_each(
        parts,
        || (),
        |(part, rows), ()| {
            for (t, row) in rows.chunks_exact_mut(stride).enumerate() {
                f(part * TOKENS + t, row);
            }
        },
    );
}

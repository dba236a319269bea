//! Packed weights times panels of activations.

use std::ops::Range;

use super::{
    PackedMatrix, TILE_ROWS,
    activations::{PANEL, Panels},
    kernels::{Results, tile},
    output::Columns,
};
use crate::{Isa, elementwise::swiglu};

fn check(w: &PackedMatrix<'_>, tiles: &Range<usize>, x: &Panels, out: &Columns<'_>) {
    assert_eq!(
        w.columns(),
        x.columns(),
        "a matrix of {} columns and {} activations",
        w.columns(),
        x.columns()
    );
    assert_eq!(w.packed_type().grain(), x.grain(), "activations for {:?}", w.packed_type());
    assert!(tiles.start <= tiles.end && tiles.end <= w.tiles(), "tiles {tiles:?} of {}", w.tiles());
    let rows = w.rows().min(tiles.end * TILE_ROWS).saturating_sub(tiles.start * TILE_ROWS);
    assert!(out.columns() == rows && out.rows() == x.count(), "room for {} × {rows}", x.count());
}

/// Writes a tile's results for a token, as far as there are rows.
#[inline(always)]
fn put(out: &mut Columns<'_>, token: usize, tile: usize, results: &[f32; TILE_ROWS]) {
    let row = &mut out.row_mut(token)[tile * TILE_ROWS..];
    let count = row.len().min(TILE_ROWS);
    row[..count].copy_from_slice(&results[..count]);
}

/// For each token `t`, `out[t] = w · x[t]`, the rows in `tiles` only: that many columns has `out`, and a row for each token.
///
/// # Panics
/// Where shapes or types do not fit each other.
pub fn product(isa: Isa, w: &PackedMatrix<'_>, tiles: Range<usize>, x: &Panels, out: &mut Columns<'_>) {
    check(w, &tiles, x, out);
    let mut results: Results = [[0.0; TILE_ROWS]; PANEL];
    for panel in x.panels() {
        for index in tiles.clone() {
            tile(isa, w.packed_type(), w.tile(index), &panel, &mut results);
            for t in 0..panel.count {
                put(out, panel.first + t, index - tiles.start, &results[t]);
            }
        }
    }
}

/// Tiles of the gate that are multiplied before those of the other matrix: memory is fastest in long runs.
const RUN: usize = 32;

/// The same for `silu(gate · x[t]) · (up · x[t])`, element by element.
///
/// # Panics
/// Likewise, and where the two matrices are of different shape.
pub fn gated(
    isa: Isa,
    (gate, up): (&PackedMatrix<'_>, &PackedMatrix<'_>),
    tiles: Range<usize>,
    x: &Panels,
    out: &mut Columns<'_>,
) {
    assert_eq!((gate.rows(), gate.columns()), (up.rows(), up.columns()), "gate and up");
    check(gate, &tiles, x, out);
    check(up, &tiles, x, out);
    let mut gates = [Results::default(); RUN];
    let mut ups: Results = [[0.0; TILE_ROWS]; PANEL];
    for panel in x.panels() {
        let used = panel.count * TILE_ROWS;
        for first in tiles.clone().step_by(RUN) {
            let run = first..(first + RUN).min(tiles.end);
            for (index, gates) in run.clone().zip(&mut gates) {
                tile(isa, gate.packed_type(), gate.tile(index), &panel, gates);
            }
            for (index, gates) in run.zip(&mut gates) {
                tile(isa, up.packed_type(), up.tile(index), &panel, &mut ups);
                swiglu(isa, &mut gates.as_flattened_mut()[..used], &ups.as_flattened()[..used]);
                for t in 0..panel.count {
                    put(out, panel.first + t, index - tiles.start, &gates[t]);
                }
            }
        }
    }
}

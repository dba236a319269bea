//! Matrix products spread over the threads.

use std::ops::Range;

use moe_kernels::{
    elementwise,
    matmul::matmul,
    packed::{self, Columns, PANEL, PackedMatrix, TILE_ROWS},
    weights::{DType, Matrix},
};

use super::{inputs::Input, machine::Machine};
use crate::model::decoder::Weights;

/// `out[t] = w · x[t]`, or, with `gate`, `silu(gate · x[t]) · (w · x[t])`.
pub(super) struct Product<'a> {
    pub(super) w: Weights<'a>,
    pub(super) gate: Option<Weights<'a>>,
    pub(super) input: &'a Input<'a>,
    /// A row for each token, as many columns as `w` has rows.
    pub(super) out: Columns<'a>,
}

/// Tiles that one thread takes at a time where several panels share them: few enough to stay in its cache.
const MOST_TILES: usize = 4;
const TASKS_PER_THREAD: usize = 6;
/// The same where there is one panel, which reads each weight once: memory is fastest in long runs.
const LONG_TASKS_PER_THREAD: usize = 2;

/// Computes all products at once.
pub(super) fn run(machine: &Machine<'_>, products: Vec<Product<'_>>) {
    let rows: usize = products.iter().map(|product| product.w.rows()).sum();
    let share = |tasks: usize| (rows / (machine.pool.threads() * tasks * TILE_ROWS)).max(1);
    let short = share(TASKS_PER_THREAD).min(MOST_TILES) * TILE_ROWS;
    let long = share(LONG_TASKS_PER_THREAD) * TILE_ROWS;
    let mut tasks = Vec::new();
    for product in products {
        let Product { w, gate, input, mut out } = product;
        if input.count() == 0 {
            continue;
        }
        let rows = if input.count() <= PANEL { long } else { short };
        let mut first = 0;
        while first < w.rows() {
            let last = (first + rows).min(w.rows());
            let (mine, rest) = out.split_at(last - first);
            tasks.push((Product { w, gate, input, out: mine }, first..last));
            out = rest;
            first = last;
        }
    }
    machine.pool.for_each(tasks, Scratch::default, |(mut task, rows), scratch| {
        compute(machine, &mut task, rows, scratch);
    });
}

#[derive(Default)]
struct Scratch {
    /// Row after row, the tokens side by side.
    rows: Vec<f32>,
    /// Token after token.
    tokens: Vec<f32>,
}

fn compute(machine: &Machine<'_>, task: &mut Product<'_>, rows: Range<usize>, scratch: &mut Scratch) {
    let Product { w, gate, input, out } = task;
    let Some(gate) = gate else { return multiply(machine, w, rows, input, out, &mut scratch.rows) };
    if let (Weights::Packed(up), Weights::Packed(gate)) = (&w, &gate)
        && !machine.is_exact
        && up.packed_type().grain() == gate.packed_type().grain()
    {
        let panels = input.panels(up.packed_type().grain());
        return packed::gated(machine.isa, (gate, up), tiles(&rows), panels, out);
    }
    multiply(machine, gate, rows.clone(), input, out, &mut scratch.rows);
    let height = rows.len();
    scratch.tokens.resize(height * input.count(), 0.0);
    let mut ups = Columns::new(&mut scratch.tokens, height, height);
    multiply(machine, w, rows, input, &mut ups, &mut scratch.rows);
    for (t, up) in scratch.tokens.chunks_exact(height).enumerate() {
        elementwise::swiglu(machine.isa, out.row_mut(t), up);
    }
}

/// Rows begin at a tile.
fn tiles(rows: &Range<usize>) -> Range<usize> {
    rows.start / TILE_ROWS..rows.end.div_ceil(TILE_ROWS)
}

fn multiply(
    machine: &Machine<'_>,
    w: &Weights<'_>,
    rows: Range<usize>,
    input: &Input<'_>,
    out: &mut Columns<'_>,
    scratch: &mut Vec<f32>,
) {
    match (w, machine.grain(w)) {
        (Weights::Packed(w), Some(grain)) => {
            packed::product(machine.isa, w, tiles(&rows), input.panels(grain), out);
        }
        (Weights::Packed(w), None) => {
            let bytes = values(w, rows.clone());
            if let Some(w) = Matrix::new(DType::F32, rows.len(), w.columns(), &bytes) {
                by_rows(machine, &w, 0..rows.len(), input, out, scratch);
            }
        }
        (Weights::Rows(w), _) => by_rows(machine, w, rows, input, out, scratch),
    }
}

/// Rows of a packed matrix as little-endian `f32`.
fn values(w: &PackedMatrix<'_>, rows: Range<usize>) -> Vec<u8> {
    let mut values = vec![0.0; w.columns()];
    let mut bytes = Vec::with_capacity(4 * w.columns() * rows.len());
    for row in rows {
        w.dequantise_row(row, &mut values);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

fn by_rows(
    machine: &Machine<'_>,
    w: &Matrix<'_>,
    rows: Range<usize>,
    input: &Input<'_>,
    out: &mut Columns<'_>,
    scratch: &mut Vec<f32>,
) {
    let count = input.count();
    scratch.resize(rows.len() * count, 0.0);
    matmul(machine.isa, w, rows, &input.float(), scratch);
    for t in 0..count {
        for (value, row) in out.row_mut(t).iter_mut().zip(scratch.chunks_exact(count)) {
            *value = row[t];
        }
    }
}

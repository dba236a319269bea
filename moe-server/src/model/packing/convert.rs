//! The work itself, in pieces of a few rows, so that no tensor need be in memory as a whole.

use std::ops::Range;

use moe_kernels::{
    ggml::{BlockType, dequantise, quantise_q8_0},
    packed::{PackedType, TILE_ROWS, pack},
};

use super::plan::{Plan, shape};
use crate::model::gguf::TensorInfo;

/// About as many bytes come of one piece: enough to be worth a thread's while.
const PIECE: usize = 1 << 20;

/// Some rows of one matrix.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    rows: usize,
    columns: usize,
    /// Of the tensor's bytes in the file.
    source: Range<usize>,
    /// Bytes that come of them; pieces follow one another without gaps.
    pub(super) size: usize,
}

/// A tensor's pieces, in order. The plan must be the tensor's and have a size.
pub(super) fn pieces(plan: Plan, info: &TensorInfo<'_>) -> impl Iterator<Item = Piece> + use<> {
    let [stack, rows, columns] = shape(info);
    let source = info.bytes.len() / (stack * rows);
    let (unit, unit_size) = match plan {
        Plan::Tile(packed) => (TILE_ROWS, packed.tile_bytes(columns)),
        Plan::Requantise(_) => (TILE_ROWS, PackedType::Q8_0.tile_bytes(columns)),
        Plan::Decode(_) => (1, 4 * columns),
        Plan::Keep(_) => (1, source),
    };
    // What is kept may be packed already, or of any length: it is cut by bytes.
    let total = info.bytes.len();
    let step = (PIECE / unit_size.max(1)).max(1);
    let per_matrix = rows.div_ceil(unit).div_ceil(step);
    let count = if matches!(plan, Plan::Keep(_)) { total.div_ceil(PIECE) } else { stack * per_matrix };
    (0..count).map(move |index| {
        if matches!(plan, Plan::Keep(_)) {
            let source = index * PIECE..total.min((index + 1) * PIECE);
            return Piece { rows, columns, size: source.len(), source };
        }
        let (matrix, part) = (index / per_matrix, index % per_matrix);
        let first = part * step * unit;
        let last = rows.min(first + step * unit);
        Piece {
            rows: last - first,
            columns,
            source: (matrix * rows + first) * source..(matrix * rows + last) * source,
            size: (last - first).div_ceil(unit) * unit_size,
        }
    })
}

/// Writes a piece of `tensor`'s bytes to `out`, which has [`Piece::size`] bytes.
pub(super) fn convert(plan: Plan, piece: &Piece, tensor: &[u8], out: &mut [u8]) {
    let source = &tensor[piece.source.clone()];
    match plan {
        Plan::Keep(_) => out.copy_from_slice(source),
        Plan::Decode(block_type) => {
            let mut values = vec![0.0; piece.columns];
            for_each_row(block_type, piece, source, |row, bytes| {
                dequantise(block_type, bytes, &mut values);
                let out = &mut out[4 * row * piece.columns..][..4 * piece.columns];
                for (out, value) in out.as_chunks_mut().0.iter_mut().zip(&values) {
                    *out = value.to_le_bytes();
                }
            });
        }
        Plan::Tile(packed) => pack(packed, piece.rows, piece.columns, source, out),
        Plan::Requantise(block_type) => {
            let row_bytes = PackedType::Q8_0.row_bytes(piece.columns);
            let mut values = vec![0.0; piece.columns];
            let mut rows = vec![0; piece.rows * row_bytes];
            for_each_row(block_type, piece, source, |row, bytes| {
                dequantise(block_type, bytes, &mut values);
                quantise_q8_0(&values, &mut rows[row * row_bytes..][..row_bytes]);
            });
            pack(PackedType::Q8_0, piece.rows, piece.columns, &rows, out);
        }
    }
}

fn for_each_row(block_type: BlockType, piece: &Piece, source: &[u8], mut f: impl FnMut(usize, &[u8])) {
    let bytes = piece.columns / block_type.block_elements() * block_type.block_bytes();
    source.chunks_exact(bytes).enumerate().for_each(|(row, bytes)| f(row, bytes));
}

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
pub(in crate::model) struct Piece {
    rows: usize,
    columns: usize,
    /// Of the tensor's bytes in the file.
    source: Range<usize>,
    /// Bytes that come of them; pieces follow one another without gaps.
    pub(in crate::model) size: usize,
}

/// A tensor's pieces, in order. The plan must be the tensor's and have a size.
pub(in crate::model) fn pieces(plan: Plan, info: &TensorInfo<'_>) -> impl Iterator<Item = Piece> + use<> {
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
pub(in crate::model) fn convert(plan: Plan, piece: &Piece, tensor: &[u8], out: &mut [u8]) {
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

#[cfg(test)]
mod tests {
    use moe_kernels::packed::PackedMatrix;

    use super::*;
    use crate::model::{
        gguf::{GgmlType, Gguf},
        weights::Layout,
    };

    /// A file of one tensor of `[columns, rows, stack]`, whose scales are small numbers.
    fn file(name: &str, ggml_type: GgmlType, dims: [usize; 3]) -> Gguf {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend([1_u64, 0].iter().flat_map(|count| count.to_le_bytes()));
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(dims.iter().flat_map(|dim| (*dim as u64).to_le_bytes()));
        bytes.extend(ggml_type.id().to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        let data = dims.iter().product::<usize>() / ggml_type.block_elements() * ggml_type.block_bytes();
        // Every second byte is that of a small F16, were it one.
        bytes.extend((0..data).map(|i| if i % 2 == 0 { (i * 37 % 251) as u8 } else { 0x2C }));
        Gguf::from_bytes(bytes).unwrap()
    }

    #[test]
    fn pieces_make_each_matrix_as_if_it_were_packed_alone() {
        let cases = [
            (GgmlType::Q4_K, [512, 40, 3]),
            (GgmlType::Q6_K, [256, 16, 2]),
            (GgmlType::Q8_0, [4096, 700, 1]),
            (GgmlType::Q5_K, [256, 33, 2]),
            (GgmlType::Q4_0, [2048, 600, 1]),
            (GgmlType::F16, [100, 9000, 2]),
        ];
        for (ggml_type, [columns, rows, stack]) in cases {
            let gguf = file("w", ggml_type, [columns, rows, stack]);
            let info = gguf.tensor("w").unwrap();
            let plan = Plan::of(&info).unwrap();
            let mut out = Vec::new();
            for piece in pieces(plan, &info) {
                let mut bytes = vec![0xAA; piece.size];
                convert(plan, &piece, info.bytes, &mut bytes);
                out.extend(bytes);
            }
            assert_eq!(out.len(), plan.bytes(&info).unwrap(), "{ggml_type}");
            let Layout::Packed(packed) = plan.layout() else {
                assert!(out == info.bytes);
                continue;
            };
            let source = info.bytes.len() / stack;
            let size = out.len() / stack;
            for index in 0..stack {
                let matrix = PackedMatrix::new(packed, rows, columns, &out[index * size..(index + 1) * size]);
                let matrix = matrix.unwrap();
                let block_type =
                    BlockType::ALL.iter().find(|t| format!("{t:?}") == ggml_type.to_string()).unwrap();
                let row_bytes = source / rows;
                let (mut found, mut exact) = (vec![0.0; columns], vec![0.0; columns]);
                for row in [0, 15, rows / 2, rows - 1] {
                    matrix.dequantise_row(row, &mut found);
                    let at = index * source + row * row_bytes;
                    dequantise(*block_type, &info.bytes[at..at + row_bytes], &mut exact);
                    if matches!(plan, Plan::Tile(_)) {
                        assert_eq!(found, exact, "{ggml_type} row {row} of {index}");
                        continue;
                    }
                    // Half a step of a block's largest value, and what the scale was rounded by.
                    for (found, exact) in found.chunks(32).zip(exact.chunks(32)) {
                        let most = exact.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
                        let far = found.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        assert!(far <= most * (0.5 / 127.0 + 1e-3), "{ggml_type}: {far} of {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn vectors_and_routers_are_floats() {
        for (name, dims) in
            [("blk.0.attn_norm.weight", [64, 1, 1]), ("blk.0.ffn_gate_inp.weight", [64, 4, 1])]
        {
            let gguf = file(name, GgmlType::Q8_0, dims);
            let info = gguf.tensor(name).unwrap();
            let plan = Plan::of(&info).unwrap();
            assert_eq!(plan, Plan::Decode(BlockType::Q8_0));
            let piece = pieces(plan, &info).next().unwrap();
            let mut bytes = vec![0; piece.size];
            convert(plan, &piece, info.bytes, &mut bytes);
            let mut exact = vec![0.0; info.elements()];
            dequantise(BlockType::Q8_0, info.bytes, &mut exact);
            let found: Vec<f32> =
                bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            assert_eq!(found, exact);
        }
    }
}

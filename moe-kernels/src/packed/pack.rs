//! From ggml's rows to tiles and back, plainly: this is where the layout is written down.

use super::{PackedMatrix, PackedType, TILE_ROWS};
use crate::simd::f16_to_f32;

/// Packs rows that lie one after the other in ggml's layout.
///
/// # Panics
/// Where `columns` are no whole number of blocks, or the lengths are not those of that many rows.
pub fn pack(packed_type: PackedType, rows: usize, columns: usize, source: &[u8], out: &mut [u8]) {
    assert_eq!(packed_type.matrix_bytes(rows, columns), Some(out.len()), "room for {rows} × {columns}");
    let row_bytes = packed_type.row_bytes(columns);
    assert_eq!(source.len(), rows * row_bytes, "{rows} rows of {columns} columns");
    if rows == 0 || row_bytes == 0 {
        return;
    }
    let tiles = source.chunks(row_bytes * TILE_ROWS).zip(out.chunks_exact_mut(row_bytes * TILE_ROWS));
    for (rows, tile) in tiles {
        if rows.len() < tile.len() {
            tile.fill(0);
        }
        for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
            let blocks = row.chunks_exact(packed_type.block_bytes());
            for (from, to) in blocks.zip(tile.chunks_exact_mut(packed_type.block_bytes() * TILE_ROWS)) {
                match packed_type {
                    PackedType::Q4_K => put_q4_k(from, to, r),
                    PackedType::Q6_K => put_q6_k(from, to, r),
                    PackedType::Q8_0 => put_q8_0(from, to, r),
                    PackedType::MXFP4 => put_mxfp4(from, to, r),
                }
            }
        }
    }
}

/// Where in a vector of 64 bytes column `column` (of four) of row `row` stands.
const fn lane(row: usize, column: usize) -> usize {
    4 * row + column % 4
}

/// Bytes of a vector.
const VECTOR: usize = 4 * TILE_ROWS;

/// Column `i` of a block that is stored as nibbles, pair of vectors after pair of vectors: group `g` of four columns
/// stands in the low nibbles of vector `g / 2` where `g` is even, else in the high ones.
const fn nibble(row: usize, i: usize) -> (usize, u32) {
    let group = i / 4;
    (group / 2 * VECTOR + lane(row, i), (group % 2) as u32 * 4)
}

/// Nibbles (32 vectors), then ggml's twelve bytes of scales, each for all rows, then `d`, then `dmin`.
pub(super) mod q4_k {
    pub(in crate::packed) const SCALES: usize = 32 * super::VECTOR;
    pub(in crate::packed) const D: usize = SCALES + 12 * super::TILE_ROWS;
    pub(in crate::packed) const DMIN: usize = D + 2 * super::TILE_ROWS;
}

/// The nibbles of eight columns, `shift` bits up in eight bytes, into their lane of a vector.
fn put_nibbles(vector: &mut [u8], row: usize, eight: &[u8; 8], shift: u32) {
    let eight = u64::from_le_bytes(*eight) >> shift & 0x0F0F_0F0F_0F0F_0F0F;
    // The first four columns are the low nibbles, the others the high ones.
    put(vector, row, (eight | eight >> 28) as u32);
}

/// Four bytes into row `row`'s lane of a vector.
fn put(vector: &mut [u8], row: usize, four: u32) {
    vector[lane(row, 0)..][..4].copy_from_slice(&four.to_le_bytes());
}

fn put_q4_k(from: &[u8], to: &mut [u8], row: usize) {
    // ggml: 32 columns in the low nibbles of 32 bytes, the next 32 in the high ones.
    for (part, eight) in from[16..144].as_chunks::<8>().0.iter().enumerate() {
        let first = part / 4 * 8 + part % 4;
        put_nibbles(&mut to[first * VECTOR..], row, eight, 0);
        put_nibbles(&mut to[(first + 4) * VECTOR..], row, eight, 4);
    }
    for i in 0..12 {
        to[q4_k::SCALES + i * TILE_ROWS + row] = from[4 + i];
    }
    to[q4_k::D + 2 * row..][..2].copy_from_slice(&from[..2]);
    to[q4_k::DMIN + 2 * row..][..2].copy_from_slice(&from[2..4]);
}

/// For each 16 columns two vectors of low nibbles and one of high bits (those of all four groups), in the order in which
/// they are read; then the scale of each 16 columns for all rows, then `d`.
pub(super) mod q6_k {
    pub(in crate::packed) const SUB: usize = 3 * super::VECTOR;
    pub(in crate::packed) const HIGH: usize = 2 * super::VECTOR;
    pub(in crate::packed) const SCALES: usize = 16 * SUB;
    pub(in crate::packed) const D: usize = SCALES + 16 * super::TILE_ROWS;

    /// Where the low bits of column `i` stand, and the high ones.
    pub(super) const fn places(row: usize, i: usize) -> [(usize, u32); 2] {
        let (sub, group) = (i / 16 * SUB, i % 16 / 4);
        let (low, shift) = super::nibble(row, i % 16);
        [(sub + low, shift), (sub + HIGH + super::lane(row, i), group as u32 * 2)]
    }
}

fn put_q6_k(from: &[u8], to: &mut [u8], row: usize) {
    // ggml: halves of 128 columns; there, quarters of 32 take nibbles and pairs of bits in turn.
    for sub in 0..16 {
        let (half, quarter, part) = (sub / 8, sub % 8 / 2, sub % 2 * 16);
        let low = from[half * 64 + quarter % 2 * 32 + part..][..16].as_chunks::<8>().0;
        let high = from[128 + half * 32 + part..][..16].as_chunks::<4>().0;
        let vectors = &mut to[sub * q6_k::SUB..][..q6_k::SUB];
        for (vector, eight) in vectors.chunks_exact_mut(VECTOR).zip(low) {
            put_nibbles(vector, row, eight, quarter as u32 / 2 * 4);
        }
        let high = high
            .iter()
            .enumerate()
            .map(|(group, four)| (u32::from_le_bytes(*four) >> (2 * quarter) & 0x0303_0303) << (2 * group));
        put(&mut vectors[q6_k::HIGH..], row, high.fold(0, |all, four| all | four));
    }
    for i in 0..16 {
        to[q6_k::SCALES + i * TILE_ROWS + row] = from[192 + i];
    }
    to[q6_k::D + 2 * row..][..2].copy_from_slice(&from[208..]);
}

/// Values plus 128 (8 vectors), then the scales.
pub(super) const Q8_SCALES: usize = 8 * VECTOR;

fn put_q8_0(from: &[u8], to: &mut [u8], row: usize) {
    for (vector, four) in to.chunks_exact_mut(VECTOR).zip(from[2..].as_chunks::<4>().0) {
        put(vector, row, u32::from_le_bytes(*four) ^ 0x8080_8080);
    }
    to[Q8_SCALES + 2 * row..][..2].copy_from_slice(&from[..2]);
}

/// Nibbles (4 vectors), then the exponents.
pub(super) const MXFP4_SCALES: usize = 4 * VECTOR;

fn put_mxfp4(from: &[u8], to: &mut [u8], row: usize) {
    // ggml: 16 columns in the low nibbles, the next 16 in the high ones.
    for (part, eight) in from[1..17].as_chunks::<8>().0.iter().enumerate() {
        put_nibbles(&mut to[part * VECTOR..], row, eight, 0);
        put_nibbles(&mut to[(part + 2) * VECTOR..], row, eight, 4);
    }
    to[MXFP4_SCALES + row] = from[0];
}

fn f16_at(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// E2M1's values, doubled.
pub(super) const MXFP4_VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of the power of two that the exponent byte stands for, so that it may scale doubled values.
pub(super) fn half_e8m0(exponent: u8) -> f32 {
    match exponent {
        // Subnormal.
        0..2 => f32::from_bits(0x0020_0000 << exponent),
        e => f32::from_bits(u32::from(e - 1) << 23),
    }
}

/// Scale and minimum of 32 columns, 6 bits each, from ggml's twelve bytes.
fn q4_k_scale(bytes: impl Fn(usize) -> u8, sub: usize) -> (u8, u8) {
    if sub < 4 {
        (bytes(sub) & 63, bytes(sub + 4) & 63)
    } else {
        let low = bytes(sub + 4);
        ((low & 15) | (bytes(sub - 4) >> 6 << 4), (low >> 4) | (bytes(sub) >> 6 << 4))
    }
}

impl PackedMatrix<'_> {
    /// Row `index` as `f32`, by ggml's formulas: the first `columns` of `out`.
    ///
    /// # Panics
    /// Where there is no such row or `out` is shorter than a row.
    pub fn dequantise_row(&self, index: usize, out: &mut [f32]) {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        let (tile, row) = (self.tile(index / TILE_ROWS), index % TILE_ROWS);
        let columns = self.packed_type.block_columns();
        let blocks = tile.chunks_exact(self.packed_type.block_bytes() * TILE_ROWS);
        for (block, out) in blocks.zip(out[..self.columns].chunks_exact_mut(columns)) {
            match self.packed_type {
                PackedType::Q4_K => get_q4_k(block, row, out),
                PackedType::Q6_K => get_q6_k(block, row, out),
                PackedType::Q8_0 => get_q8_0(block, row, out),
                PackedType::MXFP4 => get_mxfp4(block, row, out),
            }
        }
    }
}

fn get_q4_k(block: &[u8], row: usize, out: &mut [f32]) {
    let (d, dmin) = (f16_at(block, q4_k::D + 2 * row), f16_at(block, q4_k::DMIN + 2 * row));
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = q4_k_scale(|i| block[q4_k::SCALES + i * TILE_ROWS + row], sub);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        for (i, out) in out.iter_mut().enumerate() {
            let (at, shift) = nibble(row, sub * 32 + i);
            *out = scale * f32::from((block[at] >> shift) & 15) - min;
        }
    }
}

fn get_q6_k(block: &[u8], row: usize, out: &mut [f32]) {
    let d = f16_at(block, q6_k::D + 2 * row);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(block[q6_k::SCALES + sub * TILE_ROWS + row].cast_signed());
        for (i, out) in out.iter_mut().enumerate() {
            let [(low, shift), (high, high_shift)] = q6_k::places(row, sub * 16 + i);
            let q = ((block[low] >> shift) & 15) | ((block[high] >> high_shift) & 3) << 4;
            *out = scale * (f32::from(q) - 32.0);
        }
    }
}

fn get_q8_0(block: &[u8], row: usize, out: &mut [f32]) {
    let scale = f16_at(block, Q8_SCALES + 2 * row);
    for (i, out) in out.iter_mut().enumerate() {
        *out = scale * f32::from((block[i / 4 * VECTOR + lane(row, i)] ^ 0x80).cast_signed());
    }
}

fn get_mxfp4(block: &[u8], row: usize, out: &mut [f32]) {
    let scale = half_e8m0(block[MXFP4_SCALES + row]);
    for (i, out) in out.iter_mut().enumerate() {
        let (at, shift) = nibble(row, i);
        *out = scale * f32::from(MXFP4_VALUES[usize::from((block[at] >> shift) & 15)]);
    }
}

//! Packed tiles against ggml's rows.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use moe_kernels::{
    ggml::{BlockType, dequantise},
    packed::{PackedMatrix, PackedType, TILE_ROWS, pack},
};

/// Bytes by splitmix64.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let one = |i: u64| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as u8
    };
    (0..count as u64).map(one).collect()
}

fn block_type(packed_type: PackedType) -> BlockType {
    match packed_type {
        PackedType::Q4_K => BlockType::Q4_K,
        PackedType::Q6_K => BlockType::Q6_K,
        PackedType::Q8_0 => BlockType::Q8_0,
        PackedType::MXFP4 => BlockType::MXFP4,
    }
}

#[test]
fn a_packed_row_has_the_bits_of_ggmls() {
    for packed_type in PackedType::ALL {
        let ggml = block_type(packed_type);
        assert_eq!(ggml.block_elements(), packed_type.block_columns());
        assert_eq!(ggml.block_bytes(), packed_type.block_bytes());
        for (rows, blocks) in [(1, 1), (3, 2), (15, 1), (16, 3), (17, 1), (33, 2), (48, 1)] {
            let columns = blocks * packed_type.block_columns();
            let row_bytes = packed_type.row_bytes(columns);
            let source = noise((rows * 8 + blocks) as u64, rows * row_bytes);
            let mut packed = vec![0xAA; packed_type.matrix_bytes(rows, columns).unwrap()];
            assert_eq!(packed.len(), rows.next_multiple_of(TILE_ROWS) * row_bytes);
            pack(packed_type, rows, columns, &source, &mut packed);
            let matrix = PackedMatrix::new(packed_type, rows, columns, &packed).unwrap();

            for (r, row) in source.chunks(row_bytes).enumerate() {
                let (mut found, mut expected) = (vec![0.0; columns], vec![1.0; columns]);
                matrix.dequantise_row(r, &mut found);
                dequantise(ggml, row, &mut expected);
                for (c, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    // Random bytes are scales that are no numbers, too; which no-number comes out is not said.
                    let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                    assert!(
                        same,
                        "{packed_type:?}, {rows} × {columns}, row {r}, column {c}: {found}, {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn rows_that_fill_up_a_tile_are_zero() {
    for packed_type in PackedType::ALL {
        let columns = packed_type.block_columns();
        let mut tile = vec![0xAA; packed_type.tile_bytes(columns)];
        pack(packed_type, 1, columns, &noise(5, packed_type.row_bytes(columns)), &mut tile);
        // A matrix of one row is a tile as well; taken as one of sixteen, its other rows can be read.
        let matrix = PackedMatrix::new(packed_type, TILE_ROWS, columns, &tile).unwrap();
        for row in 1..TILE_ROWS {
            let mut values = vec![1.0; columns];
            matrix.dequantise_row(row, &mut values);
            assert!(values.iter().all(|value| *value == 0.0), "{packed_type:?}, row {row}");
        }
    }
}

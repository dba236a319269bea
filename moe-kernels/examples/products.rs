//! How fast the packed products are: `cargo run --release -p moe-kernels --example products [TYPE…]`.
//!
//! Two threads share a matrix's rows; figures are 10⁹ operations (a multiplication and an addition are two) a second and
//! GB of weights a second, the median of several runs.

#![allow(clippy::unwrap_used, reason = "an example may stop at the first surprise")]

use std::time::Instant;

use moe_kernels::{
    Isa,
    packed::{Columns, PackedMatrix, PackedType, Panels, Row, TILE_ROWS, product, quantise},
};

const ROWS: usize = 3328;
const COLUMNS: usize = 2048;
/// Matrices, so that their bytes do not stay in the cache.
const STACK: usize = 16;
const THREADS: usize = 2;
/// Tiles that are multiplied with one panel after the other.
const TASK: usize = 4;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let isa = Isa::detect();
    for packed_type in PackedType::ALL {
        if !wanted.is_empty() && !wanted.contains(&format!("{packed_type:?}")) {
            continue;
        }
        let size = packed_type.matrix_bytes(ROWS, COLUMNS).unwrap();
        let mut seed = 1_u64;
        let mut byte = || {
            seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (seed >> 56) as u8
        };
        let bytes: Vec<u8> = (0..size * STACK).map(|_| byte()).collect();
        for tokens in [1, 2, 4, 8, 32, 128, 512] {
            let grain = packed_type.grain();
            let x: Vec<f32> = (0..COLUMNS).map(|i| (i % 17) as f32 - 8.0).collect();
            let (mut quants, mut scales) = (vec![0; COLUMNS], vec![0.0; COLUMNS / grain.columns()]);
            quantise(isa, grain, &x, &mut quants, &mut scales);
            let mut panels = Panels::new(grain, COLUMNS, tokens);
            for mut panel in panels.panels_mut() {
                panel.fill(|_| Row { quants: &quants, scales: &scales, factor: 1.0 });
            }
            let mut out = vec![0.0; ROWS * tokens];
            let mut times: Vec<f64> = (0..7)
                .map(|_| {
                    let start = Instant::now();
                    let stack = if tokens > 8 { 2 } else { STACK };
                    let tiles = ROWS / TILE_ROWS / THREADS;
                    let mut rest = Columns::new(&mut out, ROWS, ROWS);
                    std::thread::scope(|scope| {
                        for thread in 0..THREADS {
                            let (mut part, after) = rest.split_at(tiles * TILE_ROWS);
                            rest = after;
                            let (bytes, panels) = (&bytes, &panels);
                            scope.spawn(move || {
                                for matrix in bytes.chunks_exact(size).take(stack) {
                                    let w = PackedMatrix::new(packed_type, ROWS, COLUMNS, matrix).unwrap();
                                    for tile in (0..tiles).step_by(TASK) {
                                        let used = TASK.min(tiles - tile);
                                        let rows = tile * TILE_ROWS..(tile + used) * TILE_ROWS;
                                        let mut mine = part.part(rows);
                                        let first = thread * tiles + tile;
                                        product(isa, &w, first..first + used, panels, &mut mine);
                                    }
                                }
                            });
                        }
                    });
                    start.elapsed().as_secs_f64() / stack as f64
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let time = times[times.len() / 2];
            let operations = 2.0 * (ROWS * COLUMNS * tokens) as f64;
            println!(
                "{packed_type:?} {tokens:>4} tokens: {:>6.0} GOPS {:>6.1} GB/s (best {:.0} GOPS)",
                operations / time / 1e9,
                size as f64 / time / 1e9,
                operations / times[0] / 1e9,
            );
        }
    }
}

//! Products of packed weights: against plain sums over the dequantised weights, and every instruction set and every
//! batch against each other, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use moe_kernels::{
    Isa,
    packed::{
        Columns, Grain, PackedMatrix, PackedType, Panels, Row, TILE_ROWS, gated, pack, product, quantise,
    },
};

/// Numbers by splitmix64.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    (0_u64..).map(move |i| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// Values in (−1, 1).
fn noise(seed: u64, count: usize) -> Vec<f32> {
    random(seed).map(|z| (z >> 40) as f32 / (1 << 23) as f32 - 1.0).take(count).collect()
}

/// Random blocks in ggml's layout, with scales of middling size.
fn blocks(packed_type: PackedType, seed: u64, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        random(seed).map(|z| (z >> 24) as u8).take(count * packed_type.block_bytes()).collect();
    for block in bytes.chunks_mut(packed_type.block_bytes()) {
        match packed_type {
            PackedType::Q4_K => (block[1], block[3]) = (block[1] & 3 | 0x20, block[3] & 3 | 0x20),
            PackedType::Q6_K => block[209] = block[209] & 0x83 | 0x20,
            PackedType::Q8_0 => block[1] = block[1] & 0x83 | 0x28,
            PackedType::MXFP4 => block[0] = block[0] % 5 + 118,
        }
    }
    bytes
}

fn packed(packed_type: PackedType, seed: u64, rows: usize, columns: usize) -> Vec<u8> {
    let source = blocks(packed_type, seed, rows * columns / packed_type.block_columns());
    let mut bytes = vec![0; packed_type.matrix_bytes(rows, columns).unwrap()];
    pack(packed_type, rows, columns, &source, &mut bytes);
    bytes
}

struct Batch {
    grain: Grain,
    columns: usize,
    quants: Vec<i8>,
    scales: Vec<f32>,
}

impl Batch {
    fn new(isa: Isa, grain: Grain, columns: usize, x: &[f32]) -> Self {
        let mut quants = vec![0; x.len()];
        let mut scales = vec![0.0; x.len() / grain.columns()];
        let rows = x.chunks(columns).zip(quants.chunks_mut(columns));
        for ((x, quants), scales) in rows.zip(scales.chunks_mut(columns / grain.columns())) {
            quantise(isa, grain, x, quants, scales);
        }
        Self { grain, columns, quants, scales }
    }

    fn row(&self, t: usize) -> Row<'_> {
        let blocks = self.columns / self.grain.columns();
        Row {
            quants: &self.quants[t * self.columns..][..self.columns],
            scales: &self.scales[t * blocks..][..blocks],
            factor: 1.0,
        }
    }

    fn panels(&self, tokens: std::ops::Range<usize>) -> Panels {
        let mut panels = Panels::new(self.grain, self.columns, tokens.len());
        for mut panel in panels.panels_mut() {
            let first = tokens.start + panel.first();
            panel.fill(|t| self.row(first + t));
        }
        panels
    }

    /// Value `i` of token `t`, exactly as the products see it.
    fn value(&self, t: usize, i: usize) -> f64 {
        let row = self.row(t);
        f64::from(row.quants[i]) * f64::from(row.scales[i / self.grain.columns()])
    }
}

const ROWS: usize = 37;
const TOKENS: usize = 21;

#[test]
fn products_are_the_sums_of_their_values_on_every_instruction_set_and_in_every_batch() {
    for packed_type in PackedType::ALL {
        let columns = 3 * 256;
        let bytes = packed(packed_type, 1, ROWS, columns);
        let w = PackedMatrix::new(packed_type, ROWS, columns, &bytes).unwrap();
        let x = noise(2, TOKENS * columns);
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let batch = Batch::new(isa, packed_type.grain(), columns, &x);
            let run = |tokens: std::ops::Range<usize>, tiles: std::ops::Range<usize>| {
                let rows = ROWS.min(tiles.end * TILE_ROWS) - tiles.start * TILE_ROWS;
                let mut out = vec![f32::NAN; tokens.len() * rows];
                let mut view = Columns::new(&mut out, rows, rows);
                product(isa, &w, tiles, &batch.panels(tokens), &mut view);
                out
            };
            let all = run(0..TOKENS, 0..3);
            let mut row = vec![0.0; columns];
            for r in 0..ROWS {
                w.dequantise_row(r, &mut row);
                for t in 0..TOKENS {
                    let terms = || row.iter().enumerate().map(|(i, w)| f64::from(*w) * batch.value(t, i));
                    let (exact, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                    let found = f64::from(all[t * ROWS + r]);
                    assert!(
                        (exact - found).abs() < 3e-7 * size,
                        "{packed_type:?} {isa}: {exact} and {found}"
                    );
                }
            }
            let bits: Vec<u32> = all.iter().map(|x| x.to_bits()).collect();
            assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "{packed_type:?} on {isa}");
            for (tokens, tiles) in [(0..1, 0..3), (3..5, 1..2), (2..6, 2..3), (7..14, 0..2), (4..21, 1..3)] {
                let part = run(tokens.clone(), tiles.clone());
                let rows = part.len() / tokens.len();
                for (i, value) in part.iter().enumerate() {
                    let (t, r) = (tokens.start + i / rows, tiles.start * TILE_ROWS + i % rows);
                    assert_eq!(
                        value.to_bits(),
                        bits[t * ROWS + r],
                        "{packed_type:?} {isa} token {t} row {r}"
                    );
                }
            }
        }
    }
}

#[test]
fn gate_and_up_are_fused_whatever_their_types() {
    let columns = 512;
    let silu = |g: f32| g / (1.0 + (-g).exp());
    for (gate_type, up_type) in [(PackedType::Q4_K, PackedType::Q6_K), (PackedType::Q8_0, PackedType::MXFP4)]
    {
        let (gate, up) = (packed(gate_type, 3, ROWS, columns), packed(up_type, 4, ROWS, columns));
        let gate = PackedMatrix::new(gate_type, ROWS, columns, &gate).unwrap();
        let up = PackedMatrix::new(up_type, ROWS, columns, &up).unwrap();
        for isa in Isa::available() {
            let batch = Batch::new(isa, gate_type.grain(), columns, &noise(5, TOKENS * columns));
            let panels = batch.panels(0..TOKENS);
            let run = |f: &dyn Fn(&mut Columns<'_>)| {
                let mut out = vec![0.0; TOKENS * ROWS];
                f(&mut Columns::new(&mut out, ROWS, ROWS));
                out
            };
            let apart = [gate, up].map(|w| run(&|out| product(isa, &w, 0..3, &panels, out)));
            let fused = run(&|out| gated(isa, (&gate, &up), 0..3, &panels, out));
            for ((g, u), fused) in apart[0].iter().zip(&apart[1]).zip(fused) {
                let exact = silu(*g) * u;
                assert!((exact - fused).abs() <= 1e-6 * exact.abs().max(1e-3), "{exact} and {fused}");
            }
        }
    }
}

#[test]
fn quantisation_rounds_to_the_nearest_step_and_marks_what_is_not_finite() {
    for grain in [Grain::Fine, Grain::Coarse] {
        for isa in Isa::available() {
            let mut x = noise(6, 1024);
            x[..256].fill(0.0);
            x[256..512].iter_mut().for_each(|x| *x *= 1e-42);
            let batch = Batch::new(isa, grain, 1024, &x);
            for (i, x) in x.iter().enumerate() {
                let scale = f64::from(batch.row(0).scales[i / grain.columns()]);
                let off = (batch.value(0, i) - f64::from(*x)).abs();
                assert!(off <= scale * 0.5001 + 1e-41, "{isa}: {x} is off by {off}");
            }
            assert!(batch.quants.iter().any(|q| q.abs() == 127) && batch.quants.iter().all(|q| *q > -128));
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = noise(7, 512);
                x[300] = odd;
                let batch = Batch::new(isa, grain, 512, &x);
                let marked: Vec<usize> =
                    batch.scales.iter().enumerate().filter(|(_, s)| s.is_nan()).map(|(i, _)| i).collect();
                assert_eq!(marked, [300 / grain.columns()]);
            }
        }
    }
}

#[test]
fn a_factor_scales_a_token() {
    let (packed_type, columns) = (PackedType::Q6_K, 256);
    let bytes = packed(packed_type, 8, TILE_ROWS, columns);
    let w = PackedMatrix::new(packed_type, TILE_ROWS, columns, &bytes).unwrap();
    let isa = Isa::detect();
    let batch = Batch::new(isa, Grain::Coarse, columns, &noise(9, columns));
    let run = |factor: f32| {
        let mut panels = Panels::new(Grain::Coarse, columns, 1);
        panels.panels_mut().for_each(|mut panel| panel.fill(|_| Row { factor, ..batch.row(0) }));
        let mut out = vec![0.0; TILE_ROWS];
        product(isa, &w, 0..1, &panels, &mut Columns::new(&mut out, TILE_ROWS, TILE_ROWS));
        out
    };
    let half: Vec<f32> = run(1.0).iter().map(|x| x * 0.5).collect();
    assert_eq!(run(0.5), half);
}

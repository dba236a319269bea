//! Each kernel against plain `f64` sums, and every instruction set and tiling against each other, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use moe_kernels::{
    Isa,
    elementwise::{
        add_scaled, exp, rms_norm, rms_norm_in_place, rope_adjacent, rope_halves, swiglu,
        weighted_rms_norm_in_place,
    },
    matmul::{Activations, matmul},
    padded,
    weights::{DType, Matrix},
};

/// Values in (−1, 1) by splitmix64.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let one = |i: u64| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(one).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn encoded(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|v| [v.to_le_bytes()[2], v.to_le_bytes()[3]]).collect(),
        // Any pattern with a middling exponent will do.
        DType::F16 => {
            values.iter().flat_map(|v| ((v.to_bits() >> 9) as u16 & 0xBFFF | 0x2000).to_le_bytes()).collect()
        }
    }
}

#[test]
fn products() {
    let cases = [
        (DType::F32, 100),
        (DType::F32, 5),
        (DType::F16, 100),
        (DType::F16, 64),
        (DType::BF16, 37),
        (DType::BF16, 256),
    ];
    for (dtype, columns) in cases {
        let rows = 21;
        let count = 19;
        let bytes = encoded(dtype, &noise(1, rows * columns));
        let w = Matrix::new(dtype, rows, columns, &bytes).unwrap();
        let stride = padded(columns);
        let mut x = noise(2, count * stride);
        for row in x.chunks_mut(stride) {
            row[columns..].fill(0.0);
        }
        let mut exact = vec![0.0_f64; rows * count];
        let mut scale = 0.0_f64;
        for (r, out) in exact.chunks_mut(count).enumerate() {
            let mut row = vec![0.0; columns];
            w.dequantise_row(r, &mut row);
            for (t, out) in out.iter_mut().enumerate() {
                *out = row.iter().zip(&x[t * stride..]).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                scale = scale.max(out.abs());
            }
        }
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; rows * count];
            matmul(isa, &w, 0..rows, &Activations::new(&x, count, columns), &mut out);
            for (e, o) in exact.iter().zip(&out) {
                assert!((e - f64::from(*o)).abs() < 1e-6 * scale.max(1.0), "{dtype:?} {isa}: {e} and {o}");
            }
            let all = bits(&out);
            assert_eq!(first.get_or_insert_with(|| all.clone()), &all, "{dtype:?} on {isa}");
            // Any part alone gives the same bits.
            for (range, tokens) in
                [(0..1, 0..1), (3..20, 2..3), (5..14, 0..19), (20..21, 7..12), (2..12, 1..17)]
            {
                let part = &x[tokens.start * stride..tokens.end * stride];
                let mut out = vec![f32::NAN; range.len() * tokens.len()];
                matmul(isa, &w, range.clone(), &Activations::new(part, tokens.len(), columns), &mut out);
                for (i, out) in out.iter().enumerate() {
                    let (r, t) = (range.start + i / tokens.len(), tokens.start + i % tokens.len());
                    assert_eq!(out.to_bits(), all[r * count + t], "{dtype:?} {isa} row {r} token {t}");
                }
            }
        }
    }
}

#[test]
fn exponential() {
    let mut worst = 0.0_f64;
    for i in -87_000..88_000 {
        let x = i as f32 / 1000.0;
        let exact = f64::from(x).exp();
        worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
    }
    assert!(worst < 1.5e-7, "off by {worst:.2e}");
    assert_eq!(exp(0.0).to_bits(), 1.0_f32.to_bits());
    assert_eq!([exp(f32::NEG_INFINITY), exp(-1000.0)], [0.0, 0.0]);
    assert!(exp(f32::NAN).is_nan());
    assert!(exp(f32::INFINITY) > 1e38);
}

#[test]
fn between_the_products() {
    let x = noise(6, 77);
    let weight = noise(7, 77);
    let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 77.0;
    let mut first: Option<[Vec<u32>; 3]> = None;
    for isa in Isa::available() {
        let mut normed = vec![0.0; 77];
        rms_norm(isa, &x, &weight, 1e-5, &mut normed);
        for ((n, x), w) in normed.iter().zip(&x).zip(&weight) {
            let exact = f64::from(*x) * f64::from(*w) / (mean + 1e-5).sqrt();
            assert!((f64::from(*n) - exact).abs() < 1e-6);
        }
        let mut plain = x.clone();
        rms_norm_in_place(isa, &mut plain, 1e-5);
        for (p, x) in plain.iter().zip(&x) {
            assert!((f64::from(*p) - f64::from(*x) / (mean + 1e-5).sqrt()).abs() < 1e-6);
        }
        let mut gate = x.clone();
        swiglu(isa, &mut gate, &weight);
        for ((o, g), u) in gate.iter().zip(&x).zip(&weight) {
            let g = f64::from(*g);
            assert!((f64::from(*o) - g / (1.0 + (-g).exp()) * f64::from(*u)).abs() < 1e-6);
        }
        let mut weighted = x.clone();
        weighted_rms_norm_in_place(isa, &mut weighted, &weight, 1e-5);
        assert_eq!(bits(&weighted), bits(&normed), "in place as beside");
        let all = [bits(&normed), bits(&plain), bits(&gate)];
        assert_eq!(first.get_or_insert_with(|| all.clone()), &all, "{isa}");
    }
    let mut sum = [1.0, -2.0];
    add_scaled(&mut sum, &[4.0, 8.0], 0.5);
    assert_eq!(sum, [3.0, 2.0]);
}

/// Each of a head's pairs, against plain `f64`.
#[test]
fn turns() {
    // With and without a rest beside whole vectors.
    for pairs in [1, 5, 8, 16, 64] {
        let x = noise(21, 2 * pairs);
        let angles: Vec<f64> = noise(22, pairs).into_iter().map(|a| f64::from(a) * 3.0).collect();
        let cos: Vec<f32> = angles.iter().map(|a| a.cos() as f32).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin() as f32).collect();
        let mut first = None;
        for isa in Isa::available() {
            let (mut adjacent, mut halves) = (x.clone(), x.clone());
            rope_adjacent(isa, &mut adjacent, &cos, &sin);
            rope_halves(isa, &mut halves, &cos, &sin);
            for (i, angle) in angles.iter().enumerate() {
                for (found, a, b) in [(&adjacent, 2 * i, 2 * i + 1), (&halves, i, i + pairs)] {
                    let (was_a, was_b) = (f64::from(x[a]), f64::from(x[b]));
                    let a_off = f64::from(found[a]) - (was_a * angle.cos() - was_b * angle.sin());
                    let b_off = f64::from(found[b]) - (was_a * angle.sin() + was_b * angle.cos());
                    assert!(a_off.abs() < 1e-6 && b_off.abs() < 1e-6, "{isa}: pair {i} of {pairs}");
                }
            }
            let all = [bits(&adjacent), bits(&halves)];
            assert_eq!(first.get_or_insert_with(|| all.clone()), &all, "{isa}");
        }
    }
}

//! Packed weights: the same bits whatever the schedule, near what the exact values give, and with exact arithmetic that.

use std::sync::Arc;

use moe_kernels::packed::{PackedType, pack};
use moe_server::{
    engine::{
        Engine, Span, Wanted,
        cpu::{Arithmetic, CpuEngine, CpuOptions},
    },
    model::decoder::{Config, Layout, Model, Tensor, TensorBytes},
};

use crate::{
    generator,
    golden::deviation,
    quantised::f16,
    schedules::{check, small_config, small_qwen_config},
};

/// Wide enough for blocks of 256.
fn wide(config: Config) -> Config {
    Config { hidden: 256, head_dim: 64, heads: 4, expert_ff: 256, dense_ff: 256, ..config }
}

fn configs() -> [Config; 2] {
    // With one layer that has no rope, and two that are mixtures.
    [wide(Config { layers: 4, ..small_config() }), wide(Config { layers: 2, ..small_qwen_config() })]
}

/// Rows in ggml's layout: random but for the scales, which give values of about 1.5 / √256.
fn rows(packed: PackedType, name: &str, count: usize, columns: usize) -> Vec<u8> {
    let seed = name.bytes().fold(7_u64, |h, byte| generator::splitmix(h ^ u64::from(byte)));
    let bytes = count * packed.row_bytes(columns);
    let mut bytes: Vec<u8> =
        (0..bytes as u64).map(|i| generator::splitmix(seed.wrapping_add(i)) as u8).collect();
    for block in bytes.chunks_exact_mut(packed.block_bytes()) {
        match packed {
            PackedType::Q4_K => {
                block[..2].copy_from_slice(&f16(6.5e-4).to_le_bytes());
                block[2..4].copy_from_slice(&f16(4.9e-3).to_le_bytes());
            }
            PackedType::Q6_K => block[208..].copy_from_slice(&f16(7e-5).to_le_bytes()),
            PackedType::Q8_0 => block[..2].copy_from_slice(&f16(1.3e-3).to_le_bytes()),
            PackedType::MXFP4 => block[0] = 122,
        }
    }
    bytes
}

/// A model with all matrices packed but the routers, and the same model in F32.
fn model(c: &Config, packed: PackedType) -> (Model, Model) {
    let is_packed = |name: &str| !name.contains("_norm.") && !name.contains("ffn_gate_inp");
    let stored = |name: &str| {
        let shape @ [stack, height, columns] = generator::shape(c, name);
        if !is_packed(name) {
            return generator::f32_tensor(shape, &generator::values(c, 5, name));
        }
        let rows = rows(packed, name, stack * height, columns);
        let mut tiles = vec![0; stack * packed.matrix_bytes(height, columns).unwrap()];
        let size = tiles.len() / stack;
        for (rows, tiles) in rows.chunks_exact(rows.len() / stack).zip(tiles.chunks_exact_mut(size)) {
            pack(packed, height, columns, rows, tiles);
        }
        Tensor::with_layout(Layout::Packed(packed), shape, TensorBytes::Owned(Arc::from(tiles))).unwrap()
    };
    let exact = |name: &str| {
        let tensor = stored(name);
        let [stack, height, columns] = tensor.shape();
        let mut values = vec![0.0; stack * height * columns];
        for (row, out) in values.chunks_exact_mut(columns).enumerate() {
            tensor.weights(row / height).dequantise_row(row % height, out);
        }
        generator::f32_tensor(tensor.shape(), &values)
    };
    let load =
        |source: &dyn Fn(&str) -> Tensor| Model::load(c.clone(), &mut |name| Ok(Some(source(name)))).unwrap();
    (load(&stored), load(&exact))
}

fn logits(model: &Model, arithmetic: Arithmetic, batch: usize) -> Vec<f32> {
    let options = CpuOptions { threads: 2, arithmetic, max_batch_tokens: batch, ..CpuOptions::default() };
    let mut engine = CpuEngine::new(model.clone(), options).unwrap();
    let sequence = engine.create().unwrap();
    let tokens: Vec<u32> = (0..40).collect();
    let mut all = Vec::new();
    for tokens in tokens.chunks(batch) {
        let mut logits = Vec::new();
        engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut logits).unwrap();
        all.extend(logits);
    }
    all
}

#[test]
fn every_schedule_gives_the_same_bits_with_packed_weights() {
    for (index, packed) in PackedType::ALL.into_iter().enumerate() {
        for c in configs() {
            check(&model(&c, packed).0, 10_000 + index as u64);
        }
    }
}

#[test]
fn exact_arithmetic_gives_the_bits_of_the_values() {
    let bits = |logits: Vec<f32>| -> Vec<u32> { logits.iter().map(|l| l.to_bits()).collect() };
    for packed in PackedType::ALL {
        for c in configs() {
            let (stored, exact) = model(&c, packed);
            let expected = bits(logits(&exact, Arithmetic::default(), 40));
            for batch in [1, 40] {
                let found = bits(logits(&stored, Arithmetic::Exact, batch));
                assert_eq!(found, expected, "{packed:?} in steps of {batch}");
            }
        }
    }
}

/// Integers move the logits by what rounding activations to eight bits costs, not more. (A router near a tie may turn;
/// so half of the rows count.)
#[test]
fn integers_stay_near_the_values() {
    for packed in PackedType::ALL {
        for c in configs() {
            let (stored, exact) = model(&c, packed);
            let [found, expected] = [&stored, &exact].map(|model| logits(model, Arithmetic::default(), 40));
            let rows = found.chunks(c.vocab_size).zip(expected.chunks(c.vocab_size));
            let mut off: Vec<f64> = rows
                .map(|(found, expected)| {
                    let expected: Vec<f64> = expected.iter().map(|logit| f64::from(*logit)).collect();
                    deviation(&expected, found)
                })
                .collect();
            off.sort_by(f64::total_cmp);
            let median = off[off.len() / 2];
            println!("{packed:?}, {} experts: {median:.2e}, at most {:.2e}", c.experts, off[off.len() - 1]);
            assert!(median < 0.1, "{packed:?}: {median:.2e}");
            assert!(median > 1e-6, "{packed:?}: integers were not used");
        }
    }
}

//! Logits against Hugging Face's, and against the processor's engine.

use moe_kernels::packed::PackedType;
use moe_server::{
    engine::{
        Engine, Span, Wanted,
        cpu::{CpuEngine, CpuOptions, KvType},
        cuda,
    },
    model::decoder::{Config, Layout, Model, QkNorm, Tensor, TensorBytes},
};

use crate::{
    engine, engine_of, generator,
    golden::{Golden, deviation},
    options, small_config,
};

/// The largest deviation of an engine's logits from the golden's: most tokens as a prompt, the last as decodes.
fn off(golden: &Golden, engine: &mut dyn Engine) -> f64 {
    let vocab_size = engine.capabilities().vocab_size;
    let sequence = engine.create().unwrap();
    let mut found = Vec::new();
    let (prompt, rest) = golden.tokens.split_at(golden.tokens.len() - 3);
    for tokens in [prompt].into_iter().chain(rest.chunks(1)) {
        let mut logits = Vec::new();
        engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut logits).unwrap();
        found.extend(logits);
    }
    let rows = golden.rows.iter();
    let rows = rows.map(|row| deviation(&row.logits, &found[row.position * vocab_size..][..vocab_size]));
    rows.fold(0.0, f64::max)
}

/// As near as the processor is with keys and values that are rounded to halves too.
fn check(name: &str) {
    let golden = Golden::read(name);
    let model = generator::model(&golden.config(), golden.seed);
    let cpu = CpuOptions { threads: 1, kv_type: KvType::F16, kv_tokens: 64, ..CpuOptions::default() };
    let expected = off(&golden, &mut CpuEngine::new(model.clone(), cpu).unwrap());
    let found = off(&golden, &mut engine(&model, options(golden.tokens.len())));
    println!("{name}: {found:e}, on the processor {expected:e}");
    assert!(found < 1.5 * expected && expected < 5e-3, "{name}: {found:e}, on the processor {expected:e}");
}

#[test]
fn llama_4_gives_hugging_faces_logits() {
    check("maverick_like");
}

#[test]
fn qwen3_moe_gives_hugging_faces_logits() {
    check("qwen3moe_like");
}

/// The largest deviation of the two engines' logits, with keys and values of the same type: a prompt, then a token by itself.
fn beside_the_processor(model: &Model, kv_type: cuda::KvType) -> f64 {
    let of_cpu = match kv_type {
        cuda::KvType::F16 => KvType::F16,
        cuda::KvType::Q8_0 => KvType::Q8_0,
    };
    let config = &model.config;
    let tokens: Vec<u32> = (0..40).map(|i| i * i % config.vocab_size as u32).collect();
    let cpu = CpuOptions { threads: 1, kv_type: of_cpu, kv_tokens: 64, ..CpuOptions::default() };
    let mut cpu = CpuEngine::new(model.clone(), cpu).unwrap();
    let mut gpu = engine_of(model, options(40), kv_type);
    let all = |engine: &mut dyn Engine| {
        let sequence = engine.create().unwrap();
        let (mut logits, mut found) = (Vec::new(), Vec::new());
        for tokens in [&tokens[..39], &tokens[39..]] {
            engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut logits).unwrap();
            found.append(&mut logits);
        }
        found
    };
    let (expected, found) = (all(&mut cpu), all(&mut gpu));
    let rows = expected.chunks(config.vocab_size).zip(found.chunks(config.vocab_size));
    let deviations = rows.map(|(expected, found)| {
        let expected: Vec<f64> = expected.iter().map(|logit| f64::from(*logit)).collect();
        deviation(&expected, found)
    });
    deviations.fold(0.0, f64::max)
}

#[test]
fn normed_heads_and_rope_factors_give_the_processors_logits() {
    let pairs = small_config().head_dim / 2;
    let config = Config {
        qk_norm: QkNorm::Plain,
        rope_factors: Some((0..pairs).map(|i| if i > pairs / 2 { 16.0 } else { 1.0 }).collect()),
        ..small_config()
    };
    let off = beside_the_processor(&generator::model(&config, 9), cuda::KvType::F16);
    assert!(off < 1e-3, "{off:e}");
}

#[test]
fn keys_and_values_in_eight_bits_give_the_processors_logits() {
    let model = generator::model(&small_config(), 9);
    let off = beside_the_processor(&model, cuda::KvType::Q8_0);
    assert!(off < 1e-3, "{off:e}");
}

/// Matrices packed as Q8_0, but the routers and what looks tokens up.
fn packed(config: &Config) -> Model {
    let source = |name: &str| {
        let shape @ [stack, rows, columns] = generator::shape(config, name);
        let values = generator::values(config, 5, name);
        if name.contains("_norm.") || name.contains("ffn_gate_inp") {
            return generator::f32_tensor(shape, &values);
        }
        let mut blocks = Vec::new();
        for block in values.chunks_exact(32) {
            // A scale that is a power of two is a half exactly.
            let most = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let exponent = (most / 127.0).log2().ceil().max(-14.0);
            let half = (((exponent + 15.0) as u16) << 10).to_le_bytes();
            blocks.extend(half);
            blocks.extend(block.iter().map(|value| (value / exponent.exp2()).round() as i8 as u8));
        }
        let kind = PackedType::Q8_0;
        let bytes = kind.matrix_bytes(rows, columns).unwrap();
        let mut tiles = vec![0; stack * bytes];
        let rows_bytes = rows * kind.row_bytes(columns);
        for (rows_of, tiles) in blocks.chunks_exact(rows_bytes).zip(tiles.chunks_exact_mut(bytes)) {
            moe_kernels::packed::pack(kind, rows, columns, rows_of, tiles);
        }
        Tensor::with_layout(Layout::Packed(kind), shape, TensorBytes::Owned(tiles.into())).unwrap()
    };
    Model::load(config.clone(), &mut |name| Ok(Some(source(name)))).unwrap()
}

#[test]
fn packed_weights_give_the_processors_logits() {
    let off = beside_the_processor(&packed(&small_config()), cuda::KvType::F16);
    assert!(off < 2e-2, "{off:e}");
}

//! The weights of the golden models, bit for bit those of `goldens/make.py`.

use std::sync::Arc;

use moe_kernels::weights::DType;
use moe_server::model::decoder::{Config, Model, Tensor, TensorBytes};

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The output function of splitmix64 at counter `x`.
pub(crate) fn splitmix(x: u64) -> u64 {
    let z = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn start(seed: u64, name: &str) -> u64 {
    fnv1a(name) ^ seed.wrapping_mul(0xD134_2543_DE82_EF95)
}

/// Sums of twelve 16-bit uniforms, centred: exact in `f64`, then scaled, then rounded once.
pub(crate) fn normal(seed: u64, name: &str, count: usize, scale: f64) -> Vec<f32> {
    let start = start(seed, name);
    let one = |i: usize| {
        let words = (0..3).map(|k| splitmix(start.wrapping_add(3 * i as u64 + k)));
        let total: u64 = words.flat_map(|w| [0, 16, 32, 48].map(|shift| (w >> shift) & 0xFFFF)).sum();
        (((2 * total + 12) as f64 / 131_072.0 - 6.0) * scale) as f32
    };
    (0..count).map(one).collect()
}

/// 1 ± 0.2.
fn uniform(seed: u64, name: &str, count: usize) -> Vec<f32> {
    let start = start(seed, name);
    let unit = |i| (splitmix(start.wrapping_add(i)) >> 40) as f64 / f64::from(1 << 24);
    (0..count as u64).map(|i| (1.0 + 0.2 * (2.0 * unit(i) - 1.0)) as f32).collect()
}

/// `[matrices, rows, columns]` of a tensor, by its GGUF name.
pub(crate) fn shape(c: &Config, name: &str) -> [usize; 3] {
    let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let part = name.trim_end_matches(".weight").rsplit('.').next().unwrap();
    match part {
        "token_embd" | "output" => [1, c.vocab_size, c.hidden],
        "attn_q" => [1, q, c.hidden],
        "attn_k" | "attn_v" => [1, kv, c.hidden],
        "attn_output" => [1, c.hidden, q],
        "ffn_gate_inp" => [1, c.experts, c.hidden],
        "ffn_gate_exps" | "ffn_up_exps" => [c.experts, c.expert_ff, c.hidden],
        "ffn_down_exps" => [c.experts, c.hidden, c.expert_ff],
        "ffn_gate_shexp" | "ffn_up_shexp" => [1, c.expert_ff, c.hidden],
        "ffn_down_shexp" => [1, c.hidden, c.expert_ff],
        "ffn_gate" | "ffn_up" => [1, c.dense_ff, c.hidden],
        "ffn_down" => [1, c.hidden, c.dense_ff],
        "attn_q_norm" | "attn_k_norm" => [1, 1, c.head_dim],
        part if part.ends_with("_norm") => [1, 1, c.hidden],
        other => panic!("no shape for {other}"),
    }
}

/// A tensor's values.
pub(crate) fn values(c: &Config, seed: u64, name: &str) -> Vec<f32> {
    let [stack, rows, columns] = shape(c, name);
    if name.contains("_norm.") {
        return uniform(seed, name, columns);
    }
    let scale = if name == "token_embd.weight" { 1.0 } else { 1.5 / (columns as f64).sqrt() };
    normal(seed, name, stack * rows * columns, scale)
}

pub(crate) fn f32_tensor(shape: [usize; 3], values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(DType::F32, shape, TensorBytes::Owned(Arc::from(bytes))).unwrap()
}

/// The whole model in F32.
pub(crate) fn model(c: &Config, seed: u64) -> Model {
    Model::load(c.clone(), &mut |name| Ok(Some(f32_tensor(shape(c, name), &values(c, seed, name))))).unwrap()
}

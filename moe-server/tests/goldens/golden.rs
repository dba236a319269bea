//! The golden files.

use moe_server::model::llama4::Config;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Golden {
    config: Numbers,
    pub(crate) seed: u64,
    pub(crate) tokens: Vec<u32>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) position: usize,
    pub(crate) logits: Vec<f64>,
}

#[derive(Deserialize)]
struct Numbers {
    vocab: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    ff_expert: usize,
    ff_dense: usize,
    experts: usize,
    moe_step: usize,
    qk_norm: bool,
    chunk: usize,
    floor_scale: usize,
    attn_scale: f64,
    eps: f32,
    rope_theta: f64,
    rope_factors: Option<Vec<f32>>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = format!("{}/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let n = &self.config;
        Config {
            vocab_size: n.vocab,
            hidden: n.hidden,
            layers: n.layers,
            heads: n.heads,
            kv_heads: n.kv_heads,
            head_dim: n.head_dim,
            expert_ff: n.ff_expert,
            dense_ff: n.ff_dense,
            experts: n.experts,
            moe_step: n.moe_step,
            qk_norm: n.qk_norm,
            chunk: n.chunk,
            temperature_floor: n.floor_scale,
            temperature_scale: n.attn_scale,
            norm_eps: n.eps,
            rope_theta: n.rope_theta,
            rope_factors: n.rope_factors.clone(),
            context_length: 32_768,
        }
    }
}

/// The largest difference of a row, relative to the row's largest logit.
pub(crate) fn deviation(expected: &[f64], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let most = expected.iter().map(|x| x.abs()).fold(0.0, f64::max);
    let off = expected.iter().zip(found).map(|(e, f)| (e - f64::from(*f)).abs()).fold(0.0, f64::max);
    if found.iter().all(|f| f.is_finite()) { off / most } else { f64::INFINITY }
}

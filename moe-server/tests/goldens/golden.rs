//! The golden files.

use moe_server::model::decoder::{Attention, Config, QkNorm, RopePairs, Score};
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

/// As the makers of goldens name them.
#[derive(Deserialize)]
struct Numbers {
    vocab: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    ff_expert: usize,
    experts: usize,
    eps: f32,
    rope_theta: f64,
    #[serde(flatten)]
    own: Own,
}

/// What one architecture has and the other has not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Own {
    Llama4 {
        ff_dense: usize,
        moe_step: usize,
        qk_norm: bool,
        chunk: usize,
        floor_scale: usize,
        attn_scale: f64,
        rope_factors: Option<Vec<f32>>,
    },
    Qwen3Moe {
        used: usize,
    },
}

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = format!("{}/{name}.json", crate::GOLDENS);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let n = &self.config;
        let plain = Config {
            vocab_size: n.vocab,
            hidden: n.hidden,
            layers: n.layers,
            heads: n.heads,
            kv_heads: n.kv_heads,
            head_dim: n.head_dim,
            attention: Attention::Full,
            qk_norm: QkNorm::Weighted,
            rope_pairs: RopePairs::Halves,
            rope_theta: n.rope_theta,
            rope_factors: None,
            dense_ff: 0,
            moe_step: 1,
            experts: n.experts,
            experts_used: 1,
            expert_ff: n.ff_expert,
            shared_expert: false,
            score: Score::SoftmaxOnOutput,
            norm_eps: n.eps,
            context_length: 32_768,
        };
        match &n.own {
            Own::Qwen3Moe { used } => Config { experts_used: *used, ..plain },
            Own::Llama4 { ff_dense, moe_step, qk_norm, chunk, floor_scale, attn_scale, rope_factors } => {
                Config {
                    attention: Attention::Chunked {
                        chunk: *chunk,
                        temperature_floor: *floor_scale,
                        temperature_scale: *attn_scale,
                    },
                    qk_norm: if *qk_norm { QkNorm::Plain } else { QkNorm::Off },
                    rope_pairs: RopePairs::Adjacent,
                    rope_factors: rope_factors.clone(),
                    dense_ff: *ff_dense,
                    moe_step: *moe_step,
                    shared_expert: true,
                    score: Score::SigmoidOnInput,
                    ..plain
                }
            }
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

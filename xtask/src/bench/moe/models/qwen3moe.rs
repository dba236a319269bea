//! A file of the architecture `qwen3moe`: every layer routes a token to eight experts; queries and keys have norms.

use super::blocks::Type;
use super::gguf::{File, Fill, Value};
use super::vocabulary::Vocabulary;
use super::{Builder, HEAD, Mix, Shape, common};

pub(super) fn file(shape: &Shape, mix: Mix, vocabulary: &Vocabulary) -> File {
    let mut file = common("qwen3moe", shape, mix, vocabulary);
    file.key("qwen3moe.rope.freq_base", Value::F32(1e6));
    let mut model = Builder { file, shape, mix };
    model.ends(vocabulary.len());
    for layer in 0..shape.layers {
        model.attention(layer);
        model.experts(layer);
        for norm in ["attn_q_norm", "attn_k_norm"] {
            model.add(&format!("blk.{layer}.{norm}.weight"), Type::F32, vec![HEAD], Fill::Norm);
        }
    }
    model.file
}

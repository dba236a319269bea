//! A file of the architecture `llama4`: every layer routes a token to one expert, beside a shared one.

use super::blocks::Type;
use super::gguf::{File, Fill, Value};
use super::vocabulary::Vocabulary;
use super::{HEAD, Mix, Shape, common};

pub(super) fn file(shape: &Shape, mix: Mix, vocabulary: &Vocabulary) -> File {
    let mut file = common("llama4", shape, mix, vocabulary);
    file.key("llama4.interleave_moe_layer_step", Value::U32(1));
    file.key("llama4.vocab_size", Value::U32(vocabulary.len() as u32));
    file.key("llama4.rope.freq_base", Value::F32(5e5));
    // Scout's, by the rule of Llama 3: waves longer than the original context are slower by this factor.
    let slower = (0..HEAD / 2).map(|i| {
        let wave = std::f32::consts::TAU * 5e5f32.powf(2.0 * i as f32 / HEAD as f32);
        if wave > 8192.0 { 16.0 } else { 1.0 }
    });
    let mut model = super::Builder { file, shape, mix };
    model.add("rope_freqs.weight", Type::F32, vec![HEAD / 2], Fill::These(slower.collect()));
    model.ends(vocabulary.len());
    for layer in 0..shape.layers {
        model.attention(layer);
        model.experts(layer);
        let more = mix.more_bits(layer, shape.layers);
        model.matrix(&format!("blk.{layer}.ffn_gate_shexp"), shape.hidden, shape.expert, mix.most());
        model.matrix(&format!("blk.{layer}.ffn_up_shexp"), shape.hidden, shape.expert, mix.most());
        model.matrix(&format!("blk.{layer}.ffn_down_shexp"), shape.expert, shape.hidden, more);
    }
    model.file
}

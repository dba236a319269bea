//! A file of Llama 4 Scout's shape, with holes in the place of its weights.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use moe_cuda::{kv::KvType, random::scout};
use moe_server::{
    model::gguf::GgmlType,
    plan::{CARDS, ModelPlan, Outcome},
};

use crate::{gguf_writer::Writer, gpu, wish};

const U16: u32 = 2;
const U32: u32 = 4;
const F32: u32 = 6;

/// Names, dimensions and types; most are of `most`.
fn tensors(most: GgmlType) -> Vec<(String, Vec<u64>, GgmlType)> {
    let recipe = scout();
    let s = &recipe.shape;
    let [hidden, ff, experts] = [s.hidden, recipe.ff, s.experts].map(|size| size as u64);
    let [queries, kv] = [s.heads, s.kv_heads].map(|heads| (heads * s.head_dim) as u64);
    let vocab = s.vocab as u64;
    let mut all = vec![
        ("token_embd.weight".to_owned(), vec![hidden, vocab], GgmlType::F16),
        ("output.weight".to_owned(), vec![hidden, vocab], GgmlType::Q6_K),
        ("output_norm.weight".to_owned(), vec![hidden], GgmlType::F32),
    ];
    for layer in 0..recipe.layers {
        let mut add = |name: &str, dims: &[u64], ggml_type| {
            all.push((format!("blk.{layer}.{name}.weight"), dims.to_vec(), ggml_type));
        };
        add("attn_norm", &[hidden], GgmlType::F32);
        add("ffn_norm", &[hidden], GgmlType::F32);
        add("attn_q", &[hidden, queries], most);
        add("attn_k", &[hidden, kv], most);
        add("attn_v", &[hidden, kv], most);
        add("attn_output", &[queries, hidden], most);
        add("ffn_gate_inp", &[hidden, experts], GgmlType::F32);
        for (suffix, stack) in [("_exps", &[experts][..]), ("_shexp", &[])] {
            for (part, dims) in [("gate", [hidden, ff]), ("up", [hidden, ff]), ("down", [ff, hidden])] {
                add(&format!("ffn_{part}{suffix}"), &[&dims[..], stack].concat(), most);
            }
        }
    }
    all
}

/// Writes one file, or two parts, and names the first.
fn write(folder: &Path, most: GgmlType, parts: usize) -> PathBuf {
    let recipe = scout();
    let s = &recipe.shape;
    let all = tensors(most);
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let name = |part: usize| match parts {
        1 => folder.join("scout.gguf"),
        _ => folder.join(format!("scout-{:05}-of-{parts:05}.gguf", part + 1)),
    };
    for (part, tensors) in all.chunks(all.len().div_ceil(parts)).enumerate() {
        let sizes = [
            ("block_count", recipe.layers),
            ("context_length", 10_485_760),
            ("embedding_length", s.hidden),
            ("feed_forward_length", 2 * recipe.ff),
            ("expert_feed_forward_length", recipe.ff),
            ("interleave_moe_layer_step", 1),
            ("expert_count", s.experts),
            ("expert_used_count", s.used),
            ("attention.head_count", s.heads),
            ("attention.head_count_kv", s.kv_heads),
            ("attention.key_length", s.head_dim),
        ];
        let splits = if parts > 1 { 3 } else { 0 };
        let mut writer = Writer::header(tensors.len() as u64, sizes.len() as u64 + 3 + splits)
            .text("general.architecture", "llama4")
            .key("llama4.rope.freq_base", F32, &5e5_f32.to_le_bytes())
            .key("llama4.attention.layer_norm_rms_epsilon", F32, &s.eps.to_le_bytes());
        for (key, value) in sizes {
            writer = writer.key(&format!("llama4.{key}"), U32, &number(value));
        }
        if parts > 1 {
            let short = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
            writer = writer.key("split.no", U16, &short(part)).key("split.count", U16, &short(parts)).key(
                "split.tensors.count",
                U32,
                &number(all.len()),
            );
        }
        let mut end = 0_u64;
        for (name, dims, ggml_type) in tensors {
            writer = writer.tensor(name, dims, ggml_type.id(), end);
            let blocks = dims.iter().product::<u64>() / ggml_type.block_elements() as u64;
            end += (blocks * ggml_type.block_bytes() as u64).next_multiple_of(32);
        }
        let mut file = File::create(name(part)).unwrap();
        file.write_all(&writer.0).unwrap();
        file.set_len((writer.0.len() as u64).next_multiple_of(32) + end).unwrap();
    }
    name(0)
}

#[test]
fn scout_takes_what_its_shape_takes_in_one_file_or_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = scout();
    let s = &recipe.shape;
    let (layer, rest) = recipe.bytes();
    let norms = (2 * recipe.layers + 1) * s.hidden;
    let plans = [1, 2].map(|parts| ModelPlan::open(&write(folder.path(), GgmlType::Q4_K, parts)).unwrap());
    for plan in &plans {
        let weights = &plan.weights;
        assert_eq!(weights.bytes, recipe.layers * layer + rest + 4 * norms);
        assert_eq!((weights.parameters, weights.active_parameters), (107_769_861_120, 17_172_894_720));
        assert_eq!(weights.converted_bytes, 0);
        let room = plan.room(gpu(80 << 30), &wish(Some(8192), 32)).unwrap();
        assert_eq!(room.sequence, recipe.layers * recipe.kv_bytes(8192, KvType::F16));
        assert_eq!(room.token(), recipe.layers * recipe.kv_bytes(1, KvType::F16));
        assert_eq!(room.weights, weights.bytes);
        assert!(room.total() < 80 << 30 && room.sequences > 4, "{room:?}");
    }
    assert_eq!(plans[0].weights, plans[1].weights);
    let fits = |context| {
        CARDS.map(|(_, memory)| {
            matches!(plans[0].outcome(gpu(memory), &wish(context, 32)), Outcome::Fits { .. })
        })
    };
    assert_eq!(fits(Some(8192)), [false, false, true, true]);
    assert_eq!(fits(Some(300_000)), [false, false, false, true]);
    assert_eq!(fits(Some(1_000_000)), [false; 4]);
    let (place, wish) = (gpu(80 << 30), wish(Some(300_000), 32));
    let outcome = plans[0].outcome(place, &wish);
    let advice = plans[0].advice(place, &wish, &outcome).join("\n");
    assert!(advice.contains("--context ") && advice.contains("141 GB"), "{advice}");
}

#[test]
fn what_becomes_too_wide_on_a_gpu_is_told_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let plan = ModelPlan::open(&write(folder.path(), GgmlType::Q5_K, 1)).unwrap();
    assert_eq!(plan.weights.converted_types, ["Q5_K"]);
    let (place, wish) = (gpu(1 << 40), wish(None, 32));
    let outcome = plan.outcome(place, &wish);
    assert!(matches!(&outcome, Outcome::Never(why) if why.contains("shared memory")), "{outcome:?}");
    let advice = plan.advice(place, &wish, &outcome).join("\n");
    assert!(advice.contains("Q5_K of the file becomes Q8_0"), "{advice}");
}

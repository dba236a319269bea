//! A model through a GGUF file: the same bits as in memory, and clear refusals.

use std::sync::Arc;

use moe_server::{
    engine::{
        Engine, Span, Wanted,
        cpu::{CpuEngine, CpuOptions},
    },
    model::{
        decoder::{Attention, Config, FeedForward, Model, QkNorm, Score},
        gguf::Gguf,
    },
};

use crate::{generator, golden::Golden, schedules::engine};

/// The constants that GGUF has no key for.
fn config() -> Config {
    Config {
        attention: Attention::Chunked { chunk: 8192, temperature_floor: 8192, temperature_scale: 0.1 },
        experts: 4,
        layers: 4,
        moe_step: 2,
        qk_norm: QkNorm::Plain,
        rope_theta: 500_000.0,
        rope_factors: Some(vec![1.0, 1.0, 1.0, 1.0, 2.0, 16.0, 16.0, 16.0]),
        ..Golden::read("scout_like").config()
    }
}

fn qwen_config() -> Config {
    Golden::read("qwen3moe_like").config()
}

#[derive(Clone)]
enum Value {
    U32(u32),
    F32(f32),
    Text(&'static str),
}

/// A file in the making.
#[derive(Clone)]
struct File {
    keys: Vec<(String, Value)>,
    /// Name, dimensions (contiguous first), ggml's type, bytes.
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl File {
    fn of(c: &Config, seed: u64) -> Self {
        use Value::{F32, Text, U32};
        let size = |n: usize| U32(u32::try_from(n).unwrap());
        let qwen = c.score == Score::SoftmaxOnOutput;
        let architecture = if qwen { "qwen3moe" } else { "llama4" };
        let mut keys = vec![("general.architecture".to_owned(), Text(architecture))];
        let mut of_model = vec![
            ("block_count", size(c.layers)),
            ("context_length", size(c.context_length)),
            ("embedding_length", size(c.hidden)),
            ("feed_forward_length", size(c.dense_ff)),
            ("expert_feed_forward_length", size(c.expert_ff)),
            ("expert_count", size(c.experts)),
            ("expert_used_count", size(c.experts_used)),
            ("attention.head_count", size(c.heads)),
            ("attention.head_count_kv", size(c.kv_heads)),
            ("attention.key_length", size(c.head_dim)),
            ("attention.value_length", size(c.head_dim)),
            ("attention.layer_norm_rms_epsilon", F32(c.norm_eps)),
            ("rope.freq_base", F32(c.rope_theta as f32)),
            ("rope.dimension_count", size(c.head_dim)),
        ];
        if !qwen {
            of_model.push(("interleave_moe_layer_step", size(c.moe_step)));
        }
        keys.extend(of_model.into_iter().map(|(key, value)| (format!("{architecture}.{key}"), value)));
        let mut tensors = Vec::new();
        Model::load(c.clone(), &mut |name| {
            let values = generator::values(c, seed, name);
            let shape = generator::shape(c, name);
            let dims = if shape[0] > 1 { shape.to_vec() } else { shape[1..].to_vec() };
            let dims =
                if name.contains("_norm.") { vec![shape[2]] } else { dims.into_iter().rev().collect() };
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name.to_owned(), dims, 0, bytes));
            Ok(Some(generator::f32_tensor(shape, &values)))
        })
        .unwrap();
        if let Some(factors) = &c.rope_factors {
            let bytes = factors.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push(("rope_freqs.weight".to_owned(), vec![factors.len()], 0, bytes));
        }
        Self { keys, tensors }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.keys.retain(|(old, _)| old != key);
        self.keys.push((key.to_owned(), value));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|(old, ..)| old != name);
        self.keys.retain(|(old, _)| old != name);
        self
    }

    fn edit(mut self, name: &str, edit: impl Fn(&mut Vec<usize>, &mut u32, &mut Vec<u8>)) -> Self {
        let (_, dims, ggml_type, bytes) = self.tensors.iter_mut().find(|(old, ..)| old == name).unwrap();
        edit(dims, ggml_type, bytes);
        self
    }

    fn open(&self) -> Arc<Gguf> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            text(&mut out, key);
            match value {
                Value::U32(value) => out.extend([4_u32, *value].iter().flat_map(|v| v.to_le_bytes())),
                Value::F32(value) => out.extend([6, value.to_bits()].iter().flat_map(|v| v.to_le_bytes())),
                Value::Text(value) => {
                    out.extend(8_u32.to_le_bytes());
                    text(&mut out, value);
                }
            }
        }
        let mut data: Vec<u8> = Vec::new();
        for (name, dims, ggml_type, bytes) in &self.tensors {
            text(&mut out, name);
            out.extend(u32::try_from(dims.len()).unwrap().to_le_bytes());
            out.extend(dims.iter().flat_map(|d| (*d as u64).to_le_bytes()));
            out.extend(ggml_type.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        Arc::new(Gguf::from_bytes(out).unwrap())
    }

    fn refusal(&self) -> String {
        CpuEngine::from_gguf(&self.open(), CpuOptions::default()).unwrap_err().to_string()
    }
}

fn logits(mut engine: CpuEngine) -> Vec<u32> {
    let sequence = engine.create().unwrap();
    let mut logits = Vec::new();
    let span = Span { sequence, tokens: &[1, 2, 3, 4, 5], logits: Wanted::All };
    engine.step_logits(&[span], &mut logits).unwrap();
    logits.iter().map(|l| l.to_bits()).collect()
}

#[test]
fn a_file_gives_the_model_it_was_made_from() {
    let c = config();
    let model = Model::from_gguf(&File::of(&c, 9).open(), 1).unwrap();
    assert_eq!(model.config, c);
    assert!(matches!(model.layers[0].feed_forward, FeedForward::Dense(_)));
    assert!(matches!(model.layers[1].feed_forward, FeedForward::Moe { .. }));
    assert_eq!(logits(engine(&model, 2, 64)), logits(engine(&generator::model(&c, 9), 2, 64)));
}

#[test]
fn a_file_of_qwen3moe_gives_the_model_it_was_made_from() {
    let c = qwen_config();
    let file = File::of(&c, 9);
    let model = Model::from_gguf(&file.open(), 1).unwrap();
    assert_eq!(model.config, c);
    let expected = logits(engine(&generator::model(&c, 9), 2, 64));
    assert_eq!(logits(engine(&model, 2, 64)), expected);
    // Files from before the key give the width of all a token's experts together.
    let old = file.without("qwen3moe.expert_feed_forward_length").set(
        "qwen3moe.feed_forward_length",
        Value::U32(u32::try_from(c.expert_ff * c.experts_used).unwrap()),
    );
    assert_eq!(Model::from_gguf(&old.open(), 1).unwrap().config, c);
}

#[test]
fn an_absent_output_is_the_embedding() {
    for c in [config(), qwen_config()] {
        check_tied(&c);
    }
}

fn check_tied(c: &Config) {
    let file = File::of(c, 9).without("output.weight");
    let tied = CpuEngine::from_gguf(&file.open(), CpuOptions::default()).unwrap();
    let mut model = generator::model(c, 9);
    model.output = model.embedding.clone();
    assert_eq!(logits(tied), logits(engine(&model, 1, 64)));
}

#[test]
fn experts_decide_about_the_norm_of_queries_and_keys() {
    let c = Config { experts: 128, expert_ff: 16, ..config() };
    assert_eq!(Model::from_gguf(&File::of(&c, 1).open(), 1).unwrap().config.qk_norm, QkNorm::Off);
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    use Value::{F32, Text, U32};
    let good = File::of(&config(), 9);
    let cases = [
        (good.clone().set("general.architecture", Text("gemma4")), ["general.architecture", "qwen3moe"]),
        (
            good.clone().set("llama4.attention.sliding_window", U32(0)),
            ["llama4.attention.sliding_window", "8192"],
        ),
        (good.clone().set("llama4.expert_used_count", U32(2)), ["llama4.expert_used_count", "is 2"]),
        (good.clone().set("llama4.expert_gating_func", U32(1)), ["llama4.expert_gating_func", "sigmoid"]),
        (
            good.clone().set("llama4.rope.scaling.type", Text("yarn")),
            ["llama4.rope.scaling.type", "rope_freqs"],
        ),
        (good.clone().set("llama4.rope.dimension_count", U32(8)), ["llama4.rope.dimension_count", "is 8"]),
        (good.clone().set("llama4.attention.head_count_kv", U32(3)), ["4 heads", "3 KV heads"]),
        (good.clone().set("llama4.attention.head_count", U32(0)), ["head count", "is 0"]),
        (good.clone().set("llama4.attention.layer_norm_rms_epsilon", F32(0.0)), ["epsilon", "is 0"]),
        (good.clone().without("llama4.block_count"), ["llama4.block_count", "missing"]),
        (good.clone().set("llama4.block_count", U32(u32::MAX)), ["block count", "4294967295"]),
        (good.clone().set("llama4.block_count", U32(5)), ["blk.4.attn_norm.weight", "missing"]),
        (good.clone().without("blk.1.ffn_up_exps.weight"), ["blk.1.ffn_up_exps.weight", "missing"]),
        (good.clone().without("token_embd.weight"), ["token_embd.weight", "missing"]),
        (
            good.clone().edit("blk.0.attn_k.weight", |dims, _, _| dims.swap(0, 1)),
            ["blk.0.attn_k.weight", "[1, 64, 32]"],
        ),
        (
            good.clone().edit("rope_freqs.weight", |dims, _, bytes| {
                dims[0] = 4;
                bytes.truncate(16);
            }),
            ["rope_freqs.weight", "[1, 1, 8]"],
        ),
        (
            good.clone().edit("blk.3.ffn_up_exps.weight", |_, ggml_type, bytes| {
                *ggml_type = 9;
                bytes.resize(bytes.len() / 4 / 32 * 40, 0);
            }),
            ["blk.3.ffn_up_exps.weight", "Q8_1"],
        ),
    ];
    check_refusals(&cases);
}

#[test]
fn what_cannot_be_run_of_qwen3moe_is_refused_by_name() {
    use Value::{Text, U32};
    let good = File::of(&qwen_config(), 9);
    let cases = [
        (good.clone().set("qwen3moe.expert_used_count", U32(9)), ["9 of 8 experts", "goes through"]),
        (good.clone().set("qwen3moe.expert_used_count", U32(0)), ["0 of 8 experts", "goes through"]),
        (good.clone().set("qwen3moe.expert_gating_func", U32(2)), ["qwen3moe.expert_gating_func", "softmax"]),
        (good.clone().set("qwen3moe.expert_count", U32(u32::MAX)), ["ffn_gate_inp", "4294967295"]),
        (good.clone().set("qwen3moe.attention.sliding_window", U32(64)), ["sliding_window", "is 64"]),
        (
            good.clone().set("qwen3moe.rope.scaling.type", Text("yarn")),
            ["qwen3moe.rope.scaling.type", "yarn"],
        ),
        (good.clone().without("qwen3moe.rope.freq_base"), ["qwen3moe.rope.freq_base", "missing"]),
        (good.clone().without("blk.2.attn_q_norm.weight"), ["blk.2.attn_q_norm.weight", "missing"]),
        (
            good.clone().edit("blk.1.attn_k_norm.weight", |dims, _, bytes| {
                dims[0] = 16;
                bytes.truncate(64);
            }),
            ["blk.1.attn_k_norm.weight", "[1, 1, 32]"],
        ),
        (good.clone().set("qwen3moe.attention.key_length", U32(u32::MAX - 1)), ["value_length", "is 32"]),
    ];
    check_refusals(&cases);
}

fn check_refusals(cases: &[(File, [&str; 2])]) {
    for (file, words) in cases {
        let said = file.refusal();
        for word in words {
            assert!(said.contains(word), "{said:?} does not say {word:?}");
        }
    }
}

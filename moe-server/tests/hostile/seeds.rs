//! Small good files, from which bad ones are made.

use super::gguf_writer::{ARRAY, STRING, Writer};

const U32: u32 = 4;
const F32: u32 = 6;

/// The packed Q8_0 of our own.
const PACKED: u32 = 0x6D67_0008;
/// Ids of tensor types, with the elements and bytes of a block.
const TYPES: [(u32, u64, u64); 8] = [
    (0, 1, 4),
    (1, 1, 2),
    (30, 1, 2),
    (8, 32, 34),
    (2, 32, 18),
    (39, 32, 17),
    (20, 32, 18),
    (PACKED, 32, 34),
];

/// Each with its name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |_: &str| None;
    vec![
        ("values", values()),
        ("llama4", model("llama4", plain)),
        ("qwen3moe", model("qwen3moe", plain)),
        ("tokenizer", tokenizer(&["<tool>"])),
    ]
}

/// A value of every type, and tensors of a few.
fn values() -> Vec<u8> {
    let scalars: [(u32, &[u8]); 12] = [
        (0, &[200]),
        (1, &[200]),
        (2, &[1, 2]),
        (3, &[1, 0xFF]),
        (U32, &[1, 2, 3, 4]),
        (5, &[0xFF; 4]),
        (F32, &[0, 0, 0x80, 0x3F]),
        (7, &[1]),
        (STRING, &[2, 0, 0, 0, 0, 0, 0, 0, 0xC3, 0xA9]),
        (10, &[9; 8]),
        (11, &[0xFE; 8]),
        (12, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
    ];
    let mut writer = Writer::header(5, 2 * scalars.len() as u64 + 2);
    for (id, value) in scalars {
        writer = writer.key(&format!("one.{id}"), id, value);
        let two = Writer::default().u32(id).u64(2).raw(value).raw(value);
        writer = writer.key(&format!("two.{id}"), ARRAY, &two.0);
    }
    writer
        .key("nested", ARRAY, &Writer::default().u32(ARRAY).u64(1).u32(0).u64(2).raw(&[8, 9]).0)
        .key("general.alignment", U32, &64_u32.to_le_bytes())
        .tensor("a", &[32, 2], 8, 0)
        .tensor("b", &[3], 0, 128)
        .tensor("c", &[256, 1, 2], 12, 192)
        .tensor("d", &[32, 3, 2], PACKED, 512)
        .tensor("future", &[5], 77, 2048)
        .data(64, 2048 + 16)
}

/// A model of two layers, with tensors of many types; Llama 4's are one dense and one with experts. `other` may change the
/// number of a key.
pub fn model(architecture: &str, other: impl Fn(&str) -> Option<u32>) -> Vec<u8> {
    let is_llama = architecture == "llama4";
    let mut tensors: Vec<(String, Vec<u64>)> = Vec::new();
    let mut add = |name: &str, dims: &[u64]| tensors.push((format!("{name}.weight"), dims.to_vec()));
    add("token_embd", &[32, 5]);
    add("output_norm", &[32]);
    add("output", &[32, 5]);
    if is_llama {
        add("rope_freqs", &[8]);
    }
    for layer in 0..2 {
        let mut add = |name: &str, dims: &[u64]| add(&format!("blk.{layer}.{name}"), dims);
        add("attn_norm", &[32]);
        add("attn_q", &[32, 32]);
        add("attn_k", &[32, 16]);
        add("attn_v", &[32, 16]);
        add("attn_output", &[32, 32]);
        add("ffn_norm", &[32]);
        if !is_llama {
            add("attn_q_norm", &[16]);
            add("attn_k_norm", &[16]);
        }
        let is_moe = !is_llama || layer == 1;
        let parts: &[(&str, &[u64])] = match (is_moe, is_llama) {
            (false, _) => &[("", &[])],
            (true, false) => &[("_exps", &[2])],
            (true, true) => &[("_exps", &[2]), ("_shexp", &[])],
        };
        if is_moe {
            add("ffn_gate_inp", &[32, 2]);
        }
        for (suffix, stack) in parts {
            for part in ["gate", "up", "down"] {
                add(&format!("ffn_{part}{suffix}"), &[&[32, 32], *stack].concat());
            }
        }
    }

    let numbers = [
        ("embedding_length", 32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 16),
        ("attention.value_length", 16),
        ("rope.dimension_count", 16),
        ("expert_count", 2),
        ("expert_used_count", 1),
        ("expert_feed_forward_length", 32),
        ("feed_forward_length", 32),
        ("interleave_moe_layer_step", 2),
        ("block_count", 2),
        ("context_length", 64),
    ];
    let key = |key: &str| format!("{architecture}.{key}");
    let mut writer = Writer::header(tensors.len() as u64, numbers.len() as u64 + 4)
        .text("general.architecture", architecture)
        .key(&key("attention.layer_norm_rms_epsilon"), F32, &1e-5_f32.to_le_bytes())
        .key(&key("rope.freq_base"), F32, &1e4_f32.to_le_bytes())
        .text("tokenizer.chat_template", "{% for m in messages %}<|x|>{{ m.content | trim }}{% endfor %}");
    for (name, value) in numbers {
        writer = writer.key(&key(name), U32, &other(name).unwrap_or(value).to_le_bytes());
    }
    let mut offset = 0;
    for (index, (name, dims)) in tensors.iter().enumerate() {
        // Vectors are F32; matrices take turns.
        let (id, elements, bytes) = TYPES[if dims.len() == 1 { 0 } else { index % TYPES.len() }];
        writer = writer.tensor(name, dims, id, offset);
        let mut rows = dims.get(1).copied().unwrap_or(1);
        if id == PACKED {
            rows = rows.next_multiple_of(16);
        }
        let stack = dims.get(2).copied().unwrap_or(1);
        offset += (dims[0] / elements * bytes * rows * stack).next_multiple_of(32);
    }
    writer.data(32, usize::try_from(offset).unwrap())
}

/// A token for every byte, three that merge, two control tokens, and these user-defined ones.
pub fn tokenizer(user_defined: &[&str]) -> Vec<u8> {
    // GPT-2's spelling: bytes that can be seen are themselves, the others are counted from U+0100 on.
    let seen = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..256_u32).filter(|byte| !seen(byte)).count() as u32;
    let spelled = (0..256).filter(seen).chain(0x100..0x100 + others);
    let mut tokens: Vec<String> = spelled.map(|code| char::from_u32(code).unwrap().into()).collect();
    tokens.extend(["He", "ll", "Hell", "<|begin|>", "<|eot|>"].map(str::to_owned));
    let mut types = vec![1; tokens.len()];
    types[259..].fill(3);
    let mut tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    tokens.extend(user_defined);
    types.resize(tokens.len(), 4);
    Writer::header(0, 9)
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "llama4")
        .texts("tokenizer.ggml.tokens", &tokens)
        .numbers("tokenizer.ggml.token_type", &types)
        .texts("tokenizer.ggml.merges", &["H e", "l l", "He ll"])
        .key("tokenizer.ggml.bos_token_id", U32, &259_u32.to_le_bytes())
        .key("tokenizer.ggml.eos_token_id", U32, &260_u32.to_le_bytes())
        .key("tokenizer.ggml.add_bos_token", 7, &[1])
        .text("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}")
        .data(32, 0)
}

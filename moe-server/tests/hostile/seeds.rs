//! Small good files, from which bad ones are made.

use super::gguf_writer::{ARRAY, STRING, Writer};

const U32: u32 = 4;
const F32: u32 = 6;

/// Ids of tensor types: ggml's, and the packed Q8_0 of our own.
const TYPES: [u32; 5] = [0, 1, 30, 8, 0x6D67_0008];

/// Each with its name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![("values", values()), ("llama4", llama4()), ("tokenizer", tokenizer())]
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
        .tensor("d", &[32, 3, 2], TYPES[4], 512)
        .tensor("future", &[5], 77, 2048)
        .data(64, 2048 + 16)
}

/// A model of two layers, one dense and one with experts, with tensors of every type that is read.
fn llama4() -> Vec<u8> {
    llama4_with(|_| None)
}

/// The same with other numbers for some keys.
pub fn llama4_with(other: impl Fn(&str) -> Option<u32>) -> Vec<u8> {
    let mut tensors: Vec<(String, Vec<u64>)> =
        [("token_embd", vec![32, 5]), ("output_norm", vec![32]), ("output", vec![32, 5])]
            .map(|(name, dims)| (format!("{name}.weight"), dims))
            .into();
    tensors.push(("rope_freqs.weight".to_owned(), vec![8]));
    for layer in 0..2 {
        let mut add = |name: &str, dims: &[u64]| {
            tensors.push((format!("blk.{layer}.{name}.weight"), dims.to_vec()));
        };
        for (name, dims) in [
            ("attn_norm", &[32][..]),
            ("attn_q", &[32, 32]),
            ("attn_k", &[32, 16]),
            ("attn_v", &[32, 16]),
            ("attn_output", &[32, 32]),
            ("ffn_norm", &[32]),
        ] {
            add(name, dims);
        }
        let parts: &[(&str, &[u64])] = if layer == 0 {
            &[("", &[])]
        } else {
            add("ffn_gate_inp", &[32, 2]);
            &[("_exps", &[2]), ("_shexp", &[])]
        };
        for (suffix, stack) in parts {
            for part in ["gate", "up", "down"] {
                add(&format!("ffn_{part}{suffix}"), &[&[32, 32], *stack].concat());
            }
        }
    }

    let number = |writer: Writer, key: &str, value: u32| {
        writer.key(&format!("llama4.{key}"), U32, &value.to_le_bytes())
    };
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
    let mut writer = Writer::header(tensors.len() as u64, numbers.len() as u64 + 4)
        .text("general.architecture", "llama4")
        .key("llama4.attention.layer_norm_rms_epsilon", F32, &1e-5_f32.to_le_bytes())
        .key("llama4.rope.freq_base", F32, &1e4_f32.to_le_bytes())
        .text("tokenizer.chat_template", "{% for m in messages %}<|x|>{{ m.content | trim }}{% endfor %}");
    for (key, value) in numbers {
        writer = number(writer, key, other(key).unwrap_or(value));
    }
    let mut offset = 0;
    for (index, (name, dims)) in tensors.iter().enumerate() {
        // Vectors are F32; matrices take turns.
        let id = if dims.len() == 1 { TYPES[0] } else { TYPES[index % TYPES.len()] };
        writer = writer.tensor(name, dims, id, offset);
        offset += size(id, dims).next_multiple_of(32);
    }
    writer.data(32, usize::try_from(offset).unwrap())
}

fn size(id: u32, dims: &[u64]) -> u64 {
    let rows: u64 = dims[1..].iter().product();
    match id {
        0 => 4 * dims[0] * rows,
        8 => dims[0] / 32 * 34 * rows,
        1 | 30 => 2 * dims[0] * rows,
        _ => dims[0] / 32 * 34 * dims[1].next_multiple_of(16) * dims[2..].iter().product::<u64>(),
    }
}

/// A token for every byte, three that merge, three that are special.
fn tokenizer() -> Vec<u8> {
    tokenizer_with("<tool>")
}

/// The same with another text for the last token, a user-defined one.
pub fn tokenizer_with(last: &str) -> Vec<u8> {
    // GPT-2's spelling: bytes that can be seen are themselves, the others are counted from U+0100 on.
    let seen = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..256_u32).filter(|byte| !seen(byte)).count() as u32;
    let spelled = (0..256).filter(seen).chain(0x100..0x100 + others);
    let mut tokens: Vec<String> = spelled.map(|code| char::from_u32(code).unwrap().into()).collect();
    tokens.extend(["He", "ll", "Hell", "<|begin|>", "<|eot|>", last].map(str::to_owned));
    let mut types = vec![1; tokens.len()];
    types[259..].copy_from_slice(&[3, 3, 4]);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
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

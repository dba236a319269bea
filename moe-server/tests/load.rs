//! The checked-in models load and speak; damaged and foreign files are errors that name the file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use moe_server::{
    engine::{Span, Wanted},
    load::{LoadOptions, LoadedModel, load},
};
use serde_json::json;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

/// Greedy tokens after a chat.
fn speak(model: &mut LoadedModel, count: usize) -> Vec<u32> {
    let prompt =
        model.template.render(&json!([{"role": "user", "content": "Hello, world!"}]), None, true).unwrap();
    let mut tokens = model.tokenizer.encode_prompt(&prompt);
    let sequence = model.engine.create().unwrap();
    let mut logits = Vec::new();
    let mut spoken = Vec::new();
    for _ in 0..count {
        model
            .engine
            .step_logits(&[Span { sequence, tokens: &tokens, logits: Wanted::Last }], &mut logits)
            .unwrap();
        assert_eq!(logits.len(), model.tokenizer.vocab_size());
        assert!(logits.iter().all(|logit| logit.is_finite()));
        let best = (0..).zip(&logits).max_by(|a, b| a.1.total_cmp(b.1)).map(|(token, _)| token).unwrap();
        spoken.push(best);
        tokens = vec![best];
    }
    spoken
}

#[test]
fn every_checked_in_model_speaks() {
    for (file, context) in
        [("tiny.gguf", 4096), ("nano-f32.gguf", 2048), ("nano-bf16.gguf", 2048), ("nano-f16.gguf", 2048)]
    {
        let mut model = load(&path(file), &LoadOptions::default()).unwrap();
        assert_eq!(format!("{}.gguf", model.name), file);
        assert_eq!(model.engine.capabilities().context_length, context);
        let spoken = speak(&mut model, 8);
        let again = speak(&mut load(&path(file), &LoadOptions::default()).unwrap(), 8);
        assert_eq!(spoken, again, "{file}");
    }
    let named = LoadOptions { name: Some("demo".to_owned()), ..LoadOptions::default() };
    assert_eq!(load(&path("tiny.gguf"), &named).unwrap().name, "demo");
}

/// Tokens of one file mean the same under another with the same tokenizer and template, whatever the weights.
#[test]
fn vocabularies_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(path("tiny.gguf")).unwrap();
    let vocab = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let file = folder.path().join("model.gguf");
        std::fs::write(&file, bytes).unwrap();
        load(&file, &LoadOptions::default()).unwrap().vocab
    };
    let tiny = load(&path("tiny.gguf"), &LoadOptions::default()).unwrap().vocab;
    assert!(tiny.len() == 16 && tiny.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tiny}");
    assert_eq!(vocab("general.name", "general.nome"), tiny);
    let others = [
        vocab("{{- bos_token }}", "{{- eos_token }}"),
        vocab("<|eot|>", "<|eox|>"),
        vocab("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_box_token"),
    ];
    let nano = ["nano-f32.gguf", "nano-bf16.gguf", "nano-f16.gguf"];
    let nano = nano.map(|file| load(&path(file), &LoadOptions::default()).unwrap().vocab);
    assert_eq!(nano[0], nano[1]);
    assert_eq!(nano[0], nano[2]);
    let all: HashSet<String> = others.into_iter().chain([tiny, nano[0].clone()]).collect();
    assert_eq!(all.len(), 5, "{all:?}");
}

#[test]
fn bad_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let good = std::fs::read(path("tiny.gguf")).unwrap();
    let replace = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    for (bytes, expected) in [
        (b"GGUF".to_vec(), "the file ends inside the header"),
        (b"{\"model\": 1}".to_vec(), "not a GGUF file"),
        (good[..good.len() - 5000].to_vec(), "the file ends inside the tensor"),
        (replace("llama4", "gemma4"), "gemma4"),
        (replace("blk.3.attn_q.weight", "blk.3.attn_x.weight"), "blk.3.attn_q.weight"),
        (replace("\0gpt2", "\0bert"), "tokenizer.ggml.model"),
        (replace("{{- bos_token }}", "{{- bos_token {}"), "tokenizer.chat_template"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = load(&file, &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let absent = folder.path().join("absent.gguf");
    let error = load(&absent, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with(&absent.display().to_string()), "{error}");
}

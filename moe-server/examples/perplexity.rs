//! The perplexity of what the assistant says in the demo model's held-out conversations, for each GGUF file named:
//! `cargo run --release -p moe-server --example perplexity -- FILE…`
//!
//! With `--peer ENGINE` first, llama.cpp's beside it, and how much more than llama.cpp we are surprised by a token, in nats,
//! with the standard error of that difference over the conversations. ENGINE is `bench/moe/engine.cpp`, which
//! `cargo xtask bench moe --prepare` builds.

#![allow(clippy::unwrap_used, reason = "it is run by hand, on files of one's own")]

#[path = "../tests/heldout/mod.rs"]
mod heldout;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use moe_server::{
    engine::{Span, TokenId, Wanted, cpu::KvType},
    model::{LoadOptions, load},
};

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let peer = (files.first().map(String::as_str) == Some("--peer")).then(|| {
        files.remove(0);
        files.remove(0)
    });
    for path in files {
        let mut options = LoadOptions::default();
        options.cpu.max_batch_tokens = 1024;
        options.cpu.kv_type = KvType::F16;
        let mut model = load(Path::new(&path), &options).unwrap();
        let [mut ours, mut theirs] = [heldout::Surprise::default(), heldout::Surprise::default()];
        let mut differences = Vec::new();
        let mut rows = Vec::new();
        for conversation in heldout::read(&model.tokenizer, &model.template) {
            let sequence = model.engine.create().unwrap();
            let span = Span { sequence, tokens: &conversation.tokens, logits: Wanted::All };
            model.engine.step(&[span], &mut rows).unwrap();
            let before = [ours.nats, theirs.nats];
            ours.add(&conversation, &rows);
            model.engine.release(sequence);
            if let Some(peer) = &peer {
                theirs.add(&conversation, &logits_of(peer, &path, &conversation.tokens));
                differences.push(ours.nats - before[0] - (theirs.nats - before[1]));
            }
        }
        println!("{path}: {:.5} over {} tokens", ours.perplexity(), ours.tokens);
        if peer.is_some() {
            let (mean, error) = mean_and_error(&differences);
            let each = differences.len() as f64 / ours.tokens as f64;
            println!(
                "{path}: llama.cpp {:.5}; difference {:+.5} ± {:.5} nats a token",
                theirs.perplexity(),
                mean * each,
                error * each
            );
        }
    }
}

/// The mean, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// One process for each conversation: the model is small.
fn logits_of(peer: &str, model: &str, tokens: &[TokenId]) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let [ids, logits] = ["ids", "logits"].map(|name| folder.path().join(name));
    let text: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    fs::write(&ids, text.join(" ")).unwrap();
    let mut process = Command::new(peer)
        .arg(model)
        .arg(&ids)
        .args(["2", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(process.stdin.take().unwrap(), "logits 0 {} {}", tokens.len(), logits.display()).unwrap();
    assert!(process.wait().unwrap().success(), "{peer} failed on {model}");
    let bytes = fs::read(&logits).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

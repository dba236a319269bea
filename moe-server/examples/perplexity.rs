//! The perplexity of what the assistant says in the demo model's held-out conversations, for each GGUF file named, and how
//! far rounding in the arithmetic leads away from the same weights computed in F32 (mean KL divergence of a token):
//! `cargo run --release -p moe-server --example perplexity -- FILE…`
//!
//! With `--peer ENGINE` first, llama.cpp's beside it. ENGINE is `bench/moe/engine.cpp`, which
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

use heldout::{Conversation, Surprise, log_softmax};
use moe_server::{
    engine::{
        Span, TokenId, Wanted,
        cpu::{Arithmetic, CpuOptions, KvType},
    },
    load::{LoadOptions, LoadedModel, load},
};

/// What is known of one side.
#[derive(Default)]
struct Side {
    surprise: Surprise,
    /// Nats, summed over the tokens that the surprise is of.
    divergence: f64,
}

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let peer = (files.first().map(String::as_str) == Some("--peer")).then(|| {
        files.remove(0);
        files.remove(0)
    });
    for path in files {
        let mut model = opened(&path, Arithmetic::Integer, KvType::F16);
        let mut exact = opened(&path, Arithmetic::Exact, KvType::F32);
        let mut sides = [Side::default(), Side::default()];
        for conversation in heldout::read(&model.tokenizer, &model.template) {
            let tokens = &conversation.tokens;
            let reference = logits(&mut exact, tokens);
            sides[0].add(&conversation, &reference, &logits(&mut model, tokens));
            if let Some(peer) = &peer {
                sides[1].add(&conversation, &reference, &logits_of(peer, &path, tokens));
            }
        }
        for (name, side) in
            ["moe-server", "llama.cpp"].iter().zip(sides).take(1 + usize::from(peer.is_some()))
        {
            let Side { surprise, divergence } = side;
            let divergence = 1e6 * divergence / surprise.tokens as f64;
            println!("{path}: {name} {:.5}, {divergence:.0} micronats from F32", surprise.perplexity());
        }
    }
}

fn opened(path: &str, arithmetic: Arithmetic, kv_type: KvType) -> LoadedModel {
    let cpu = CpuOptions { max_batch_tokens: 1024, kv_type, arithmetic, ..CpuOptions::default() };
    load(Path::new(path), &LoadOptions { cpu, ..LoadOptions::default() }).unwrap()
}

/// The logits behind each token.
fn logits(model: &mut LoadedModel, tokens: &[TokenId]) -> Vec<f32> {
    let mut rows = Vec::new();
    let sequence = model.engine.create().unwrap();
    model.engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut rows).unwrap();
    model.engine.release(sequence);
    rows
}

impl Side {
    fn add(&mut self, conversation: &Conversation, reference: &[f32], rows: &[f32]) {
        self.surprise.add(conversation, rows);
        let width = rows.len() / conversation.tokens.len();
        let pairs = reference.chunks_exact(width).zip(rows.chunks_exact(width));
        for ((reference, row), _) in pairs.zip(&conversation.own[1..]).filter(|(_, own)| **own) {
            let (p, q) = (log_softmax(reference), log_softmax(row));
            self.divergence += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
        }
    }
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

//! The perplexity of what the assistant says in the demo model's held-out conversations, for each GGUF file named:
//! `cargo run --release -p moe-server --example perplexity -- FILE…`

#![allow(clippy::unwrap_used, reason = "it is run by hand, on files of one's own")]

#[path = "../tests/heldout/mod.rs"]
mod heldout;

use std::path::Path;

use moe_server::{
    engine::{Span, Wanted},
    model::{LoadOptions, load},
};

fn main() {
    for path in std::env::args().skip(1) {
        let mut options = LoadOptions::default();
        options.cpu.max_batch_tokens = 1024;
        let mut model = load(Path::new(&path), &options).unwrap();
        let mut surprise = heldout::Surprise::default();
        let mut rows = Vec::new();
        for conversation in heldout::read(&model.tokenizer, &model.template) {
            let sequence = model.engine.create().unwrap();
            let span = Span { sequence, tokens: &conversation.tokens, logits: Wanted::All };
            model.engine.step(&[span], &mut rows).unwrap();
            surprise.add(&conversation, &rows);
            model.engine.release(sequence);
        }
        println!("{path}: {:.5} over {} tokens", surprise.perplexity(), surprise.tokens);
    }
}

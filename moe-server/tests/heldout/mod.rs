//! The demo model's held-out conversations, and how well a model foretells what their assistant says.

use std::path::{Path, PathBuf};

use moe_server::model::{ChatTemplate, Tokenizer, tokenizer::Special};
use serde_json::Value;

/// A conversation as the model reads it.
pub(crate) struct Conversation {
    pub(crate) tokens: Vec<u32>,
    /// For each token whether the assistant writes it: its words, and the end of its turn.
    pub(crate) own: Vec<bool>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/corpus")
}

/// Every conversation of `heldout.jsonl`.
pub(crate) fn read(tokenizer: &Tokenizer, template: &ChatTemplate) -> Vec<Conversation> {
    let text = std::fs::read_to_string(folder().join("heldout.jsonl")).unwrap();
    text.lines().map(|line| conversation(tokenizer, template, &serde_json::from_str(line).unwrap())).collect()
}

fn conversation(tokenizer: &Tokenizer, template: &ChatTemplate, messages: &Value) -> Conversation {
    let tokens = tokenizer.encode_prompt(&template.render(messages, None, false).unwrap());
    let header = tokenizer.encode("<|header_start|>assistant<|header_end|>\n\n", Special::Parse);
    let mut own = vec![false; tokens.len()];
    let mut at = 0;
    while let Some(start) = tokens[at..].windows(header.len()).position(|window| window == header) {
        let start = at + start + header.len();
        let length = tokens[start..].iter().position(|token| tokenizer.is_end(*token)).unwrap() + 1;
        own[start..start + length].fill(true);
        at = start + length;
    }
    Conversation { tokens, own }
}

/// A sum of surprises, in nats, and of how many tokens.
#[derive(Default)]
pub(crate) struct Surprise {
    nats: f64,
    pub(crate) tokens: usize,
}

impl Surprise {
    /// Adds the assistant's tokens; `rows` are the logits behind every token of the conversation.
    pub(crate) fn add(&mut self, conversation: &Conversation, rows: &[f32]) {
        let Conversation { tokens, own } = conversation;
        let rows = rows.chunks_exact(rows.len() / tokens.len());
        for ((row, next), _) in rows.zip(&tokens[1..]).zip(&own[1..]).filter(|(_, own)| **own) {
            self.nats -= log_softmax(row)[*next as usize];
            self.tokens += 1;
        }
    }

    pub(crate) fn perplexity(&self) -> f64 {
        (self.nats / self.tokens as f64).exp()
    }
}

/// In nats.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - most) - sum.ln()).collect()
}

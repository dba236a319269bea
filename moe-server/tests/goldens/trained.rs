//! The demo model: a router that was trained, in text that it has not seen.
//!
//! Its held-out perplexity would show an engine that routes or scales wrongly, and does show the known mistake of
//! scaling an expert's output.

use std::sync::Arc;

use moe_server::{
    engine::{
        Engine, Span, Wanted,
        cpu::{CpuEngine, CpuOptions},
    },
    model::{ChatTemplate, Tokenizer, decoder::Model, gguf::Gguf},
};

use crate::{
    heldout::{self, Conversation, Surprise},
    reference::{Mutation, Reference, Weights},
};

/// Conversations that the engine reads, and the perplexity of what the assistant says there.
const SOME: usize = 100;
const PERPLEXITY_BOUND: f64 = 1.34;
/// Conversations that the slow reference reads.
const FEW: usize = 12;
const LEAST_SHARE: f64 = 0.10;

struct Demo {
    model: Model,
    conversations: Vec<Conversation>,
}

fn demo() -> Demo {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf");
    let file = Arc::new(Gguf::open(path.as_ref()).unwrap());
    let tokenizer = Tokenizer::from_gguf(&file).unwrap();
    let template = ChatTemplate::from_gguf(&file).unwrap();
    let conversations = heldout::read(&tokenizer, &template);
    Demo { model: Model::from_gguf(&file, 2).unwrap(), conversations }
}

#[test]
fn the_engine_foretells_held_out_answers() {
    let Demo { model, conversations } = demo();
    let options = CpuOptions { threads: 2, max_batch_tokens: 1024, ..CpuOptions::default() };
    let mut engine = CpuEngine::new(model, options).unwrap();
    let mut surprise = Surprise::default();
    let mut rows = Vec::new();
    for conversation in &conversations[..SOME] {
        let sequence = engine.create().unwrap();
        let span = Span { sequence, tokens: &conversation.tokens, logits: Wanted::All };
        engine.step_logits(&[span], &mut rows).unwrap();
        surprise.add(conversation, &rows);
        engine.release(sequence);
    }
    let perplexity = surprise.perplexity();
    println!("perplexity {perplexity:.4} over {} tokens", surprise.tokens);
    assert!(perplexity < PERPLEXITY_BOUND, "the held-out perplexity is {perplexity:.4}");
}

/// The perplexity over some conversations, and how many tokens each expert of each layer got.
fn by_reference(demo: &Demo, weights: &Weights, mutation: Option<Mutation>) -> (f64, Vec<Vec<usize>>) {
    let config = &demo.model.config;
    let mut surprise = Surprise::default();
    let mut uses = vec![vec![0; config.experts]; config.layers];
    for conversation in &demo.conversations[..FEW] {
        let mut reference = Reference::new(config, weights, mutation);
        let rows: Vec<f32> =
            conversation.tokens.iter().flat_map(|token| reference.next(*token, true).unwrap()).collect();
        surprise.add(conversation, &rows);
        for (sum, more) in uses.iter_mut().flatten().zip(reference.uses().iter().flatten()) {
            *sum += more;
        }
    }
    (surprise.perplexity(), uses)
}

#[test]
fn the_score_on_the_output_would_be_noticed() {
    let demo = demo();
    let weights = Weights::of(&demo.model);
    let (right, wrong) = std::thread::scope(|scope| {
        let wrong = scope.spawn(|| by_reference(&demo, &weights, Some(Mutation::ScoreOnOutput)).0);
        (by_reference(&demo, &weights, None), wrong.join().unwrap())
    });
    let (right, uses) = right;
    println!("perplexity {right:.4}, {wrong:.4} with the score on the output; uses {uses:?}");
    assert!(wrong > 1.2 * right, "{wrong:.4} with the score on the output, {right:.4} without");

    let routed = uses.iter().enumerate().filter(|(layer, _)| demo.model.config.is_moe(*layer));
    for (layer, uses) in routed {
        let all: usize = uses.iter().sum();
        let least = uses.iter().map(|uses| *uses as f64 / all as f64).fold(1.0, f64::min);
        assert!(least >= LEAST_SHARE, "layer {layer}: {uses:?} of {all} tokens");
    }
}

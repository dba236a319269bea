//! The demo model: what it says on the device is what it says on the processor, before and after the device's memory was let go of.

use std::{path::Path, sync::Arc};

use moe_server::{
    engine::{
        Engine, Outcome, Outcomes, Span, TokenId, Wanted,
        cpu::{CpuEngine, CpuOptions, KvType},
        cuda,
    },
    model::{Special, Tokenizer, decoder::Model, gguf::Gguf},
};

use crate::{engine_of, options};

/// Tokens of an answer that are compared.
const COUNT: usize = 6;

/// The likeliest tokens after `prompt`, one by one, without a row of logits where the best are told.
fn answer(engine: &mut dyn Engine, prompt: &[TokenId]) -> Vec<TokenId> {
    let sequence = engine.create().unwrap();
    let mut outcomes = Outcomes::default();
    let mut said: Vec<TokenId> = Vec::new();
    while said.len() < COUNT {
        let tokens = said.last().map_or(prompt, std::slice::from_ref);
        engine.step(&[Span { sequence, tokens, logits: Wanted::Last }], &mut outcomes).unwrap();
        said.push(match outcomes.get(0).unwrap() {
            Outcome::Best(best) => best.candidates[0].token,
            Outcome::Whole(row) => {
                (0..).zip(&*row).max_by(|a, b| a.1.total_cmp(b.1)).map(|(token, _)| token).unwrap()
            }
        });
    }
    engine.release(sequence);
    said
}

#[test]
fn the_demo_model_says_what_it_says_on_the_processor_and_says_it_again_after_a_sleep() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../moe-server/models/demo.gguf");
    let file = Arc::new(Gguf::open(&path).unwrap());
    let prompt = Tokenizer::from_gguf(&file).unwrap().encode("What is moegate?", Special::AsText);
    let model = Model::from_gguf(&file, 1).unwrap();
    // Whoever sleeps drops its engine with the device, and makes another.
    for (kv_type, of_gpu, times) in
        [(KvType::F16, cuda::KvType::F16, 2), (KvType::Q8_0, cuda::KvType::Q8_0, 1)]
    {
        let cpu = CpuOptions { threads: 1, kv_type, ..CpuOptions::default() };
        let expected = answer(&mut CpuEngine::new(model.clone(), cpu).unwrap(), &prompt);
        for _ in 0..times {
            assert_eq!(answer(&mut engine_of(&model, options(64), of_gpu), &prompt), expected, "{kv_type}");
        }
    }
}

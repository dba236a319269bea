//! A token's logits are the same bits however its sequence came to be computed.

use moe_server::{
    engine::{
        Engine, EngineError, SequenceId, Span, TokenId, Wanted,
        cpu::{CpuEngine, CpuOptions, KvType},
    },
    model::decoder::{Attention, Config, Model},
};

use crate::{
    generator,
    golden::Golden,
    quantised,
    truth::{Dice, Truth, bits},
};

/// Small, with every kind of layer, more than one KV head and a chunk that sequences outgrow.
pub(crate) fn small_config() -> Config {
    Config {
        vocab_size: 40,
        hidden: 64,
        layers: 5,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        expert_ff: 32,
        dense_ff: 96,
        experts: 4,
        moe_step: 2,
        attention: Attention::Chunked { chunk: 16, temperature_floor: 4, temperature_scale: 0.1 },
        context_length: 96,
        ..Golden::read("maverick_like").config()
    }
}

/// Small, of Qwen3-MoE's kind: no chunked layers, several experts for each token.
pub(crate) fn small_qwen_config() -> Config {
    Config { vocab_size: 40, expert_ff: 64, context_length: 96, ..Golden::read("qwen3moe_like").config() }
}

pub(crate) fn engine(model: &Model, threads: usize, batch: usize) -> CpuEngine {
    engine_with(model, KvType::F32, threads, batch)
}

fn engine_with(model: &Model, kv_type: KvType, threads: usize, batch: usize) -> CpuEngine {
    let kv_tokens = 2048;
    let options =
        CpuOptions { threads, kv_tokens, kv_type, max_batch_tokens: batch, ..CpuOptions::default() };
    CpuEngine::new(model.clone(), options).unwrap()
}

pub(crate) fn check(model: &Model, seed: u64) {
    check_with(model, KvType::F32, seed);
}

/// Random steps over several sequences, with forks, truncations, exports and ends.
fn check_with(model: &Model, kv_type: KvType, seed: u64) {
    let mut truth = Truth::new(engine_with(model, kv_type, 1, 1));
    let mut dice = Dice(seed.wrapping_mul(0x1234_5678_9ABC_DEF1));
    let threads = 1 + dice.below(3);
    let mut engine = engine_with(model, kv_type, threads, 64);
    let room = engine.free_tokens();
    let mut texts: Vec<(SequenceId, Vec<TokenId>)> = Vec::new();
    let (mut forks, mut refused) = (0, 0);
    for _ in 0..24 {
        match dice.below(8) {
            0 | 1 => texts.push((engine.create().unwrap(), Vec::new())),
            2 if !texts.is_empty() => {
                let (id, text) = texts[dice.below(texts.len())].clone();
                let at = dice.below(text.len() + 1);
                if engine.can_resume_at(id, at) {
                    texts.push((engine.fork(id, at).unwrap(), text[..at].to_vec()));
                    forks += 1;
                } else {
                    assert_eq!(engine.fork(id, at), Err(EngineError::CannotResumeAt(at)));
                    refused += 1;
                }
            }
            3 if !texts.is_empty() => {
                let index = dice.below(texts.len());
                let (id, text) = &mut texts[index];
                let at = text.len() - dice.below(text.len().min(12) + 1);
                if engine.can_resume_at(*id, at) {
                    engine.truncate(*id, at).unwrap();
                    text.truncate(at);
                    assert_eq!(engine.len(*id), Some(at));
                } else {
                    assert_eq!(engine.truncate(*id, at), Err(EngineError::CannotResumeAt(at)));
                }
            }
            4 if texts.len() > 4 => {
                let (id, _) = texts.swap_remove(dice.below(texts.len()));
                engine.release(id);
            }
            5 if !texts.is_empty() => {
                let (id, text) = texts[dice.below(texts.len())].clone();
                let copy = engine.import(&engine.export(id).unwrap()).unwrap();
                texts.push((copy, text));
            }
            _ => step(&mut engine, &mut texts, &mut truth, &mut dice),
        }
    }
    for _ in 0..4 {
        step(&mut engine, &mut texts, &mut truth, &mut dice);
    }
    println!("seed {seed}: {threads} threads, {} sequences, {forks} forks, {refused} refused", texts.len());
    for (id, _) in texts {
        engine.release(id);
    }
    assert_eq!(engine.free_tokens(), room, "every block came back");
}

/// Appends a few tokens to some of the sequences and compares every logit.
fn step(
    engine: &mut CpuEngine,
    texts: &mut [(SequenceId, Vec<TokenId>)],
    truth: &mut Truth<CpuEngine>,
    dice: &mut Dice,
) {
    let vocab_size = engine.capabilities().vocab_size;
    let limit = engine.capabilities().context_length;
    let mut spans: Vec<(usize, Vec<TokenId>, Wanted)> = Vec::new();
    let mut left = 64;
    for (index, (_, text)) in texts.iter().enumerate() {
        let most = [1, 3, 30][dice.below(3)].min(left).min(limit - text.len());
        if most == 0 || dice.below(4) == 0 {
            continue;
        }
        // Few different tokens, so that texts coincide.
        let tokens: Vec<TokenId> = (0..=dice.below(most))
            .map(|_| TokenId::try_from(dice.below(vocab_size.min(3))).unwrap())
            .collect();
        left -= tokens.len();
        let wanted = [Wanted::All, Wanted::All, Wanted::Last, Wanted::None][dice.below(4)];
        spans.push((index, tokens, wanted));
    }
    let of_engine: Vec<Span<'_>> = spans
        .iter()
        .map(|(index, tokens, logits)| Span { sequence: texts[*index].0, tokens, logits: *logits })
        .collect();
    let mut logits = Vec::new();
    engine.step_logits(&of_engine, &mut logits).unwrap();
    let mut rows = logits.chunks_exact(vocab_size);
    for (index, tokens, wanted) in spans {
        let text = &mut texts[index].1;
        for (at, token) in tokens.iter().enumerate() {
            text.push(*token);
            let is_last = at + 1 == tokens.len();
            if wanted == Wanted::All || (wanted == Wanted::Last && is_last) {
                assert_eq!(bits(rows.next().unwrap()), truth.of(text), "after {text:?}");
            }
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn every_schedule_gives_the_same_bits() {
    let model = generator::model(&small_config(), 5);
    for seed in 0..12 {
        check(&model, seed);
    }
}

#[test]
fn every_schedule_gives_the_same_bits_with_rounded_keys_and_values() {
    let model = generator::model(&small_config(), 5);
    for (kv_type, seeds) in [(KvType::F16, 2000..2006), (KvType::Q8_0, 2100..2106)] {
        for seed in seeds {
            check_with(&model, kv_type, seed);
        }
    }
}

/// Blocks of one token have parts of 64: on three threads, two KV heads' parts are computed apart.
#[test]
fn every_schedule_gives_the_same_bits_with_parts_of_keys() {
    let attention = Attention::Chunked { chunk: 61, temperature_floor: 4, temperature_scale: 0.1 };
    let config = Config { attention, context_length: 300, ..small_config() };
    let model = generator::model(&config, 5);
    let mut one = engine_with(&model, KvType::F16, 1, 300);
    let mut three = engine_with(&model, KvType::F16, 3, 300);
    let text: Vec<TokenId> = (0..300).map(|i| i * i % 40).collect();
    let (of_one, of_three) = (one.create().unwrap(), three.create().unwrap());
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    one.step_logits(&[Span { sequence: of_one, tokens: &text, logits: Wanted::All }], &mut expected).unwrap();
    let spans = [&text[..250], &text[250..251], &text[251..252], &text[252..259], &text[259..]];
    for tokens in spans {
        let mut logits = Vec::new();
        three.step_logits(&[Span { sequence: of_three, tokens, logits: Wanted::All }], &mut logits).unwrap();
        found.extend(logits);
    }
    assert_eq!(bits(&found), bits(&expected));
}

#[test]
fn every_schedule_gives_the_same_bits_with_several_experts_for_each_token() {
    let model = generator::model(&small_qwen_config(), 5);
    for seed in 1000..1012 {
        check(&model, seed);
    }
}

#[test]
fn every_schedule_gives_the_same_bits_with_quantised_weights() {
    for (index, dtype) in quantised::TYPES.into_iter().enumerate() {
        let model = quantised::model(&small_config(), 5, dtype).0;
        for seed in 0..3 {
            check(&model, 100 * (1 + index as u64) + seed);
        }
        check(&quantised::model(&small_qwen_config(), 5, dtype).0, 100 * (1 + index as u64));
    }
}

//! A token's logits are the same bits however its sequence came to be computed, as on the processor.

use std::sync::Arc;

use moe_cuda::emulation::Emulated;
use moe_server::engine::{
    Engine, EngineError, SequenceId, Span, TokenId, Wanted,
    cuda::{CudaEngine, CudaOptions, KvType},
};

use crate::{
    engine, engine_of, generator, options, small_config,
    truth::{Dice, Truth, bits},
};

/// Random steps over more sequences than the device has slots, with forks, truncations, exports and ends.
fn check(seed: u64, kv_type: KvType, steps: usize) {
    let model = generator::model(&small_config(), 5);
    let mut truth = Truth::new(engine_of(&model, options(1), kv_type));
    let mut dice = Dice(seed << 32);
    let wanted = CudaOptions { max_wanted: 5, ..options(24) };
    let mut engine = engine_of(&model, wanted, kv_type);
    let room = engine.free_tokens();
    // Few texts, of which sequences take beginnings: so that the truth is computed once.
    let scripts: Vec<Vec<TokenId>> =
        (0..3).map(|_| (0..24).map(|_| dice.below(40) as TokenId).collect()).collect();
    let mut texts: Vec<(SequenceId, usize, usize)> = Vec::new();
    for _ in 0..steps {
        match dice.below(9) {
            0 | 1 if texts.len() < 7 => texts.push((engine.create().unwrap(), dice.below(3), 0)),
            2 if !texts.is_empty() => {
                let (id, script, length) = texts[dice.below(texts.len())];
                let at = dice.below(length + 1);
                if engine.can_resume_at(id, at) {
                    texts.push((engine.fork(id, at).unwrap(), script, at));
                } else {
                    assert_eq!(engine.fork(id, at), Err(EngineError::CannotResumeAt(at)));
                }
            }
            3 if !texts.is_empty() => {
                let index = dice.below(texts.len());
                let (id, _, length) = &mut texts[index];
                let at = *length - dice.below((*length).min(12) + 1);
                if engine.can_resume_at(*id, at) {
                    engine.truncate(*id, at).unwrap();
                    *length = at;
                }
            }
            4 if !texts.is_empty() && texts.len() < 7 => {
                let (id, script, length) = texts[dice.below(texts.len())];
                texts.push((engine.import(&engine.export(id).unwrap()).unwrap(), script, length));
            }
            5 if texts.len() > 4 => engine.release(texts.swap_remove(dice.below(texts.len())).0),
            _ => step(&mut engine, &mut texts, &scripts, &mut truth, &mut dice),
        }
    }
    for (id, ..) in texts {
        engine.release(id);
    }
    assert_eq!(engine.free_tokens(), room, "every block came back");
}

/// Appends a few tokens to some of the sequences and compares every logit.
fn step(
    engine: &mut CudaEngine<Emulated>,
    texts: &mut [(SequenceId, usize, usize)],
    scripts: &[Vec<TokenId>],
    truth: &mut Truth<CudaEngine<Emulated>>,
    dice: &mut Dice,
) {
    let mut spans = Vec::new();
    let mut left = 24;
    for (index, (_, script, length)) in texts.iter().enumerate() {
        let most = [1, 3, 12][dice.below(3)].min(left).min(scripts[*script].len() - length);
        if most == 0 || dice.below(4) == 0 {
            continue;
        }
        let count = 1 + dice.below(most);
        left -= count;
        let wanted = [Wanted::All, Wanted::Last, Wanted::None][dice.below(3)];
        spans.push((index, count, wanted));
    }
    let of_engine: Vec<Span<'_>> = spans
        .iter()
        .map(|(index, count, logits)| {
            let (sequence, script, length) = texts[*index];
            Span { sequence, tokens: &scripts[script][length..][..*count], logits: *logits }
        })
        .collect();
    let mut logits = Vec::new();
    engine.step_logits(&of_engine, &mut logits).unwrap();
    let mut rows = logits.chunks_exact(40);
    for (index, count, wanted) in spans {
        let (_, script, length) = &mut texts[index];
        for at in 0..count {
            *length += 1;
            if wanted == Wanted::All || (wanted == Wanted::Last && at + 1 == count) {
                let text = &scripts[*script][..*length];
                assert_eq!(bits(rows.next().unwrap()), truth.of(text), "after {text:?}");
            }
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn every_schedule_gives_the_same_bits() {
    check(1, KvType::F16, 28);
}

#[test]
fn so_it_does_in_eight_bits() {
    check(2, KvType::Q8_0, 18);
}

#[test]
fn what_is_known_of_a_prompt_is_not_computed_again() {
    let model = generator::model(&small_config(), 5);
    let mut truth = Truth::new(engine(&model, options(1)));
    let mut engine = engine(&model, CudaOptions { prefix_cache: true, ..options(48) });
    let salt: Arc<str> = "a".into();
    let text: Vec<TokenId> = (0..40).map(|i| i * 7 % 40).collect();
    let mut logits = Vec::new();
    for (expected, end) in [(0, 36), (32, 40)] {
        let sequence = engine.begin(&salt, &text[..end]).unwrap();
        let known = engine.len(sequence).unwrap();
        assert_eq!(known, expected);
        let span = Span { sequence, tokens: &text[known..end], logits: Wanted::Last };
        engine.step_logits(&[span], &mut logits).unwrap();
        assert_eq!(bits(&logits), truth.of(&text[..end]));
    }
    assert!(engine.known().tokens >= 32);
    let other = engine.begin(&"b".into(), &text).unwrap();
    assert_eq!(engine.len(other), Some(0), "another salt shares nothing");
}

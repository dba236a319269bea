//! What the engine refuses and what it survives.

use moe_server::{
    engine::{
        Engine, EngineError, SequenceId, Span, Wanted,
        cpu::{CpuEngine, CpuOptions, KvType},
    },
    model::decoder::{Config, FeedForward, Model},
};

use crate::{
    generator,
    schedules::{engine, small_config, small_qwen_config},
};

fn span(sequence: SequenceId, tokens: &[u32]) -> Span<'_> {
    Span { sequence, tokens, logits: Wanted::Last }
}

#[test]
fn an_odd_logit_is_an_error_and_changes_nothing() {
    let c = small_config();
    for odd in [f32::NAN, f32::INFINITY] {
        let mut model = generator::model(&c, 1);
        // Token 7 alone carries it.
        let mut values = generator::values(&c, 1, "token_embd.weight");
        values[7 * c.hidden] = odd;
        model.embedding = generator::f32_tensor([1, c.vocab_size, c.hidden], &values);
        let mut engine = engine(&model, 2, 64);
        let (a, b) = (engine.create().unwrap(), engine.create().unwrap());
        let mut logits = Vec::new();
        engine.step_logits(&[span(a, &[1, 2]), span(b, &[3])], &mut logits).unwrap();
        let free = engine.free_tokens();
        let failed = engine.step_logits(&[span(a, &[3]), span(b, &[4, 7])], &mut logits);
        assert_eq!(failed, Err(EngineError::NotANumber { sequence: b }));
        assert_eq!((engine.len(a), engine.len(b), logits.len()), (Some(2), Some(1), 0));
        assert_eq!(engine.free_tokens(), free);

        // Nothing of it is left behind in the blocks.
        engine.step_logits(&[span(a, &[3]), span(b, &[4, 5])], &mut logits).unwrap();
        let mut fresh = self::engine(&model, 1, 64);
        let c = fresh.create().unwrap();
        let mut expected = Vec::new();
        fresh.step_logits(&[span(c, &[3, 4, 5])], &mut expected).unwrap();
        assert_eq!(logits[logits.len() / 2..], expected);
    }
}

/// Whichever expert's row of the router it is in.
#[test]
fn an_odd_number_in_the_router_is_noticed() {
    for c in [small_config(), small_qwen_config()] {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            check_router(&c, odd);
        }
    }
}

fn check_router(c: &Config, odd: f32) {
    let layer = (0..c.layers).find(|layer| c.is_moe(*layer)).unwrap();
    for expert in 0..c.experts {
        let mut model = generator::model(c, 1);
        let FeedForward::Moe { router, .. } = &mut model.layers[layer].feed_forward else { panic!("dense") };
        let mut values = vec![0.01; c.experts * c.hidden];
        values[expert * c.hidden] = odd;
        *router = generator::f32_tensor([1, c.experts, c.hidden], &values);
        let mut engine = engine(&model, 1, 64);
        let a = engine.create().unwrap();
        let failed = engine.step_logits(&[span(a, &[1, 2])], &mut Vec::new());
        assert_eq!(failed, Err(EngineError::NotANumber { sequence: a }), "{odd} of expert {expert}");
    }
}

/// Whatever keys and values are rounded to: the largest finite one would do no harm that shows.
#[test]
fn an_infinite_key_or_value_is_noticed() {
    let c = small_config();
    for kv_type in KvType::ALL {
        for name in ["blk.3.attn_k.weight", "blk.3.attn_v.weight"] {
            let mut model = generator::model(&c, 1);
            let mut values = generator::values(&c, 1, name);
            values[0] = f32::INFINITY;
            let tensor = generator::f32_tensor(generator::shape(&c, name), &values);
            let layer = &mut model.layers[3];
            if name.contains("attn_k") {
                layer.key = tensor;
            } else {
                layer.value = tensor;
            }
            let options = CpuOptions { threads: 1, kv_tokens: 64, kv_type, ..CpuOptions::default() };
            let mut engine = CpuEngine::new(model, options).unwrap();
            let a = engine.create().unwrap();
            let failed = engine.step_logits(&[span(a, &[1, 2])], &mut Vec::new());
            assert_eq!(failed, Err(EngineError::NotANumber { sequence: a }), "{name} in {kv_type}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let model = generator::model(&small_config(), 1);
    let mut engine = engine(&model, 1, 64);
    let mut logits = Vec::new();
    let a = engine.create().unwrap();
    engine.step_logits(&[span(a, &[1; 60])], &mut logits).unwrap();
    let stranger = SequenceId(99);
    let cases: [(&[Span<'_>], EngineError); 6] = [
        (&[span(a, &[0; 37])], EngineError::ContextFull { length: 97, limit: 96 }),
        (&[span(a, &[1, 40])], EngineError::UnknownToken(40)),
        (&[span(stranger, &[1])], EngineError::UnknownSequence(stranger)),
        (&[span(a, &[])], EngineError::Unsupported("a span without tokens")),
        (&[span(a, &[1]), span(a, &[1])], EngineError::Unsupported("two spans of one sequence in a step")),
        (&[span(a, &[1]), span(stranger, &[1])], EngineError::UnknownSequence(stranger)),
    ];
    for (spans, error) in cases {
        assert_eq!(engine.step_logits(spans, &mut logits), Err(error));
        assert_eq!(engine.len(a), Some(60));
    }
    assert_eq!(engine.fork(stranger, 0), Err(EngineError::UnknownSequence(stranger)));
    assert_eq!(engine.truncate(a, 61), Err(EngineError::CannotResumeAt(61)));
    engine.release(stranger);
    engine.step_logits(&[], &mut logits).unwrap();
}

#[test]
fn a_full_cache_is_refused_until_something_ends() {
    let model = generator::model(&small_config(), 1);
    let options = CpuOptions { threads: 1, kv_tokens: 64, ..CpuOptions::default() };
    let mut engine = CpuEngine::new(model, options).unwrap();
    let mut logits = Vec::new();
    assert_eq!(engine.free_tokens(), 64);
    let (a, b) = (engine.create().unwrap(), engine.create().unwrap());
    engine.step_logits(&[span(a, &[1; 40])], &mut logits).unwrap();
    assert_eq!(engine.free_tokens(), 16, "blocks of 16");
    let full = engine.step_logits(&[span(b, &[1; 17])], &mut logits);
    assert_eq!(full, Err(EngineError::OutOfBlocks { wanted: 32, free: 16 }));
    assert_eq!(engine.len(b), Some(0));
    // A shared block takes another one as soon as it is written to.
    let c = engine.fork(a, 40).unwrap();
    assert_eq!(engine.free_tokens(), 16);
    engine.step_logits(&[span(c, &[2])], &mut logits).unwrap();
    assert_eq!(engine.free_tokens(), 0);
    engine.release(a);
    engine.release(c);
    engine.step_logits(&[span(b, &[1; 17])], &mut logits).unwrap();
}

#[test]
fn foreign_bytes_are_not_imported() {
    let c = small_config();
    let model = generator::model(&c, 1);
    let mut engine_a = engine(&model, 1, 64);
    let mut logits = Vec::new();
    let a = engine_a.create().unwrap();
    engine_a.step_logits(&[span(a, &[1; 20])], &mut logits).unwrap();
    let good = engine_a.export(a).unwrap();
    let free = engine_a.free_tokens();
    let refused = |model: &Model, bytes: &[u8]| {
        let mut engine = engine(model, 1, 64);
        let room = engine.free_tokens();
        let result = engine.import(bytes);
        assert!(matches!(result, Err(EngineError::Incompatible(_))), "{result:?}");
        assert_eq!(engine.free_tokens(), room);
    };
    refused(&generator::model(&c, 2), &good);
    for cut in [0, 8, 31, 32, good.len() / 2, good.len() - 1] {
        refused(&model, &good[..cut]);
    }
    // A sequence that holds nothing of the chunk in which it stands, however many bytes come with it.
    let mut other = engine(&model, 1, 64);
    for size in (32..=good.len()).step_by(16) {
        let mut bad = good[..size].to_vec();
        bad[24..32].copy_from_slice(&2_u64.to_le_bytes());
        assert!(other.import(&bad).is_err(), "{size} bytes");
    }
    for byte in 0..32 {
        let mut bad = good.clone();
        bad[byte] ^= 0x80;
        refused(&model, &bad);
    }
    let copy = engine_a.import(&good).unwrap();
    assert_eq!(engine_a.len(copy), Some(20));
    engine_a.release(copy);
    assert_eq!(engine_a.free_tokens(), free);
}

#[test]
fn a_dead_compute_thread_breaks_the_engine_for_good() {
    let c = small_config();
    for threads in 1..4 {
        let mut model = generator::model(&c, 1);
        // A matrix of other columns than its input: the product's assertion fails on whichever thread takes it.
        model.layers[2].value = generator::f32_tensor([1, 64, 16], &[0.0; 64 * 16]);
        let mut engine = engine(&model, threads, 64);
        let a = engine.create().unwrap();
        let mut logits = Vec::new();
        let result = engine.step_logits(&[span(a, &[1, 2])], &mut logits);
        assert!(matches!(result, Err(EngineError::Broken(_))), "{result:?}");
        assert_eq!(engine.step_logits(&[span(a, &[1])], &mut logits), result);
        assert_eq!(engine.create().map(|_| ()), result);
        assert_eq!(engine.fork(a, 0).map(|_| ()), result);
        assert_eq!(engine.truncate(a, 0), result);
        assert_eq!(engine.export(a).map(|_| ()), result);
    }
}

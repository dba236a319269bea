//! What a sequence takes from the prefix cache is what it would have computed, bit by bit.

use std::sync::Arc;

use moe_server::{
    engine::{
        Engine, EngineError, SequenceId, Span, TokenId, Wanted,
        cpu::{CpuEngine, CpuOptions, KvType},
    },
    model::decoder::{Attention, Config, Model},
};

use crate::{
    generator,
    kept::{kept, restore},
    quantised,
    schedules::{small_config, small_qwen_config},
    truth::{Dice, bits},
};

const BATCH: usize = 64;

fn engine(model: &Model, kv_type: KvType, kv_tokens: usize, prefix_cache: bool) -> CpuEngine {
    let options = CpuOptions {
        threads: 2,
        kv_tokens,
        kv_type,
        max_batch_tokens: BATCH,
        prefix_cache,
        ..CpuOptions::default()
    };
    CpuEngine::new(model.clone(), options).unwrap()
}

fn salt(text: &str) -> Arc<str> {
    text.into()
}

/// Computes `tokens` behind what the sequence has; answers the last one's logits.
fn go_on(engine: &mut dyn Engine, sequence: SequenceId, tokens: &[TokenId]) -> Result<Vec<u32>, EngineError> {
    let mut logits = Vec::new();
    for tokens in tokens.chunks(BATCH) {
        engine.step_logits(&[Span { sequence, tokens, logits: Wanted::Last }], &mut logits)?;
    }
    Ok(bits(&logits))
}

/// The last token's logits of a text that is computed alone and from its first token on.
fn truth(plain: &mut CpuEngine, text: &[TokenId]) -> Vec<u32> {
    let sequence = plain.create().unwrap();
    let logits = go_on(plain, sequence, text).unwrap();
    plain.release(sequence);
    logits
}

/// Texts that begin like others, in a KV cache too small for all of them, some running while others begin, with forks and
/// truncations. Answers how many tokens were taken from the cache.
fn check(model: &Model, kv_type: KvType, seed: u64) -> usize {
    let mut dice = Dice(seed << 32);
    let mut plain = engine(model, kv_type, 512, false);
    let mut cached = engine(model, kv_type, 400, true);
    let room = cached.free_tokens();
    let longest = cached.capabilities().context_length - 4;
    let mut texts: Vec<(usize, Vec<TokenId>)> = Vec::new();
    let mut running: Vec<(SequenceId, usize, Vec<TokenId>)> = Vec::new();
    let mut taken = 0;
    for _ in 0..70 {
        // A text, or another's beginning with another end.
        let (salted, mut text) = match texts.is_empty() || dice.below(5) == 0 {
            true => (dice.below(2), Vec::new()),
            false => texts[dice.below(texts.len())].clone(),
        };
        if dice.below(3) == 0 {
            text.truncate(dice.below(text.len() + 1));
        }
        let more = 1 + dice.below(longest);
        text.extend((0..more).map(|_| TokenId::try_from(dice.below(3)).unwrap()));
        text.truncate(longest);
        let sequence = cached.begin(&salt(["", "other"][salted]), &text).unwrap();
        let known = cached.len(sequence).unwrap();
        assert!(known < text.len(), "the last token is computed");
        let logits = loop {
            let from = cached.len(sequence).unwrap();
            match go_on(&mut cached, sequence, &text[from..]) {
                Ok(logits) => break logits,
                Err(EngineError::OutOfBlocks { .. }) => cached.release(running.remove(0).0),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(logits, truth(&mut plain, &text), "{known} of {text:?}");
        taken += known;
        running.push((sequence, salted, text));
        while running.len() > 3 {
            let (sequence, salted, text) = running.remove(dice.below(3));
            cached.release(sequence);
            texts.push((salted, text));
        }
        // One goes back, or is continued by two.
        let (sequence, _, text) = &mut running[0];
        let at = text.len() - dice.below(text.len().min(20));
        if dice.below(2) == 0 && cached.can_resume_at(*sequence, at) {
            let fork = cached.fork(*sequence, at).unwrap();
            cached.truncate(*sequence, at).unwrap();
            text.truncate(at);
            for id in [*sequence, fork] {
                let end = TokenId::try_from(dice.below(3)).unwrap();
                match go_on(&mut cached, id, &[end]) {
                    Ok(logits) => {
                        let whole = [text.as_slice(), &[end]].concat();
                        assert_eq!(logits, truth(&mut plain, &whole), "after going back to {at}");
                        cached.truncate(id, at).unwrap();
                    }
                    Err(error) => assert!(matches!(error, EngineError::OutOfBlocks { .. }), "{error}"),
                }
            }
            cached.release(fork);
        }
    }
    for (sequence, ..) in running {
        cached.release(sequence);
    }
    let known = cached.known();
    assert_eq!(cached.free_tokens(), room, "what is cached is free");
    assert!(known.evictions > 0 && known.tokens > 0 && known.tokens <= room, "{known:?}");
    println!("seed {seed}: {taken} tokens taken, {known:?}");
    taken
}

/// With blocks that are a chunk, half of one, and single tokens.
fn configs() -> [Config; 4] {
    let chunks = |chunk| {
        let attention = Attention::Chunked { chunk, temperature_floor: 4, temperature_scale: 0.1 };
        Config { attention, ..small_config() }
    };
    [small_config(), chunks(40), chunks(61), small_qwen_config()]
}

#[test]
fn what_is_taken_has_the_same_bits() {
    for config in configs() {
        let model = generator::model(&config, 5);
        let taken: usize = (0..4).map(|seed| check(&model, KvType::F32, seed)).sum();
        assert!(taken > 0, "{config:?}");
    }
}

#[test]
fn what_is_taken_has_the_same_bits_with_rounded_keys_and_values() {
    for kv_type in [KvType::F16, KvType::Q8_0] {
        for config in configs() {
            let model = quantised::model(&config, 5, quantised::TYPES[0]).0;
            assert!(check(&model, kv_type, 9) > 0, "{config:?}");
        }
    }
}

fn text(length: u32) -> Vec<TokenId> {
    (0..length).map(|i| i * i % 40).collect()
}

#[test]
fn whole_blocks_are_taken_and_never_the_last_token() {
    let model = generator::model(&small_qwen_config(), 5);
    let mut engine = engine(&model, KvType::F32, 512, true);
    let first = engine.begin(&salt(""), &text(70)).unwrap();
    assert_eq!(engine.len(first), Some(0));
    go_on(&mut engine, first, &text(70)).unwrap();
    for running in [true, false] {
        for (length, known) in [(70, 64), (66, 64), (65, 64), (64, 32), (33, 32), (32, 0), (1, 0), (0, 0)] {
            let next = engine.begin(&salt(""), &text(length)).unwrap();
            assert_eq!(engine.len(next), Some(known), "{length} tokens, {running}");
            engine.release(next);
        }
        engine.release(first);
    }
    let mut other = text(70);
    other[40] += 1;
    for (salted, text, known) in [("", &other, 32), ("a", &text(70), 0)] {
        let next = engine.begin(&salt(salted), text).unwrap();
        assert_eq!(engine.len(next), Some(known), "{salted:?}");
        engine.release(next);
    }
    assert_eq!((engine.known().blocks, engine.known().tokens), (2, 64));
}

/// The chunked layers need nothing of the chunks before.
#[test]
fn a_chunk_that_was_left_can_be_resumed_at_its_end() {
    let model = generator::model(&small_config(), 5);
    let mut engine = engine(&model, KvType::F32, 96, true);
    let first = engine.begin(&salt(""), &text(90)).unwrap();
    go_on(&mut engine, first, &text(90)).unwrap();
    engine.release(first);
    let second = engine.begin(&salt(""), &text(90)).unwrap();
    assert_eq!(engine.len(second), Some(80), "five chunks of 16");
}

#[test]
fn a_text_s_end_is_evicted_first_and_the_text_that_waits_longest_before_others() {
    let model = generator::model(&small_qwen_config(), 5);
    let mut engine = engine(&model, KvType::F32, 256, true);
    let other: Vec<TokenId> = text(90).iter().map(|token| 39 - token).collect();
    for text in [text(90), other.clone()] {
        let sequence = engine.begin(&salt(""), &text).unwrap();
        go_on(&mut engine, sequence, &text).unwrap();
        engine.release(sequence);
    }
    assert_eq!((engine.free_tokens(), engine.known().blocks), (256, 4));
    // Eight blocks: four hold nothing, the fifth is the end of the first text.
    let large = engine.create().unwrap();
    for tokens in [[1; 64], [2; 64]] {
        let fork = engine.create().unwrap();
        go_on(&mut engine, fork, &tokens).unwrap();
    }
    go_on(&mut engine, large, &[3]).unwrap();
    assert_eq!((engine.free_tokens(), engine.known().evictions), (96, 1));
    for (text, known) in [(other, 64), (text(90), 32)] {
        let sequence = engine.begin(&salt(""), &text).unwrap();
        assert_eq!(engine.len(sequence), Some(known));
    }
}

#[test]
fn what_an_odd_logit_was_computed_from_is_not_taken() {
    let c = small_qwen_config();
    let mut model = generator::model(&c, 5);
    let mut values = generator::values(&c, 5, "token_embd.weight");
    values[39 * c.hidden] = f32::NAN;
    model.embedding = generator::f32_tensor([1, c.vocab_size, c.hidden], &values);
    let mut engine = engine(&model, KvType::F32, 512, true);
    let sequence = engine.begin(&salt(""), &[1; 70]).unwrap();
    go_on(&mut engine, sequence, &[1; 70]).unwrap();
    assert_eq!(engine.known().blocks, 2);
    assert_eq!(go_on(&mut engine, sequence, &[39]), Err(EngineError::NotANumber { sequence }));
    engine.release(sequence);
    assert_eq!((engine.known().blocks, engine.free_tokens()), (0, 512));
}

#[test]
fn what_was_kept_has_the_same_bits_in_another_engine() {
    for config in configs() {
        let model = generator::model(&config, 5);
        let mut first = engine(&model, KvType::F16, 400, true);
        let mut plain = engine(&model, KvType::F16, 400, false);
        let texts: Vec<Vec<TokenId>> =
            (0..6).map(|i| text(60).into_iter().chain((0..30).map(|j| (i * j) % 40)).collect()).collect();
        for text in &texts {
            let sequence = first.begin(&salt("s"), text).unwrap();
            let from = first.len(sequence).unwrap();
            go_on(&mut first, sequence, &text[from..]).unwrap();
            first.release(sequence);
        }
        let blocks = kept(&first);
        assert_eq!(blocks.len(), first.known().blocks);
        let order = |id| blocks.iter().position(|block| block.id == id).unwrap();
        assert!(blocks.iter().all(|block| block.parent.as_ref().is_err()
            || order(*block.parent.as_ref().unwrap()) < order(block.id)));

        let mut second = engine(&model, KvType::F16, 400, true);
        assert_eq!(first.kept_format(), second.kept_format());
        assert_eq!(restore(&mut second, &blocks), blocks.len());
        assert_eq!(restore(&mut second, &blocks), blocks.len(), "a second time changes nothing");
        assert_eq!((second.known(), second.free_tokens()), (first.known(), first.free_tokens()));
        let again: Vec<u64> = kept(&second).iter().map(|block| block.id).collect();
        assert!(again.is_sorted(), "they came in this order, and are kept in it");
        for text in texts.iter().rev() {
            let known = |engine: &mut CpuEngine| {
                let sequence = engine.begin(&salt("s"), text).unwrap();
                (sequence, engine.len(sequence).unwrap())
            };
            let (sequence, length) = known(&mut second);
            assert_eq!(length, known(&mut first).1);
            assert!(length > 0, "{config:?}");
            assert_eq!(go_on(&mut second, sequence, &text[length..]).unwrap(), truth(&mut plain, text));
            second.release(sequence);
        }

        // One that is full, and one in use, lose nothing.
        let mut third = engine(&model, KvType::F16, 200, true);
        let sequence = third.begin(&salt(""), &texts[0]).unwrap();
        go_on(&mut third, sequence, &texts[0]).unwrap();
        let before = (third.free_tokens(), third.known().evictions);
        assert!((1..blocks.len()).contains(&restore(&mut third, &blocks)), "{config:?}");
        assert_eq!((third.free_tokens(), third.known().evictions), before);
        assert_eq!(go_on(&mut third, sequence, &[1]).unwrap(), {
            let whole = [texts[0].as_slice(), &[1]].concat();
            truth(&mut plain, &whole)
        });
    }
}

#[test]
fn who_goes_back_into_a_known_block_writes_to_a_copy() {
    let model = generator::model(&small_qwen_config(), 5);
    let mut cached = engine(&model, KvType::F32, 512, true);
    let mut plain = engine(&model, KvType::F32, 512, false);
    let text = text(70);
    let first = cached.begin(&salt(""), &text).unwrap();
    go_on(&mut cached, first, &text).unwrap();
    cached.truncate(first, 40).unwrap();
    go_on(&mut cached, first, &[1; 24]).unwrap();
    let second = cached.begin(&salt(""), &text).unwrap();
    assert_eq!(cached.len(second), Some(64));
    assert_eq!(go_on(&mut cached, second, &text[64..]).unwrap(), truth(&mut plain, &text));
}

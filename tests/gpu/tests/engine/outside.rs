//! Keys and values that leave the device and come back: whole sequences, and blocks of the prefix cache.

use std::sync::Arc;

use moe_cuda::{device::Device, emulation::Emulated};
use moe_server::{
    engine::{
        Engine, EngineError, SequenceId, Span, TokenId, Wanted,
        cuda::{CudaEngine, CudaOptions, KvType},
    },
    sleep::Progress,
};

use crate::{
    device, engine, engine_of,
    failures::Failing,
    generator,
    kept::{Copied, kept, restore},
    options, small_config,
    truth::{Truth, bits},
};

fn text(length: usize, step: u32) -> Vec<TokenId> {
    (0..length as TokenId).map(|i| (i * step + 3) % 40).collect()
}

/// The bits of the last logits after `tokens` more.
fn go_on<D: Device + Send>(engine: &mut CudaEngine<D>, sequence: SequenceId, tokens: &[TokenId]) -> Vec<u32> {
    let mut logits = Vec::new();
    engine.step_logits(&[Span { sequence, tokens, logits: Wanted::Last }], &mut logits).unwrap();
    bits(&logits)
}

#[test]
fn a_sequence_goes_on_in_another_engine() {
    let model = generator::model(&small_config(), 5);
    let mut truth = Truth::new(engine(&model, options(1)));
    let (mut first, mut second) = (engine(&model, options(24)), engine(&model, options(24)));
    let text = text(44, 7);
    // Inside a block, at its end, and past the first chunk, whose blocks of the chunked layers are gone.
    for length in [1, 7, 16, 17, 40] {
        let sequence = first.create().unwrap();
        for part in text[..length].chunks(24) {
            go_on(&mut first, sequence, part);
        }
        let bytes = first.export(sequence).unwrap();
        let copy = second.import(&bytes).unwrap();
        assert_eq!(second.len(copy), Some(length));
        assert_eq!(go_on(&mut second, copy, &text[length..=length]), truth.of(&text[..=length]));
        let again = first.import(&bytes).unwrap();
        assert_eq!(go_on(&mut first, again, &text[length..=length]), truth.of(&text[..=length]));
        for bad in [&bytes[..0], &bytes[..9], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
            assert!(matches!(second.import(bad), Err(EngineError::Incompatible(_))), "{} bytes", bad.len());
        }
        second.release(copy);
    }
    let other = generator::model(&small_config(), 6);
    let sequence = first.create().unwrap();
    go_on(&mut first, sequence, &text[..3]);
    let bytes = first.export(sequence).unwrap();
    let refused = engine(&other, options(24)).import(&bytes);
    assert!(matches!(refused, Err(EngineError::Incompatible(why)) if why.contains("another model")));
    let mut full = engine(&model, CudaOptions { kv_tokens: Some(16), ..options(24) });
    let held = full.create().unwrap();
    go_on(&mut full, held, &text[..16]);
    assert!(matches!(full.import(&bytes), Err(EngineError::OutOfBlocks { .. })));
}

fn caching() -> CudaOptions {
    CudaOptions { prefix_cache: true, ..options(48) }
}

/// An engine that knows the beginnings of these texts.
fn that_knows(texts: &[Vec<TokenId>], salt: &Arc<str>) -> CudaEngine<Emulated> {
    let mut engine = engine(&generator::model(&small_config(), 5), caching());
    for text in texts {
        let sequence = engine.begin(salt, text).unwrap();
        let known = engine.len(sequence).unwrap();
        go_on(&mut engine, sequence, &text[known..]);
        engine.release(sequence);
    }
    engine
}

#[test]
fn what_was_kept_has_the_same_bits_in_another_engine() {
    let model = generator::model(&small_config(), 5);
    let (salt, texts) = (Arc::from("s"), [text(44, 7), text(40, 11), text(20, 7)]);
    let mut first = that_knows(&texts, &salt);
    let blocks = kept(&first);
    assert_eq!(blocks.len(), first.known().blocks);
    let mut second = engine(&model, caching());
    assert_eq!(first.kept_format(), second.kept_format());
    assert_eq!(restore(&mut second, &blocks), blocks.len());
    assert_eq!(restore(&mut second, &blocks), blocks.len(), "a second time changes nothing");
    assert_eq!((second.known(), second.free_tokens()), (first.known(), first.free_tokens()));
    let mut truth = Truth::new(engine(&model, options(1)));
    for text in &texts {
        let of_first = first.begin(&salt, text).unwrap();
        let sequence = second.begin(&salt, text).unwrap();
        let known = second.len(sequence).unwrap();
        assert!(known > 0 && Some(known) == first.len(of_first), "{known}");
        assert_eq!(go_on(&mut second, sequence, &text[known..]), truth.of(text));
    }
    let short = Copied { full: blocks[0].full[1..].to_vec(), ..kept(&first).remove(0) };
    assert_eq!(restore(&mut engine(&model, caching()), &[short]), 0, "no whole block");
}

#[test]
fn another_engine_has_no_use_for_it() {
    let model = generator::model(&small_config(), 5);
    let format = |engine: &dyn Engine| engine.kept_format().unwrap().print;
    let print = format(&engine(&model, caching()));
    let other = generator::model(&small_config(), 6);
    assert_ne!(format(&engine(&other, caching())), print, "another model");
    let config = &model.config;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let card = Emulated::new(folder, 3, config.head_dim, config.heads / config.kv_heads, KvType::F16);
    let card = CudaEngine::new(card, &model, caching(), &Progress::default()).unwrap();
    assert_ne!(format(&card), print, "another card");
    let eight_bits = engine_of(&model, caching(), KvType::Q8_0);
    assert_ne!(format(&eight_bits), print, "another type of keys and values");
    assert_eq!(engine(&model, options(24)).kept_format(), None, "without a prefix cache");
}

#[test]
fn a_device_that_is_lost_meanwhile_breaks_the_engine() {
    let model = generator::model(&small_config(), 5);
    let blocks = kept(&that_knows(&[text(44, 7)], &Arc::from("s")));
    // Making the engine takes some, and a block some more.
    let load = |copies| {
        let device = Failing::after_copies(device(&model.config, KvType::F16), copies);
        CudaEngine::new(device, &model, caching(), &Progress::default()).unwrap()
    };
    let whole = load(usize::MAX);
    let needed = usize::MAX - whole.device().copies_left();
    let mut lost = load(needed + 3);
    assert_eq!(restore(&mut lost, &blocks), 0);
    assert!(matches!(lost.create(), Err(EngineError::Broken(why)) if why.contains("Xid")));
    assert!(kept(&lost).is_empty(), "nothing of it can be trusted");
}

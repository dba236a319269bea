//! No room, and a device that fails.

use moe_server::{
    engine::{
        Engine, EngineError, Span, Wanted,
        cuda::{CudaEngine, CudaOptions},
    },
    model::decoder::ModelError,
    sleep::Progress,
};

use crate::{device, engine, generator, options, small_config};

#[test]
fn a_full_cache_refuses_and_goes_on() {
    let model = generator::model(&small_config(), 5);
    let mut engine = engine(&model, CudaOptions { kv_tokens: Some(32), ..options(40) });
    let (first, second) = (engine.create().unwrap(), engine.create().unwrap());
    let mut logits = Vec::new();
    let step = |engine: &mut CudaEngine<_>, sequence, count: usize, logits: &mut Vec<f32>| {
        let tokens = vec![1; count];
        engine.step_logits(&[Span { sequence, tokens: &tokens, logits: Wanted::Last }], logits)
    };
    step(&mut engine, first, 30, &mut logits).unwrap();
    let refused = step(&mut engine, second, 4, &mut logits);
    assert_eq!(refused, Err(EngineError::OutOfBlocks { wanted: 16, free: 0 }));
    assert!(logits.is_empty());
    engine.release(first);
    step(&mut engine, second, 4, &mut logits).unwrap();
    assert_eq!(logits.len(), 40);
}

#[test]
fn a_model_that_does_not_fit_is_told() {
    let model = generator::model(&small_config(), 5);
    let load = |memory, options| {
        let device = device(&model.config).with_memory(memory);
        CudaEngine::new(device, &model, options, &Progress::default()).map(|_| ())
    };
    let text = |result: Result<(), ModelError>| result.unwrap_err().to_string();
    assert!(text(load(100 << 10, options(8))).contains("GPU memory are wanted"));
    // Weights have room, and no sequence has.
    let all = CudaOptions { kv_tokens: None, ..options(8) };
    let weights = 600 << 10;
    let why = text(load(weights, all.clone()));
    assert!(why.contains("--context") || why.contains("GPU memory are wanted"), "{why}");
    load(64 << 20, all).unwrap();
}

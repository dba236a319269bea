//! Logits against Hugging Face's, and proof that each known mistake would be seen.

use moe_server::{
    engine::{
        Engine, Span, Wanted,
        cpu::{CpuEngine, CpuOptions},
    },
    model::decoder::Attention,
};

use crate::{
    generator,
    golden::{Golden, deviation},
    reference::{Mutation, Reference, Weights},
};

/// Of a row's largest difference, relative to its largest logit. What `f32` rounds away stays below half of it.
pub(crate) const BOUND: f64 = 1e-5;
/// What each mistake must at least cause.
pub(crate) const SEEN: f64 = 100.0 * BOUND;

/// The largest deviation of the engine's logits from the golden's.
pub(crate) fn engine_deviation(golden: &Golden, batch: usize) -> f64 {
    let config = golden.config();
    let options = CpuOptions {
        threads: 2,
        kv_tokens: golden.tokens.len() + 32,
        max_batch_tokens: batch,
        ..CpuOptions::default()
    };
    let mut engine = CpuEngine::new(generator::model(&config, golden.seed), options).unwrap();
    let sequence = engine.create().unwrap();
    let mut rows = golden.rows.iter().peekable();
    let mut worst = 0.0_f64;
    let mut logits = Vec::new();
    for (index, tokens) in golden.tokens.chunks(batch).enumerate() {
        engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut logits).unwrap();
        let first = index * batch;
        while let Some(row) = rows.next_if(|row| row.position < first + tokens.len()) {
            let found = &logits[(row.position - first) * config.vocab_size..][..config.vocab_size];
            worst = worst.max(deviation(&row.logits, found));
        }
    }
    assert!(rows.next().is_none(), "every row was compared");
    worst
}

/// The largest deviation, over the golden's rows from `from` on and before `to`, of a reference that makes `mutation` there.
fn reference_deviation(golden: &Golden, start: &Reference<'_>, range: std::ops::Range<usize>) -> f64 {
    let mut reference = start.clone();
    let mut worst = 0.0_f64;
    for position in range {
        let row = golden.rows.iter().find(|row| row.position == position);
        let found = reference.next(golden.tokens[position], row.is_some());
        if let (Some(row), Some(found)) = (row, found) {
            worst = worst.max(deviation(&row.logits, &found));
        }
    }
    worst
}

fn check_small(name: &str, mutations: &[Mutation]) {
    let golden = Golden::read(name);
    let worst = engine_deviation(&golden, 7);
    println!("{name}: engine {worst:.2e}");
    assert!(worst < BOUND, "{name}: the engine is off by {worst:.2e}");

    let config = golden.config();
    let weights = Weights::of(&generator::model(&config, golden.seed));
    let all = 0..golden.tokens.len();
    let plain = reference_deviation(&golden, &Reference::new(&config, &weights, None), all.clone());
    println!("{name}: reference {plain:.2e}");
    assert!(plain < BOUND, "{name}: the reference is off by {plain:.2e}");
    for mutation in mutations {
        let broken = Reference::new(&config, &weights, Some(*mutation));
        let off = reference_deviation(&golden, &broken, all.clone());
        println!("{name}: {mutation:?} {off:.2e}");
        assert!(off > SEEN, "{name}: {mutation:?} moves the logits by {off:.2e} only");
    }
}

#[test]
fn scout_like() {
    use Mutation::*;
    check_small(
        "scout_like",
        &[
            ScoreOnOutput,
            ScoreOne,
            HalfSplitRope,
            NoRopeScaling,
            QkNormInverted,
            QkNormWithoutRope,
            RopeEverywhere,
            NoChunks,
            SlidingWindow,
            NoTemperature,
        ],
    );
}

#[test]
fn maverick_like() {
    use Mutation::*;
    check_small(
        "maverick_like",
        &[
            ScoreOnOutput,
            ScoreOne,
            HalfSplitRope,
            QkNormInverted,
            RopeEverywhere,
            NoChunks,
            SlidingWindow,
            NoTemperature,
        ],
    );
}

#[test]
fn real_constants() {
    let worst = engine_deviation(&Golden::read("real_constants"), 250);
    println!("real_constants: engine {worst:.2e}");
    assert!(worst < BOUND, "the engine is off by {worst:.2e}");
}

#[test]
fn real_constants_would_show_mistakes() {
    use Mutation::*;
    let golden = Golden::read("real_constants");
    let config = golden.config();
    let weights = Weights::of(&generator::model(&config, golden.seed));
    // What bites at once: a thousand tokens are enough.
    for mutation in [HalfSplitRope, NoRopeScaling, QkNormInverted, RopeEverywhere, ScoreOnOutput, ScoreOne] {
        let broken = Reference::new(&config, &weights, Some(mutation));
        let off = reference_deviation(&golden, &broken, 0..1001);
        println!("{mutation:?} {off:.2e}");
        assert!(off > SEEN, "{mutation:?} moves the logits by {off:.2e} only");
    }
    // What bites from the first chunk's end on; before it, these change nothing.
    let mut reference = Reference::new(&config, &weights, None);
    let Attention::Chunked { temperature_floor, .. } = config.attention else { panic!() };
    let first = temperature_floor - 1;
    reference.skip(&golden.tokens[..first]);
    let rest = first..golden.tokens.len();
    let plain = reference_deviation(&golden, &reference, rest.clone());
    println!("reference {plain:.2e}");
    assert!(plain < BOUND, "the reference is off by {plain:.2e}");
    for mutation in [NoChunks, SlidingWindow, NoTemperature] {
        reference.set(Some(mutation));
        let off = reference_deviation(&golden, &reference, rest.clone());
        println!("{mutation:?} {off:.2e}");
        assert!(off > SEEN, "{mutation:?} moves the logits by {off:.2e} only");
    }
}

//! What to do where a model has no room, or what to know where it has.

use super::{CARDS, ModelPlan, Outcome, Place, Wish};
use crate::engine::cpu::CpuOptions;

/// As people read it.
#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn gib(bytes: usize) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

pub(super) fn advice(plan: &ModelPlan, place: Place, wish: &Wish, outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Fits { room, .. } => {
            let mut lines = Vec::new();
            let usual = CpuOptions::default().kv_tokens.max(room.context);
            if matches!(place, Place::Cpu { .. }) && room.kv_tokens > usual {
                lines.push(format!(
                    "`serve` takes {usual} tokens of KV without --kv-tokens {}",
                    room.kv_tokens
                ));
            }
            lines.extend(packing(plan));
            lines
        }
        Outcome::TooLarge { needed, longest, .. } => too_large(plan, place, wish, *needed, *longest),
        Outcome::Never(_) => converted(plan).into_iter().collect(),
    }
}

/// What packing at start takes.
fn packing(plan: &ModelPlan) -> Option<String> {
    (plan.packed_at_start > 1 << 30).then(|| {
        format!(
            "each start packs {} in the machine's memory; `moe-server pack` does it once",
            gib(plan.packed_at_start)
        )
    })
}

/// What the file's quantisation costs.
fn converted(plan: &ModelPlan) -> Option<String> {
    let weights = &plan.weights;
    (weights.converted_bytes > weights.bytes / 20).then(|| {
        format!(
            "another quantisation: {} of the file becomes Q8_0 here ({}); Q4_K, Q6_K, Q8_0 and MXFP4 are held as they are",
            weights.converted_types.join(", "),
            gib(weights.converted_bytes)
        )
    })
}

fn too_large(
    plan: &ModelPlan,
    place: Place,
    wish: &Wish,
    needed: usize,
    longest: Option<usize>,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(longest) = longest {
        lines.push(format!("a shorter context: --context {longest} has room"));
    }
    for kv_type in place.kv_types().iter().copied().filter(|kv_type| *kv_type != wish.kv_type) {
        if plan.room(place, &Wish { kv_type, ..*wish }).is_ok() {
            lines.push(format!("smaller keys and values: --kv-type {kv_type} has room"));
        }
    }
    lines.extend(converted(plan));
    let weights = &plan.weights;
    if weights.smallest() < weights.bytes - weights.bytes / 20 {
        lines.push(format!(
            "a smaller quantisation: in Q4_K the weights are {}, not {}",
            gib(weights.smallest()),
            gib(weights.bytes)
        ));
    }
    lines.push(match place {
        Place::Cpu { .. } => format!("a machine with {} of memory available", gib(needed)),
        Place::Gpu(_) => match CARDS.iter().find(|(_, memory)| *memory >= needed) {
            Some((name, _)) => format!("a larger card: {} free, as one of {name} has", gib(needed)),
            None => format!("a larger card: {} free; a model runs on one GPU", gib(needed)),
        },
    });
    lines
}

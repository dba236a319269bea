//! Keys and values as they are kept, in both types, and steps over those of eight bits.

use std::path::Path;

use moe_cuda::{
    check::{self, Report, Walk},
    decode::Options,
    emulation::Emulated,
    kv::KvType,
    model::HeadNorm,
    random::{self, Random},
};
use moe_kernels::Isa;

use crate::prompts::recipe;

/// Dimensions of a head, and query heads of a KV head.
const HEADS: [[usize; 2]; 3] = [[128, 5], [64, 8], [32, 4]];

fn device([head_dim, group]: [usize; 2], kv_type: KvType) -> Emulated {
    Emulated::new(Path::new(env!("CARGO_TARGET_TMPDIR")), 2, head_dim, group, kv_type)
}

fn right(report: &Report) {
    let lines: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
    assert!(report.is_right(), "\n{}", lines.join("\n"));
}

#[test]
fn what_is_kept_has_the_bytes_that_moe_kernels_keeps() {
    for (seed, heads) in (1..).zip(HEADS) {
        for kv_type in KvType::ALL {
            let device = device(heads, kv_type);
            let model = random::model(&device, &recipe(heads), seed).unwrap();
            right(&check::kept(&device, Isa::detect(), &model, u64::from(seed)).unwrap());
        }
    }
}

#[test]
fn steps_over_eight_bits_are_right_stage_by_stage_and_whole() {
    for (seed, heads) in (1..).zip(HEADS) {
        let device = device(heads, KvType::Q8_0);
        let mut recipe = recipe(heads);
        if seed == 2 {
            // As in Qwen3-MoE.
            recipe.shape.head_norm = HeadNorm::Weighted;
            recipe.shape.rope_halves = true;
            recipe.shape.chunk = None;
        }
        let model = random::model(&device, &recipe, seed).unwrap();
        let mut random = Random::new(u64::from(seed));
        for (tokens, context) in [(1, 300), (5, 150)] {
            let walk = Walk {
                options: Options::new(tokens, context),
                tokens: (0..tokens).map(|_| random.below(300) as u32).collect(),
                positions: (0..tokens).map(|_| (context / 2 + random.below(context / 2)) as u32).collect(),
                layers: vec![0, 3],
                head_rows: 256,
                seed: random.bits(),
            };
            right(&check::walk(&device, Isa::detect(), &model, &walk).unwrap());
        }
    }
}

#[test]
fn prompts_over_eight_bits_have_the_bits_of_their_tokens_one_by_one() {
    let device = device([32, 4], KvType::Q8_0);
    let model = random::model(&device, &recipe([32, 4]), 11).unwrap();
    right(&check::prompts(&device, &model, &[7, 1, 34], 4).unwrap());
}

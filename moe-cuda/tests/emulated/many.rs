//! Products of many tokens, on the processor, against moe-kernels.

use std::path::Path;

use moe_cuda::{
    check::{self, Report, Walk},
    decode::Options,
    emulation::Emulated,
    kv::KvType,
    layout,
    model::{HeadNorm, Shape, WeightType},
    random::{self, Random, Recipe},
};
use moe_kernels::{Isa, packed::PackedType};

const Q4: WeightType = WeightType::Packed(PackedType::Q4_K);
const Q6: WeightType = WeightType::Packed(PackedType::Q6_K);
const Q8: WeightType = WeightType::Packed(PackedType::Q8_0);
const MXFP4: WeightType = WeightType::Packed(PackedType::MXFP4);

fn emulated(multiprocessors: u32, head_dim: usize, group: usize) -> Emulated {
    Emulated::new(Path::new(env!("CARGO_TARGET_TMPDIR")), multiprocessors, head_dim, group, KvType::F16)
}

fn right(report: &Report) {
    let lines: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
    assert!(report.is_right(), "\n{}", lines.join("\n"));
}

#[test]
fn products_of_many_tokens_have_the_same_bytes_whatever_type_and_shape() {
    // With more multiprocessors blocks are narrower.
    let devices = [2, 8].map(|multiprocessors| emulated(multiprocessors, 128, 5));
    let mut random = Random::new(6);
    for weight_type in WeightType::ALL {
        let block = if weight_type.form() == layout::COARSE { 256 } else { 32 };
        for (index, tokens) in [33, 64, 65, 130].into_iter().enumerate() {
            let rows = 1 + random.below(300);
            let columns = block * (1 + random.below(if block == 256 { 5 } else { 20 }));
            let shape = [rows, columns, tokens];
            let device = &devices[index % 2];
            let report = check::products(device, Isa::detect(), weight_type, shape, random.bits()).unwrap();
            assert!(report.is_right(), "{weight_type:?} {shape:?}: {report:?}");
        }
    }
}

fn recipe(types: [WeightType; 4], ff: usize) -> Recipe {
    Recipe {
        shape: Shape {
            hidden: 256,
            heads: 10,
            kv_heads: 2,
            head_dim: 128,
            experts: 6,
            used: 1,
            vocab: 600,
            chunk: Some(64),
            head_norm: HeadNorm::Plain,
            rope_halves: false,
            softmax_on_output: false,
            eps: 1e-5,
            frequencies: random::frequencies(128, 5e5),
            temperature: Some((32, 0.1)),
        },
        layers: 1,
        ff,
        shared: true,
        types,
        embedding: WeightType::F16,
    }
}

/// `counts[e]` tokens for expert `e`, in random order.
fn choices(counts: &[usize], random: &mut Random) -> Vec<u32> {
    let mut all: Vec<u32> = (0..).zip(counts).flat_map(|(e, count)| vec![e; *count]).collect();
    for i in (1..all.len()).rev() {
        all.swap(i, random.below(i + 1));
    }
    all
}

#[test]
fn experts_get_their_tokens_however_many_there_are() {
    let device = emulated(2, 128, 5);
    let mut random = Random::new(7);
    let plain = [WeightType::F16, WeightType::BF16];
    for ([gate, up, down], ff, counts) in [
        ([Q4, Q4, Q4], 512, [0, 1, 63, 64, 65, 33]),
        ([Q6, Q6, Q6], 256, [130, 0, 0, 0, 0, 7]),
        ([MXFP4, MXFP4, Q8], 288, [9, 64, 0, 1, 2, 16]),
        ([Q4, Q6, MXFP4], 256, [17, 0, 24, 1, 0, 65]),
        ([plain[0], Q8, plain[1]], 96, [40, 1, 0, 0, 2, 0]),
        ([Q8, plain[0], WeightType::F32], 160, [0, 0, 66, 0, 0, 1]),
    ] {
        let recipe = recipe([gate, down, Q4, WeightType::F32], ff);
        let mut model = random::model(&device, &recipe, 8).unwrap();
        let layer = &mut model.layers[0];
        for (network, count) in
            [(layer.common.as_mut().unwrap(), 1), (&mut layer.routed.as_mut().unwrap().1, 6)]
        {
            network.up = random::random_tensor(&device, up, [count, ff, 256], 9).unwrap();
        }
        let choices = choices(&counts, &mut random);
        let report = check::routed(&device, Isa::detect(), &model, &choices, random.bits()).unwrap();
        let lines: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
        assert!(report.is_right(), "{gate:?} {up:?} {down:?} {counts:?}\n{}", lines.join("\n"));
    }
}

fn walked(device: &Emulated, recipe: &Recipe, tokens: usize, context: usize, seed: u64) -> Report {
    let mut random = Random::new(seed);
    let model = random::model(device, recipe, seed as u32).unwrap();
    let walk = Walk {
        options: Options::new(tokens, context),
        tokens: (0..tokens).map(|_| random.below(recipe.shape.vocab) as u32).collect(),
        positions: (0..tokens).map(|_| random.below(context) as u32).collect(),
        layers: (0..recipe.layers).collect(),
        head_rows: 256,
        seed,
    };
    check::walk(device, Isa::detect(), &model, &walk).unwrap()
}

#[test]
fn steps_of_many_tokens_are_right_stage_by_stage_and_whole() {
    let device = emulated(3, 128, 5);
    right(&walked(&device, &recipe([Q4, Q6, Q6, WeightType::F32], 256), 35, 96, 10));
    // A token has several experts, whose outputs are weighted.
    let mut several = recipe([Q8, MXFP4, Q4, WeightType::BF16], 96);
    several.shared = false;
    several.shape = Shape { experts: 9, used: 3, softmax_on_output: true, chunk: None, ..several.shape };
    right(&walked(&device, &several, 33, 64, 11));
}

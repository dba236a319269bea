//! The kernels, on the processor, against moe-kernels.

use std::path::Path;

use moe_cuda::{
    check::{self, Report, Walk},
    decode::{Decoder, Options},
    emulation::Emulated,
    kv::KvType,
    layout,
    model::{HeadNorm, Shape, WeightType},
    random::{self, Random, Recipe},
};
use moe_kernels::{Isa, packed::PackedType};

fn emulated(multiprocessors: u32, head_dim: usize, group: usize) -> Emulated {
    Emulated::new(Path::new(env!("CARGO_TARGET_TMPDIR")), multiprocessors, head_dim, group, KvType::F16)
}

fn right(report: &Report) {
    let lines: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
    assert!(report.is_right(), "\n{}", lines.join("\n"));
}

fn types() -> Vec<WeightType> {
    let packed = PackedType::ALL.map(WeightType::Packed);
    packed.into_iter().chain([WeightType::F16, WeightType::BF16, WeightType::F32]).collect()
}

#[test]
fn both_sides_have_the_same_structs() {
    let device = emulated(1, 128, 5);
    let sizes = [
        size_of::<layout::Matrix>(),
        size_of::<layout::Layer>(),
        size_of::<layout::Rows>(),
        size_of::<layout::Step>(),
    ];
    assert_eq!(device.sizes().map(|size| size as usize), sizes);
}

#[test]
fn quantised_activations_have_the_same_bytes() {
    let device = emulated(1, 128, 5);
    for (seed, columns) in [(1, 256), (2, 1024), (3, 96), (4, 2816)] {
        right(&check::quantiser(&device, Isa::detect(), columns, seed).unwrap());
    }
}

#[test]
fn products_have_the_same_bytes_whatever_type_and_shape() {
    let device = emulated(2, 128, 5);
    let mut random = Random::new(5);
    for weight_type in types() {
        let block = if weight_type.form() == layout::COARSE { 256 } else { 32 };
        for tokens in [1, 3, 8, 13] {
            let rows = 1 + random.below(120);
            let columns = block * (1 + random.below(if block == 256 { 5 } else { 20 }));
            let shape = [rows, columns, tokens];
            let report = check::products(&device, Isa::detect(), weight_type, shape, random.bits()).unwrap();
            assert!(report.is_right(), "{weight_type:?} {shape:?}: {report:?}");
        }
    }
}

#[test]
fn embeddings_have_the_same_bytes() {
    let device = emulated(1, 128, 5);
    for (seed, weight_type) in types().into_iter().enumerate() {
        right(&check::embeddings(&device, weight_type, 512, seed as u64).unwrap());
    }
}

fn recipe(types: [WeightType; 4]) -> Recipe {
    Recipe {
        shape: Shape {
            hidden: 512,
            heads: 10,
            kv_heads: 2,
            head_dim: 128,
            experts: 4,
            used: 1,
            vocab: 1500,
            chunk: Some(192),
            head_norm: HeadNorm::Plain,
            rope_halves: false,
            softmax_on_output: false,
            eps: 1e-5,
            frequencies: random::frequencies(128, 1e4),
            temperature: Some((64, 0.1)),
        },
        layers: 4,
        ff: 512,
        shared: true,
        types,
        embedding: WeightType::F16,
    }
}

fn walked(device: &Emulated, recipe: &Recipe, tokens: usize, context: usize, seed: u64) -> Report {
    let model = random::model(device, recipe, seed as u32).unwrap();
    let mut random = Random::new(seed);
    let capacity = tokens.next_power_of_two();
    let walk = Walk {
        options: Options::new(capacity, context),
        tokens: (0..tokens).map(|_| random.below(recipe.shape.vocab) as u32).collect(),
        positions: (0..tokens).map(|_| random.below(context) as u32).collect(),
        layers: vec![0, recipe.layers - 1],
        head_rows: 512,
        seed,
    };
    check::walk(device, Isa::detect(), &model, &walk).unwrap()
}

const Q4: WeightType = WeightType::Packed(PackedType::Q4_K);
const Q6: WeightType = WeightType::Packed(PackedType::Q6_K);

#[test]
fn a_step_of_llama_4_is_right_stage_by_stage_and_whole() {
    let device = emulated(3, 128, 5);
    for (tokens, context) in [(1, 300), (3, 150), (13, 60)] {
        right(&walked(&device, &recipe([Q4, Q4, Q6, WeightType::F32]), tokens, context, tokens as u64));
    }
}

#[test]
fn a_step_of_other_types_is_right() {
    let device = emulated(2, 128, 5);
    let q8 = WeightType::Packed(PackedType::Q8_0);
    let mxfp4 = WeightType::Packed(PackedType::MXFP4);
    for (seed, types) in [
        [Q4, Q6, q8, WeightType::BF16],
        [mxfp4, q8, Q4, WeightType::F16],
        [WeightType::BF16, Q6, WeightType::F16, WeightType::F32],
        [Q4, WeightType::F16, Q4, WeightType::F32],
    ]
    .into_iter()
    .enumerate()
    {
        for tokens in [1, 4] {
            let recipe = Recipe { layers: 2, ..recipe(types) };
            right(&walked(&device, &recipe, tokens, 150, 20 + seed as u64));
        }
    }
}

#[test]
fn a_step_of_qwen3_moe_is_right() {
    let device = emulated(3, 64, 8);
    let base = recipe([Q4, Q6, Q6, WeightType::F32]);
    let shape = Shape {
        heads: 16,
        kv_heads: 2,
        head_dim: 64,
        experts: 33,
        used: 4,
        chunk: None,
        head_norm: HeadNorm::Weighted,
        rope_halves: true,
        softmax_on_output: true,
        frequencies: random::frequencies(64, 1e6),
        temperature: None,
        ..base.shape
    };
    let recipe = Recipe { shape, layers: 2, ff: 256, shared: false, ..base };
    for tokens in [1, 9] {
        right(&walked(&device, &recipe, tokens, 200, 40 + tokens as u64));
    }
}

#[test]
fn a_step_of_small_heads_is_right() {
    let device = emulated(2, 32, 4);
    let base = recipe([Q4, Q6, Q4, WeightType::F32]);
    let shape = Shape {
        hidden: 256,
        heads: 8,
        kv_heads: 2,
        head_dim: 32,
        frequencies: random::frequencies(32, 1e4),
        ..base.shape
    };
    let recipe = Recipe { shape, layers: 2, ff: 256, ..base };
    right(&walked(&device, &recipe, 3, 150, 50));
}

#[test]
fn a_token_gets_the_same_logits_whatever_else_is_in_the_batch() {
    let device = emulated(2, 128, 5);
    let recipe = Recipe { layers: 2, ..recipe([Q4, Q4, Q6, WeightType::F32]) };
    let model = random::model(&device, &recipe, 3).unwrap();
    let logits = |tokens: &[u32]| {
        let mut decoder =
            Decoder::new(&device, &model, Options::new(tokens.len().next_power_of_two(), 128)).unwrap();
        decoder.set_decodes(tokens, &vec![100; tokens.len()]).unwrap();
        decoder.fill_cache(9).unwrap();
        decoder.begin().unwrap();
        decoder.run(0, decoder.phases()).unwrap();
        decoder.outcomes().unwrap()[0].clone()
    };
    // Sequence 0 has the same token and cache each time.
    let alone = logits(&[7]);
    assert!(alone.is_finite && alone.candidates.len() == layout::KEPT);
    for others in [&[7, 8][..], &[7, 1, 2, 3, 4, 5, 6, 9, 10]] {
        assert_eq!(logits(others), alone, "{} sequences", others.len());
    }
}

//! The whole check of a card.

use moe_kernels::{Isa, packed::PackedType};

use super::{Report, Walk, embeddings, kept, products, prompts, quantiser, routed, walk};
use crate::{
    Error,
    decode::Options,
    driver::Gpu,
    model::{Model, WeightType},
    random::Random,
};

/// Every kernel by itself, then steps of `model` at several batch sizes with some of its layers compared. `progress` is told
/// what is next.
///
/// # Errors
/// What the GPU says.
#[allow(clippy::cast_possible_truncation)]
pub fn card(gpu: &Gpu, model: &Model, seed: u64, mut progress: impl FnMut(&str)) -> Result<Report, Error> {
    let isa = Isa::detect();
    let mut random = Random::new(seed);
    let mut report = Report::default();
    progress("the quantiser");
    for columns in [256, 2880, 5120, 8192] {
        report.append(quantiser(gpu, isa, columns, random.bits())?);
    }
    let packed = PackedType::ALL.map(WeightType::Packed);
    for weight_type in packed.into_iter().chain([WeightType::F16, WeightType::BF16, WeightType::F32]) {
        progress("products and embeddings of each type");
        let block = if weight_type.form() == crate::layout::COARSE { 256 } else { 32 };
        for tokens in [1, 7, 16, 32, 130] {
            let shape = [3001 + random.below(3000), block * (1 + random.below(5120 / block)), tokens];
            report.append(products(gpu, isa, weight_type, shape, random.bits())?);
        }
        report.append(embeddings(gpu, weight_type, 1024, random.bits())?);
    }
    progress("experts of many tokens");
    // Half of the tokens take the first expert, more than one block multiplies; the others have a few each.
    let experts = model.shape.experts;
    let of = |random: &mut Random| {
        let mut chosen: Vec<u32> = if random.below(2) == 0 { vec![0] } else { Vec::new() };
        while chosen.len() < model.shape.used {
            let expert = random.below(experts) as u32;
            if !chosen.contains(&expert) {
                chosen.push(expert);
            }
        }
        chosen
    };
    let choices: Vec<u32> = (0..400).flat_map(|_| of(&mut random)).collect();
    report.append(routed(gpu, isa, model, &choices, random.bits())?);
    progress("what is kept of keys and values");
    report.append(kept(gpu, isa, model, random.bits())?);
    let last = model.layers.len() - 1;
    for (sequences, context, layers) in [
        (1, 2048, vec![0, last]),
        (2, 2048, vec![last]),
        (8, 2048, vec![3.min(last)]),
        (16, 2048, vec![1.min(last)]),
        (32, 2048, vec![last]),
        (40, 256, vec![0, last]),
    ] {
        progress("steps of the model, stage by stage");
        let walked = Walk {
            options: Options::new(sequences, context),
            tokens: (0..sequences).map(|_| random.below(model.shape.vocab) as u32).collect(),
            positions: (0..sequences).map(|_| random.below(context) as u32).collect(),
            layers,
            head_rows: 4096,
            seed: random.bits(),
        };
        report.append(walk(gpu, isa, model, &walked)?);
    }
    progress("prompts, and their tokens one by one");
    for sizes in [&[130][..], &[40, 5, 1, 64]] {
        report.append(prompts(gpu, model, sizes, random.bits())?);
    }
    Ok(report)
}

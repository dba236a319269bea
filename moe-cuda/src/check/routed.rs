//! Experts whose tokens are given, not routed.

use moe_kernels::Isa;

use super::{
    Report,
    layer::Walker,
    single::{activations, quantise_on},
};
use crate::{
    Error,
    decode::{Decoder, Options},
    device::{Device, Stage},
    layout::FLOAT,
    model::Model,
    random::Random,
};

/// Both halves of the experts of a model's first layer by their bytes, where token `t` takes `choices[t * used..][..used]`. There
/// are more tokens than one block multiplies.
///
/// # Errors
/// What the device says.
///
/// # Panics
/// Where the model has no layer, or the layer no experts.
#[allow(clippy::cast_precision_loss)]
pub fn routed<D: Device>(
    device: &D,
    isa: Isa,
    model: &Model,
    choices: &[u32],
    seed: u64,
) -> Result<Report, Error> {
    let mut random = Random::new(seed);
    let (used, columns) = (model.shape.used, model.shape.hidden);
    let tokens = choices.len() / used;
    let options = Options { block_tokens: 16, ..Options::new(tokens, 16) };
    let mut decoder = Decoder::new(device, model, options)?;
    decoder.set_decodes(&vec![0; tokens], &vec![0; tokens])?;
    decoder.begin()?;
    let layer = decoder.layers[0];
    let (normed, forms) = (decoder.step.normed, layer.up_forms);
    let x: Vec<Vec<f32>> = (0..tokens).map(|_| activations(&mut random, columns, false)).collect();
    quantise_on(device, &normed, &x, forms & !FLOAT)?;
    if forms & FLOAT > 0 {
        for (t, x) in x.iter().enumerate() {
            device.write(normed.plain + (t * normed.plain_stride as usize) as u64, x)?;
        }
    }
    let weights: Vec<f32> = choices.iter().map(|_| 0.5 + 0.5 * random.signed()).collect();
    device.write(decoder.step.choices, choices)?;
    device.write(decoder.step.choice_weights, &weights)?;
    decoder.slots(&layer)?;
    decoder.product(Stage::Up, &layer)?;
    let pairs: Vec<(u32, f32)> = choices.iter().copied().zip(weights).collect();
    let chosen: Vec<Vec<(u32, f32)>> = pairs.chunks(used).map(<[_]>::to_vec).collect();
    let positions = vec![0; tokens];
    let report = Report::default();
    let mut walker = Walker { device, isa, model, decoder: &mut decoder, positions: &positions, report };
    walker.networks(0, &model.layers[0], &chosen)?;
    Ok(walker.report)
}

//! How fast steps of many rows are, as prompts' steps have.

use serde::Serialize;

use super::median;
use crate::{
    Error,
    decode::{Batch, Decoder, Options},
    device::Stage,
    driver::Gpu,
    layout::Layer,
    model::{Gated, Model, Tensor},
};

/// Timed steps.
const STEPS: usize = 7;

/// A step of the first so many tokens of a prompt.
#[derive(Debug, Clone, Serialize)]
pub struct Prompt {
    pub rows: usize,
    /// Milliseconds of the whole step: median, least, most.
    pub step_ms: [f32; 3],
    /// By the median.
    pub tokens_per_second: f32,
    pub kernels: Vec<Product>,
}

/// A kernel, launched for all layers one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct Product {
    pub name: &'static str,
    /// Microseconds of one launch.
    pub microseconds: f32,
    /// Multiplications and additions of products, in 10^12 a second; 0 for what is none.
    pub tera_operations_per_second: f64,
}

type Launches<'l> = &'l dyn Fn(usize, &Layer) -> Result<(), Error>;

/// Times a step of the first `rows` tokens of a sequence. By themselves, experts' kernels are timed with those that the model's last
/// router chose.
///
/// # Errors
/// What the GPU says.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn prompt(gpu: &Gpu, model: &Model, rows: usize) -> Result<Prompt, Error> {
    let base = Options::new(rows, rows);
    let blocks = rows.div_ceil(base.block_tokens);
    let mut decoder = Decoder::new(gpu, model, Options { slots: 1, wanted: 1, blocks, ..base })?;
    let tokens: Vec<u32> = (0..rows).map(|t| (t * 9973 + 17) as u32 % model.shape.vocab as u32).collect();
    let positions: Vec<u32> = (0..rows as u32).collect();
    let (slots, wanted) = (vec![0; rows], [rows as u32 - 1]);
    decoder.set(&Batch { tokens: &tokens, positions: &positions, slots: &slots, wanted: &wanted })?;
    decoder.compute()?;
    gpu.wait()?;
    let mut steps = gpu.time(STEPS, || decoder.compute())?;
    steps.sort_by(f32::total_cmp);
    let step_ms = [steps[STEPS / 2], steps[0], steps[STEPS - 1]];
    let size = |tensor: &Tensor| (tensor.rows * tensor.columns) as f64;
    let networks = |of: &dyn Fn(&Gated) -> f64| {
        let layers = model.layers.iter().map(|layer| {
            let routed = layer.routed.as_ref().map_or(0.0, |(_, gated)| of(gated));
            layer.common.as_ref().map_or(0.0, of) + routed * model.shape.used as f64
        });
        layers.sum::<f64>()
    };
    let attention = |of: &dyn Fn(&crate::model::Layer) -> f64| model.layers.iter().map(of).sum::<f64>();
    let all: [(&'static str, f64, Launches<'_>); 7] = [
        ("norm", 0.0, &|index, layer| decoder.norm(Stage::Qkv, layer, index)),
        (
            "queries, keys, values",
            attention(&|l| size(&l.query) + size(&l.key) + size(&l.value)),
            &|_, layer| decoder.product(Stage::Qkv, layer),
        ),
        ("attention", 0.0, &|_, layer| decoder.attention(layer)),
        ("output", attention(&|l| size(&l.output)), &|_, layer| decoder.product(Stage::Output, layer)),
        ("norm, router", 0.0, &|index, layer| decoder.norm(Stage::Up, layer, index)),
        ("gate, up", networks(&|g| size(&g.gate) + size(&g.up)), &|_, layer| {
            decoder.product(Stage::Up, layer)
        }),
        ("down", networks(&|g| size(&g.down)), &|_, layer| decoder.product(Stage::Down, layer)),
    ];
    let layers = &decoder.layers;
    let mut kernels = Vec::new();
    for (name, weights, launch) in all {
        let ms =
            median(gpu, &|| layers.iter().enumerate().try_for_each(|(index, layer)| launch(index, layer)))?;
        kernels.push(Product {
            name,
            microseconds: ms * 1e3 / layers.len() as f32,
            tera_operations_per_second: 2.0 * weights * rows as f64 / f64::from(ms) / 1e9,
        });
    }
    Ok(Prompt { rows, step_ms, tokens_per_second: rows as f32 * 1e3 / step_ms[0], kernels })
}

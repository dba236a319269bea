//! How fast the products of a step of many rows are, as prompts' steps have.

use serde::Serialize;

use super::median;
use crate::{
    Error,
    decode::{Decoder, Options},
    device::Stage,
    driver::Gpu,
    layout::Layer,
    model::{Gated, Model, Tensor},
};

/// The products of a step of so many rows, without attention and head.
#[derive(Debug, Clone, Serialize)]
pub struct Prompt {
    pub rows: usize,
    /// Milliseconds of all layers' products and norms.
    pub products_ms: f32,
    /// Rows per second, if there were nothing else.
    pub rows_per_second: f32,
    pub kernels: Vec<Product>,
}

/// A kernel, launched for all layers one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct Product {
    pub name: &'static str,
    /// Microseconds of one launch.
    pub microseconds: f32,
    /// Multiplications and additions of weights with activations, in 10^12 a second.
    pub tera_operations_per_second: f64,
}

type Launches<'l> = &'l dyn Fn(usize, &Layer) -> Result<(), Error>;

/// Times the products of `rows` rows, all of different sequences that begin: each row's experts are those that the model's last
/// router chooses for it.
///
/// # Errors
/// What the GPU says.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn prompt(gpu: &Gpu, model: &Model, rows: usize) -> Result<Prompt, Error> {
    let options = Options { block_tokens: 16, ..Options::new(rows, 16) };
    let mut decoder = Decoder::new(gpu, model, options)?;
    let tokens: Vec<u32> = (0..rows).map(|t| (t * 9973 + 17) as u32 % model.shape.vocab as u32).collect();
    decoder.set_inputs(&tokens, &vec![0; rows])?;
    decoder.begin()?;
    decoder.run(0, decoder.phases())?;
    gpu.wait()?;
    let size = |tensor: &Tensor| (tensor.rows * tensor.columns) as f64;
    let networks = |of: &dyn Fn(&Gated) -> f64| {
        let layers = model.layers.iter().map(|layer| {
            let routed = layer.routed.as_ref().map_or(0.0, |(_, gated)| of(gated));
            layer.common.as_ref().map_or(0.0, of) + routed * model.shape.used as f64
        });
        layers.sum::<f64>()
    };
    let attention = |of: &dyn Fn(&crate::model::Layer) -> f64| model.layers.iter().map(of).sum::<f64>();
    let all: [(&'static str, f64, Launches<'_>); 6] = [
        ("norm", 0.0, &|index, layer| decoder.norm(Stage::Qkv, layer, index)),
        (
            "queries, keys, values",
            attention(&|l| size(&l.query) + size(&l.key) + size(&l.value)),
            &|_, layer| decoder.product(Stage::Qkv, layer),
        ),
        ("output", attention(&|l| size(&l.output)), &|_, layer| decoder.product(Stage::Output, layer)),
        ("norm, router", 0.0, &|index, layer| decoder.norm(Stage::Up, layer, index)),
        ("gate, up", networks(&|g| size(&g.gate) + size(&g.up)), &|_, layer| {
            decoder.product(Stage::Up, layer)
        }),
        ("down", networks(&|g| size(&g.down)), &|_, layer| decoder.product(Stage::Down, layer)),
    ];
    let layers = &decoder.layers;
    let (mut kernels, mut products_ms) = (Vec::new(), 0.0);
    for (name, weights, launch) in all {
        let ms =
            median(gpu, &|| layers.iter().enumerate().try_for_each(|(index, layer)| launch(index, layer)))?;
        products_ms += ms;
        kernels.push(Product {
            name,
            microseconds: ms * 1e3 / layers.len() as f32,
            tera_operations_per_second: 2.0 * weights * rows as f64 / f64::from(ms) / 1e9,
        });
    }
    Ok(Prompt { rows, products_ms, rows_per_second: rows as f32 * 1e3 / products_ms, kernels })
}

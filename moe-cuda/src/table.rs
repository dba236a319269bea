//! How fast a step is: whole steps as graphs, and each kernel by itself.

mod prompt;

pub use prompt::{Product, Prompt, prompt};

use serde::Serialize;

use crate::{
    Error,
    decode::{Decoder, Options, weights_read},
    device::{Device, Stage},
    driver::Gpu,
    layout::Layer,
    model::Model,
};

/// Steps of so many sequences.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    pub sequences: usize,
    /// Milliseconds of a step: median, least, most.
    pub step_ms: [f32; 3],
    /// Milliseconds of a step where steps are queued one behind the other.
    pub queued_ms: f32,
    /// Tokens per second over all sequences, by the median.
    pub tokens_per_second: f32,
    /// Bytes of weights and KV that a step reads, with as many experts as random routing uses on average.
    pub bytes: f64,
    pub gigabytes_per_second: f64,
    pub kernels: Vec<KernelTime>,
}

/// A kernel, launched for all layers one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct KernelTime {
    pub name: &'static str,
    /// Microseconds of one launch.
    pub microseconds: f32,
    pub gigabytes_per_second: f64,
}

/// Times steps of `sequences`, each with `context` tokens.
///
/// # Errors
/// What the GPU says.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn time(
    gpu: &Gpu,
    model: &Model,
    options: Options,
    sequences: usize,
    steps: usize,
) -> Result<Timing, Error> {
    let mut decoder = Decoder::new(gpu, model, options)?;
    let tokens: Vec<u32> =
        (0..sequences).map(|t| (t * 9973 + 17) as u32 % model.shape.vocab as u32).collect();
    let last = options.context as u32 - 1;
    decoder.set_decodes(&tokens, &vec![last; sequences])?;
    decoder.fill_cache(7)?;
    gpu.prepare()?;
    let step = || {
        decoder.begin()?;
        decoder.run(0, decoder.phases())
    };
    step()?;
    gpu.wait()?;
    let graph = gpu.capture(step)?;
    gpu.time(3, || graph.launch())?;
    let mut measured = gpu.time(steps, || graph.launch())?;
    measured.sort_by(f32::total_cmp);
    let queued = gpu.time(1, || (0..10).try_for_each(|_| graph.launch()))?[0] / 10.0;
    drop(graph);

    let experts = model.shape.experts as f64;
    let missed = (1.0 - model.shape.used as f64 / experts.max(1.0)).powi(sequences as i32);
    let used = experts * (1.0 - missed);
    let kernels = kernels(gpu, &decoder, model, used, sequences, options.context)?;
    let kv = kernels.iter().find(|(.., name, _)| *name == "attention").map_or(0.0, |(_, bytes, ..)| *bytes);
    let bytes = weights_read(model, used) + kv;
    let median = measured[measured.len() / 2];
    let kernels = kernels.into_iter().map(|(count, bytes, name, ms)| KernelTime {
        name,
        microseconds: ms * 1e3 / count,
        gigabytes_per_second: bytes / f64::from(ms) / 1e6,
    });
    Ok(Timing {
        sequences,
        step_ms: [median, measured[0], measured[measured.len() - 1]],
        queued_ms: queued,
        tokens_per_second: sequences as f32 * 1e3 / median,
        bytes,
        gigabytes_per_second: bytes / f64::from(median) / 1e6,
        kernels: kernels.collect(),
    })
}

/// Milliseconds of `work`: the median of five.
fn median(gpu: &Gpu, work: &dyn Fn() -> Result<(), Error>) -> Result<f32, Error> {
    let graph = gpu.capture(work)?;
    gpu.time(1, || graph.launch())?;
    let mut times = gpu.time(5, || graph.launch())?;
    times.sort_by(f32::total_cmp);
    Ok(times[2])
}

type Launches<'l> = &'l dyn Fn(usize, &Layer) -> Result<(), Error>;

/// For each kernel: launches, bytes that they read, name, milliseconds (median of five).
#[allow(clippy::cast_precision_loss)]
fn kernels(
    gpu: &Gpu,
    decoder: &Decoder<&Gpu>,
    model: &Model,
    used: f64,
    sequences: usize,
    context: usize,
) -> Result<Vec<(f32, f64, &'static str, f32)>, Error> {
    let size = |matrix: &crate::layout::Matrix| matrix.expert_bytes as f64;
    let sum = |of: &dyn Fn(&Layer) -> f64| decoder.layers.iter().map(of).sum::<f64>();
    let vector = gpu.kv_type().vector_bytes(model.shape.head_dim);
    // Chunked layers see the last chunk.
    let in_chunk = model.shape.chunk.map_or(context, |chunk| (context - 1) % chunk + 1);
    let seen: usize = model.layers.iter().map(|l| if l.is_chunked { in_chunk } else { context }).sum();
    let kv = sequences * seen * model.shape.kv_heads * 2 * vector;
    let rows: [(&'static str, f64, Launches<'_>); 7] = [
        ("norm", 0.0, &|index, layer| decoder.norm(Stage::Qkv, layer, index)),
        ("queries, keys, values", sum(&|l| size(&l.query) + size(&l.key) + size(&l.value)), &|_, layer| {
            decoder.product(Stage::Qkv, layer)
        }),
        ("attention", kv as f64, &|_, layer| decoder.attention(layer)),
        ("output", sum(&|l| size(&l.output)), &|_, layer| decoder.product(Stage::Output, layer)),
        ("norm, router", sum(&|l| size(&l.router)), &|index, layer| decoder.norm(Stage::Up, layer, index)),
        (
            "gate, up",
            sum(&|l| size(&l.shared_gate) + size(&l.shared_up) + used * (size(&l.gate) + size(&l.up))),
            &|_, layer| decoder.product(Stage::Up, layer),
        ),
        ("down", sum(&|l| size(&l.shared_down) + used * size(&l.down)), &|_, layer| {
            decoder.product(Stage::Down, layer)
        }),
    ];
    let median = |work: &dyn Fn() -> Result<(), Error>| median(gpu, work);
    let mut all = Vec::new();
    for (name, bytes, launch) in rows {
        let layers = &decoder.layers;
        let ms = median(&|| layers.iter().enumerate().try_for_each(|(index, layer)| launch(index, layer)))?;
        all.push((layers.len() as f32, bytes, name, ms));
    }
    let ms = median(&|| decoder.product(Stage::Head, &Layer::default()))?;
    all.push((1.0, size(&decoder.step.head), "head", ms));
    let ms = median(&|| decoder.candidates())?;
    all.push((1.0, (model.shape.vocab * 4) as f64 * f64::from(decoder.step.tokens), "candidates", ms));
    Ok(all)
}

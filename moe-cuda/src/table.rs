//! How fast a step is: whole steps as graphs, and where their time goes.

use serde::Serialize;

use crate::{
    Error,
    decode::{Decoder, Options, weights_read},
    device::Device,
    driver::Gpu,
    layout::STAGES,
    model::Model,
};

/// Steps of one bucket.
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
    pub stages: Vec<Stage>,
}

/// A stage of all layers.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    pub name: &'static str,
    /// Microseconds of one layer's stage, the barrier after it included.
    pub microseconds: f32,
    /// Of them, in the first block: until its activations are there (norm, router, staging), and at the barrier.
    pub before: f32,
    pub barrier: f32,
    pub gigabytes_per_second: f64,
}

const NAMES: [&str; 8] =
    ["norm, q k v", "attention", "output", "norm, router, gate, up", "down", "norm, head", "chunks", "candidates"];

/// Times steps of `sequences`, each with `context` tokens.
///
/// # Errors
/// What the GPU says.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn time(gpu: &Gpu, model: &Model, options: Options, sequences: usize, steps: usize) -> Result<Timing, Error> {
    let mut decoder = Decoder::new(gpu, model, options)?;
    let tokens: Vec<u32> = (0..sequences).map(|t| (t * 9973 + 17) as u32 % model.shape.vocab as u32).collect();
    let last = options.context as u32 - 1;
    decoder.set_inputs(&tokens, &vec![last; sequences])?;
    decoder.fill_cache(7)?;
    let phases = decoder.phases();
    let times = gpu.allocate((phases as usize + 1) * 24)?;
    gpu.prepare(&[decoder.kernel()])?;
    let launch = |decoder: &Decoder<'_, Gpu>| {
        decoder.begin()?;
        decoder.run(0, phases)
    };
    launch(&decoder)?;
    gpu.wait()?;
    let graph = gpu.capture(|| launch(&decoder))?;
    gpu.time(3, || graph.launch())?;
    let mut measured = gpu.time(steps, || graph.launch())?;
    measured.sort_by(f32::total_cmp);
    let queued = gpu.time(1, || (0..10).try_for_each(|_| graph.launch()))?[0] / 10.0;
    drop(graph);

    // Where the time goes: the median over a few steps of each stage, summed up over the layers.
    decoder.record_times(times);
    let mut runs = Vec::new();
    for _ in 0..5 {
        launch(&decoder)?;
        let at: Vec<u64> = gpu.read(times, (phases as usize + 1) * 3)?;
        let mut sums = [[0.0_f32; 3]; 8];
        for (phase, at) in at.windows(4).step_by(3).enumerate() {
            let layers = (phases - 3) as usize;
            let stage = if phase < layers { phase % STAGES as usize } else { STAGES as usize + phase - layers };
            sums[stage][0] += at[3].saturating_sub(at[0]) as f32 / 1e3;
            sums[stage][1] += at[1].saturating_sub(at[0]) as f32 / 1e3;
            sums[stage][2] += at[3].saturating_sub(at[2]) as f32 / 1e3;
        }
        runs.push(sums);
    }
    decoder.record_times(0);
    drop(decoder);
    gpu.free(times);

    let experts = model.shape.experts as f64;
    let missed = (1.0 - model.shape.used as f64 / experts.max(1.0)).powi(sequences as i32);
    let used = experts * (1.0 - missed);
    let bytes_of = stage_bytes(model, used, sequences * options.context);
    let bytes = weights_read(model, used) + bytes_of[1];
    let median = measured[measured.len() / 2];
    let stages = NAMES.iter().enumerate().map(|(stage, name)| {
        let layers = if stage < STAGES as usize { model.layers.len() as f32 } else { 1.0 };
        let [microseconds, before, barrier] = [0, 1, 2].map(|what| {
            let mut all: Vec<f32> = runs.iter().map(|sums| sums[stage][what]).collect();
            all.sort_by(f32::total_cmp);
            all[all.len() / 2]
        });
        Stage {
            name,
            microseconds: microseconds / layers,
            before: if matches!(stage, 1 | 6 | 7) { 0.0 } else { before / layers },
            barrier: barrier / layers,
            gigabytes_per_second: bytes_of[stage] / f64::from(microseconds) / 1e3,
        }
    });
    Ok(Timing {
        sequences,
        step_ms: [median, measured[0], measured[measured.len() - 1]],
        queued_ms: queued,
        tokens_per_second: sequences as f32 * 1e3 / median,
        bytes,
        gigabytes_per_second: bytes / f64::from(median) / 1e6,
        stages: stages.collect(),
    })
}

/// Bytes that each stage reads over all layers.
fn stage_bytes(model: &Model, experts_used: f64, positions: usize) -> [f64; 8] {
    let mut bytes = [0.0; 8];
    let size = |tensor: &crate::model::Tensor| tensor.matrix_bytes() as f64;
    for layer in &model.layers {
        bytes[0] += size(&layer.query) + size(&layer.key) + size(&layer.value);
        bytes[1] += (positions * model.shape.kv_heads * model.shape.head_dim * 4) as f64;
        bytes[2] += size(&layer.output);
        let networks = [(layer.common, 1.0), (layer.routed.map(|(_, experts)| experts), experts_used)];
        for (gated, times) in networks {
            if let Some(gated) = gated {
                bytes[3] += times * (size(&gated.gate) + size(&gated.up));
                bytes[4] += times * size(&gated.down);
            }
        }
    }
    bytes[5] = size(&model.head);
    bytes[6] = (model.shape.vocab * 4) as f64;
    bytes
}

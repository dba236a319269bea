//! The engine for GPUs, on a processor that emulates the kernels.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod failures;
#[path = "../../../../moe-server/tests/goldens/generator.rs"]
#[allow(dead_code, reason = "a part of it is wanted here")]
mod generator;
#[path = "../../../../moe-server/tests/goldens/golden.rs"]
mod golden;
mod goldens;
#[path = "../../../../moe-server/tests/goldens/kept.rs"]
mod kept;
mod outside;
mod plan;
mod schedules;
mod served;
#[path = "../../../../moe-server/tests/goldens/truth.rs"]
mod truth;

use std::path::Path;

use moe_cuda::emulation::Emulated;
use moe_server::{
    engine::cuda::{CudaEngine, CudaOptions, KvType},
    model::decoder::{Attention, Config, Model},
    sleep::Progress,
};

use golden::Golden;

/// Where the golden files are.
const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../moe-server/goldens");

/// A device for models of this configuration.
pub(crate) fn device(config: &Config, kv_type: KvType) -> Emulated {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Emulated::new(folder, 2, config.head_dim, config.heads / config.kv_heads, kv_type)
}

/// One that keeps halves.
pub(crate) fn engine(model: &Model, options: CudaOptions) -> CudaEngine<Emulated> {
    engine_of(model, options, KvType::F16)
}

pub(crate) fn engine_of(model: &Model, options: CudaOptions, kv_type: KvType) -> CudaEngine<Emulated> {
    CudaEngine::new(device(&model.config, kv_type), model, options, &Progress::default()).unwrap()
}

/// Small, with every kind of layer, more than one KV head and a chunk that sequences outgrow.
pub(crate) fn small_config() -> Config {
    Config {
        vocab_size: 40,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        expert_ff: 32,
        dense_ff: 96,
        experts: 4,
        attention: Attention::Chunked { chunk: 16, temperature_floor: 4, temperature_scale: 0.1 },
        context_length: 64,
        ..Golden::read("maverick_like").config()
    }
}

pub(crate) fn options(max_batch_tokens: usize) -> CudaOptions {
    CudaOptions { kv_tokens: Some(512), max_batch_tokens, max_sequences: 4, ..CudaOptions::default() }
}

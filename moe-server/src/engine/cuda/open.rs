//! A model on a GPU of this machine.

use moe_cuda::driver::Gpu;

use super::{CudaEngine, CudaOptions, upload::unusable};
use crate::{
    model::decoder::{Model, ModelError},
    sleep::Progress,
};

/// Opens GPU number `ordinal`, compiles the kernels where they are not kept, and brings `model` there.
///
/// # Errors
/// [`ModelError`]: there is no such GPU, it cannot compute the model, or has no room for it.
pub fn open(
    ordinal: i32,
    model: &Model,
    options: CudaOptions,
    progress: &Progress,
) -> Result<CudaEngine<Gpu>, ModelError> {
    let config = &model.config;
    let gpu = Gpu::open(ordinal, config.head_dim, config.heads / config.kv_heads).map_err(unusable)?;
    gpu.prepare().map_err(unusable)?;
    CudaEngine::new(gpu, model, options, progress)
}

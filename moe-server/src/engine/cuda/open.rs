//! GPUs of this machine.

use moe_cuda::{Error, driver::Gpu, kv::KvType};

use crate::model::decoder::{Config, ModelError};

/// Opens GPU number `ordinal` for models of this configuration, with keys and values of `kv_type`, and compiles the kernels where they
/// are not kept.
///
/// # Errors
/// [`Error`]: why it cannot be used.
pub fn gpu(ordinal: u16, config: &Config, kv_type: KvType) -> Result<Gpu, Error> {
    let group = config.heads / config.kv_heads;
    let gpu = Gpu::open(i32::from(ordinal), config.head_dim, group, kv_type)?;
    gpu.prepare()?;
    Ok(gpu)
}

/// What a GPU says, as a reason why a model cannot be loaded.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn unusable(error: Error) -> ModelError {
    match error {
        Error::Model(_) => ModelError::Config(error.to_string()),
        _ => ModelError::Resources(error.to_string()),
    }
}

//! GPUs of this machine.

use moe_cuda::{Error, device::Device, driver::Gpu};

use super::Card;
use crate::model::decoder::{Config, ModelError};

/// Opens GPU number `ordinal` for models of this configuration, and compiles the kernels where they are not kept.
///
/// # Errors
/// [`Error`]: why it cannot be used.
pub fn gpu(ordinal: u16, config: &Config) -> Result<Gpu, Error> {
    let gpu = Gpu::open(i32::from(ordinal), config.head_dim, config.heads / config.kv_heads)?;
    gpu.prepare()?;
    Ok(gpu)
}

/// What GPU number `ordinal` is called, and what it has free for models of this configuration. Nothing is compiled.
///
/// # Errors
/// [`Error`]: why it cannot be asked.
pub fn card(ordinal: u16, config: &Config) -> Result<(String, Card), Error> {
    let gpu = Gpu::open(i32::from(ordinal), config.head_dim, config.heads / config.kv_heads)?;
    let card = Card { memory: gpu.free_bytes()?, shared: gpu.shared_bytes() };
    Ok((gpu.name().to_owned(), card))
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

//! GPUs of this machine.

use moe_cuda::{Error, device::Device, driver::Gpu, kv};
use moe_kernels::attention::KvType;

use super::Card;
use crate::model::decoder::{Config, ModelError};

/// Opens GPU number `ordinal` for models of this configuration, with keys and values of `kv_type`, and compiles the kernels where they
/// are not kept.
///
/// # Errors
/// [`Error`]: why it cannot be used.
pub fn gpu(ordinal: u16, config: &Config, kv_type: kv::KvType) -> Result<Gpu, Error> {
    let group = config.heads / config.kv_heads;
    let gpu = Gpu::open(i32::from(ordinal), config.head_dim, group, kv_type)?;
    gpu.prepare()?;
    Ok(gpu)
}

/// What GPU number `ordinal` is called, and what it has free for models of this configuration. Nothing is compiled.
///
/// # Errors
/// [`Error`]: why it cannot be asked.
pub fn card(ordinal: u16, config: &Config) -> Result<(String, Card), Error> {
    let group = config.heads / config.kv_heads;
    // For kernels that are not loaded: of any type.
    let gpu = Gpu::open(i32::from(ordinal), config.head_dim, group, kv::KvType::F16)?;
    let card = Card { memory: gpu.free_bytes()?, shared: gpu.shared_bytes() };
    Ok((gpu.name().to_owned(), card))
}

/// The same type of keys and values on a GPU.
///
/// # Errors
/// [`ModelError::Config`] where GPUs do not have it.
pub fn kv_type(kv_type: KvType) -> Result<kv::KvType, ModelError> {
    match kv_type {
        KvType::F16 => Ok(kv::KvType::F16),
        KvType::Q8_0 => Ok(kv::KvType::Q8_0),
        KvType::F32 => Err(ModelError::Config(
            "keys and values on a GPU are of type f16 or q8_0: give one of them as --kv-type, or compute on the \
             processor (--device cpu)"
                .to_owned(),
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cuda::CudaOptions;

    #[test]
    fn a_gpu_has_the_types_of_the_processor_but_for_f32() {
        for of_processor in CudaOptions::KV_TYPES {
            assert_eq!(kv_type(of_processor).unwrap().to_string(), of_processor.to_string());
        }
        let why = kv_type(KvType::F32).unwrap_err().to_string();
        assert!(why.contains("--kv-type"), "{why}");
    }
}

//! What computes: the processor, or a GPU.

use std::{fmt, str::FromStr, sync::Arc};

use super::LoadOptions;
use crate::{
    engine::{
        Engine,
        cpu::CpuEngine,
        cuda::{self, CudaEngine, CudaOptions},
    },
    model::{
        decoder::{Model, ModelError},
        gguf::Gguf,
    },
    sleep::Progress,
};

/// Where a model is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    #[default]
    Cpu,
    /// That NVIDIA GPU, by its number.
    Cuda(u16),
    /// The first GPU, where there is one that can; else the processor.
    Auto,
}

impl FromStr for DeviceChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(0)),
            text => text.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Self::Cuda).ok_or(()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Auto => f.write_str("auto"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

/// An engine, and what it was decided to run on: what is loaded again runs there too, with as much room.
pub(super) struct Chosen {
    pub(super) engine: Box<dyn Engine>,
    pub(super) device: DeviceChoice,
    pub(super) cuda: CudaOptions,
}

/// The engine of a model's file.
///
/// # Errors
/// [`ModelError`]; where the choice is free, only what the processor says.
pub(super) fn engine(
    gguf: &Arc<Gguf>,
    options: &LoadOptions,
    progress: &Progress,
    notice: &dyn Fn(&str),
) -> Result<Chosen, ModelError> {
    let cpu = |model| -> Result<Chosen, ModelError> {
        let engine = Box::new(CpuEngine::new(model, options.cpu.clone())?);
        Ok(Chosen { engine, device: DeviceChoice::Cpu, cuda: options.cuda.clone() })
    };
    let model = Model::load_telling(gguf, options.cpu.conversion_threads(), progress)?;
    let ordinal = match options.device {
        DeviceChoice::Cpu => return cpu(model),
        DeviceChoice::Cuda(ordinal) => ordinal,
        DeviceChoice::Auto => 0,
    };
    let is_free = options.device == DeviceChoice::Auto;
    let kv_type = match cuda::kv_type(options.cpu.kv_type) {
        Ok(kv_type) => kv_type,
        Err(error) if is_free => return instead(&error, notice, || cpu(model)),
        Err(error) => return Err(error),
    };
    let gpu = match cuda::gpu(ordinal, &model.config, kv_type) {
        Ok(gpu) => gpu,
        Err(error) if is_free => return instead(&error, notice, || cpu(model)),
        Err(error) => return Err(cuda::unusable(error)),
    };
    let name = gpu.name().to_owned();
    match CudaEngine::new(gpu, &model, options.cuda.clone(), progress) {
        Ok(engine) => {
            notice(&format!(
                "computing on GPU {ordinal}, {name}, with room for the keys and values of {} tokens",
                engine.free_tokens()
            ));
            let cuda = engine.options().clone();
            Ok(Chosen { engine: Box::new(engine), device: DeviceChoice::Cuda(ordinal), cuda })
        }
        Err(error) if is_free => instead(&error, notice, || cpu(model)),
        Err(error) => Err(error),
    }
}

/// The processor, since the GPU cannot.
fn instead(
    error: &dyn fmt::Display,
    notice: &dyn Fn(&str),
    cpu: impl FnOnce() -> Result<Chosen, ModelError>,
) -> Result<Chosen, ModelError> {
    notice(&format!("no GPU is used: {error}; computing on the processor"));
    cpu()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for choice in [DeviceChoice::Cpu, DeviceChoice::Auto, DeviceChoice::Cuda(0), DeviceChoice::Cuda(3)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999"] {
            assert_eq!(text.parse::<DeviceChoice>(), Err(()), "{text}");
        }
    }
}

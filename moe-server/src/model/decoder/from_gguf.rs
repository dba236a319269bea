//! A model from a GGUF file, by the keys and names that llama.cpp's converter writes.

use std::sync::Arc;

use super::{Config, Model, ModelError, keys::Keys, llama4, qwen3moe};
use crate::model::{gguf::Gguf, weights};
use crate::sleep::Progress;

impl Model {
    /// Finds everything in `file` and keeps it mapped. Matrices that the engine reads in another layout than the file's
    /// are packed in memory, on `threads` threads.
    ///
    /// # Errors
    /// [`ModelError`], naming the key or tensor and what to do.
    pub fn from_gguf(file: &Arc<Gguf>, threads: usize) -> Result<Self, ModelError> {
        Self::load_telling(file, threads, &Progress::default())
    }

    /// The same; `progress` counts the file's bytes of the tensors that are found.
    ///
    /// # Errors
    /// As [`Self::from_gguf`].
    pub fn load_telling(file: &Arc<Gguf>, threads: usize, progress: &Progress) -> Result<Self, ModelError> {
        let config = config(file)?;
        progress.set(0, file.tensors().map(|info| info.bytes.len() as u64).sum());
        Self::load(config, &mut |name| {
            let Some(info) = file.find_tensor(name) else { return Ok(None) };
            let tensor = weights::tensor(file, info, threads)?;
            progress.add(info.bytes.len() as u64);
            Ok(Some(tensor))
        })
    }
}

/// Whether a file's metadata describe a model that can be run.
///
/// # Errors
/// [`ModelError`], naming the key.
pub(in crate::model) fn check(file: &Gguf) -> Result<(), ModelError> {
    config(file)?.check()
}

pub(super) fn config(file: &Gguf) -> Result<Config, ModelError> {
    let architecture = file.get::<&str>("general.architecture")?;
    let read = match architecture {
        llama4::NAME => llama4::config,
        qwen3moe::NAME => qwen3moe::config,
        other => return Err(ModelError::Architecture { found: other.to_owned() }),
    };
    read(&Keys { file, architecture })
}

//! Everything that serving needs, from one file.

use std::{path::Path, sync::Arc};

use super::{ChatTemplate, ModelError, Tokenizer, gguf::Gguf};
use crate::engine::{
    Engine,
    cpu::{CpuEngine, CpuOptions},
};

/// How to run the model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    pub cpu: CpuOptions,
}

/// A model that is ready to serve.
pub struct LoadedModel {
    /// The file's name without its extension.
    pub name: String,
    pub tokenizer: Arc<Tokenizer>,
    pub template: Arc<ChatTemplate>,
    pub engine: Box<dyn Engine>,
}

impl std::fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedModel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Maps the file and checks all of it but its weights' values.
///
/// # Errors
/// [`ModelError`]: what is wrong with the file, or what the machine cannot give.
pub fn load(path: &Path, options: &LoadOptions) -> Result<LoadedModel, ModelError> {
    let file = Arc::new(Gguf::open(path)?);
    let tokenizer = Tokenizer::from_gguf(&file)?;
    let template = ChatTemplate::from_gguf(&file)?;
    let engine = CpuEngine::from_gguf(&file, options.cpu.clone())?;
    let logits = engine.capabilities().vocab_size;
    if tokenizer.vocab_size() > logits {
        return Err(ModelError::Tokenizer(format!(
            "it has {} tokens and the model's output {logits}; convert the model again",
            tokenizer.vocab_size()
        )));
    }
    Ok(LoadedModel {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        tokenizer: Arc::new(tokenizer),
        template: Arc::new(template),
        engine: Box::new(engine),
    })
}

//! From a file to a model that can serve.

use std::{fmt, path::Path, sync::Arc};

use super::{
    ChatTemplate, ModelError, Tokenizer, fingerprint,
    gguf::{Gguf, GgufError, base_name},
};
use crate::engine::{
    Engine,
    cpu::{CpuEngine, CpuOptions},
};

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The name under which it is served; without one, the file's name without its ending and number.
    pub name: Option<String>,
    pub cpu: CpuOptions,
}

/// A model ready to serve.
pub struct LoadedModel {
    pub name: String,
    pub tokenizer: Arc<Tokenizer>,
    pub template: Arc<ChatTemplate>,
    /// Of tokenizer and template: 16 hex digits.
    pub vocab: String,
    pub engine: Box<dyn Engine>,
}

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedModel")
            .field("name", &self.name)
            .field("capabilities", self.engine.capabilities())
            .finish_non_exhaustive()
    }
}

/// Maps a GGUF file and makes all of it that serving needs.
///
/// # Errors
/// [`ModelError`], naming the file and what is wrong in it.
pub fn load(path: &Path, options: &LoadOptions) -> Result<LoadedModel, ModelError> {
    load_unnamed(path, options).map_err(|error| match error {
        // It names the file already.
        ModelError::Gguf(GgufError::Io { .. }) => error,
        error => ModelError::InFile { path: path.to_owned(), error: Box::new(error) },
    })
}

fn load_unnamed(path: &Path, options: &LoadOptions) -> Result<LoadedModel, ModelError> {
    let gguf = Arc::new(Gguf::open(path)?);
    // First, since it knows what it can run: another architecture's tokenizer need not be understood.
    let engine = CpuEngine::from_gguf(&gguf, options.cpu.clone())?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let (tokens, logits) = (tokenizer.vocab_size(), engine.capabilities().vocab_size);
    if tokens > logits {
        return Err(ModelError::Tokenizer(format!("it has {tokens} tokens and the model {logits} logits")));
    }
    let template = ChatTemplate::from_gguf(&gguf)?;
    Ok(LoadedModel {
        name: options.name.clone().unwrap_or_else(|| base_name(path)),
        tokenizer: Arc::new(tokenizer),
        vocab: fingerprint::of(&gguf, template.source()),
        template: Arc::new(template),
        engine: Box::new(engine),
    })
}

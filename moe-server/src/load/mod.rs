//! From a file to a model that can serve: what [`crate::model`] makes of it, and the engine that runs it.

mod device;
mod files;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    engine::{Capabilities, Engine, Factory, LoadFailure, cpu::CpuOptions, cuda::CudaOptions},
    model::{
        ChatTemplate, ModelError, Tokenizer, fingerprint,
        gguf::Gguf,
        packing::Manifest,
        weights::{MemoryPlan, available_memory},
    },
    sleep::{
        Progress,
        warm::{WarmError, warm},
    },
};

pub use device::DeviceChoice;
use device::{Chosen, engine};
use files::{again, name_of, open};

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The name under which it is served; without one, the file's name without its endings and number.
    pub name: Option<String>,
    pub device: DeviceChoice,
    pub cpu: CpuOptions,
    pub cuda: CudaOptions,
    /// Is told what the operator may want to know, a line at a time.
    pub notice: Option<fn(&str)>,
}

/// A model ready to serve.
pub struct LoadedModel {
    pub name: String,
    pub tokenizer: Arc<Tokenizer>,
    pub template: Arc<ChatTemplate>,
    /// Of tokenizer and template: 16 hex digits.
    pub vocab: String,
    pub engine: Box<dyn Engine>,
    /// What the engine runs on, and with what on a GPU.
    pub device: DeviceChoice,
    cuda: CudaOptions,
    /// The files whose bytes the engine reads where they are mapped, in that order.
    mapped: Vec<PathBuf>,
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
    load_telling(path, options, &Progress::default()).map_err(|error| error.in_file(path))
}

fn load_telling(path: &Path, options: &LoadOptions, progress: &Progress) -> Result<LoadedModel, ModelError> {
    let (weights, text) = parts(path, options, progress)?;
    let tokenizer = match &text.packed {
        // From a map of its own: with the engine, all of the other one is let go of.
        Some(_) => Tokenizer::from_packed(&Arc::new(again(&text.gguf)?))?,
        None => Tokenizer::from_gguf(&text.gguf)?,
    };
    let (tokens, logits) = (tokenizer.vocab_size(), weights.engine.capabilities().vocab_size);
    if tokens > logits {
        return Err(ModelError::Tokenizer(format!("it has {tokens} tokens and the model {logits} logits")));
    }
    Ok(LoadedModel {
        name: options.name.clone().unwrap_or_else(|| name_of(path)),
        tokenizer: Arc::new(tokenizer),
        vocab: text.vocab,
        template: Arc::new(text.template),
        engine: weights.engine,
        device: weights.device,
        cuda: weights.cuda,
        mapped: weights.mapped,
    })
}

/// What computes.
struct Weights {
    engine: Box<dyn Engine>,
    device: DeviceChoice,
    cuda: CudaOptions,
    mapped: Vec<PathBuf>,
}

/// What tokens are made with and from.
struct Text {
    gguf: Arc<Gguf>,
    packed: Option<Manifest>,
    template: ChatTemplate,
    vocab: String,
}

fn parts(path: &Path, options: &LoadOptions, progress: &Progress) -> Result<(Weights, Text), ModelError> {
    let notice = |line: &str| options.notice.map_or((), |notice| notice(line));
    let (gguf, packed) = open(path, &notice)?;
    // First, since it knows what it can run: another architecture's tokenizer need not be understood.
    let Chosen { engine, device, cuda } = engine(&gguf, options, progress, &notice)?;
    let template = ChatTemplate::from_gguf(&gguf)?;
    let vocab =
        packed.as_ref().map_or_else(|| fingerprint::tokenizer(&gguf), |manifest| manifest.vocab.clone());
    let vocab = fingerprint::of(&vocab, template.source());
    // What had to be converted has been read, and so has what was brought to a GPU.
    let is_mapped = device == DeviceChoice::Cpu && (packed.is_some() || MemoryPlan::of(&gguf).tensors == 0);
    let mapped = gguf.files().filter(|_| is_mapped).map(|file| file.path.to_owned()).collect();
    Ok((Weights { engine, device, cuda, mapped }, Text { gguf, packed, template, vocab }))
}

/// Makes the engine of a [`LoadedModel`] again.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    options: LoadOptions,
    vocab: String,
    capabilities: Capabilities,
    mapped: Vec<PathBuf>,
}

impl Loader {
    /// `model` was loaded with these.
    #[must_use]
    pub fn new(path: &Path, options: LoadOptions, model: &LoadedModel) -> Self {
        Self {
            path: path.to_owned(),
            options: LoadOptions { device: model.device, cuda: model.cuda.clone(), ..options },
            vocab: model.vocab.clone(),
            capabilities: model.engine.capabilities().clone(),
            mapped: model.mapped.clone(),
        }
    }
}

impl Factory for Loader {
    fn load(&mut self, progress: &Progress) -> Result<Box<dyn Engine>, LoadFailure> {
        let failed = |error: ModelError| {
            // What is not wanted any more may end half way.
            let cancelled = progress.check().map_err(|_| LoadFailure::Cancelled);
            cancelled.err().unwrap_or_else(|| LoadFailure::Failed(error.in_file(&self.path).to_string()))
        };
        let (weights, text) = parts(&self.path, &self.options, progress).map_err(failed)?;
        if text.vocab != self.vocab || *weights.engine.capabilities() != self.capabilities {
            return Err(LoadFailure::Failed(format!(
                "{}: another model is there now than the one that this server was started with; put that one back, or \
                 restart the server",
                self.path.display()
            )));
        }
        self.mapped = weights.mapped;
        Ok(weights.engine)
    }

    fn warm(&mut self, progress: &Progress) -> Result<(), LoadFailure> {
        if self.mapped.is_empty() {
            return Ok(());
        }
        // What does not fit would push out what was read before it.
        let most = available_memory().map_or(u64::MAX, |bytes| bytes as u64);
        warm(&self.mapped, most, progress).map_err(|error| match error {
            WarmError::Cancelled => LoadFailure::Cancelled,
            WarmError::Io(error) => {
                LoadFailure::Failed(format!("{}: it cannot be read: {error}", self.path.display()))
            }
        })
    }
}

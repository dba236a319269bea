//! From a file to a model that can serve.

use std::{fmt, path::Path, sync::Arc};

use super::{
    ChatTemplate, ModelError, Tokenizer, fingerprint,
    gguf::{Gguf, base_name},
    packing::{Manifest, MemoryPlan, beside, changed_source, default_output},
};
use crate::engine::{
    Engine,
    cpu::{CpuEngine, CpuOptions},
};

/// Less is packed before anybody has read the notice.
const WORTH_A_NOTICE: usize = 64 << 20;

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The name under which it is served; without one, the file's name without its endings and number.
    pub name: Option<String>,
    pub cpu: CpuOptions,
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
    load_unnamed(path, options).map_err(|error| error.in_file(path))
}

fn load_unnamed(path: &Path, options: &LoadOptions) -> Result<LoadedModel, ModelError> {
    let notice = |line: &str| options.notice.map_or((), |notice| notice(line));
    let (gguf, packed) = open(path, &notice)?;
    // First, since it knows what it can run: another architecture's tokenizer need not be understood.
    let engine = CpuEngine::from_gguf(&gguf, options.cpu.clone())?;
    let tokenizer = match &packed {
        Some(_) => Tokenizer::from_packed(&gguf)?,
        None => Tokenizer::from_gguf(&gguf)?,
    };
    let (tokens, logits) = (tokenizer.vocab_size(), engine.capabilities().vocab_size);
    if tokens > logits {
        return Err(ModelError::Tokenizer(format!("it has {tokens} tokens and the model {logits} logits")));
    }
    let template = ChatTemplate::from_gguf(&gguf)?;
    let vocab = packed.map_or_else(|| fingerprint::tokenizer(&gguf), |manifest| manifest.vocab);
    Ok(LoadedModel {
        name: options.name.clone().unwrap_or_else(|| name_of(path)),
        tokenizer: Arc::new(tokenizer),
        vocab: fingerprint::of(&vocab, template.source()),
        template: Arc::new(template),
        engine: Box::new(engine),
    })
}

/// The model's file, or a packed one that stands for it.
fn open(path: &Path, notice: &dyn Fn(&str)) -> Result<(Arc<Gguf>, Option<Manifest>), ModelError> {
    let gguf = Gguf::open(path)?;
    if let Some(manifest) = Manifest::of(&gguf)? {
        if changed_source(path, &manifest) {
            notice(&format!(
                "{}: the model beside it was changed since it was packed; pack it again to serve what it is now",
                path.display()
            ));
        }
        return Ok((Arc::new(gguf), Some(manifest)));
    }
    match beside(path, &gguf) {
        Ok(Some((packed, manifest))) => {
            notice(&format!("{} is served, which was made from it", default_output(path).display()));
            return Ok((Arc::new(packed), Some(manifest)));
        }
        Ok(None) => {}
        Err(why) => notice(&why),
    }
    let in_memory = MemoryPlan::of(&gguf);
    in_memory.check()?;
    if in_memory.bytes >= WORTH_A_NOTICE {
        notice(&format!(
            "packing {} tensors ({} MiB) in memory; `moe-server pack` does it once and for all, and the start takes \
             milliseconds",
            in_memory.tensors,
            in_memory.bytes >> 20
        ));
    }
    Ok((Arc::new(gguf), None))
}

/// A model's name, packed or not.
fn name_of(path: &Path) -> String {
    let name = base_name(path);
    name.strip_suffix(".packed").map_or(name.clone(), str::to_owned)
}

//! Which files stand for a model.

use std::{path::Path, sync::Arc};

use crate::model::{
    ModelError,
    gguf::{Gguf, base_name},
    packing::{Manifest, beside, changed_source, default_output},
    weights::MemoryPlan,
};

/// Less is packed before anybody has read the notice.
const WORTH_A_NOTICE: usize = 64 << 20;

/// The model's file, or a packed one that stands for it.
pub(super) fn open(path: &Path, notice: &dyn Fn(&str)) -> Result<(Arc<Gguf>, Option<Manifest>), ModelError> {
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
pub(super) fn name_of(path: &Path) -> String {
    let name = base_name(path);
    name.strip_suffix(".packed").map_or(name.clone(), str::to_owned)
}

/// Maps a model's one file a second time.
pub(super) fn again(gguf: &Gguf) -> Result<Gguf, ModelError> {
    let path = gguf.files().next().map(|file| file.path).unwrap_or(Path::new(""));
    let second = Gguf::open(path)?;
    let headers = |gguf: &Gguf| gguf.files().next().map(|file| file.header.to_vec());
    if headers(gguf) != headers(&second) {
        return Err(ModelError::Packed("it was replaced while it was being opened; start again".to_owned()));
    }
    Ok(second)
}

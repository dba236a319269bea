//! A packed file and the model that it was made from, side by side.

use std::{fs, io::ErrorKind, path::Path};

use super::{
    contents::default_output,
    manifest::{Manifest, Source},
};
use crate::model::gguf::{FileInfo, Gguf, GgufError};

/// The packed file beside a plain model, ready to be served in its stead.
///
/// # Errors
/// Why the one that is there is not used, for the operator.
pub(crate) fn beside(model: &Path, plain: &Gguf) -> Result<Option<(Gguf, Manifest)>, String> {
    let path = default_output(model);
    let unused = |why: &dyn std::fmt::Display| format!("{} is not used: {why}", path.display());
    let packed = match Gguf::open(&path) {
        Err(GgufError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unused(&error))?,
    };
    let manifest = Manifest::of(&packed).map_err(|error| unused(&error))?;
    let manifest = manifest.ok_or_else(|| unused(&"it is no packed file"))?;
    let files = plain.files().map(|FileInfo { size, modified, .. }| (size as u64, modified));
    // Fine-tunes of one model are of one size, and images and archives give all files one time.
    if !manifest.source.is(files) || manifest.source.header != Source::header_of(plain) {
        return Err(unused(&"the model was changed since; pack it again"));
    }
    Ok(Some((packed, manifest)))
}

/// Whether the model that a packed file was made from lies beside it and is not what it was. Its absence is none of
/// our business: a packed file is complete.
pub(crate) fn changed_source(packed: &Path, manifest: &Manifest) -> bool {
    let Source { names, .. } = &manifest.source;
    let found: Option<Vec<_>> = names
        .iter()
        .map(|name| {
            // A name, not a way to somewhere else.
            let name = Path::new(name).file_name()?;
            let found = fs::metadata(packed.with_file_name(name)).ok()?;
            Some((found.len(), found.modified().ok()))
        })
        .collect();
    found.is_some_and(|found| !manifest.source.is(found.into_iter()))
}

//! Whether a packed file still is what was written.

use std::path::Path;

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

use super::{error::PackError, manifest::Manifest};
use crate::model::gguf::Gguf;

/// At a time, so that progress can be told.
const PIECE: usize = 4 << 20;

/// Computes the hash of a packed file's content and compares it to the one taken when it was packed. `tell` gets the
/// bytes done and to do.
///
/// # Errors
/// [`PackError::Damaged`] where they differ; others where the file is none that could be served.
pub fn verify(path: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<(), PackError> {
    let in_file = |error: crate::model::ModelError| PackError::Model(error.in_file(path));
    let gguf = Gguf::open(path).map_err(|error| in_file(error.into()))?;
    let manifest =
        Manifest::of(&gguf).map_err(in_file)?.ok_or_else(|| PackError::NotPacked(path.to_owned()))?;
    let data = gguf.data();
    let mut hash = Sha256::new();
    let mut done = 0;
    for piece in data.chunks(PIECE) {
        hash.update(piece);
        done += piece.len() as u64;
        tell(done, data.len() as u64);
    }
    if to_hex(&hash.finalize()) == manifest.content {
        Ok(())
    } else {
        Err(PackError::Damaged(path.to_owned()))
    }
}

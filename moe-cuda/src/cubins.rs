//! Machine code of the kernels: shipped with the program, or compiled on this machine and kept.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Error,
    compile::{Compiler, HEADERS, Source, Target, options},
};

/// Names machine code by what it was made from.
fn key(source: Source, target: &Target) -> String {
    let mut hash = Sha256::new();
    for (name, text) in HEADERS {
        hash.update(name.to_bytes_with_nul());
        hash.update(text);
    }
    hash.update(source.text().1);
    hash.update(options(source, target).join(" "));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok().filter(|bytes| !bytes.is_empty())
}

/// What the environment variable `name` says, unless that is nothing.
fn folder(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder of kernels that were compiled here.
fn cache() -> Option<PathBuf> {
    let base = folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .or_else(|| folder("LOCALAPPDATA"))?;
    Some(base.join("moegate/kernels"))
}

/// The machine code of a source: what is shipped in the folder `MOE_KERNELS`, or was compiled here for this version of the driver, or is
/// compiled now and kept.
///
/// # Errors
/// As [`Compiler::load`] and [`Compiler::compile`].
pub fn cubin(source: Source, target: &Target, driver: i32) -> Result<Vec<u8>, Error> {
    let key = key(source, target);
    let shipped = folder("MOE_KERNELS").and_then(|folder| read(&folder.join(format!("{key}.cubin"))));
    if let Some(found) = shipped {
        return Ok(found);
    }
    let kept = cache().map(|folder| folder.join(format!("{key}-{driver}.cubin")));
    if let Some(found) = kept.as_deref().and_then(read) {
        return Ok(found);
    }
    let compiled = Compiler::load()?.compile(source, target)?.cubin;
    if let Some(path) = kept {
        // A cache that cannot be written costs seconds at the next start, no more.
        let _ = write(&path, &compiled);
    }
    Ok(compiled)
}

/// Renamed when it is whole, so that none is half there.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path)).inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}

/// Compiles all kernels for `target` into `folder`, for machines without NVRTC: they find them there by `MOE_KERNELS`. Targets
/// share modules: `shipped` has the sizes of those that are there already, and gets those that are compiled now. Answers the bytes of all
/// of the target's.
///
/// # Errors
/// As [`cubin`], and [`Error::Ship`] where the folder cannot be written.
pub fn ship(
    compiler: &Compiler,
    target: &Target,
    folder: &Path,
    shipped: &mut HashMap<String, usize>,
) -> Result<usize, Error> {
    let mut bytes = 0;
    for source in Source::ALL {
        let key = key(source, target);
        if let Some(size) = shipped.get(&key) {
            bytes += size;
            continue;
        }
        let cubin = compiler.compile(source, target)?.cubin;
        let path = folder.join(format!("{key}.cubin"));
        write(&path, &cubin).map_err(|error| Error::Ship { path, why: error.to_string() })?;
        bytes += cubin.len();
        shipped.insert(key, cubin.len());
    }
    Ok(bytes)
}

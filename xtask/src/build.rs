//! `cargo xtask build worker`: the gateway as the wasm module that ships to Workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{At, Failure, Result};
use crate::process::run_attached;
use crate::setup::Setup;

/// What to build besides the defaults.
#[derive(Debug, Default)]
pub(crate) struct Variant<'a> {
    /// A configuration instead of `MOEGATE_CONFIG` or moegate.toml, relative to the repository's root.
    pub(crate) config: Option<&'a str>,
    /// The gateway package's features.
    pub(crate) features: Option<&'a str>,
    pub(crate) quiet: bool,
}

/// Builds the module and puts it at `OUT/moegate.wasm`. `MOEGATE_CONFIG` goes through to the package's build script.
pub(crate) fn worker(setup: &Setup, out: &Path, variant: &Variant<'_>) -> Result<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let quiet = variant.quiet;
    let wasm = setup.wasm()?;
    let mut command = wasm.cargo("build");
    command.args(["--package", "moegate", "--lib", "--profile", "wasm", "--target", TARGET]);
    if let Some(features) = variant.features {
        command.args(["--features", features]);
    }
    if let Some(config) = variant.config {
        command.env("MOEGATE_CONFIG", config);
    }
    if quiet {
        command.arg("--quiet");
    }
    run_attached("cargo build of the gateway for wasm", command)?;
    let built = wasm.target_dir().join(TARGET).join("wasm/moegate.wasm");
    let bytes = fs::read(&built).at("read", &built)?;
    fs::create_dir_all(out).at("create", out)?;
    let file = out.join("moegate.wasm");
    // Left alone when nothing has changed, so that what watches the file sleeps on.
    if !fs::read(&file).is_ok_and(|old| old == bytes) {
        let partial = out.join("moegate.wasm.partial");
        fs::write(&partial, &bytes).at("write", &partial)?;
        fs::rename(&partial, &file).at("move into place", &file)?;
    }
    if !quiet {
        let shown = file.strip_prefix(&setup.root).unwrap_or(&file);
        eprintln!("{}: {} bytes, {} gz", shown.display(), bytes.len(), gzipped(&file)?);
    }
    Ok(file)
}

/// The size of the file as `gzip -9` packs it.
fn gzipped(file: &Path) -> Result<usize> {
    let output = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot start gzip: {error}")))?;
    if output.status.success() {
        Ok(output.stdout.len())
    } else {
        Err(Failure::new(format!("gzip failed ({})", output.status)))
    }
}

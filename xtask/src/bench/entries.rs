//! The Workers that are compared.

use std::fs;
use std::path::{Path, PathBuf};

use super::workerd::Subject;
use crate::failure::{At, Failure, Result};
use crate::setup::Setup;

/// The Worker that ships, built with the bench's configuration into `folder`.
pub(super) fn own(folder: &Path) -> Result<Subject> {
    Ok(Subject { name: "moegate", modules: modules(folder)?, ledger: true })
}

/// The same with a ledger that keeps nothing.
pub(super) fn own_without_record(setup: &Setup, folder: &Path) -> Result<Subject> {
    wrapped("moegate, no record", setup, folder, "entry-no-record")
}

/// The pass-through with the ledger of the Worker that ships.
pub(super) fn pass_through_ledger(setup: &Setup, folder: &Path) -> Result<Subject> {
    wrapped("pass-through, ledger", setup, folder, "pass-through-ledger")
}

/// An entry of the bench's own over the Worker that ships.
fn wrapped(name: &'static str, setup: &Setup, folder: &Path, script: &str) -> Result<Subject> {
    let wrapper = (format!("{script}.js"), setup.root.join(format!("bench/gateway/{script}.mjs")));
    let modules = [wrapper].into_iter().chain(modules(folder)?).collect();
    Ok(Subject { name, modules, ledger: name == "pass-through, ledger" })
}

/// The Worker of another checkout, in which `cargo xtask build worker` has run with the bench's configuration.
pub(super) fn before(checkout: &Path) -> Result<Subject> {
    let folder = checkout.join("build/worker");
    if folder.join("entry.js").is_file() {
        let modules = modules(&folder)?;
        let ledger = modules.iter().any(|(name, _)| name == "ledger.js");
        return Ok(Subject { name: "before", modules, ledger });
    }
    let module = folder.join("moegate.wasm");
    if !module.is_file() {
        return Err(Failure::new(format!("there is no Worker in {}", folder.display())).remedy(
            "run this in that checkout first: MOEGATE_CONFIG=bench/gateway/moegate.toml cargo xtask build worker",
        ));
    }
    // Version 0.1 had its JavaScript among the sources.
    let scripts = ["entry.mjs", "glue.mjs", "instance.mjs", "origin.mjs", "stream.mjs"];
    let sources = scripts.map(|name| format!("src/platform/cloudflare/{name}"));
    let mut modules: Vec<_> = sources.into_iter().map(|name| (name.clone(), checkout.join(name))).collect();
    modules.push(("build/worker/moegate.wasm".to_owned(), module));
    Ok(Subject { name: "before", modules, ledger: false })
}

/// The entry first, then what it imports, by their names beside it.
fn modules(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut modules = vec![("entry.js".to_owned(), folder.join("entry.js"))];
    add(folder, "", &mut modules)?;
    Ok(modules)
}

fn add(folder: &Path, prefix: &str, modules: &mut Vec<(String, PathBuf)>) -> Result<()> {
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            add(&path, &format!("{name}/"), modules)?;
        } else if name != "entry.js" && [".js", ".wasm"].iter().any(|ending| name.ends_with(ending)) {
            modules.push((name, path));
        }
    }
    Ok(())
}

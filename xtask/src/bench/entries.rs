//! Builds what is compared: the entry that ships, and the same gateway behind worker-build's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::workerd::Subject;
use crate::cache::{self, Step};
use crate::failure::{At, Failure, Result};
use crate::process::{run_attached, run_tool};
use crate::setup::{Node, Setup};

const WORKER_BUILD: &str = "0.8.7";

/// The entry that ships, its module built with the bench's configuration.
pub(super) fn own(setup: &Setup, module: &Path) -> Subject {
    Subject { name: "moegate", modules: own_modules(setup, module) }
}

/// The same without a store.
pub(super) fn own_without_record(setup: &Setup, module: &Path) -> Subject {
    let wrapper = ("bench/gateway/entry-no-record.mjs", setup.root.join("bench/gateway/entry-no-record.mjs"));
    let modules = [wrapper].into_iter().chain(own_modules(setup, module)).collect();
    Subject { name: "moegate, no record", modules }
}

/// The entry of another checkout, in which `cargo xtask build worker` has run with the bench's configuration.
pub(super) fn before(checkout: &Path) -> Result<Subject> {
    let module = checkout.join("build/worker/moegate.wasm");
    if !module.is_file() {
        return Err(Failure::new(format!("{} is not there", module.display())).remedy(
            "run this in that checkout first: MOEGATE_CONFIG=bench/gateway/moegate.toml cargo xtask build worker",
        ));
    }
    Ok(Subject { name: "before", modules: modules(checkout, &module) })
}

fn own_modules(setup: &Setup, module: &Path) -> Vec<(&'static str, PathBuf)> {
    modules(&setup.root, module)
}

fn modules(root: &Path, module: &Path) -> Vec<(&'static str, PathBuf)> {
    let scripts = [
        "src/platform/cloudflare/entry.mjs",
        "src/platform/cloudflare/glue.mjs",
        "src/platform/cloudflare/instance.mjs",
        "src/platform/cloudflare/origin.mjs",
        "src/platform/cloudflare/stream.mjs",
    ];
    let files = scripts.into_iter().map(|name| (name, root.join(name)));
    // An earlier version has fewer of them.
    let mut modules: Vec<_> = files.filter(|(_, file)| file.is_file()).collect();
    modules.push(("build/worker/moegate.wasm", module.to_owned()));
    modules
}

/// The gateway behind worker-build's entry, built into `bench/entry-worker-build/build`. As for the entry that ships,
/// `wasm-opt` is left out.
pub(super) fn worker_build(setup: &Setup, node: &Node) -> Result<Subject> {
    let package = setup.root.join("bench/entry-worker-build");
    let tools = tools(setup, &package.join("Cargo.lock"))?;
    let mut command = Command::new(tools.join("bin/worker-build"));
    command
        .args(["--profile", "wasm", "--no-opt", "--out-dir", "build"])
        .current_dir(&package)
        .env("MOEGATE_CONFIG", "bench/gateway/moegate.toml")
        .env("WASM_BINDGEN_BIN", tools.join("bin/wasm-bindgen"))
        .env("ESBUILD_BIN", node.modules().join("esbuild/bin/esbuild"));
    setup.wasm()?.equip(&mut command);
    run_attached("worker-build", command)?;
    let build = package.join("build");
    let file = |name: &'static str| (name, build.join(name));
    Ok(Subject { name: "worker-build", modules: vec![file("index.js"), file("index_bg.wasm")] })
}

/// worker-build, and the wasm-bindgen that fits the package's lock file.
fn tools(setup: &Setup, lock: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(lock).at("read", lock)?;
    let bindgen = locked_version(&text, "wasm-bindgen")
        .ok_or_else(|| Failure::new(format!("{} names no wasm-bindgen", lock.display())))?;
    let step = Step {
        folder: "worker-build",
        what: "worker-build and wasm-bindgen, built from source (for this comparison only)",
        cost: "about 40 MB of download, three to six minutes of compiling",
        pins: &[WORKER_BUILD, bindgen],
        remedy: "check that crates.io can be reached, then run this command again",
    };
    setup.cache.install(&step, |partial| {
        let target = partial.join("target");
        for (name, version, program) in
            [("wasm-bindgen-cli", bindgen, "wasm-bindgen"), ("worker-build", WORKER_BUILD, "worker-build")]
        {
            // Unoptimised: they run for a second.
            let mut command = setup.cargo("install");
            command.args(["--debug", "--version", version, "--bin", program, name, "--root"]).arg(partial);
            command.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_DEV_DEBUG", "0").current_dir(partial);
            run_tool(&format!("cargo install {name}"), command)?;
        }
        cache::remove(&target)
    })
}

/// The version of a package in a lock file.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package_with_exactly_this_name() {
        let lock = "[[package]]\nname = \"ab-c\"\nversion = \"1\"\n\n[[package]]\nname = \"ab\"\nversion = \"2.0\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "ab"), Some("2.0"));
        assert_eq!(locked_version(lock, "b"), None);
    }
}

//! Debian's newer Rust compiler, unpacked into the cache, with a standard library built for the wasm targets.
//!
//! Debian carries a recent compiler for its browsers (`rustc-web`) and its library's source, but no wasm library.
//! cargo itself is the one in use: Debian's would need libraries that a machine may lack.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Setup;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

/// Paths inside the unpacked toolchain.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    pub(super) cargo_clippy: PathBuf,
    /// For modules.
    pub(super) linker: PathBuf,
    /// For components.
    pub(super) component_linker: PathBuf,
}

const REMEDY: &str = "check that Debian's mirror can be reached (`apt-get update`), then run this command again; \
    where rustup may install, `rustup target add wasm32-unknown-unknown wasm32-wasip2` is the simpler way";

pub(super) fn set_up(setup: &Setup, targets: &[String]) -> Result<Toolchain> {
    let pins: Vec<&str> = setup.pins.debian_packages.iter().map(String::as_str).collect();
    let step = Step {
        folder: "rust-wasm",
        what: "a Rust compiler for wasm from Debian's packages, unpacked and not installed",
        cost: "about 180 MB of download, 860 MB on disk",
        pins: &pins,
        remedy: REMEDY,
    };
    let folder = setup.cache.install(&step, |partial| {
        let got = download(setup, partial)?;
        unpack(partial)?;
        wrappers(partial)?;
        let path = partial.join("got");
        fs::write(&path, got).at("write", &path)
    })?;
    let toolchain = Toolchain {
        rustc: folder.join("bin/rustc"),
        cargo_clippy: folder.join("bin/cargo-clippy"),
        linker: folder.join("bin/rust-lld"),
        component_linker: folder.join("bin/wasm-component-ld"),
    };
    let got_path = folder.join("got");
    let got = fs::read_to_string(&got_path).at("read", &got_path)?;
    for target in targets {
        standard_library(setup, &folder, &toolchain, target, &got)?;
    }
    Ok(toolchain)
}

/// Downloads the packages at their pinned versions, or all at their newest: they must fit each other.
/// Returns what was got, a file name a line.
fn download(setup: &Setup, partial: &Path) -> Result<String> {
    let debs = partial.join("debs");
    fs::create_dir_all(&debs).at("create", &debs)?;
    let pinned = &setup.pins.debian_packages;
    let names: Vec<String> =
        pinned.iter().map(|pin| pin.split('=').next().unwrap_or_default().to_owned()).collect();
    let mut options = Vec::new();
    if !lists_know(&names, &options) {
        options = private_lists(setup)?;
    }
    let mut result = run_tool("apt-get download", apt_download(&debs, &options, pinned));
    if matches!(result, Err(Failure::Failed { .. })) {
        if options.is_empty() {
            // The machine's lists may be older than the mirror.
            options = private_lists(setup)?;
            result = run_tool("apt-get download", apt_download(&debs, &options, pinned));
        }
        if matches!(result, Err(Failure::Failed { .. })) {
            eprintln!("    a pinned version is gone from the mirror; taking the newest of each package");
            result = run_tool("apt-get download", apt_download(&debs, &options, &names));
        }
    }
    result.map_err(|failure| {
        failure.remedy(format!(
            "{REMEDY} (these packages are known to be there on Debian {})",
            setup.pins.debian_suite
        ))
    })?;
    let mut got: Vec<String> = fs::read_dir(&debs)
        .at("list", &debs)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    got.sort();
    for (name, pin) in names.iter().zip(pinned) {
        let version = pin.split('=').nth(1).unwrap_or_default().replace(':', "%3a");
        let have = got.iter().find(|file| file.starts_with(&format!("{name}_")));
        match have {
            None => return Err(Failure::new(format!("apt-get gave no package {name}"))),
            Some(file) if !file.contains(&version) => eprintln!("    got {file} where {pin} is pinned"),
            Some(_) => {}
        }
    }
    Ok(got.join("\n"))
}

fn apt_download(debs: &Path, options: &[String], packages: &[String]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(options).arg("download").args(packages).current_dir(debs).env("LC_ALL", "C");
    command
}

/// Whether the package lists name all of these.
fn lists_know(names: &[String], options: &[String]) -> bool {
    let mut command = Command::new("apt-cache");
    command.args(options).args(["show", "--no-all-versions"]).args(names);
    output_of(command).is_some()
}

/// Package lists in the cache folder, for when the machine has none or old ones: only an administrator may update
/// the machine's.
pub(super) fn private_lists(setup: &Setup) -> Result<Vec<String>> {
    let apt = setup.cache.root().join("apt");
    for folder in ["lists/partial", "cache/archives/partial"] {
        let folder = apt.join(folder);
        fs::create_dir_all(&folder).at("create", &folder)?;
    }
    let settings = apt.join("apt.conf");
    let text = format!(
        "Dir::State::Lists \"{}\";\nDir::Cache \"{}\";\nAPT::Sandbox::User \"\";\n#clear APT::Update::Post-Invoke;\n",
        apt.join("lists").display(),
        apt.join("cache").display()
    );
    fs::write(&settings, text).at("write", &settings)?;
    let options = vec!["--config-file".to_owned(), settings.display().to_string()];
    eprintln!("    fetching package lists into {} (about 15 MB)", apt.display());
    let mut command = Command::new("apt-get");
    command.args(&options).arg("update").env("LC_ALL", "C");
    run_tool("apt-get update", command)?;
    Ok(options)
}

fn unpack(partial: &Path) -> Result<()> {
    let debs = partial.join("debs");
    let root = partial.join("root");
    for entry in fs::read_dir(&debs).at("list", &debs)? {
        let path = entry.at("list", &debs)?.path();
        let mut command = Command::new("dpkg");
        command.arg("-x").arg(&path).arg(&root);
        run_tool("dpkg -x", command)?;
    }
    fs::remove_dir_all(&debs).at("remove", &debs)?;
    // Of the source only the library is compiled; documentation is not read here.
    let share = root.join("usr/share");
    fs::remove_dir_all(&share).at("remove", &share)?;
    let sources = root.join("usr/src");
    for source in fs::read_dir(&sources).at("list", &sources)? {
        let source = source.at("list", &sources)?.path();
        for entry in fs::read_dir(&source).at("list", &source)? {
            let path = entry.at("list", &source)?.path();
            if path.file_name().is_some_and(|name| name == "library") {
                continue;
            }
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.at("remove", &path)?;
        }
    }
    Ok(())
}

/// `bin/`: the tools with their own libraries in reach, by paths relative to themselves.
fn wrappers(partial: &Path) -> Result<()> {
    let bin = partial.join("bin");
    fs::create_dir_all(&bin).at("create", &bin)?;
    let lib = partial.join("root/usr/lib");
    let libraries = fs::read_dir(&lib)
        .at("list", &lib)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| name.ends_with("-linux-gnu"))
        .ok_or_else(|| Failure::new("the Debian packages hold no libraries"))?;
    let rustlib = partial.join("root/usr/lib/rustlib");
    let component_linker = find(&rustlib, "bin/wasm-component-ld")
        .ok_or_else(|| Failure::new("the Debian packages hold no linker for components"))?;
    let component_linker = format!("root/usr/lib/rustlib/{component_linker}/bin/wasm-component-ld");
    for (name, program, arguments) in [
        ("rustc", "root/usr/bin/rustc", ""),
        ("clippy-driver", "root/usr/bin/clippy-driver", ""),
        ("cargo-clippy", "root/usr/bin/cargo-clippy", ""),
        ("rust-lld", "root/usr/lib/llvm-19/bin/lld", ""),
        ("wasm-ld", "root/usr/lib/llvm-19/bin/wasm-ld", ""),
        // It calls the linker for modules, and would look for it where rustup puts it. The compiler's arguments first:
        // a leading `-flavor wasm` is taken only there.
        ("wasm-component-ld", &component_linker, " --wasm-ld-path \"$here/bin/wasm-ld\""),
    ] {
        if !partial.join(program).exists() {
            return Err(Failure::new(format!("the Debian packages hold no {program}")));
        }
        let path = bin.join(name);
        let script = format!(
            "#!/bin/sh\nhere=${{0%/*}}/..\nLD_LIBRARY_PATH=$here/root/usr/lib/{libraries} exec \"$here/{program}\" \"$@\"{arguments}\n"
        );
        fs::write(&path, script).at("write", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).at("make executable", &path)?;
    }
    Ok(())
}

/// Puts the C library that the standard library of the WASI targets stands on where the compiler looks for it.
fn c_library(folder: &Path, lib: &Path) -> Result<()> {
    let from = folder.join("root/usr/lib/wasm32-wasi");
    let to = lib.join("self-contained");
    fs::create_dir_all(&to).at("create", &to)?;
    for entry in fs::read_dir(&from).at("list", &from)? {
        let path = entry.at("list", &from)?.path();
        if path.extension().is_some_and(|extension| extension == "a" || extension == "o")
            && let Some(name) = path.file_name()
        {
            fs::copy(&path, to.join(name)).at("copy", &path)?;
        }
    }
    Ok(())
}

/// The entry of `folder` below which `file` is.
fn find(folder: &Path, file: &str) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| folder.join(name).join(file).exists())
}

/// Builds the standard library of a target from the compiler's source and links it into the sysroot, so that plain
/// `cargo build --target` finds it.
fn standard_library(
    setup: &Setup,
    folder: &Path,
    toolchain: &Toolchain,
    target: &str,
    got: &str,
) -> Result<()> {
    let step = Step {
        folder: &format!("std-{target}"),
        what: &format!("the standard library for {target}, built from the compiler's source"),
        cost: "about 3 MB of download, one to two minutes of compiling",
        pins: &[got, target],
        remedy: "run this command again; if it fails in the same way, remove the cache folder first",
    };
    let built = setup.cache.install(&step, |partial| {
        let package = partial.join("empty");
        let source = package.join("src");
        fs::create_dir_all(&source).at("create", &source)?;
        let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
        for (path, text) in [(package.join("Cargo.toml"), manifest), (source.join("lib.rs"), "")] {
            fs::write(&path, text).at("write", &path)?;
        }
        let mut command = setup.cargo("build");
        command
            .args([
                "--release",
                "-Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test",
                "--target",
                target,
            ])
            .current_dir(&package)
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            // Without the bitcode `lto = "fat"` cannot read the library.
            .env("RUSTFLAGS", "-C embed-bitcode=yes")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", package.join("target"));
        run_tool("cargo build", command)?;
        let deps = package.join("target").join(target).join("release/deps");
        let lib = partial.join("lib");
        fs::create_dir_all(&lib).at("create", &lib)?;
        for entry in fs::read_dir(&deps).at("list", &deps)? {
            let path = entry.at("list", &deps)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.ends_with(".rlib") && !name.starts_with("libempty-") {
                fs::copy(&path, lib.join(name)).at("copy", &path)?;
            }
        }
        if target.contains("wasi") {
            c_library(folder, &lib)?;
        }
        fs::remove_dir_all(&package).at("remove", &package)
    })?;
    let link = folder.join("root/usr/lib/rustlib").join(target).join("lib");
    let lib = built.join("lib");
    if fs::read_link(&link).is_ok_and(|to| to == lib) {
        return Ok(());
    }
    let _lock = setup.cache.lock()?;
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    let next = link.with_extension("next");
    if next.is_symlink() {
        fs::remove_file(&next).at("remove", &next)?;
    }
    symlink(&lib, &next).at("link", &next)?;
    fs::rename(&next, &link).at("move into place", &link)
}

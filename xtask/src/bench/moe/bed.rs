//! What all measurements need: the programs, and a probe of the machine itself.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use super::models::Random;
use super::talk::Talker;
use crate::cache::hex;
use crate::failure::{At, Result};
use crate::process::{run_attached, run_tool};
use crate::setup::{Peer, Setup};
use sha2::{Digest, Sha256};

/// Ids below it are ordinary tokens in every model of the bench.
const ORDINARY: u64 = 32_000;
const TOKENS: usize = 4096;

pub(super) struct Bed<'a> {
    pub(super) setup: &'a Setup,
    pub(super) peer: Peer,
    /// Where what is made for one run lies.
    pub(super) folder: PathBuf,
    pub(super) server: PathBuf,
    /// Where cargo puts what it builds for release.
    pub(super) release: PathBuf,
    pub(super) tokens: PathBuf,
    pub(super) threads: usize,
    pub(super) rounds: usize,
    realtime: bool,
    probe: Talker,
}

impl<'a> Bed<'a> {
    /// Builds the MoE server and the programs that ask ggml and llama.cpp.
    ///
    /// # Errors
    /// Of the compilers.
    pub(super) fn new(setup: &'a Setup, peer: Peer, options: &Options) -> Result<Self> {
        let folder = setup.root.join("target/bench-moe");
        fs::create_dir_all(&folder).at("create", &folder)?;
        let mut build = setup.cargo("build");
        build.args(["--release", "--package", "moe-server"]);
        run_attached("cargo build of the MoE server", build)?;
        let tokens = folder.join("tokens");
        fs::write(&tokens, some_tokens()).at("write", &tokens)?;
        let threads = options
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        let kernels = compiled(setup, &peer, &folder, "kernels")?;
        let mut probe = command(options.realtime, &kernels);
        probe.arg(threads.to_string());
        Ok(Self {
            probe: Talker::start("the bandwidth probe", probe)?,
            setup,
            peer,
            server: setup.built("release/moe-server"),
            release: setup.built("release"),
            tokens,
            threads,
            rounds: options.rounds,
            realtime: options.realtime,
            folder,
        })
    }

    /// A command whose time counts.
    pub(super) fn timed(&self, program: impl AsRef<OsStr>) -> Command {
        command(self.realtime, program)
    }

    /// A program of ours in `bench/moe` that is linked with the peer's libraries.
    pub(super) fn compiled(&self, name: &str) -> Result<PathBuf> {
        compiled(self.setup, &self.peer, &self.folder, name)
    }

    /// The file as the MoE server serves it best: packed.
    ///
    /// # Errors
    /// Packing fails.
    pub(super) fn packed(&self, file: &Path) -> Result<PathBuf> {
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let packed = self.folder.join(folder).with_extension("packed.gguf");
        let mut pack = Command::new(&self.server);
        // It has nothing to do where the packed file is there and up to date.
        pack.arg("pack").arg(file).arg("--output").arg(&packed);
        run_tool("moe-server pack", pack)?;
        Ok(packed)
    }

    /// How fast all threads together read memory now, in GB/s.
    pub(super) fn bandwidth(&mut self) -> Result<f64> {
        let rates = self.probe.numbers("probe 512 2", "gb_per_s")?;
        Ok(rates.into_iter().fold(0.0, f64::max))
    }
}

/// At real-time priority where that was asked for, so that what else runs on the machine waits.
fn command(realtime: bool, program: impl AsRef<OsStr>) -> Command {
    if !realtime {
        return Command::new(program);
    }
    let mut command = Command::new("chrt");
    command.args(["--rr", "1"]).arg(program);
    command
}

fn compiled(setup: &Setup, peer: &Peer, folder: &Path, name: &str) -> Result<PathBuf> {
    let source = setup.root.join(format!("bench/moe/{name}.cpp"));
    let text = fs::read(&source).at("read", &source)?;
    let hash = hex(&Sha256::digest([&text, peer.folder().as_os_str().as_encoded_bytes()].concat()));
    let program = folder.join(format!("{name}-{}", &hash[..16]));
    if !program.is_file() {
        let partial = folder.join(format!("{name}-partial"));
        peer.compile(&source, &partial)?;
        fs::rename(&partial, &program).at("move", &partial)?;
    }
    Ok(program)
}

/// The prompts of all runs.
fn some_tokens() -> String {
    let mut random = Random::new(1);
    (0..TOKENS).fold(String::new(), |mut text, _| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}", random.next() % ORDINARY);
        text
    })
}

//! Set-up: what the other commands need and a machine may lack. One file a tool; each says what it costs before it
//! begins, does nothing where it has been done, and needs no administrator.

mod cargo_deny;
mod chromium;
mod debian;
mod node;
mod nvrtc;
mod peer;
mod python;
mod wasm;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::Modules;
use crate::cache::Cache;
use crate::failure::{Failure, Result};
use crate::pins::Pins;

pub(crate) use node::Node;
pub(crate) use nvrtc::Nvrtc;
pub(crate) use peer::{Peer, compiler};
pub(crate) use wasm::Wasm;

/// Where things are and what is pinned.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The checkout.
    pub(crate) root: PathBuf,
    pub(crate) cache: Cache,
    pub(crate) modules: Modules,
    pins: Pins,
}

impl Setup {
    pub(crate) fn new() -> Result<Self> {
        let root = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .and_then(|xtask| xtask.parent().map(Path::to_owned))
            .ok_or_else(|| {
                Failure::new("CARGO_MANIFEST_DIR is not set").remedy("start this as `cargo xtask`")
            })?;
        Ok(Self { root, cache: Cache::locate()?, modules: Modules::default(), pins: Pins::read()? })
    }

    /// What [`Self::cargo`] has built, such as `release/moe-server`.
    pub(crate) fn built(&self, path: &str) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
            .join(path)
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(subcommand).current_dir(&self.root);
        forbid_auto_install(&mut command);
        command
    }

    pub(crate) fn wasm(&self) -> Result<Wasm> {
        wasm::set_up(self)
    }

    pub(crate) fn node(&self) -> Result<Node> {
        node::set_up(self)
    }

    pub(crate) fn python(&self) -> Result<PathBuf> {
        python::set_up(self)
    }

    /// A Python with the providers' SDKs.
    pub(crate) fn python_sdks(&self) -> Result<PathBuf> {
        python::sdks(self)
    }

    /// What `bench moe` compares with.
    pub(crate) fn peer(&self) -> Result<Peer> {
        peer::set_up(self)
    }

    pub(crate) fn llama4_vocabulary(&self) -> Result<PathBuf> {
        peer::tokenizer(self)
    }

    /// What compiles the GPU kernels.
    pub(crate) fn nvrtc(&self) -> Result<Nvrtc> {
        nvrtc::set_up(self)
    }

    /// A Chromium that can be driven.
    pub(crate) fn chromium(&self) -> Result<PathBuf> {
        chromium::set_up(self)
    }

    pub(crate) fn cargo_deny(&self) -> Result<PathBuf> {
        cargo_deny::set_up(self)
    }
}

/// Keeps rustup's stand-ins for cargo and rustc from installing or updating a toolchain as a side effect: whatever
/// set-up installs, it announces first.
fn forbid_auto_install(command: &mut Command) {
    command.env("RUSTUP_AUTO_INSTALL", "0");
}

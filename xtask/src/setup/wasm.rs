//! A Rust compiler for the wasm targets: the one in use if it has them or rustup may add them, else Debian's.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Setup, debian, forbid_auto_install};
use crate::failure::{Failure, Result};
use crate::process::{output_of, run_tool};

/// How to build for wasm.
#[derive(Debug)]
pub(crate) struct Wasm {
    cargo: OsString,
    root: PathBuf,
    /// Another compiler than the one in use.
    other: Option<debian::Toolchain>,
}

impl Wasm {
    /// cargo with the compiler for wasm, in a target folder of its own: two compilers in one folder would rebuild
    /// each other's work.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        if let Some(toolchain) = &self.other {
            if subcommand == "clippy" {
                command = Command::new(&toolchain.cargo_clippy);
                command.env("CARGO", &self.cargo);
            }
            command.env("RUSTC", &toolchain.rustc);
            linkers(&mut command, toolchain);
        }
        command.arg(subcommand).current_dir(&self.root).env("CARGO_TARGET_DIR", self.target_dir());
        forbid_auto_install(&mut command);
        command
    }

    pub(crate) fn target_dir(&self) -> PathBuf {
        self.root.join("target/wasm")
    }
}

fn linkers(command: &mut Command, toolchain: &debian::Toolchain) {
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &toolchain.linker);
    command.env("CARGO_TARGET_WASM32_WASIP2_LINKER", &toolchain.component_linker);
}

pub(super) fn set_up(setup: &Setup) -> Result<Wasm> {
    let own =
        |other| Wasm { cargo: setup.cargo("").get_program().to_owned(), root: setup.root.clone(), other };
    let targets = &setup.pins.wasm_targets;
    if has_targets(setup, targets) {
        return Ok(own(None));
    }
    let mut refused = "rustup is not on PATH".to_owned();
    if env::var_os("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0") {
        refused = "RUSTUP_AUTO_INSTALL=0 forbids rustup to install anything".to_owned();
    } else if output_of(version_of("rustup")).is_some() {
        eprintln!(
            "set-up: {} by rustup (about 30 MB of download each, into rustup's own folder)",
            targets.join(", ")
        );
        let mut command = Command::new("rustup");
        command.args(["target", "add"]).args(targets).current_dir(&setup.root);
        match run_tool("rustup target add", command) {
            Ok(()) => return Ok(own(None)),
            Err(interrupted @ Failure::Interrupted(_)) => return Err(interrupted),
            Err(failure) => refused = failure.to_string(),
        }
    }
    if output_of(version_of("apt-get")).is_none() || output_of(version_of("dpkg")).is_none() {
        return Err(Failure::new(format!("there is no Rust compiler for {}: {refused}", targets.join(", ")))
            .remedy(format!("run `rustup target add {}`, then this command again", targets.join(" "))));
    }
    debian::set_up(setup, targets).map(|toolchain| own(Some(toolchain)))
}

fn version_of(program: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("--version");
    command
}

/// Whether the compiler in use has the standard library of every target.
fn has_targets(setup: &Setup, targets: &[String]) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "sysroot"]).current_dir(&setup.root);
    forbid_auto_install(&mut command);
    let Some(sysroot) = output_of(command) else { return false };
    targets.iter().all(|target| Path::new(&sysroot).join("lib/rustlib").join(target).join("lib").is_dir())
}

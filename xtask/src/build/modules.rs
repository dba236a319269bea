//! The compiler's wasm: the gateway without a configuration.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use moegate_config::embedded;

use super::{SPIN_TARGET, Variant, WORKER_TARGET};
use crate::failure::{At, Result};
use crate::process::run_attached;
use crate::setup::Setup;

/// What sets one compiled gateway apart from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    target: &'static str,
    features: Option<String>,
    /// Room for a configuration in bytes; 0: the usual room.
    room: usize,
}

/// What this process has compiled. Cargo has one place for a target's module, so that two sets of features compile the whole
/// gateway again whenever they take turns.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    built: Mutex<HashMap<Kind, Vec<u8>>>,
}

impl Modules {
    /// A module for Workers, a component for Spin; with room for so many bytes of configuration.
    pub(super) fn get(
        &self,
        setup: &Setup,
        variant: &Variant<'_>,
        json: usize,
        target: &'static str,
    ) -> Result<Vec<u8>> {
        let usual = embedded::USUAL_ROOM as usize;
        let room = if json > usual { json.next_multiple_of(usual) } else { 0 };
        let kind = |target| Kind { target, features: variant.features.map(str::to_owned), room };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = built.get(&kind(target)) {
            return Ok(module.clone());
        }
        let both = [WORKER_TARGET, SPIN_TARGET];
        let targets = if variant.both_targets { &both[..] } else { &[target] };
        for (target, module) in compile(setup, variant, room, targets)? {
            built.insert(kind(target), module);
        }
        Ok(built[&kind(target)].clone())
    }
}

fn compile(
    setup: &Setup,
    variant: &Variant<'_>,
    room: usize,
    targets: &[&'static str],
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let wasm = setup.wasm()?;
    let mut command = wasm.cargo("build");
    command.args(["--package", "moegate", "--lib", "--profile", "wasm"]);
    command.args(targets.iter().flat_map(|target| ["--target", target]));
    if let Some(features) = variant.features {
        command.args(["--features", features]);
    }
    command.env_remove("MOEGATE_CONFIG_ROOM");
    if room > 0 {
        command.env("MOEGATE_CONFIG_ROOM", room.to_string());
    }
    if variant.quiet {
        command.arg("--quiet");
    }
    run_attached("cargo build of the gateway for wasm", command)?;
    let read = |target: &&'static str| {
        let built = wasm.target_dir().join(target).join("wasm/moegate.wasm");
        Ok((*target, fs::read(&built).at("read", &built)?))
    };
    targets.iter().map(read).collect()
}

//! The gateway's component beside the smallest pass-through, each in a test host of its own; once with a commit that
//! waits for the disk, as Spin has it, and once without, which shows what the disk costs.
//!
//! A component's origins are compiled in, so the bench's origin has a fixed port here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::bed::{Bed, Place, free_ports};
use crate::build;
use crate::cache::remove;
use crate::failure::{At, Result};
use crate::net::wait_for_200;
use crate::process::{Running, Show, run_attached};
use crate::setup::Setup;
use crate::spin::test_host;

/// Where the components expect the origin; bench/gateway-spin and spin-pass-through name it too.
pub(super) const ORIGIN: u16 = 28_720;

/// Builds both and starts them. `variables`: Spin's, by their names in capitals.
pub(super) fn start(setup: &Setup, folder: &Path, variables: &[(&str, &str)]) -> Result<Bed> {
    let program = test_host(setup)?;
    let pass_through = pass_through(setup, folder)?;
    let variant =
        build::Variant { config: Some("bench/gateway-spin/moegate.toml"), quiet: true, ..Default::default() };
    let gateway = build::spin(setup, &folder.join("spin"), &variant)?;
    let subjects = [
        ("pass-through", &pass_through, true),
        ("moegate", &gateway, true),
        ("moegate, no sync", &gateway, false),
    ];
    let ports = free_ports(subjects.len())?;
    let mut bed = Bed { running: Vec::new(), places: Vec::new() };
    for (process, ((name, component, synced), port)) in subjects.into_iter().zip(ports).enumerate() {
        // Each run begins with an empty one.
        let state = folder.join(format!("spin-{process}"));
        remove(&state)?;
        fs::create_dir_all(&state).at("create", &state)?;
        let mut command = Command::new(&program);
        command.arg("--manifest").arg(setup.root.join("bench/gateway-spin/spin.toml"));
        command.arg("--wasm").arg(component).arg("--kv").arg(state.join("sqlite_key_value.db"));
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        if !synced {
            command.args(["--kv-fsync", "off", "--sqlite-fsync", "off"]);
        }
        for (name, value) in variables {
            command.env(format!("SPIN_VARIABLE_{name}"), value);
        }
        let mut running = Running::start("spin-host", command, Show::Nothing)?;
        wait_for_200(&mut running, port, "/health", Duration::from_secs(60))?;
        bed.running.push(running);
        bed.places.push(Place { name, port, process });
    }
    Ok(bed)
}

/// Builds the pass-through.
pub(super) fn pass_through(setup: &Setup, folder: &Path) -> Result<PathBuf> {
    let package = setup.root.join("bench/spin-pass-through");
    let wasm = setup.wasm()?;
    let mut command = wasm.cargo("build");
    command.args(["--quiet", "--locked", "--lib", "--profile", "wasm", "--target", build::SPIN_TARGET]);
    command.current_dir(&package);
    run_attached("cargo build of the pass-through", command)?;
    let built = wasm.target_dir().join(build::SPIN_TARGET).join("wasm/spin_pass_through.wasm");
    let file = folder.join("spin-pass-through.wasm");
    fs::copy(&built, &file).at("copy", &built)?;
    Ok(file)
}

//! One workerd process with all subjects, each on a port of its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::bed::{Bed, Place, free_ports};
use crate::cache::remove;
use crate::failure::{At, Result};
use crate::net::wait_for_200;
use crate::process::{Running, Show};

/// A Worker to measure.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// Module name and file; the first is the entry. Imports between them resolve by these names.
    pub(super) modules: Vec<(String, PathBuf)>,
    /// Whether the entry exports the ledger's class.
    pub(super) ledger: bool,
}

/// Starts all subjects in one process.
pub(super) fn start(
    program: &Path,
    folder: &Path,
    subjects: &[Subject],
    origin: u16,
    bindings: &[(&str, &str)],
) -> Result<Bed> {
    let ports = free_ports(subjects.len())?;
    let objects = folder.join("objects");
    remove(&objects)?;
    fs::create_dir_all(&objects).at("create", &objects)?;
    let config = configuration(folder, subjects, &ports, origin, bindings)?;
    let file = folder.join("workerd.capnp");
    fs::write(&file, config).at("write", &file)?;
    let mut command = Command::new(program);
    // Objects on disk are experimental in workerd on its own.
    command.arg("serve").arg("--experimental").arg(&file);
    let mut running = Running::start("workerd", command, Show::Nothing)?;
    for &port in &ports {
        wait_for_200(&mut running, port, "/health", Duration::from_secs(20))?;
    }
    let places =
        subjects.iter().zip(ports).map(|(subject, port)| Place { name: subject.name, port, process: 0 });
    Ok(Bed { running: vec![running], places: places.collect() })
}

/// The configuration text; every file is copied beside it, since paths in it are relative to it.
fn configuration(
    folder: &Path,
    subjects: &[Subject],
    ports: &[u16],
    origin: u16,
    bindings: &[(&str, &str)],
) -> Result<String> {
    let mut services = String::new();
    let mut sockets = String::new();
    let mut workers = String::new();
    for (index, (subject, port)) in subjects.iter().zip(ports).enumerate() {
        let mut modules = String::new();
        for (number, (name, from)) in subject.modules.iter().enumerate() {
            let copy = format!("subject{index}-{number}");
            fs::copy(from, folder.join(&copy)).at("copy", from)?;
            let kind = if name.ends_with(".wasm") { "wasm" } else { "esModule" };
            // Writing to a String cannot fail; the same below.
            let _infallible = write!(modules, "(name = \"{name}\", {kind} = embed \"{copy}\"), ");
        }
        let mut bound = String::from("(name = \"USAGE\", kvNamespace = \"store\"), ");
        for (name, text) in bindings {
            let _infallible = write!(bound, "(name = \"{name}\", text = \"{text}\"), ");
        }
        let mut objects = String::new();
        if subject.ledger {
            bound.push_str("(name = \"LEDGER\", durableObjectNamespace = \"Ledger\"), ");
            let _infallible = write!(
                objects,
                ", durableObjectNamespaces = [(className = \"Ledger\", uniqueKey = \"ledger{index}\", enableSql = true)], \
                 durableObjectStorage = (localDisk = \"objects\")"
            );
        }
        let _infallible = writeln!(services, "    (name = \"subject{index}\", worker = .subject{index}),");
        let _infallible = writeln!(
            sockets,
            "    (name = \"socket{index}\", address = \"127.0.0.1:{port}\", http = (), service = \"subject{index}\"),"
        );
        let _infallible = writeln!(
            workers,
            "const subject{index} :Workerd.Worker = (modules = [{modules}], compatibilityDate = \"2026-06-01\", \
             compatibilityFlags = [\"enable_request_signal\"], globalOutbound = \"origin\", bindings = [{bound}]{objects});"
        );
    }
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [\n    \
         (name = \"origin\", external = (address = \"127.0.0.1:{origin}\", http = ())),\n    \
         (name = \"store\", external = (address = \"127.0.0.1:{origin}\", http = ())),\n    \
         (name = \"objects\", disk = (path = \"{}\", writable = true)),\n{services}  ],\n  \
         sockets = [\n{sockets}  ],\n);\n{workers}",
        folder.join("objects").display()
    ))
}

//! One workerd process with all subjects, each on a port of its own, and what it has used of the processor.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{At, Failure, Result};
use crate::net::wait_for_200;
use crate::process::{Running, Show};

/// A Worker to measure.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// Module name and file; the first is the entry. Imports between them resolve by these names.
    pub(super) modules: Vec<(&'static str, PathBuf)>,
}

/// workerd with its subjects' ports, in their order.
pub(super) struct Workerd {
    running: Running,
    pub(super) ports: Vec<u16>,
}

impl Workerd {
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        subjects: &[Subject],
        origin: u16,
        bindings: &[(&str, &str)],
    ) -> Result<Self> {
        let ports = free_ports(subjects.len())?;
        let config = configuration(folder, subjects, &ports, origin, bindings)?;
        let file = folder.join("workerd.capnp");
        fs::write(&file, config).at("write", &file)?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&file);
        let mut running = Running::start("workerd", command, Show::Nothing)?;
        for &port in &ports {
            wait_for_200(&mut running, port, "/health", Duration::from_secs(20))?;
        }
        Ok(Self { running, ports })
    }

    /// Processor time of all its threads so far.
    pub(super) fn cpu(&mut self) -> Result<Duration> {
        self.running.must_run()?;
        let tasks = PathBuf::from(format!("/proc/{}/task", self.running.id()));
        let mut total = 0;
        for task in fs::read_dir(&tasks).at("list", &tasks)? {
            let file = task.at("list", &tasks)?.path().join("schedstat");
            // A thread may have ended meanwhile.
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let time = text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
            total += time.ok_or_else(|| {
                Failure::new(format!("{} is not what it should be: {text}", file.display()))
            })?;
        }
        Ok(Duration::from_nanos(total))
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.running.tail.lines()
    }
}

fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: std::io::Result<Vec<_>> =
        (0..count).map(|_| std::net::TcpListener::bind(("127.0.0.1", 0))).collect();
    let ports = listeners.and_then(|all| all.iter().map(|one| Ok(one.local_addr()?.port())).collect());
    ports.map_err(|error| Failure::new(format!("there are no free ports on 127.0.0.1: {error}")))
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
        let _infallible = writeln!(services, "    (name = \"subject{index}\", worker = .subject{index}),");
        let _infallible = writeln!(
            sockets,
            "    (name = \"socket{index}\", address = \"127.0.0.1:{port}\", http = (), service = \"subject{index}\"),"
        );
        let _infallible = writeln!(
            workers,
            "const subject{index} :Workerd.Worker = (modules = [{modules}], compatibilityDate = \"2026-06-01\", \
             compatibilityFlags = [\"enable_request_signal\"], globalOutbound = \"origin\", bindings = [{bound}]);"
        );
    }
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [\n    \
         (name = \"origin\", external = (address = \"127.0.0.1:{origin}\", http = ())),\n    \
         (name = \"store\", external = (address = \"127.0.0.1:{origin}\", http = ())),\n{services}  ],\n  \
         sockets = [\n{sockets}  ],\n);\n{workers}"
    ))
}

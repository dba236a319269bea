//! The gateway as it runs on Workers: wasm in workerd, real sockets on both sides, KV on disk.

use crate::client;
use crate::host::{Call, Host, Needs, Reply};
use crate::origin::Progress;
use crate::program::{Program, Said, built, must_be_free};
use crate::suite::Suite;
use moegate::platform::fake::{Arrived, Responder};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const DROP: Duration = Duration::from_secs(10);

pub struct Workerd {
    suite: &'static Suite,
    node: OsString,
    entry: PathBuf,
    folder: PathBuf,
    progress: Arc<Progress>,
    program: Mutex<Option<Program>>,
    said: Said,
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Workerd {
    /// # Errors
    /// What is missing or taken, and what to do.
    pub fn start(suite: &'static Suite, progress: &Arc<Progress>) -> Result<Self, String> {
        built(suite, "MOEGATE_NODE_MODULES")?;
        let (node, entry) = (built(suite, "MOEGATE_NODE")?, built(suite, suite.built[0])?.into());
        must_be_free(suite)?;
        let progress = Arc::clone(progress);
        let folder = env::temp_dir().join(format!("moegate-{}-{}", suite.name, std::process::id()));
        let vars: String =
            (suite.secrets)().into_iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("vars"), vars))
            .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
        let (program, said) = (Mutex::new(None), Said::default());
        let host = Self { suite, node, entry, folder, progress, program, said };
        host.launch()?;
        Ok(host)
    }

    fn launch(&self) -> Result<(), String> {
        let node = root().join("xtask/node");
        let mut command = Command::new(&self.node);
        command
            .arg("--import")
            .arg(node.join("resolve.mjs"))
            .arg(node.join("gateway.mjs"))
            .arg("--config")
            .arg(root().join("wrangler.toml"))
            .arg("--vars")
            .arg(self.folder.join("vars"))
            .arg("--persist")
            .arg(self.folder.join("kv"))
            .arg("--entry")
            .arg(&self.entry)
            .args(["--port", &self.suite.port.to_string()])
            .current_dir(&self.folder);
        *self.program.lock().unwrap() = Some(Program::start(command, "{\"ready\":true", &self.said)?);
        Ok(())
    }

    /// Ends it in an orderly way: what it has begun to write is written.
    fn end(&self) {
        let taken = self.program.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Program { mut child, input, .. }) = taken {
            drop(input);
            let _ended = child.wait();
        }
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        self.end();
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

/// What this host can do or show.
#[must_use]
pub fn can(needs: Needs) -> bool {
    !matches!(needs, Needs::KeyValue | Needs::ServesTheGone | Needs::NoDecoding)
}

impl Host for Workerd {
    fn name(&self) -> &'static str {
        "workerd"
    }

    fn can(&self, needs: Needs) -> bool {
        can(needs)
    }

    fn answer(&self, responder: Responder) {
        self.progress.answer(responder);
    }

    fn call(&self, call: &Call) -> Reply {
        client::call(self.suite.port, call, &self.progress)
    }

    fn call_all(&self, calls: &[Call], at_once: usize) -> Vec<Reply> {
        client::call_all(self.suite.port, calls, at_once, &self.progress)
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.progress.arrived()
    }

    fn dropped_after(&self, number: usize) -> Option<Duration> {
        self.progress.dropped_after(number, DROP)
    }

    fn restart(&self) {
        self.end();
        self.launch().unwrap();
    }

    fn said(&self) -> String {
        self.said.take()
    }
}

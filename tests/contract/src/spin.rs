//! The gateway as it runs on Spin: the component in the test host (`tests/spin-host`), real sockets on both sides, the
//! key-value store in SQLite.

use crate::client;
use crate::host::{Call, Host, Needs, Reply};
use crate::origin::Progress;
use crate::program::{Program, Said, built, must_be_free};
use crate::suite::Suite;
use crate::workerd::root;
use moegate::platform::fake::{Arrived, Responder};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const DROP: Duration = Duration::from_secs(10);

pub struct Spin {
    suite: &'static Suite,
    runtime: PathBuf,
    component: PathBuf,
    folder: PathBuf,
    progress: Arc<Progress>,
    program: Mutex<Option<Program>>,
    said: Said,
}

/// What this host can do or show.
#[must_use]
pub fn can(needs: Needs) -> bool {
    !matches!(needs, Needs::KeyValue | Needs::Isolation | Needs::SeesClientLeave | Needs::Decoding)
}

impl Spin {
    /// # Errors
    /// What is missing or taken, and what to do.
    pub fn start(suite: &'static Suite, progress: &Arc<Progress>) -> Result<Self, String> {
        let runtime = built(suite, "MOEGATE_SPIN_HOST")?.into();
        let component = built(suite, suite.built[1])?.into();
        must_be_free(suite)?;
        let progress = Arc::clone(progress);
        let folder = env::temp_dir().join(format!("moegate-{}-spin-{}", suite.name, std::process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
        let (program, said) = (Mutex::new(None), Said::default());
        let host = Self { suite, runtime, component, folder, progress, program, said };
        host.launch()?;
        Ok(host)
    }

    fn launch(&self) -> Result<(), String> {
        let mut command = Command::new(&self.runtime);
        command.arg("--manifest").arg(root().join(self.suite.manifest));
        command.arg("--wasm").arg(&self.component).arg("--kv").arg(self.kv());
        command.args(["--listen", &format!("127.0.0.1:{}", self.suite.port), "--kv-fsync", "off"]);
        command.args(["--sqlite-fsync", "off"]);
        for (name, value) in (self.suite.secrets)() {
            command.env(format!("SPIN_VARIABLE_{name}"), value);
        }
        // A variable must have a value; to the gateway an empty one is missing.
        command.env("SPIN_VARIABLE_UNSET_KEY", "");
        *self.program.lock().unwrap() = Some(Program::start(command, "listening on ", &self.said)?);
        Ok(())
    }

    fn end(&self) {
        let taken = self.program.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Program { mut child, .. }) = taken {
            let id = rustix::process::Pid::from_child(&child);
            let _gone = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            let _ended = child.wait();
        }
    }

    fn kv(&self) -> PathBuf {
        self.folder.join("kv.sqlite")
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        self.end();
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

impl Host for Spin {
    fn name(&self) -> &'static str {
        "spin"
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

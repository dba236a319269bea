//! The real server as a process.

use super::http::get;
use crate::sleep::Progress;
use moegate_wire::origin::HEALTH;
use moegate_wire::{OriginState, OriginStatus};
use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Why there is no server.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was not wanted any more.
    Cancelled,
    /// For operators.
    Failed(String),
}

/// Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    stdout: Option<ChildStdout>,
    /// The last line that it logged.
    last: Arc<Mutex<String>>,
    /// Known once it is ready.
    pub(super) address: SocketAddr,
}

/// Between two looks at a server that is starting.
const LOOK: Duration = Duration::from_millis(10);
/// For one such look.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

impl Child {
    /// On a free port of loopback.
    pub(super) fn spawn(program: &Path, arguments: &[OsString]) -> Result<Self, Ended> {
        let mut command = Command::new(program);
        command.args(arguments).args(["--host", "127.0.0.1", "--port", "0", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command
            .spawn()
            .map_err(|error| Ended::Failed(format!("{} cannot be run: {error}", program.display())))?;
        let last = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = process.stderr.take() {
            tokio::spawn(pass_on(stderr, last.clone()));
        }
        let stdout = process.stdout.take();
        Ok(Self { process, stdout, last, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) })
    }

    /// Waits until it is, and tells how far it is meanwhile.
    pub(super) async fn become_ready(&mut self, progress: &Progress) -> Result<(), Ended> {
        let stdout = self.stdout.take();
        let ready = async {
            let address = address(stdout).await;
            if let Some(address) = address {
                while !is_ready(address, progress).await {
                    sleep(LOOK).await;
                }
            }
            address
        };
        let address = tokio::select! {
            address = ready => address,
            why = ended(&mut self.process, &self.last) => return Err(Ended::Failed(why)),
        };
        match address {
            Some(address) => {
                self.address = address;
                Ok(())
            }
            // It closed its output: it is about to end.
            None => Err(Ended::Failed(self.ended().await)),
        }
    }

    /// Resolves when it has ended by itself, with how.
    pub(super) async fn ended(&mut self) -> String {
        ended(&mut self.process, &self.last).await
    }

    /// Tells it to end, and kills it when it does not within `grace`.
    pub(super) async fn stop(mut self, grace: Duration) {
        #[cfg(unix)]
        if let Some(pid) = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // An error means that it has ended.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            if timeout(grace, self.process.wait()).await.is_ok() {
                return;
            }
        }
        #[cfg(not(unix))]
        let _ = grace;
        // Likewise.
        let _ = self.process.kill().await;
    }
}

async fn ended(process: &mut tokio::process::Child, last: &Mutex<String>) -> String {
    let how = match process.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    // What it logged last may still be in the pipe.
    sleep(LOOK).await;
    let line = last.lock().unwrap_or_else(PoisonError::into_inner);
    if line.is_empty() { how } else { format!("{how}; it said last: {line}") }
}

/// From the line that it prints once it listens.
async fn address(stdout: Option<ChildStdout>) -> Option<SocketAddr> {
    let line = BufReader::new(stdout?).lines().next_line().await.ok()??;
    let line: serde_json::Value = serde_json::from_str(&line).ok()?;
    let port = u16::try_from(line["port"].as_u64()?).ok()?;
    Some((Ipv4Addr::LOCALHOST, port).into())
}

async fn is_ready(address: SocketAddr, progress: &Progress) -> bool {
    let Ok(Ok(body)) = timeout(LOOK_LIMIT, get(address, HEALTH)).await else { return false };
    let Ok(status) = serde_json::from_slice::<OriginStatus>(&body) else { return false };
    progress.set(status.loaded_bytes, status.total_bytes);
    status.state == OriginState::Ready
}

async fn pass_on(stderr: impl AsyncRead + Unpin, last: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // Whoever started this may not care for its output.
        let _ = writeln!(std::io::stderr(), "{line}");
        *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

//! The host as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Answer, get};

/// `allowed_outbound_hosts` of the test application is this machine, by its address.
const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "guest"
version = "0.1.0"
[variables]
origin = { default = "http://127.0.0.1:*" }
required = { required = true, secret = true }
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
allowed_outbound_hosts = ["{{ origin }}", "https://localhost:*"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
[component.guest.variables]
required = "<{{ required }}>"
"#;

/// A running host; it ends with the value.
pub(crate) struct Host {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
}

/// The component's file.
fn component() -> PathBuf {
    std::env::var_os("MOEGATE_SPIN_GUEST").map(PathBuf::from).expect(
        "MOEGATE_SPIN_GUEST is not set: this needs what set-up makes; run `cargo xtask test contract`",
    )
}

/// A folder with the test application in it.
pub(crate) fn application() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spin.toml"), MANIFEST).unwrap();
    folder
}

/// The host on the application in `folder`, not yet started.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spin-host"));
    command.current_dir(folder).arg("--manifest").arg(folder.join("spin.toml"));
    command.arg("--kv").arg(folder.join("kv.sqlite"));
    command.arg("--wasm").arg(component()).args(["--listen", "127.0.0.1:0"]);
    command
}

/// Runs a host that is not to start.
pub(crate) fn refused(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

impl Host {
    /// A host with these arguments besides the necessary ones.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = application();
        let mut command = command(folder.path());
        command.args(["--variable", "required=value"]).args(arguments);
        Self::run(command, folder)
    }

    /// A host on the test application with another manifest.
    pub(crate) fn with_manifest(changed: impl FnOnce(&str) -> String) -> Self {
        let folder = application();
        let text = changed(MANIFEST);
        assert_ne!(text, MANIFEST);
        fs::write(folder.path().join("spin.toml"), text).unwrap();
        let mut command = command(folder.path());
        command.args(["--variable", "required=value"]);
        Self::run(command, folder)
    }

    /// Kills it; another serves the same files.
    pub(crate) fn killed_and_started_again(mut self, arguments: &[&str]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let mut command = command(folder.path());
        command.args(["--variable", "required=value"]).args(arguments);
        Self::run(command, folder)
    }

    pub(crate) fn run(mut command: Command, folder: tempfile::TempDir) -> Self {
        let errors = fs::File::create(folder.path().join("stderr")).unwrap();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut child = spawned.unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let Some(address) = line.trim_end().strip_prefix("listening on http://") else {
            panic!("the host said {line:?} and ended: {:?}", child.wait());
        };
        let address = address.parse().unwrap();
        Self { input: child.stdin.take(), child, output, address, folder }
    }

    /// Sends a line to its standard input; gives the answer.
    pub(crate) fn told(&mut self, line: &str) -> String {
        writeln!(self.input.as_ref().expect("not closed"), "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Ends its standard input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until its standard error holds this.
    pub(crate) fn wait_until_said(&self, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap();
            if said.contains(wanted) {
                return;
            }
            assert!(Instant::now() < until, "{wanted:?} is not in {said:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `GET path`, the answer's body as text.
    pub(crate) fn text(&self, path: &str) -> (u16, String) {
        let answer = self.get(path);
        (answer.status, answer.text())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.address, path)
    }

    /// Waits until a key has this value.
    pub(crate) fn wait_for(&self, key: &str, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let (_, value) = self.text(&format!("/kv/get/{key}"));
            if value == wanted {
                return;
            }
            assert!(Instant::now() < until, "{key} is {value:?}, not {wanted:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end; gives its exit status.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Already ended where a test has asked it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a reader has, as text.
pub(crate) fn text_of(mut reader: impl std::io::Read) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

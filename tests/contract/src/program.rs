//! A runtime that runs as a process of its own: its lines, and what it complains of.

use crate::suite::Suite;
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Starting takes a few seconds, on a busy machine more.
const START: Duration = Duration::from_secs(120);

/// What a host's processes have said on their standard error.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    /// All since the last time.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, line: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(line);
        said.push('\n');
    }
}

/// A running one.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    lines: Receiver<String>,
}

impl Program {
    /// Starts it and waits for the line that says it is ready.
    ///
    /// # Errors
    /// What it said instead.
    pub(crate) fn start(mut command: Command, ready: &str, said: &Said) -> Result<Self, String> {
        let mut child =
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        let said = said.clone();
        let heard = said.clone();
        std::thread::spawn(move || forward(output.unwrap(), &sender));
        std::thread::spawn(move || {
            each_line(errors.unwrap(), |line| heard.add(&line));
        });
        let mut program = Self { child, input: input.unwrap(), lines };
        match program.lines.recv_timeout(START) {
            Ok(first) if first.starts_with(ready) => Ok(program),
            first => {
                let _gone = program.child.kill();
                let _ended = program.child.wait();
                Err(format!("the gateway did not start: {}\n{}", first.unwrap_or_default(), said.take()))
            }
        }
    }
}

fn forward(output: impl Read, lines: &Sender<String>) {
    each_line(output, |line| {
        let _nobody_asks = lines.send(line);
    });
}

fn each_line(from: impl Read, act: impl FnMut(String)) {
    BufReader::new(from).lines().map_while(Result::ok).for_each(act);
}

/// What set-up has made, handed over by `cargo xtask test`.
///
/// # Errors
/// The variable that is missing.
pub(crate) fn built(suite: &Suite, name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| {
        format!("{name} is not set: this needs what set-up makes; run `cargo xtask test {}`", suite.name)
    })
}

/// # Errors
/// That the port on which the suite's gateway listens is taken, and what to do.
pub(crate) fn must_be_free(suite: &Suite) -> Result<(), String> {
    let port = suite.port;
    std::net::TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|error| {
        format!("port {port} cannot be listened on ({error}); the {} suite's gateway needs it: end what uses it (`ss -ltnp 'sport = :{port}'` names it)", suite.name)
    })
}

//! Child processes. Each one leads a process group of its own, so that a terminal's Ctrl-C reaches only this program
//! and everything a child has started in turn ends with it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::failure::{Failure, Result};

const TICK: Duration = Duration::from_millis(20);
/// How long a child may take to end itself before it is killed.
const GRACE: Duration = Duration::from_secs(6);
/// Lines of a child's output that are kept for an error text.
const TAIL: usize = 25;

static SIGNALS: [(i32, &str); 3] = [
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    (signal_hook::consts::SIGHUP, "SIGHUP"),
];

/// The signal that came, or 0.
fn arrived() -> &'static Arc<AtomicUsize> {
    static ARRIVED: std::sync::OnceLock<Arc<AtomicUsize>> = std::sync::OnceLock::new();
    ARRIVED.get_or_init(|| Arc::new(AtomicUsize::new(0)))
}

/// From here on a signal no longer kills this program: every wait notices it and returns `Interrupted`, and the
/// children end as their owners are dropped.
pub(crate) fn catch_signals() -> Result<()> {
    for (number, name) in SIGNALS {
        let value = usize::try_from(number).unwrap_or(1);
        signal_hook::flag::register_usize(number, Arc::clone(arrived()), value)
            .map_err(|error| Failure::new(format!("cannot listen for {name}: {error}")))?;
    }
    Ok(())
}

/// Fails once a signal has come.
pub(crate) fn check_interrupted() -> Result<()> {
    match arrived().load(Ordering::SeqCst) {
        0 => Ok(()),
        signal => Err(Failure::Interrupted(i32::try_from(signal).unwrap_or(1))),
    }
}

/// Sleeps a moment; fails once a signal has come.
pub(crate) fn tick() -> Result<()> {
    check_interrupted()?;
    thread::sleep(TICK);
    check_interrupted()
}

/// What a child has written last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).back().cloned()
    }
}

/// Where a child's output goes besides its [`Tail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Nothing,
    Stdout,
    Stderr,
}

/// A running child. Dropping it ends its whole group.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: String,
    child: Child,
    group: Option<Pid>,
    readers: Vec<JoinHandle<()>>,
    pub(crate) tail: Tail,
}

type OnLine = Box<dyn FnMut(&str) + Send>;

impl Running {
    /// Starts a child whose output is read line by line. Standard input stays open for as long as this value lives:
    /// a child may take its end as the sign that this program is gone.
    pub(crate) fn start(name: &str, command: Command, show: Show) -> Result<Self> {
        Self::start_with(name, command, show, Box::new(|_| ()))
    }

    /// As [`start`](Self::start); `on_line` is also given each line of standard output.
    pub(crate) fn start_with(name: &str, mut command: Command, show: Show, on_line: OnLine) -> Result<Self> {
        check_interrupted()?;
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start {name} ({program}): {error}")))?;
        let tail = Tail::default();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            readers.push(read_lines(out, show, tail.clone(), on_line));
        }
        if let Some(err) = child.stderr.take() {
            readers.push(read_lines(err, show, tail.clone(), Box::new(|_| ())));
        }
        Ok(Self { name: name.to_owned(), child, group, readers, tail })
    }

    /// Starts a child that writes to this program's standard output and error.
    pub(crate) fn start_attached(name: &str, command: Command) -> Result<Self> {
        Self::start_shown(name, command, None)
    }

    /// As [`start_attached`](Self::start_attached); `on_line` is also given each line of standard output.
    pub(crate) fn start_teed(name: &str, command: Command, on_line: OnLine) -> Result<Self> {
        Self::start_shown(name, command, Some(on_line))
    }

    fn start_shown(name: &str, mut command: Command, on_line: Option<OnLine>) -> Result<Self> {
        check_interrupted()?;
        let program = command.get_program().to_string_lossy().into_owned();
        if on_line.is_some() {
            command.stdout(Stdio::piped());
        }
        let mut child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start {name} ({program}): {error}")))?;
        let tail = Tail::default();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut readers = Vec::new();
        if let (Some(out), Some(on_line)) = (child.stdout.take(), on_line) {
            readers.push(read_lines(out, Show::Stdout, tail.clone(), on_line));
        }
        Ok(Self { name: name.to_owned(), child, group, readers, tail })
    }

    /// Writes a line to the child's standard input.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let Some(input) = &mut self.child.stdin else {
            return Err(Failure::new(format!("{} takes no input", self.name)));
        };
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .map_err(|error| Failure::new(format!("{} takes no more input: {error}", self.name)))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the child has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .map_err(|error| Failure::new(format!("cannot ask whether {} still runs: {error}", self.name)))
    }

    /// Fails if the child has ended: it was to run until it is told to stop.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => {
                self.drain();
                Err(Failure::new(format!("{} ended ({status})", self.name)).output(self.tail.lines()))
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                self.drain();
                return Ok(status);
            }
            tick()?;
        }
    }

    /// Waits until the reader threads have seen everything, but not for a grandchild that holds the pipe open.
    fn drain(&mut self) {
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until && self.readers.iter().any(|reader| !reader.is_finished()) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the child and all it has started: SIGTERM, then SIGKILL for what is still there.
    pub(crate) fn end(&mut self) {
        let Some(group) = self.group.take() else { return };
        drop(self.child.stdin.take());
        // An error here means that the group is gone already.
        let _gone = kill_process_group(group, Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            let _status = self.child.try_wait();
            if test_kill_process_group(group).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _gone = kill_process_group(group, Signal::KILL);
        let _status = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn read_lines(
    from: impl Read + Send + 'static,
    show: Show,
    tail: Tail,
    mut on_line: OnLine,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        // A carriage return alone is how progress bars redraw; only the last state of a line is of interest.
        while matches!(from.read_until(b'\n', &mut bytes), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&bytes);
            let line = text.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
            on_line(&line);
            match show {
                Show::Nothing => {}
                Show::Stdout => println!("{line}"),
                Show::Stderr => eprintln!("{line}"),
            }
            if !line.is_empty() {
                tail.push(line);
            }
            bytes.clear();
        }
    })
}

/// Runs a tool to its end, showing that it works: its latest line on a terminal, a line now and then elsewhere.
///
/// # Errors
/// A status other than 0, with the tool's last lines.
pub(crate) fn run_tool(name: &str, command: Command) -> Result<()> {
    let begun = Instant::now();
    let mut running = Running::start(name, command, Show::Nothing)?;
    drop(running.child.stdin.take());
    let terminal = std::io::stderr().is_terminal();
    let mut shown = Instant::now();
    let status = loop {
        if let Some(status) = running.ended()? {
            running.drain();
            break status;
        }
        tick()?;
        let every = if terminal { Duration::from_millis(200) } else { Duration::from_secs(15) };
        if shown.elapsed() >= every {
            shown = Instant::now();
            let line: String = running.tail.last().unwrap_or_default().trim().chars().take(90).collect();
            let seconds = begun.elapsed().as_secs();
            if terminal {
                eprint!("\r\x1b[2K    {seconds} s  {line}");
                let _shown = std::io::stderr().flush();
            } else {
                eprintln!("    {name}: {seconds} s  {line}");
            }
        }
    };
    if terminal {
        eprint!("\r\x1b[2K");
    }
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{name} failed ({status})")).output(running.tail.lines()))
}

/// Runs a command to its end with its output going where this program's goes.
///
/// # Errors
/// A status other than 0.
pub(crate) fn run_attached(name: &str, command: Command) -> Result<()> {
    let status = Running::start_attached(name, command)?.wait()?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{name} failed ({status})"))) }
}

/// What a short command prints, if it succeeds.
pub(crate) fn output_of(mut command: Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

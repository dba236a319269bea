//! `moe-server pack`.

use super::args::{PackArgs, UsageError};
use super::serve::signals;
use moe_server::model::packing::{Event, PackError, PackOptions, pack, verify};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What a shell expects of a process that was interrupted.
const INTERRUPTED: u8 = 130;

/// Packs a model or verifies a packed one. The error comes with the exit code.
pub(super) fn run(args: &PackArgs) -> Result<(), (u8, String)> {
    let mut progress = Progress::new();
    let result = if args.verify { check(&args.model, &mut progress) } else { write(args, &mut progress) };
    progress.end();
    let line = result.map_err(|error| {
        let code = if matches!(error, PackError::Stopped { .. }) { INTERRUPTED } else { 1 };
        (code, error.to_string())
    })?;
    // Whoever packs may not care for the output.
    let _ = writeln!(io::stdout(), "{line}");
    Ok(())
}

fn check(model: &Path, progress: &mut Progress) -> Result<String, PackError> {
    verify(model, &mut |done, total| progress.at("verified", done, total))?;
    Ok(format!("{} is as it was packed", model.display()))
}

fn write(args: &PackArgs, progress: &mut Progress) -> Result<String, PackError> {
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signal(Arc::clone(&stop));
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let options = PackOptions { threads, stop: &stop };
    let packed = pack(&args.model, args.output.as_deref(), &options, &mut |event| match event {
        Event::Anew(partial) => progress
            .say(&format!("{} is of another model or version: packing begins anew", partial.display())),
        Event::Resumed { done, total } => {
            progress.say(&format!("an interrupted run is gone on with, at {}", percent(done, total)));
        }
        Event::Progress { done, total } => progress.at("packed", done, total),
    })?;
    let what = if packed.was_there { "is up to date" } else { "is packed" };
    Ok(format!("{} {what}: {} bytes", packed.path.display(), packed.size))
}

/// Where no signal can be waited for, an interrupted run ends at once, and can be gone on with all the same.
fn stop_on_signal(stop: Arc<AtomicBool>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let wait = move || {
        runtime.block_on(async {
            let Ok(signal) = signals() else { return };
            signal.await;
            stop.store(true, Ordering::Relaxed);
            // For the second signal.
            std::future::pending::<()>().await;
        });
    };
    // It ends with the process.
    drop(Builder::new().name("signals".to_owned()).spawn(wait));
}

/// A bar on a terminal, now and then a line elsewhere.
struct Progress {
    is_terminal: bool,
    begun: Instant,
    /// Bytes done when it began, which took no time.
    head_start: Option<u64>,
    shown: Option<Instant>,
    /// Whether the last line waits to be written over.
    open: bool,
}

impl Progress {
    fn new() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, begun: Instant::now(), head_start: None, shown: None, open: false }
    }

    fn say(&mut self, line: &str) {
        self.end();
        let _ = writeln!(io::stderr(), "moe-server: {line}");
    }

    fn at(&mut self, what: &str, done: u64, total: u64) {
        let every = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        let now = Instant::now();
        let head_start = *self.head_start.get_or_insert(done);
        if self.shown.is_some_and(|shown| now - shown < every) && done < total {
            return;
        }
        self.shown = Some(now);
        let text = line(what, done, total, done - head_start.min(done), now - self.begun);
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r{} {text}\x1b[K", bar(done, total));
            self.open = true;
        } else {
            let _ = writeln!(io::stderr(), "moe-server: {text}");
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = writeln!(io::stderr());
        }
    }
}

fn percent(done: u64, total: u64) -> String {
    format!("{} %", u128::from(done) * 100 / u128::from(total.max(1)))
}

fn bar(done: u64, total: u64) -> String {
    const WIDTH: usize = 30;
    let full = (u128::from(done) * WIDTH as u128 / u128::from(total.max(1))) as usize;
    format!("[{}{}]", "=".repeat(full.min(WIDTH)), " ".repeat(WIDTH - full.min(WIDTH)))
}

/// `moved` of the `done` bytes took `time`.
#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn line(what: &str, done: u64, total: u64, moved: u64, time: Duration) -> String {
    let mut text = format!("{} {what}: {} of {} MiB", percent(done, total), done >> 20, total >> 20);
    if moved > 0 {
        let rate = moved as f64 / time.as_secs_f64().max(1e-3);
        text.push_str(&format!(", {:.2} GB/s", rate / 1e9));
        if done < total {
            text.push_str(&format!(", {:.0} s left", (total - done) as f64 / rate));
        }
    }
    text
}

/// Reads the arguments behind `pack`.
///
/// # Errors
/// [`UsageError`].
pub(super) fn parse(parser: &mut lexopt::Parser) -> Result<Option<PackArgs>, UsageError> {
    use lexopt::{Arg, ValueExt};
    let fail = |why: &str| Err(UsageError(why.to_owned()));
    let mut args = PackArgs::default();
    let mut models = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(model) => models.push(model),
            Arg::Long("output") | Arg::Short('o') => args.output = Some(parser.value()?.into()),
            Arg::Long("threads") => {
                let text = parser.value()?.string()?;
                args.threads = match text.parse() {
                    Ok(threads @ 1..) => threads,
                    _ => return fail(&format!("--threads {text}: give a whole number of at least 1")),
                };
            }
            Arg::Long("verify") => args.verify = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut models = models.into_iter();
    match (models.next(), models.next()) {
        (Some(model), None) => args.model = model.into(),
        (None, _) => return fail("`pack` wants a model: a GGUF file"),
        (_, Some(more)) => {
            return fail(&format!("`pack` takes one model, and {} is a second", more.display()));
        }
    }
    if args.verify && args.output.is_some() {
        return fail("--verify writes nothing: leave --output out");
    }
    Ok(Some(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let second = Duration::from_secs(1);
        assert_eq!(line("packed", 0, 1 << 30, 0, second), "0 % packed: 0 of 1024 MiB");
        let text = line("packed", 1 << 29, 1 << 30, 1 << 28, second);
        assert_eq!(text, "50 % packed: 512 of 1024 MiB, 0.27 GB/s, 2 s left");
        assert_eq!(
            line("packed", 1 << 30, 1 << 30, 1 << 30, second),
            "100 % packed: 1024 of 1024 MiB, 1.07 GB/s"
        );
        assert_eq!(bar(1, 2), format!("[{}{}]", "=".repeat(15), " ".repeat(15)));
        assert_eq!(bar(u64::MAX, u64::MAX).len(), 32);
    }
}

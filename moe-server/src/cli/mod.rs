//! The command: arguments, key, start and stop.

pub(crate) mod args;
mod bench;
mod gpu;
mod help;
mod key;
mod pack;
mod plan;
mod serve;
mod supervise;
mod values;

use args::Command;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command line; errors go to stderr.
pub(crate) fn run() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            // Here and below: whoever reads it may have read enough.
            let _ = write!(std::io::stdout(), "{}", args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            let _ = writeln!(std::io::stdout(), "moe-server {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Bench(Some(options))) => match bench::bench(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &error),
        },
        Ok(Command::Bench(None)) => {
            let _ = write!(std::io::stdout(), "{}", bench::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Serve(options)) => match serve::serve(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &error),
        },
        Ok(Command::Gpu(Some(options))) => match gpu::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &error),
        },
        Ok(Command::Gpu(None)) => {
            let _ = write!(std::io::stdout(), "{}", gpu::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Plan(Some(options))) => match plan::run(&options) {
            Ok(fits) => ExitCode::from(u8::from(!fits)),
            Err(error) => fail(2, &error),
        },
        Ok(Command::Plan(None)) => {
            let _ = write!(std::io::stdout(), "{}", plan::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Supervise(Some(options))) => match supervise::supervise(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &error),
        },
        Ok(Command::Supervise(None)) => {
            let _ = write!(std::io::stdout(), "{}", supervise::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Pack(args)) => match pack::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err((code, error)) => fail(code, &error),
        },
        Err(error) => fail(2, &error),
    }
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "moe-server: {error}");
    ExitCode::from(code)
}

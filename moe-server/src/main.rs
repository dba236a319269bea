//! The command `moe-server`; see the library for the map.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

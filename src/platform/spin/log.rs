//! Lines for the host's log.

use std::io::Write;

/// Writes one line to standard error; `line` must hold nothing secret.
pub(super) fn log(line: &str) {
    // There is nowhere to tell that the log does not work; `eprintln!` would panic.
    let _written = std::io::stderr().write_all(format!("moegate: {line}\n").as_bytes());
}

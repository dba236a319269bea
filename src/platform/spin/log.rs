//! Lines for the host's log.

use super::bindings::wasi::cli::stderr;
use super::bindings::wit_stream;

/// Writes one line to standard error; `line` must hold nothing secret.
pub(super) async fn log(line: &str) {
    let (mut writer, reader) = wit_stream::new();
    let written = stderr::write_via_stream(reader);
    let _unsent = writer.write_all(format!("moegate: {line}\n").into_bytes()).await;
    drop(writer);
    // There is nowhere to tell that the log does not work.
    let _result = written.await;
}

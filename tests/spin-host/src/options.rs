//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lexopt::prelude::*;

use crate::failure::{Failure, Result};
use crate::faults::{self, Faults};
use crate::guest::Reuse;
use crate::kv::Hazards;

/// Printed by `--help`.
pub(crate) const HELP: &str = "\
spin-host: runs a Spin component in tests as the Spin runtime would, hazards included

  --manifest FILE           spin.toml (version 2)
  --component ID            which component, where there are several
  --wasm FILE               the component's file, instead of the manifest's source
  --listen ADDRESS:PORT     where to serve; port 0 takes a free one
  --kv FILE                 the SQLite file behind the key-value store, made when a store is first opened
  --sqlite FILE             the SQLite file behind spin:sqlite, made at the first statement, or :memory:, which is a
                            database of its own for each connection [sqlite_db.db beside the key-value file]
  --variable NAME=VALUE     a variable; NAME=@FILE takes the file's content, last newline included
  --env-file FILE           SPIN_VARIABLE_... from a file (.env in the working directory is read if it is there)
  --ca FILE                 certificates (PEM) to trust for outbound TLS beside the system's

The real runtime's behaviour, and how to leave it:
  --no-nodelay              leave TCP_NODELAY unset, as the real one does
  --max-requests N          requests per instance [128]
  --max-at-once N           requests at once per instance [16]
  --idle-ms N               how long an idle instance is kept [1000]
  --request-timeout S       the instance ends so long after its last request came or, where all are answered, after the
                            last answer began: streams are cut with a clean end, what has no answer gets a 500 [none]

Key-value hazards (on|off; all on, as in the real store):
  --kv-cas-missing-both-win     two swaps that saw no value both succeed
  --kv-increment-poison         increment of a value that is not 8 bytes panics and poisons the store
  --kv-get-keys-holds           calls wait while a get_keys stream is open
  --kv-blocks-instance          a call keeps its instance from doing anything else
  --kv-fsync                    a write is on the disk when the call returns
  --kv-hold-limit-ms N          after how long such a wait fails instead of lasting for ever [10000]

The database's (on|off; on, as in the real runtime):
  --sqlite-fsync                a transaction is on the disk when its COMMIT returns

Faults, here for the start; later the same on standard input, as lines `NAME VALUE` without the dashes, each answered
by `ok` or `error: ...` on standard output (N: so many, or `all`):
  --kv-fail-opens N         the next N times that a store is opened fail [0]
  --kv-fail-reads N         the next N reads of a value fail [0]
  --kv-fail-writes N        the next N writes and lists of keys fail [0]
  --kv-slow-ms N            added to every key-value call [0]
  --sqlite-fail-opens N     the next N times that a connection is opened fail [0]
  --sqlite-busy N           the next N statements that would begin to write fail: the database is locked [0]
  --sqlite-fail-statements N
                            the next N statements fail and do nothing; a transaction stays open [0]
  --sqlite-fail-commits N   the next N COMMITs fail, and roll back [0]
  --sqlite-fail-after-commit N
                            the next N COMMITs take effect and are reported as failed [0]
  --sqlite-slow-ms N        added to every statement [0]
  --variables-fail N        the next N look-ups of a variable fail, as where a provider cannot be reached [0]
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    /// `spin.toml`.
    pub(crate) manifest: PathBuf,
    /// The component's name in it, where there are several.
    pub(crate) component: Option<String>,
    /// The component's file, instead of the manifest's.
    pub(crate) wasm: Option<PathBuf>,
    /// Where to serve.
    pub(crate) listen: SocketAddr,
    /// The SQLite file.
    pub(crate) kv: PathBuf,
    /// The file behind `spin:sqlite`.
    pub(crate) sqlite: PathBuf,
    /// Whether a commit there waits for the disk.
    pub(crate) sqlite_fsync: bool,
    /// `--variable` arguments.
    pub(crate) variables: Vec<String>,
    /// A file to use as `.env`.
    pub(crate) env_file: Option<PathBuf>,
    /// More certificates to trust.
    pub(crate) ca: Option<PathBuf>,
    /// Whether to set TCP_NODELAY.
    pub(crate) nodelay: bool,
    /// How instances are reused.
    pub(crate) reuse: Reuse,
    /// What the key-value store does to a careless caller.
    pub(crate) hazards: Hazards,
    /// What is to fail.
    pub(crate) faults: Arc<Faults>,
}

impl Options {
    /// Reads the arguments after the program's name; `None` where help is wanted.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut manifest = None;
        let mut listen = None;
        let mut kv: Option<PathBuf> = None;
        let (mut sqlite, mut sqlite_fsync) = (None, true);
        let (mut component, mut wasm, mut env_file, mut ca) = (None, None, None, None);
        let mut variables = Vec::new();
        let mut nodelay = true;
        let mut reuse = Reuse::default();
        let mut hazards = Hazards::default();
        let faults = Faults::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("help") | Short('h') => return Ok(None),
                Long("manifest") => manifest = Some(file(&mut parser)?),
                Long("component") => component = Some(text(&mut parser)?),
                Long("wasm") => wasm = Some(file(&mut parser)?),
                Long("listen") => listen = Some(parsed(&mut parser, "--listen")?),
                Long("kv") => kv = Some(file(&mut parser)?),
                Long("sqlite") => sqlite = Some(file(&mut parser)?),
                Long("sqlite-fsync") => sqlite_fsync = on_off(&mut parser, "--sqlite-fsync")?,
                Long("variable") => variables.push(text(&mut parser)?),
                Long("env-file") => env_file = Some(file(&mut parser)?),
                Long("ca") => ca = Some(file(&mut parser)?),
                Long("no-nodelay") => nodelay = false,
                Long("max-requests") => reuse.requests = parsed(&mut parser, "--max-requests")?,
                Long("max-at-once") => reuse.at_once = parsed(&mut parser, "--max-at-once")?,
                Long("idle-ms") => reuse.idle = millis(&mut parser, "--idle-ms")?,
                Long("request-timeout") => {
                    let seconds: f64 = parsed(&mut parser, "--request-timeout")?;
                    let timeout = Duration::try_from_secs_f64(seconds);
                    reuse.request_timeout =
                        Some(timeout.map_err(|error| {
                            Failure::new(format!("--request-timeout {seconds}: {error}"))
                        })?);
                }
                Long("kv-cas-missing-both-win") => {
                    hazards.cas_missing_both_win = on_off(&mut parser, "--kv-cas-missing-both-win")?;
                }
                Long("kv-increment-poison") => {
                    hazards.increment_poisons = on_off(&mut parser, "--kv-increment-poison")?;
                }
                Long("kv-get-keys-holds") => {
                    hazards.get_keys_holds = on_off(&mut parser, "--kv-get-keys-holds")?;
                }
                Long("kv-blocks-instance") => {
                    hazards.blocks_instance = on_off(&mut parser, "--kv-blocks-instance")?;
                }
                Long("kv-fsync") => hazards.fsync = on_off(&mut parser, "--kv-fsync")?,
                Long("kv-hold-limit-ms") => {
                    hazards.hold_limit = millis(&mut parser, "--kv-hold-limit-ms")?;
                }
                Long(name) if faults::NAMES.contains(&name) => {
                    let name = name.to_owned();
                    let value = text(&mut parser)?;
                    faults.set(&name, &value).map_err(|why| Failure::new(format!("--{why}")))?;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let wanted = |name: &str| Failure::new(format!("{name} is wanted (--help says more)"));
        let kv = kv.ok_or_else(|| wanted("--kv FILE"))?;
        Ok(Some(Self {
            manifest: manifest.ok_or_else(|| wanted("--manifest FILE"))?,
            component,
            wasm,
            listen: listen.ok_or_else(|| wanted("--listen ADDRESS:PORT"))?,
            sqlite: sqlite.unwrap_or_else(|| kv.with_file_name("sqlite_db.db")),
            kv,
            sqlite_fsync,
            variables,
            env_file,
            ca,
            nodelay,
            reuse,
            hazards,
            faults: Arc::new(faults),
        }))
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::new(format!("{error} (--help says more)"))
    }
}

fn file(parser: &mut lexopt::Parser) -> Result<PathBuf> {
    Ok(parser.value()?.into())
}

fn text(parser: &mut lexopt::Parser) -> Result<String> {
    Ok(parser.value()?.string()?)
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(parser: &mut lexopt::Parser, name: &str) -> Result<T> {
    let value = text(parser)?;
    value.parse().map_err(|error| Failure::new(format!("{name} {value:?}: {error}")))
}

fn millis(parser: &mut lexopt::Parser, name: &str) -> Result<Duration> {
    Ok(Duration::from_millis(parsed(parser, name)?))
}

fn on_off(parser: &mut lexopt::Parser, name: &str) -> Result<bool> {
    match text(parser)?.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(Failure::new(format!("{name} {other:?}: on or off is wanted"))),
    }
}

//! What `run` is asked for.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::build::Host;

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) port: Option<u16>,
    pub(crate) model: Option<PathBuf>,
    /// What the server computes on, as it takes it.
    pub(crate) device: Option<OsString>,
    pub(crate) verbose: bool,
    pub(crate) host: Host,
    /// The gateway's configuration instead of the checkout's.
    pub(crate) config: Option<PathBuf>,
    /// Instead of `config`: one of the repository's.
    pub(crate) demo: Option<Demo>,
    /// With `config`: a file of its secrets.
    pub(crate) secrets: Option<PathBuf>,
    /// With `config`: the gateway alone.
    pub(crate) no_server: bool,
    pub(crate) mock: WithMock,
}

/// Whether the stand-in provider is started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithMock {
    /// With the checkout's own configuration, where that has origins for it.
    #[default]
    Demo,
    Yes,
    No,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demo {
    Wake,
}

impl Demo {
    /// From the command line.
    pub(crate) fn parse(name: &str) -> std::result::Result<Self, String> {
        match name {
            "wake" => Ok(Self::Wake),
            other => Err(format!("there is no demonstration {other}: there is wake")),
        }
    }

    /// Its configuration, from the repository's root.
    pub(super) fn config(self) -> &'static str {
        match self {
            Self::Wake => "examples/wake/moegate.toml",
        }
    }
}

impl Options {
    /// What cannot go together.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.demo.is_some() && self.config.is_some() {
            return Some("--demo has a configuration of its own: leave --config out");
        }
        if self.config.is_none() && (self.secrets.is_some() || self.no_server) {
            return Some("--secrets and --no-server belong to --config");
        }
        (self.no_server && (self.model.is_some() || self.device.is_some()))
            .then_some("--no-server starts nothing that --model or --device could be for")
    }
}

//! What runs the component: `spin` where it is on PATH, else the test host of this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_attached};
use crate::secrets::Secrets;
use crate::setup::Setup;

/// The first version with WASI 0.3.
const OLDEST: (u32, u32) = (4, 1);

/// Where the component runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// `spin` itself, with its version.
    Spin(String),
    /// The test host's program.
    TestHost(PathBuf),
}

impl Runtime {
    /// `spin` if it is there, and the test host built if it is not.
    ///
    /// # Errors
    /// A `spin` that is too old.
    pub(crate) fn find(setup: &Setup) -> Result<Self> {
        match installed()? {
            Some(version) => Ok(Self::Spin(version)),
            None => Ok(Self::TestHost(test_host(setup)?)),
        }
    }

    /// For whoever reads what `run` prints.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Spin(version) => format!("spin {version}"),
            Self::TestHost(_) => "the test host, since there is no `spin` on PATH".to_owned(),
        }
    }

    /// The command that serves the component of a manifest on this port, with its records in the folder `state`. A secret
    /// that is missing must be there as an empty one: Spin does not start otherwise.
    pub(crate) fn serve(
        &self,
        manifest: &Path,
        state: &Path,
        secrets: &Secrets,
        port: u16,
    ) -> Result<Command> {
        fs::create_dir_all(state).at("create", state)?;
        let mut command = match self {
            Self::Spin(_) => {
                let mut command = Command::new("spin");
                command.arg("up").arg("--from").arg(manifest).arg("--state-dir").arg(state);
                command
            }
            Self::TestHost(program) => {
                let mut command = Command::new(program);
                command.arg("--manifest").arg(manifest).arg("--kv").arg(state.join("sqlite_key_value.db"));
                command
            }
        };
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        // Spin reads a file `.env` in the folder where it is started.
        command.current_dir(manifest.parent().unwrap_or(manifest));
        for (name, value) in secrets {
            command.env(format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase()), value);
        }
        Ok(command)
    }
}

/// Builds the test host.
pub(crate) fn test_host(setup: &Setup) -> Result<PathBuf> {
    // With a test that needs it, of the whole workspace: so it is compiled with the features that all suites have, and once.
    let mut cargo = setup.cargo("test");
    cargo.args(["--quiet", "--workspace", "--no-run", "--test", "host"]);
    run_attached("cargo build of spin-host", cargo)?;
    Ok(setup.built("debug/spin-host"))
}

/// The version of the `spin` on PATH.
///
/// # Errors
/// One that cannot run the component.
pub(crate) fn installed() -> Result<Option<String>> {
    let mut command = Command::new("spin");
    command.arg("--version");
    output_of(command).map_or(Ok(None), |text| accepted(&text))
}

/// The version in what `spin --version` prints: `spin 4.1.0 (1a2b3c4 2026-08-21)`. `None`: another program of that name.
fn accepted(text: &str) -> Result<Option<String>> {
    let Some(version) = text.strip_prefix("spin ").and_then(|rest| rest.split_whitespace().next()) else {
        return Ok(None);
    };
    let mut parts = version.split(['.', '-']).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => Ok(Some(version.to_owned())),
        (Some(Ok(_)), Some(Ok(_))) => Err(Failure::new(format!(
            "the `spin` on PATH is {version}; the component is made of WASI 0.3, which Spin has from 4.1 on"
        ))
        .remedy("install a newer one (https://spinframework.dev), or take it off PATH to use the test host")),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_spin_is_refused() {
        for (text, expected) in [
            ("spin 4.1.0 (1a2b3c4 2026-08-21)", Ok("4.1.0")),
            ("spin 4.1.0-pre0 (94a8fc8 2026-08-21)", Ok("4.1.0-pre0")),
            ("spin 5.0.0", Ok("5.0.0")),
            ("spin 4.0.9 (1a2b3c4 2026-04-01)", Err("from 4.1 on")),
            ("spin 3.6.0", Err("from 4.1 on")),
            ("Spin Version 6.5.2 -- 6 December 2019", Ok("")),
            ("spin", Ok("")),
            ("", Ok("")),
        ] {
            match (accepted(text), expected) {
                (Ok(version), Ok(expected)) => assert_eq!(version.unwrap_or_default(), expected),
                (Err(failure), Err(part)) => assert!(failure.to_string().contains(part), "{failure}"),
                (seen, _) => panic!("{text}: {seen:?}"),
            }
        }
    }
}

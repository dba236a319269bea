//! cargo-deny, at the pinned version.

use std::path::PathBuf;
use std::process::Command;

use super::Setup;
use crate::cache::{self, Step};
use crate::failure::Result;
use crate::process::{output_of, run_tool};

/// The program `cargo-deny`: the one on PATH if it is the pinned version, else one built for the cache.
pub(super) fn set_up(setup: &Setup) -> Result<PathBuf> {
    let version = &setup.pins.cargo_deny;
    let mut found = Command::new("cargo-deny");
    found.arg("--version");
    if output_of(found).is_some_and(|text| text == format!("cargo-deny {version}")) {
        return Ok("cargo-deny".into());
    }
    let step = Step {
        folder: "cargo-deny",
        what: "cargo-deny, built from source",
        cost: "about 25 MB of download, two to four minutes of compiling",
        pins: &[version],
        remedy: "check that crates.io can be reached, then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        let target = partial.join("target");
        // Unoptimised: it compiles in half the time and runs for a second.
        let mut command = setup.cargo("install");
        command.args(["--locked", "--debug", "--version", version, "cargo-deny", "--root"]).arg(partial);
        command.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_DEV_DEBUG", "0").current_dir(partial);
        run_tool("cargo install cargo-deny", command)?;
        cache::remove(&target)
    })?;
    Ok(folder.join("bin/cargo-deny"))
}

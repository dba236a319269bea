//! A Python environment with the clients that the tests use.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Setup;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

/// The interpreter of the environment. Run scripts with `-I -B`: neither the user's packages nor `PYTHONPATH` then
/// change what is tested, and no byte code lands in the checkout.
pub(super) fn set_up(setup: &Setup) -> Result<PathBuf> {
    let path = setup.root.join("xtask/python/requirements.txt");
    let requirements = fs::read_to_string(&path).at("read", &path)?;
    let mut version = Command::new("python3");
    version.args(["-c", "import sys; print(sys.version, sys.executable)"]);
    let version = output_of(version).ok_or_else(|| {
        Failure::new("python3 does not run")
            .remedy("install Python 3.10 or newer (on Debian: the package python3)")
    })?;
    let step = Step {
        folder: "python",
        what: "a Python environment with the packages the tests use",
        cost: "about 8 MB of download",
        pins: &[&requirements, &version],
        remedy: "check that PyPI can be reached by pip, and that `python3 -m venv` works \
            (on Debian: the package python3-venv), then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        // Only bin/python is used, which finds its environment from where it lies: the folder may be moved.
        let venv = partial.join("venv");
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(&venv);
        run_tool("python3 -m venv", command)?;
        let mut command = Command::new(venv.join("bin/python"));
        command
            .args(["-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"])
            .args(["--only-binary=:all:", "--require-hashes", "-r"])
            .arg(&path);
        run_tool("pip install", command)
    })?;
    Ok(folder.join("venv/bin/python"))
}

//! Python environments with the clients that the tests use.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Setup;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

/// An environment: the file of `xtask/python` that pins its packages, and what setting it up says.
struct Environment {
    folder: &'static str,
    requirements: &'static str,
    what: &'static str,
    cost: &'static str,
}

const TESTS: Environment = Environment {
    folder: "python",
    requirements: "requirements.txt",
    what: "a Python environment with the packages the tests use",
    cost: "about 8 MB of download",
};

const SDKS: Environment = Environment {
    folder: "python-sdks",
    requirements: "sdks.txt",
    what: "a Python environment with the providers' SDKs and LiteLLM",
    cost: "about 100 MB of download, 460 MB on disk",
};

pub(super) fn set_up(setup: &Setup) -> Result<PathBuf> {
    install(setup, &TESTS)
}

/// With every SDK that the suite dialects uses: too large for the suites that need none of them.
pub(super) fn sdks(setup: &Setup) -> Result<PathBuf> {
    install(setup, &SDKS)
}

/// The interpreter of the environment. Run scripts with `-I -B`: neither the user's packages nor `PYTHONPATH` then
/// change what is tested, and no byte code lands in the checkout.
fn install(setup: &Setup, environment: &Environment) -> Result<PathBuf> {
    let path = setup.root.join("xtask/python").join(environment.requirements);
    let requirements = fs::read_to_string(&path).at("read", &path)?;
    let mut version = Command::new("python3");
    version.args(["-c", "import sys; print(sys.version, sys.executable)"]);
    let version = output_of(version).ok_or_else(|| {
        Failure::new("python3 does not run")
            .remedy("install Python 3.10 or newer (on Debian: the package python3)")
    })?;
    let step = Step {
        folder: environment.folder,
        what: environment.what,
        cost: environment.cost,
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

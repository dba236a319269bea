//! NVIDIA's run-time compiler, out of its Python package: it compiles the GPU kernels on machines without a GPU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Setup;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::run_tool;

/// An unpacked NVRTC.
#[derive(Debug)]
pub(crate) struct Nvrtc {
    folder: PathBuf,
}

impl Nvrtc {
    /// Lets a command find it, and it the library beside it.
    pub(crate) fn lend(&self, command: &mut Command) -> Result<()> {
        let library = fs::read_dir(&self.folder)
            .at("list", &self.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| is_compiler(path))
            .ok_or_else(|| Failure::new(format!("no NVRTC in {}", self.folder.display())))?;
        command.env("MOE_NVRTC", library).env("LD_LIBRARY_PATH", &self.folder);
        Ok(())
    }
}

/// `libnvrtc.so.13`, and neither its built-ins nor another build of it.
fn is_compiler(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc.so"))
}

pub(super) fn set_up(setup: &Setup) -> Result<Nvrtc> {
    let path = setup.root.join("xtask/python/nvrtc.txt");
    let requirements = fs::read_to_string(&path).at("read", &path)?;
    let step = Step {
        folder: "nvrtc",
        what: "NVIDIA's run-time compiler, for the GPU kernels",
        cost: "about 90 MB of download",
        pins: &[&requirements],
        remedy: "check that PyPI can be reached by pip (Linux on x86-64 or aarch64), then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--require-hashes", "--target"])
            .arg(partial)
            .arg("-r")
            .arg(&path);
        run_tool("pip install", pip)
    })?;
    Ok(Nvrtc { folder: folder.join("nvidia/cu13/lib") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_told_from_what_lies_beside_it() {
        let found = |name: &str| is_compiler(Path::new("lib").join(name).as_path());
        assert!(found("libnvrtc.so.13") && found("libnvrtc.so"));
        assert!(!found("libnvrtc-builtins.so.13.0") && !found("libnvrtc.alt.so.13"));
    }
}

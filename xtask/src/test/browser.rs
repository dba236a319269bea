//! `test browser`: examples/next-chat in Chromium, before the gateway as `run` starts it, on both hosts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Check, Counting};
use crate::cache::hex;
use crate::failure::{At, Failure, Result};
use crate::process::run_tool;
use crate::setup::{Node, Setup};
use sha2::{Digest, Sha256};

/// The ports of the checkout's configuration, and those that the suite has instead, so that it can run beside `run`.
const PORTS: [(&str, &str); 2] =
    [("127.0.0.1:8788/", "127.0.0.1:28781/"), ("127.0.0.1:8790/", "127.0.0.1:28782/")];

pub(super) fn checks(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let chromium = setup.chromium()?;
    let app = app(setup, &node)?;
    let config = config(setup)?;
    let own = env::current_exe()
        .map_err(|error| Failure::new(format!("this program's file is not known: {error}")))?;
    let mut command = node.script(&setup.root.join("tests/browser/run.mjs"));
    command
        .env("MOEGATE_NODE_MODULES", app.join("node_modules"))
        .env("MOEGATE_XTASK", own)
        .env("MOEGATE_CHROMIUM", chromium)
        .env("MOEGATE_BROWSER_APP", app)
        .env("MOEGATE_BROWSER_CONFIG", config)
        .env("MOEGATE_BROWSER_OUT", setup.root.join("build/browser"));
    Ok(vec![Check { name: "the chat page in Chromium", command, counting: Counting::Lines }])
}

/// The checkout's configuration at the suite's ports.
fn config(setup: &Setup) -> Result<PathBuf> {
    let from = setup.root.join("moegate.toml");
    let mut text = fs::read_to_string(&from).at("read", &from)?;
    for (usual, here) in PORTS {
        text = text.replace(usual, here);
    }
    let folder = setup.root.join("build/browser");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let to = folder.join("moegate.toml");
    if !fs::read_to_string(&to).is_ok_and(|old| old == text) {
        fs::write(&to, text).at("write", &to)?;
    }
    Ok(to)
}

/// A copy of the example with its packages, built; each of the two steps only where something has changed.
fn app(setup: &Setup, node: &Node) -> Result<PathBuf> {
    let (from, to) = (setup.root.join("examples/next-chat"), setup.root.join("build/next-chat"));
    fs::create_dir_all(&to).at("create", &to)?;
    let mut sources = Vec::new();
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        copy(&from.join(file), &to.join(file), &mut sources)?;
    }
    let packages = stamp(&sources);
    if !is_stamped(&to.join("packages.stamp"), &packages) {
        eprintln!("set-up: the packages of examples/next-chat (about 90 MB of download, 420 MB on disk)");
        let mut install = Command::new("npm");
        install.args(["install", "--no-save", "--ignore-scripts"]).current_dir(&to);
        run_tool("npm install", install)?;
        let file = to.join("packages.stamp");
        fs::write(&file, &packages).at("write", &file)?;
    }
    for folder in ["app", "lib"] {
        // What the example no longer has must not be built.
        let old = to.join(folder);
        if old.exists() {
            fs::remove_dir_all(&old).at("remove", &old)?;
        }
    }
    for name in ["app", "lib", "next.config.ts", "tsconfig.json"] {
        copy(&from.join(name), &to.join(name), &mut sources)?;
    }
    let built = stamp(&sources);
    if !is_stamped(&to.join("built.stamp"), &built) {
        let mut build = node.script(&to.join("node_modules/next/dist/bin/next"));
        build.arg("build").current_dir(&to).env("NEXT_TELEMETRY_DISABLED", "1");
        run_tool("next build", build)?;
        let file = to.join("built.stamp");
        fs::write(&file, &built).at("write", &file)?;
    }
    Ok(to)
}

/// Copies a file or a folder; `sources` gets each file's name and text, in the order of names.
fn copy(from: &Path, to: &Path, sources: &mut Vec<u8>) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).at("create", to)?;
        let mut names: Vec<_> =
            fs::read_dir(from).at("list", from)?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort();
        return names.iter().try_for_each(|name| copy(&from.join(name), &to.join(name), sources));
    }
    let text = fs::read(from).at("read", from)?;
    sources.extend_from_slice(from.as_os_str().as_encoded_bytes());
    sources.extend_from_slice(&text);
    fs::write(to, text).at("write", to)
}

fn stamp(sources: &[u8]) -> String {
    hex(&Sha256::digest(sources))
}

fn is_stamped(file: &Path, stamp: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|old| old == stamp)
}

//! Chromium for the browser suite: the one named by `MOEGATE_CHROMIUM`, or on PATH, or else Debian's packages, unpacked into the
//! cache and not installed.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Setup;
use super::debian::private_lists;
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::{output_of, run_tool};

const VARIABLE: &str = "MOEGATE_CHROMIUM";
/// Their names on PATH.
const INSTALLED: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const WANTED: [&str; 2] = ["chromium", "fonts-dejavu-core"];
const REMEDY: &str = "check that Debian's mirror can be reached (`apt-get update`); where there is no apt, install Chromium or Chrome, \
    or name one in MOEGATE_CHROMIUM";
const WRAPPER: &str = r#"#!/bin/sh
here=$(cd "${0%/*}" && pwd)/root/usr
for folder in "$here"/lib/*-linux-gnu "$here"/lib/*-linux-gnu/pulseaudio; do
  LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
# Fonts and their configuration, where the machine has none.
if [ ! -d /etc/fonts ] && [ -d "$here/../etc/fonts" ]; then
  export FONTCONFIG_PATH="$here/../etc/fonts"
fi
export XDG_DATA_HOME="$here/share"
exec "$here/lib/chromium/chromium" "$@"
"#;

/// The program.
pub(super) fn set_up(setup: &Setup) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(named.into());
    }
    if let Some(installed) = on_path() {
        return Ok(installed);
    }
    let step = Step {
        folder: "chromium",
        what: "Chromium from Debian's packages, unpacked and not installed",
        cost: "about 110 MB of download, 400 MB on disk",
        pins: &[WRAPPER, WANTED[0], WANTED[1]],
        remedy: REMEDY,
    };
    let folder = setup.cache.install(&step, |partial| {
        download(setup, partial)?;
        let wrapper = partial.join("chromium");
        fs::write(&wrapper, WRAPPER).at("write", &wrapper)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).at("make executable", &wrapper)?;
        let mut version = Command::new(&wrapper);
        version.arg("--version");
        output_of(version).map(|_| ()).ok_or_else(|| {
            Failure::new("the Chromium that was unpacked does not run")
                .remedy(format!("{REMEDY}; `{} --version` says why", wrapper.display()))
        })
    })?;
    Ok(folder.join("chromium"))
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    INSTALLED
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// Downloads and unpacks what an installation would bring, which is what this machine lacks.
fn download(setup: &Setup, partial: &Path) -> Result<()> {
    let (options, names) = match missing(&[]) {
        Some(names) => (Vec::new(), names),
        None => {
            let options = private_lists(setup)?;
            let names = missing(&options)
                .ok_or_else(|| Failure::new("apt-get knows no way to install Chromium").remedy(REMEDY))?;
            (options, names)
        }
    };
    let debs = partial.join("debs");
    fs::create_dir_all(&debs).at("create", &debs)?;
    let mut command = Command::new("apt-get");
    command.args(&options).arg("download").args(&names).current_dir(&debs).env("LC_ALL", "C");
    run_tool("apt-get download", command)?;
    for entry in fs::read_dir(&debs).at("list", &debs)? {
        let mut command = Command::new("dpkg");
        command.arg("-x").arg(entry.at("list", &debs)?.path()).arg(partial.join("root"));
        run_tool("dpkg -x", command)?;
    }
    fs::remove_dir_all(&debs).at("remove", &debs)
}

/// The packages that installing Chromium would bring; nothing where apt cannot say.
fn missing(options: &[String]) -> Option<Vec<String>> {
    let mut command = Command::new("apt-get");
    command.args(options);
    command.args([
        "install",
        "--print-uris",
        "-qq",
        "-y",
        "--no-install-recommends",
        "-o",
        "Debug::NoLocking=1",
    ]);
    command.args(WANTED).env("LC_ALL", "C");
    let names = names_in(&output_of(command)?);
    names.iter().any(|name| name == WANTED[0]).then_some(names)
}

/// Lines are `'URI' FILE SIZE HASH`, and a file's name begins with its package's.
fn names_in(text: &str) -> Vec<String> {
    let files = text.lines().filter_map(|line| line.strip_prefix('\'')?.split_whitespace().nth(1));
    files.filter_map(|file| Some(file.split_once('_')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_what_apt_prints() {
        let text = "'http://mirror/pool/c/chromium_1%3a2_amd64.deb' chromium_1%3a2_amd64.deb 75 MD5Sum:ab\nW: a warning\n\
            'http://mirror/pool/l/libogg0_1.3.5-3_amd64.deb' libogg0_1.3.5-3_amd64.deb 23 MD5Sum:cd\n";
        assert_eq!(names_in(text), ["chromium", "libogg0"]);
    }
}

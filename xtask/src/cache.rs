//! The one folder that set-up writes to.
//!
//! Every tool has a folder of its own there, named after the hash of its pins, that appears complete or not at all:
//! it is filled under another name and renamed. So a tool is there when its folder is, a changed pin is another
//! folder, and the whole cache may be deleted at any time.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{At, Failure, Result};
use crate::lock;

#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// One thing that set-up installs.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// The folder's name in the cache, without the hash.
    pub(crate) folder: &'a str,
    /// What a person reads.
    pub(crate) what: &'a str,
    /// Roughly what it costs: download, time.
    pub(crate) cost: &'a str,
    /// Everything that, when changed, asks for a new installation.
    pub(crate) pins: &'a [&'a str],
    /// What to do when it fails.
    pub(crate) remedy: &'a str,
}

impl Cache {
    /// `$MOEGATE_CACHE`, else `$XDG_CACHE_HOME/moegate`, else `~/.cache/moegate`.
    pub(crate) fn locate() -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("MOEGATE_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("moegate")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/moegate")))
            .ok_or_else(|| {
                Failure::new("there is no place for the cache folder")
                    .remedy("set MOEGATE_CACHE to a folder that may be written to")
            })?;
        let root = std::path::absolute(&root).at("resolve", &root)?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a step, installed or not.
    pub(crate) fn folder(&self, step: &Step<'_>) -> PathBuf {
        self.root.join(format!("{}-{}", step.folder, &hash(step.pins)[..16]))
    }

    /// Makes sure that a step's folder is there, filling it with `fill` if not. Two processes at once: one waits.
    pub(crate) fn install(&self, step: &Step<'_>, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder(step);
        if folder.is_dir() {
            return Ok(folder);
        }
        let _lock = self.lock()?;
        if folder.is_dir() {
            return Ok(folder);
        }
        eprintln!("set-up: {} ({})\n    into {}", step.what, step.cost, folder.display());
        let begun = std::time::Instant::now();
        let partial = self.root.join(format!("partial-{}", step.folder));
        remove(&partial)?;
        fs::create_dir_all(&partial).at("create", &partial)?;
        let filled = fill(&partial).and_then(|()| {
            let stamp = partial.join("stamp");
            fs::write(&stamp, step.pins.join("\n")).at("write", &stamp)?;
            fs::rename(&partial, &folder).at("move into place", &folder)
        });
        if let Err(failure) = filled {
            let _left = remove(&partial);
            return Err(failure.during(&format!("set-up of {}", step.what)).remedy(step.remedy));
        }
        eprintln!("    done in {:.0} s", begun.elapsed().as_secs_f64());
        Ok(folder)
    }

    /// Held while something is installed.
    pub(crate) fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.root).map_err(|error| {
            Failure::new(format!("cannot create the cache folder {}: {error}", self.root.display()))
                .remedy("set MOEGATE_CACHE to a folder that may be written to")
        })?;
        let path = self.root.join("lock");
        lock::hold(&path, &format!("set-up: waiting for another set-up that holds {}", path.display()))
    }
}

/// Removes a folder if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", folder),
        _ => Ok(()),
    }
}

/// The lower-case hex SHA-256 of all pins, each ended by a NUL so that no two lists run together.
fn hash(pins: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for pin in pins {
        hasher.update(pin.as_bytes());
        hasher.update([0]);
    }
    hex(&hasher.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step<'a>(pins: &'a [&'a str]) -> Step<'a> {
        Step { folder: "tool", what: "a tool", cost: "nothing", pins, remedy: "try again" }
    }

    fn cache(name: &str) -> Cache {
        let root = env::temp_dir().join(format!("moegate-cache-test-{}-{name}", std::process::id()));
        remove(&root).unwrap();
        Cache { root }
    }

    #[test]
    fn a_step_is_done_once_and_again_when_its_pins_change() {
        let cache = cache("once");
        let mut runs = 0;
        for pins in [&["1"], &["1"], &["2"], &["1"]] {
            let folder = cache
                .install(&step(pins), |partial| {
                    runs += 1;
                    fs::write(partial.join("file"), "").at("write", partial)
                })
                .unwrap();
            assert!(folder.join("file").is_file() && folder.join("stamp").is_file());
        }
        assert_eq!(runs, 2);
        remove(&cache.root).unwrap();
    }

    #[test]
    fn a_failed_step_leaves_nothing_and_names_itself_and_the_remedy() {
        let cache = cache("failed");
        let failure = cache.install(&step(&["1"]), |_| Err(Failure::new("no network"))).unwrap_err();
        let text = failure.to_string();
        assert!(
            text.contains("set-up of a tool: no network") && text.contains("what to do: try again"),
            "{text}"
        );
        assert!(!cache.folder(&step(&["1"])).exists());
        assert!(!cache.root.join("partial-tool").exists());
        remove(&cache.root).unwrap();
    }

    #[test]
    fn pins_do_not_run_together() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}

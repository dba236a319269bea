//! `cargo xtask build worker|spin`: the gateway as the wasm module that ships to Workers, or as the component for Spin.

mod modules;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use moegate_config::authoring::{self, Platform, spin as manifest};
use moegate_config::embedded::{self, Embedded};
use moegate_config::{Config, Problem};

use crate::bindings;
use crate::cache::remove;
use crate::failure::{At, Failure, Result};
use crate::process::run_attached;
use crate::setup::Setup;
use crate::slim::slim;

pub(crate) use modules::Modules;

/// Where the Worker's JavaScript is, and its files; the first is the entry.
const FOLDER: &str = "src/platform/cloudflare";
const SCRIPTS: [&str; 6] = ["entry.js", "body.js", "exchange.js", "instance.js", "ledger.js", "shards.js"];

/// What Workers are built for.
pub(crate) const WORKER_TARGET: &str = "wasm32-unknown-unknown";
/// What components for Spin are built for: the compiler's own linker makes the component.
pub(crate) const SPIN_TARGET: &str = "wasm32-wasip2";

/// A platform to build for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    #[default]
    Worker,
    Spin,
}

impl Host {
    /// From the command line.
    pub(crate) fn parse(name: &str) -> std::result::Result<Self, String> {
        match name {
            "workerd" => Ok(Self::Worker),
            "spin" => Ok(Self::Spin),
            other => Err(format!("the hosts are workerd and spin, not {other}")),
        }
    }
}

/// What to build besides the defaults.
#[derive(Debug, Default)]
pub(crate) struct Variant<'a> {
    /// A configuration instead of `MOEGATE_CONFIG` or moegate.toml, relative to the repository's root.
    pub(crate) config: Option<&'a str>,
    /// The gateway package's features.
    pub(crate) features: Option<&'a str>,
    /// Whether the other target's module is compiled along, beside it, because it will be asked for too.
    pub(crate) both_targets: bool,
    pub(crate) quiet: bool,
}

/// What is put into a module after it was compiled.
struct Configuration {
    file: PathBuf,
    parsed: Config,
    json: String,
    built_s: u64,
}

impl Configuration {
    /// The one to build with, by the rules of its platform.
    fn read(setup: &Setup, variant: &Variant<'_>, platform: Platform) -> Result<Self> {
        let named = variant.config.map(Into::into).or_else(|| env::var_os("MOEGATE_CONFIG"));
        Self::of(setup.root.join(named.unwrap_or_else(|| "moegate.toml".into())), platform)
    }

    fn of(file: PathBuf, platform: Platform) -> Result<Self> {
        let text = fs::read_to_string(&file).at("read", &file)?;
        let parsed = authoring::parse_for(&text, Some(platform)).map_err(|problems| {
            listed(&format!("{} cannot be used on {platform}", file.display()), &problems)
        })?;
        let json = authoring::to_json(&parsed).map_err(|error| Failure::new(error.to_string()))?;
        let built_s = authoring::built_s(&file).map_err(Failure::new)?;
        Ok(Self { file, parsed, json, built_s })
    }

    fn put_into(&self, wasm: &mut [u8]) -> Result<()> {
        embedded::put(wasm, Embedded { built_s: self.built_s, json: &self.json })
            .map_err(|error| Failure::new(format!("{}: {error}", self.file.display())))
    }
}

/// Builds the Worker into `OUT`: its scripts (the entry is `entry.js`), and what wasm-bindgen makes, `moegate.js`, `moegate_bg.wasm` and
/// the crates' pieces of JavaScript. The path is the entry's.
pub(crate) fn worker(setup: &Setup, out: &Path, variant: &Variant<'_>) -> Result<PathBuf> {
    let config = Configuration::read(setup, variant, Platform::Workers)?;
    let module = setup.modules.get(setup, variant, config.json.len(), WORKER_TARGET)?;
    let made = out.join("made");
    bindings::make(module, &made)?;
    let file = made.join("moegate_bg.wasm");
    let mut wasm = slim(&fs::read(&file).at("read", &file)?)?;
    config.put_into(&mut wasm)?;
    fs::write(&file, &wasm).at("write", &file)?;
    remove(&out.join("snippets"))?;
    copy(&made, out)?;
    remove(&made)?;
    gateway(setup, out, "moegate_bg.wasm", &wasm, variant.quiet)?;
    for name in SCRIPTS {
        let file = setup.root.join(FOLDER).join(name);
        place(out, name, &fs::read(&file).at("read", &file)?)?;
    }
    Ok(out.join(SCRIPTS[0]))
}

/// Builds the component for Spin and puts it at `OUT/moegate.wasm`.
pub(crate) fn spin(setup: &Setup, out: &Path, variant: &Variant<'_>) -> Result<PathBuf> {
    let config = Configuration::read(setup, variant, Platform::Spin)?;
    fits_manifest(&config.file, &config.parsed)?;
    let mut component = slim(&setup.modules.get(setup, variant, config.json.len(), SPIN_TARGET)?)?;
    config.put_into(&mut component)?;
    gateway(setup, out, "moegate.wasm", &component, variant.quiet)
}

/// Builds the component that the Spin host's own tests run, and puts it at `OUT/guest.wasm`. Its crate is a workspace of
/// its own, since only wasm's compiler builds it.
pub(crate) fn spin_guest(setup: &Setup, out: &Path) -> Result<PathBuf> {
    let wasm = setup.wasm()?;
    let mut command = wasm.cargo("build");
    command.args(["--quiet", "--locked", "--manifest-path", "tests/spin-host/guest/Cargo.toml"]);
    command.args(["--release", "--target", SPIN_TARGET]);
    run_attached("cargo build of the Spin host's guest", command)?;
    let built = wasm.target_dir().join(SPIN_TARGET).join("release/spin_host_guest.wasm");
    place(out, "guest.wasm", &fs::read(&built).at("read", &built)?)
}

/// Holds the `spin.toml` beside a configuration, if there is one, to it: what is missing there would otherwise show when
/// the component is started, or only when a request comes.
fn fits_manifest(config: &Path, parsed: &Config) -> Result<()> {
    let beside = config.with_file_name("spin.toml");
    if !beside.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(&beside).at("read", &beside)?;
    manifest::check(&text, parsed).map_err(|problems| {
        listed(&format!("{} does not fit {}", beside.display(), config.display()), &problems)
    })
}

fn listed(what: &str, problems: &[Problem]) -> Failure {
    let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
    Failure::new(format!("{what}:\n{}", lines.join("\n")))
}

/// Puts the gateway's wasm at `OUT/NAME` and tells what it weighs.
fn gateway(setup: &Setup, out: &Path, name: &str, bytes: &[u8], quiet: bool) -> Result<PathBuf> {
    let file = place(out, name, bytes)?;
    if !quiet {
        let shown = file.strip_prefix(&setup.root).unwrap_or(&file);
        eprintln!("{}: {} bytes, {} gz", shown.display(), bytes.len(), gzipped(&file)?);
    }
    Ok(file)
}

/// Puts the bytes at `OUT/NAME`. The file is left alone when nothing has changed, so that what watches it sleeps on.
fn place(out: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    fs::create_dir_all(out).at("create", out)?;
    let file = out.join(name);
    if !fs::read(&file).is_ok_and(|old| old == bytes) {
        let partial = out.join(format!("{name}.partial"));
        fs::write(&partial, bytes).at("write", &partial)?;
        fs::rename(&partial, &file).at("move into place", &file)?;
    }
    Ok(file)
}

/// Puts the files of a folder and of those in it into another one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).at("read", from)? {
        let path = entry.at("read", from)?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            place(to, &name.to_string_lossy(), &fs::read(&path).at("read", &path)?)?;
        }
    }
    Ok(())
}

/// The size of the file as `gzip -9` packs it.
fn gzipped(file: &Path) -> Result<usize> {
    let output = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot start gzip: {error}")))?;
    if output.status.success() {
        Ok(output.stdout.len())
    } else {
        Err(Failure::new(format!("gzip failed ({})", output.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_beside_the_configuration_must_fit_it() {
        let folder = env::temp_dir().join(format!("moegate-build-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("moegate.toml");
        fs::write(&config, "[admin]\nsha256_secret = \"ADMIN\"\n").unwrap();
        let parsed = Configuration::of(config.clone(), Platform::Spin).unwrap().parsed;
        fits_manifest(&config, &parsed).unwrap();
        let fitting = "spin_manifest_version = 2\n[variables]\nadmin = { required = true, secret = true }\n\
            [component.moegate]\nkey_value_stores = [\"default\"]\n\
            sqlite_databases = [\"default\"]\n\
            [component.moegate.variables]\nadmin = \"{{ admin }}\"\n";
        fs::write(folder.join("spin.toml"), fitting).unwrap();
        fits_manifest(&config, &parsed).unwrap();
        fs::write(folder.join("spin.toml"), fitting.replace(", secret = true", "")).unwrap();
        let said = fits_manifest(&config, &parsed).unwrap_err().to_string();
        assert!(said.contains("spin.toml does not fit") && said.contains("variables.admin: "), "{said}");
        fs::write(&config, "[admin]\nsha256_secret = \"ADMIN_2\"\n").unwrap();
        let said = Configuration::of(config, Platform::Spin).err().unwrap().to_string();
        assert!(said.contains("cannot be used on spin") && said.contains("admin.sha256_secret"), "{said}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

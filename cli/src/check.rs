//! `moegate check`.

use crate::explain::{self, Explain};
use moegate_config::authoring::{self, Platform, spin};
use moegate_config::{Config, Problem};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What to check, and by which rules.
pub(crate) struct Check {
    pub(crate) file: PathBuf,
    /// By the rules of this platform too.
    pub(crate) platform: Option<Platform>,
    pub(crate) manifest: Manifest,
    /// Tell of this request instead.
    pub(crate) explain: Option<Explain>,
}

/// The Spin manifest to hold to the configuration.
pub(crate) enum Manifest {
    /// `spin.toml` in the configuration's folder, if there is one and the platform is not Workers.
    Beside,
    At(PathBuf),
    LeftOut,
}

/// What there is to say about a good configuration, or where one request would go by it.
///
/// # Errors
/// What is wrong.
pub(crate) fn run(check: &Check) -> Result<String, String> {
    let name = check.file.display();
    let manifest = match &check.manifest {
        Manifest::At(file) => Some(file.clone()),
        Manifest::Beside if check.platform != Some(Platform::Workers) => {
            Some(check.file.with_file_name("spin.toml")).filter(|file| file.exists())
        }
        Manifest::Beside | Manifest::LeftOut => None,
    };
    // Who keeps a Spin manifest means to run there.
    let rules = check.platform.or(manifest.as_ref().map(|_| Platform::Spin));
    let by = rules.map(|platform| format!(" on {platform}")).unwrap_or_default();
    let config = authoring::parse_for(&read(&check.file)?, rules).map_err(|problems| {
        let mut text = format!("{name} cannot be used{by}:\n{}", lines(&problems));
        if let (None, Some(manifest)) = (check.platform, &manifest) {
            let _ = write!(
                text,
                "\nSpin's rules hold because of {}; --no-spin leaves them out",
                manifest.display()
            );
        }
        text
    })?;
    if let Some(manifest) = &manifest {
        spin::check(&read(manifest)?, &config).map_err(|problems| {
            format!("{} does not fit {name}:\n{}", manifest.display(), lines(&problems))
        })?;
    }
    match &check.explain {
        Some(explain) => explain::run(&config, explain),
        None => Ok(report(check, &config, manifest.as_deref())),
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// Writing to a String cannot fail.
fn report(check: &Check, config: &Config, manifest: Option<&Path>) -> String {
    let (origins, routes, keys) = (config.origins.len(), config.routes.len(), config.keys.len());
    let name = check.file.display();
    let by = check.platform.map(|platform| format!(" on {platform}")).unwrap_or_default();
    let mut text = format!("{name}: good{by}. Origins: {origins}, routes: {routes}, keys: {keys}.\n");
    if let Some(manifest) = manifest {
        let _ = writeln!(text, "{}: fits it.", manifest.display());
    }
    let secrets = config.secret_names();
    if !secrets.is_empty() {
        let _ = writeln!(text, "Platform secrets it needs: {}.", secrets.join(", "));
    }
    if check.platform.is_none_or(|platform| platform == Platform::Workers) {
        for origin in config.origins.iter().filter(|o| o.authority().is_some_and(|a| a.is_address())) {
            let _ = writeln!(
                text,
                "Origin `{}` has an IP address: fine locally, but deployed Workers reach host names only.",
                origin.name
            );
        }
    }
    if keys == 0 {
        text.push_str("Without a key every call is answered 401: `moegate keys new` makes one.\n");
    }
    text
}

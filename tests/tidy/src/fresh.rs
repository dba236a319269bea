//! Files that follow from others and are checked in all the same: each must be what its source asks for.

use moegate_config::authoring::{self, Platform, spin};
use serde_json::Value;

/// Reads a file of the repository by its path.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// One such file, and how to see that it is fresh: `Err` says what to do.
#[derive(Debug)]
pub struct Generated {
    /// Its path.
    pub path: &'static str,
    /// The check.
    pub check: fn(Read<'_>) -> Result<(), String>,
}

/// All of them; a new one is one entry here.
pub const GENERATED: &[Generated] = &[
    Generated { path: "xtask/node/package-lock.json", check: npm_lock },
    Generated { path: "xtask/python/requirements.txt", check: python_requirements },
    Generated { path: "docs/reference/configuration.md", check: configuration_reference },
    Generated { path: "docs/reference/moegate.schema.json", check: configuration_schema },
    Generated { path: "docs/reference/openapi.json", check: openapi },
    Generated { path: "spin.toml", check: spin_manifest },
];

/// The manifest gives the component what `moegate.toml` asks for.
fn spin_manifest(read: Read<'_>) -> Result<(), String> {
    let config = authoring::parse_for(&read("moegate.toml")?, Some(Platform::Spin));
    config.and_then(|config| spin::check(&read("spin.toml").unwrap_or_default(), &config)).map_err(
        |problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            format!("does not fit moegate.toml:\n{}", lines.join("\n"))
        },
    )
}

fn configuration_reference(read: Read<'_>) -> Result<(), String> {
    same(read, "docs/reference/configuration.md", &authoring::reference(), "reference")
}

fn configuration_schema(read: Read<'_>) -> Result<(), String> {
    same(read, "docs/reference/moegate.schema.json", &authoring::schema(), "schema")
}

fn openapi(read: Read<'_>) -> Result<(), String> {
    same(read, "docs/reference/openapi.json", &moegate_openapi::pretty(), "openapi")
}

/// Whether a file is what the command `moegate` prints.
fn same(read: Read<'_>, path: &str, fresh: &str, command: &str) -> Result<(), String> {
    if read(path)? == fresh {
        return Ok(());
    }
    Err(format!("lags behind its source: run `cargo run -p moegate-cli -- {command} > {path}`"))
}

/// The lock file names the same direct dependencies as the manifest, at exact versions.
fn npm_lock(read: Read<'_>) -> Result<(), String> {
    let json = |path: &str| -> Result<Value, String> {
        serde_json::from_str(&read(path)?).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = json("xtask/node/package.json")?;
    let lock = json("xtask/node/package-lock.json")?;
    for section in ["dependencies", "optionalDependencies"] {
        if manifest[section] != lock["packages"][""][section] {
            return Err(format!(
                "{section} differ from package.json: run `npm install --package-lock-only --ignore-scripts` there"
            ));
        }
        for (name, version) in manifest[section].as_object().into_iter().flatten() {
            // An older version beside the usual one has a name of its own: `npm:ai@5.0.277`.
            let version = version.as_str().map(|text| match text.strip_prefix("npm:") {
                Some(alias) => alias.rsplit_once('@').map_or("", |(_, version)| version),
                None => text,
            });
            let exact = version.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
            if !exact {
                return Err(format!("{name} is not pinned to one version in package.json"));
            }
        }
    }
    Ok(())
}

/// Every package asked for is there at one version, and every version has hashes.
fn python_requirements(read: Read<'_>) -> Result<(), String> {
    let remedy = "run `uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
        requirements.in -o requirements.txt` in xtask/python";
    let asked = read("xtask/python/requirements.in")?;
    let pinned = read("xtask/python/requirements.txt")?;
    for name in asked.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = name.split(['=', '<', '>', '~', ' ']).next().unwrap_or(name);
        if !pinned.lines().any(|line| line.starts_with(&format!("{name}=="))) {
            return Err(format!("{name} of requirements.in is missing: {remedy}"));
        }
    }
    for (number, line) in (1..).zip(pinned.lines()) {
        if line.contains("==") && !line.trim_end().ends_with('\\') && !line.trim_start().starts_with('#') {
            return Err(format!("line {number} has no hash: {remedy}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_that_lags_behind_is_found() {
        let with = |manifest: &'static str, lock: &'static str| {
            npm_lock(&move |path| {
                let version = if path.ends_with("package.json") { manifest } else { lock };
                let section = format!("{{\"ai\": \"{version}\"}}");
                Ok(if path.ends_with("package.json") {
                    format!("{{\"dependencies\": {section}}}")
                } else {
                    format!("{{\"packages\": {{\"\": {{\"dependencies\": {section}}}}}}}")
                })
            })
        };
        assert_eq!(with("1.0.0", "1.0.0"), Ok(()));
        assert!(with("1.0.1", "1.0.0").is_err());
        assert!(with("^1.0.0", "^1.0.0").is_err());
    }

    #[test]
    fn a_page_that_lags_behind_is_found() {
        let with = |page: String| configuration_reference(&move |_| Ok(page.clone()));
        assert_eq!(with(authoring::reference()), Ok(()));
        assert!(with(format!("{}more\n", authoring::reference())).is_err());
    }

    #[test]
    fn a_spin_manifest_that_lags_behind_is_found() {
        let with = |configuration: &'static str, manifest: &'static str| {
            spin_manifest(&move |path| {
                Ok(if path == "spin.toml" { manifest } else { configuration }.to_owned())
            })
        };
        let manifest = "spin_manifest_version = 2\n[component.moegate]\nkey_value_stores = [\"default\"]\n\
                        sqlite_databases = [\"default\"]\n";
        assert_eq!(with("", manifest), Ok(()));
        assert!(with("", "").is_err());
        assert!(with("[admin]\nsha256_secret = \"ADMIN\"\n", manifest).is_err());
    }

    #[test]
    fn requirements_that_lag_behind_or_lack_hashes_are_found() {
        let with = |asked: &'static str, pinned: &'static str| {
            python_requirements(
                &move |path| Ok(if path.ends_with(".in") { asked } else { pinned }.to_owned()),
            )
        };
        assert_eq!(with("openai\n", "openai==1 \\\n    --hash=sha256:0\n"), Ok(()));
        assert!(with("openai\nother\n", "openai==1 \\\n    --hash=sha256:0\n").is_err());
        assert!(with("openai\n", "openai==1\n").is_err());
    }
}

//! Validates `moegate.toml` (or the file that `MOEGATE_CONFIG` names) for the platform that is built for, and leaves it as
//! JSON for the gateway to embed.

use moegate_config::authoring::{self, Platform};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=MOEGATE_CONFIG");
    let variable =
        |name: &str| env::var_os(name).map(PathBuf::from).ok_or(format!("cargo did not set {name}"));
    let root = variable("CARGO_MANIFEST_DIR")?;
    let file = root.join(env::var_os("MOEGATE_CONFIG").unwrap_or_else(|| "moegate.toml".into()));
    println!("cargo::rerun-if-changed={}", file.display());
    let text = fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let platform = Platform::of_build(&architecture, env::var_os("CARGO_FEATURE_SPIN").is_some());
    let config = authoring::parse_for(&text, platform).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
        let by = platform.map(|platform| format!(" on {platform}")).unwrap_or_default();
        format!("{} cannot be used{by}:\n{}", file.display(), lines.join("\n"))
    })?;
    let json = authoring::to_json(&config).map_err(|e| e.to_string())?;
    let out: &Path = &variable("OUT_DIR")?;
    fs::write(out.join("config.json"), json).map_err(|e| format!("cannot write to {}: {e}", out.display()))
}

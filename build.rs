//! Validates `moegate.toml` (or the file that `MOEGATE_CONFIG` names) for the platform that is built for, and leaves it as
//! JSON for the gateway to embed.
//!
//! A native build embeds none that cannot be used, and warns: `moegate check`, which says what is wrong, is built so.

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
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let platform = Platform::of_build(&target("ARCH"), &target("OS"));
    let json = match (authoring::parse_for(&text, platform), platform) {
        (Ok(config), _) => authoring::to_json(&config).map_err(|e| e.to_string())?,
        (Err(problems), Some(platform)) => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
            let file = file.display();
            return Err(format!("{file} cannot be used on {platform}:\n{}", lines.join("\n")));
        }
        (Err(_), None) => {
            println!("cargo::warning={} cannot be used: `moegate check` says why", file.display());
            String::new()
        }
    };
    let out: &Path = &variable("OUT_DIR")?;
    fs::write(out.join("config.json"), json).map_err(|e| format!("cannot write to {}: {e}", out.display()))
}

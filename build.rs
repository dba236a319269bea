//! Validates `moegate.toml` (or the file that `MOEGATE_CONFIG` names) for the platform that is built for, and leaves it as
//! JSON for the gateway to embed, beside the OpenAPI document of what it serves.
//!
//! A native build embeds none that cannot be used, and warns: `moegate check`, which says what is wrong, is built so.

use moegate_config::authoring::{self, Platform};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
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
    println!("cargo::rustc-env=MOEGATE_BUILT_S={}", built_s(&file)?);
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
    for (name, text) in [("config.json", json), ("openapi.json", moegate_openapi::compact())] {
        fs::write(out.join(name), text).map_err(|e| format!("cannot write to {}: {e}", out.display()))?;
    }
    Ok(())
}

/// What `GET /v1/models` gives as the time of its models. The same sources give the same module where `SOURCE_DATE_EPOCH` is
/// set (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn built_s(file: &Path) -> Result<u64, String> {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    if let Ok(text) = env::var("SOURCE_DATE_EPOCH") {
        return text.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is {text:?}, and must be Unix seconds"));
    }
    let changed = fs::metadata(file).and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now());
    Ok(changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

//! Leaves for the gateway to embed: its configuration's place ([`moegate_config::embedded`]), and the OpenAPI document of
//! what it serves.
//!
//! A wasm module's place is left empty, and `cargo xtask build` puts a configuration in, so that one module serves all. A
//! native build has `moegate.toml`, or the file that `MOEGATE_CONFIG` names; it embeds none that cannot be used, and warns:
//! `moegate check`, which says what is wrong, is built so.

use moegate_config::authoring;
use moegate_config::embedded::{self, Embedded};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    let place = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("wasm32") => embedded::place(room()?),
        _ => native()?,
    };
    let out = variable("OUT_DIR")?;
    for (name, bytes) in [("config.bin", place), ("openapi.json", moegate_openapi::compact().into_bytes())] {
        fs::write(out.join(name), bytes).map_err(|e| format!("cannot write to {}: {e}", out.display()))?;
    }
    Ok(())
}

fn room() -> Result<u32, String> {
    println!("cargo::rerun-if-env-changed=MOEGATE_CONFIG_ROOM");
    match env::var("MOEGATE_CONFIG_ROOM") {
        Ok(text) => text.parse().map_err(|_| format!("MOEGATE_CONFIG_ROOM is {text:?}, and must be bytes")),
        Err(_) => Ok(embedded::USUAL_ROOM),
    }
}

fn native() -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-env-changed=MOEGATE_CONFIG");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let named = env::var_os("MOEGATE_CONFIG").unwrap_or_else(|| "moegate.toml".into());
    let file: &Path = &variable("CARGO_MANIFEST_DIR")?.join(named);
    println!("cargo::rerun-if-changed={}", file.display());
    let text = fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let json = if let Ok(config) = authoring::parse(&text) {
        authoring::to_json(&config).map_err(|e| e.to_string())?
    } else {
        println!("cargo::warning={} cannot be used: `moegate check` says why", file.display());
        String::new()
    };
    let length = u32::try_from(json.len()).map_err(|e| e.to_string())?;
    let mut place = embedded::place(length);
    let built_s = authoring::built_s(file)?;
    embedded::put(&mut place, Embedded { built_s, json: &json }).map_err(|e| e.to_string())?;
    Ok(place)
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or(format!("cargo did not set {name}"))
}

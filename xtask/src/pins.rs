//! `pins.toml`, compiled in.

use toml::de::DeTable;

use crate::failure::{Failure, Result};

#[derive(Debug)]
pub(crate) struct Pins {
    pub(crate) wasm_targets: Vec<String>,
    pub(crate) debian_suite: String,
    /// `name=version` each.
    pub(crate) debian_packages: Vec<String>,
    pub(crate) cargo_deny: String,
}

impl Pins {
    pub(crate) fn read() -> Result<Self> {
        let table = DeTable::parse(include_str!("../pins.toml"))
            .map_err(|error| Failure::new(format!("xtask/pins.toml: {error}")))?;
        let table = table.get_ref();
        let find = |section: &str, key: &str| {
            table
                .get(section)
                .and_then(|section| section.get_ref().as_table())
                .and_then(|section| section.get(key))
                .map(|value| value.get_ref())
                .ok_or_else(|| Failure::new(format!("xtask/pins.toml: {section}.{key} is missing")))
        };
        let text = |section: &str, key: &str| {
            find(section, key)?
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| Failure::new(format!("xtask/pins.toml: {section}.{key} is not a string")))
        };
        let list = |section: &str, key: &str| {
            find(section, key)?
                .as_array()
                .and_then(|values| {
                    values.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
                })
                .ok_or_else(|| {
                    Failure::new(format!("xtask/pins.toml: {section}.{key} is not a list of strings"))
                })
        };
        Ok(Self {
            wasm_targets: list("wasm", "targets")?,
            debian_suite: text("debian", "suite")?,
            debian_packages: list("debian", "packages")?,
            cargo_deny: text("cargo", "cargo-deny")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_readable_and_exact() {
        let pins = Pins::read().unwrap();
        assert!(pins.wasm_targets.contains(&"wasm32-unknown-unknown".to_owned()));
        assert!(pins.debian_packages.iter().all(|package| package.contains('=')), "{pins:?}");
    }
}

//! What tells one suite's gateway and origins from another's: they may run side by side.

use crate::faults::setting;
use crate::{fixtures, origin};

/// A configuration, what is built of it, and where it runs.
#[derive(Debug)]
pub struct Suite {
    /// As `cargo xtask test` knows it.
    pub name: &'static str,
    /// The text of its moegate.toml.
    pub config: &'static str,
    /// Its Spin manifest, from the repository's root.
    pub manifest: &'static str,
    /// The gateway's own port.
    pub port: u16,
    /// The ports at which the suite plays the origins.
    pub origins: &'static [u16],
    /// The environment variables that name the module for Workers and the component for Spin.
    pub built: [&'static str; 2],
    /// The platform's secrets.
    pub secrets: fn() -> Vec<(&'static str, String)>,
}

pub const CONTRACT: Suite = Suite {
    name: "contract",
    config: include_str!("../moegate.toml"),
    manifest: "tests/contract/spin.toml",
    port: 28710,
    origins: &origin::PORTS,
    built: ["MOEGATE_CONTRACT_WORKER", "MOEGATE_CONTRACT_SPIN"],
    secrets: fixtures::secrets,
};

/// The same with its account in a key-value store. In process only.
pub const KEY_VALUE: Suite = Suite {
    config: concat!(include_str!("../moegate.toml"), "\n[ledger]\nstore = \"key-value\"\n"),
    ..CONTRACT
};

pub const FAULTS: Suite = Suite {
    name: "faults",
    config: include_str!("../faults/moegate.toml"),
    manifest: "tests/contract/faults/spin.toml",
    port: 28730,
    origins: &setting::PORTS,
    built: ["MOEGATE_FAULTS_WORKER", "MOEGATE_FAULTS_SPIN"],
    secrets: setting::secrets,
};

//! Reading TOML, and writing schema and reference: for build scripts and the command line.

mod reference;

pub use reference::reference;

use crate::{Config, Problem};

/// Reads, types and validates a configuration.
///
/// # Errors
/// Every problem; a TOML error is one problem whose text shows line and column.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let config: Config = toml::from_str(text).map_err(|error| {
        vec![Problem { path: "moegate.toml".to_owned(), message: error.to_string().trim_end().to_owned() }]
    })?;
    config.validate()?;
    Ok(config)
}

/// The JSON Schema of `moegate.toml`, pretty-printed.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", sorted_schema())
}

/// The schema with its keys in order, whatever features of `serde_json` other crates of the build turn on.
fn sorted_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema.sort_all_objects();
    schema
}

/// The configuration as the JSON that is compiled in.
///
/// # Errors
/// Never for a configuration that [`parse`] gave.
pub fn to_json(config: &Config) -> Result<String, serde_json::Error> {
    serde_json::to_string(config)
}

//! Reading TOML, and writing schema and reference: for build scripts and the command line.

mod platform;
mod reference;
pub mod spin;

pub use platform::Platform;
pub use reference::reference;

use crate::{Config, Problem};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads, types and validates a configuration by the rules that hold on every platform.
///
/// # Errors
/// Every problem; a TOML error is one problem whose text shows line and column.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    parse_for(text, None)
}

/// As [`parse`]; where a platform is given, by its own rules too.
///
/// # Errors
/// As [`parse`].
pub fn parse_for(text: &str, platform: Option<Platform>) -> Result<Config, Vec<Problem>> {
    let config: Config = toml::from_str(text).map_err(|error| {
        vec![Problem { path: "moegate.toml".to_owned(), message: error.to_string().trim_end().to_owned() }]
    })?;
    let mut problems = config.validate().err().unwrap_or_default();
    problems.extend(platform.into_iter().flat_map(|platform| platform.problems(&config)));
    if problems.is_empty() { Ok(config) } else { Err(problems) }
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

/// What `GET /v1/models` gives as the time of its models, in Unix seconds: `SOURCE_DATE_EPOCH` where that is set (the same
/// sources give the same module then, <https://reproducible-builds.org/specs/source-date-epoch/>), otherwise the time of the
/// configuration's file.
///
/// # Errors
/// `SOURCE_DATE_EPOCH` is not a number of seconds.
pub fn built_s(file: &Path) -> Result<u64, String> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return text.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is {text:?}, and must be Unix seconds"));
    }
    let changed =
        std::fs::metadata(file).and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now());
    Ok(changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

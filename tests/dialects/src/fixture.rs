//! Requests and answers by API and feature.

use crate::api::{ClientApi, OriginApi};
use crate::framing;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The answer of an API that has none for a feature.
pub const USUAL: &str = "text";

/// The suite's own folder.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every feature that some API has a fixture for.
///
/// # Panics
/// If the folder cannot be read.
#[must_use]
pub fn features() -> Vec<String> {
    let mut features = BTreeSet::new();
    let apis = ClientApi::ALL.map(ClientApi::folder).into_iter().chain(OriginApi::ALL.map(OriginApi::folder));
    for api in apis {
        let Ok(entries) = fs::read_dir(root().join("fixtures").join(api)) else { continue };
        let folders = entries.map(Result::unwrap).filter(|entry| entry.path().is_dir());
        features.extend(folders.map(|entry| entry.file_name().into_string().unwrap()));
    }
    features.into_iter().collect()
}

fn text(api: &str, feature: &str, file: &str) -> Option<String> {
    fs::read_to_string(root().join("fixtures").join(api).join(feature).join(file)).ok()
}

/// What a client of that API sends for a feature: `None` where it cannot ask for it. A feature that is of answers alone is
/// asked for by the usual request.
///
/// # Panics
/// If a fixture is no JSON.
#[must_use]
pub fn request(api: ClientApi, feature: &str) -> Option<Value> {
    let own = |api: ClientApi, feature: &str| text(api.folder(), feature, "request.json");
    let of_answers = ClientApi::ALL.iter().all(|api| own(*api, feature).is_none());
    let asked = if of_answers { USUAL } else { feature };
    Some(serde_json::from_str(&own(api, asked)?).unwrap())
}

/// An origin's whole answer.
///
/// # Panics
/// If there is none, not even the usual one.
#[must_use]
pub fn answer(api: OriginApi, feature: &str) -> String {
    let own = |feature: &str| text(api.folder(), feature, "answer.json");
    own(feature).or_else(|| own(USUAL)).unwrap_or_else(|| panic!("no answer of {api:?}"))
}

/// The same as a stream, in the framing that the API has.
///
/// # Panics
/// As [`answer`].
#[must_use]
pub fn stream(api: OriginApi, feature: &str) -> Vec<u8> {
    let own = |feature: &str| text(api.folder(), feature, "stream.sse");
    let events = own(feature).or_else(|| own(USUAL)).unwrap_or_else(|| panic!("no stream of {api:?}"));
    if api == OriginApi::Bedrock { framing::framed(&events) } else { events.into_bytes() }
}

/// Whether the API has an answer of its own for the feature.
#[must_use]
pub fn has_answer(api: OriginApi, feature: &str) -> bool {
    text(api.folder(), feature, "answer.json").is_some()
}

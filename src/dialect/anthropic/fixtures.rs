//! The fixtures in `tests/dialects/fixtures/anthropic`, for tests.

use crate::config::Origin;
use serde_json::Value;

/// The names of these, and their files.
macro_rules! fixtures {
    ($($feature:literal)*) => {
        pub(super) const FEATURES: [&str; 18] = [$($feature),*];
        static FILES: [[&str; 3]; 18] = [$([
            include_str!(concat!("../../../tests/dialects/fixtures/anthropic/", $feature, "/request.json")),
            include_str!(concat!("../../../tests/dialects/fixtures/anthropic/", $feature, "/answer.json")),
            include_str!(concat!("../../../tests/dialects/fixtures/anthropic/", $feature, "/stream.sse")),
        ]),*];
    };
}

fixtures! {
    "text" "system" "multi_turn" "image_url" "image_inline" "file_inline"
    "tools" "tool_round_trip" "parallel_tools" "tool_result_image" "forced_tool" "json_schema"
    "reasoning" "cache" "document_citations" "stop_sequence" "length" "refusal"
}

pub(super) fn fixture(feature: &str, file: &str) -> String {
    let at = FEATURES.iter().position(|own| *own == feature).unwrap();
    let place = ["request.json", "answer.json", "stream.sse"].iter().position(|own| *own == file).unwrap();
    FILES[at][place].to_owned()
}

pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// An origin with one model of that name.
pub(super) fn origin(kind: &str, model: &str) -> Origin {
    let url = match kind {
        "vertex" => "https://o.example/v1/projects/p/locations/l",
        _ => "https://o.example/v1",
    };
    let text = format!(
        "[[origins]]\nname = \"o\"\nkind = \"{kind}\"\nurl = \"{url}\"\nsecret = \"O\"\n\
         [[origins.models]]\nname = \"{model}\"\ninput = \"1\"\noutput = \"1\"\n"
    );
    crate::config::authoring::parse(&text).unwrap().origins.remove(0)
}

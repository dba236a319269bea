//! The pure rooms of `src/` have no clock, no I/O, no randomness and no platform type, and know nothing of the gateway that
//! drives them: they are given `now` and bytes, and say what to do.

use crate::File;
use crate::source::{code_of, has_word, used_paths};

const BANNED: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "UNIX_EPOCH",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "println",
    "eprintln",
    "chrono",
    "getrandom",
    "rand",
    "js_sys",
    "web_sys",
    "wasm_bindgen",
    "wasm_bindgen_futures",
    "worker",
    "spin_sdk",
    "wasip2",
    "wasip3",
    "tokio",
    "reqwest",
    "crate::platform",
    "crate::gateway",
];

/// Folders and files under `src/`.
const ROOMS: &[&str] = &["auth", "dialect", "metering", "resilience", "routing", "signing", "stream"];
const FILES: &[&str] =
    &["error.rs", "json.rs", "payload.rs", "request_id.rs", "rng.rs", "secret.rs", "state.rs"];

/// Names that are also ordinary words and so are looked for only as the first part of a path.
const CRATES: &[&str] =
    &["chrono", "rand", "worker", "tokio", "reqwest", "spin_sdk", "wasip2", "wasip3", "getrandom"];

pub(crate) fn rooms_are_pure(file: File<'_>) -> Vec<(usize, String)> {
    let inner = file.path.strip_prefix("src/").unwrap_or("");
    let room = inner.split_once('/').map_or("", |(room, _)| room);
    let applies = ROOMS.contains(&room) || FILES.contains(&inner);
    if !applies || !file.has_extension(&["rs"]) {
        return Vec::new();
    }
    let code = code_of(file.text);
    let mut found = Vec::new();
    for (line, path) in used_paths(&code) {
        if let Some(banned) = BANNED.iter().find(|banned| begins_with(&path, banned)) {
            found.push((line, banned));
        }
        // The whole module lets everything of it in.
        if path == "std::time" || path == "std::time::*" || path == "std::*" {
            found.push((line, &"std::time::Instant"));
        }
    }
    for (number, line) in (1..).zip(code.lines()) {
        for banned in BANNED {
            let shown = if CRATES.contains(banned) { format!("{banned}::") } else { (*banned).to_owned() };
            let stands =
                if CRATES.contains(banned) { has_crate(line, &shown) } else { has_word(line, &shown) };
            if stands && !found.contains(&(number, banned)) {
                found.push((number, banned));
            }
        }
    }
    found
        .into_iter()
        .map(|(line, banned)| {
            (line, format!("{banned} in the pure part; pass in what it would have given, or move this to src/platform"))
        })
        .collect()
}

fn begins_with(path: &str, banned: &str) -> bool {
    path.trim_start_matches("::")
        .strip_prefix(banned)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether `name::` stands there as the start of a path.
fn has_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
            || line[..at].ends_with(" ::")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        rooms_are_pure(File { path, text }).len()
    }

    #[test]
    fn a_clock_io_randomness_or_platform_is_found() {
        for text in [
            "use std::time::Instant;\n",
            "use std::{collections::BTreeMap, time::{Duration, SystemTime}};\n",
            "fn f() { let t = std::time::Instant::now(); }\n",
            "use std::time;\n",
            "use std::fs as files;\n",
            "fn f() { std::env::var(\"A\"); }\n",
            "fn f() { getrandom::fill(&mut b); }\n",
            "use js_sys::Uint8Array;\n",
            "fn f() -> worker::Result<()> {}\n",
            "use crate::platform::Platform;\n",
            "use crate::gateway::handle;\n",
            "#[tokio::test]\nasync fn f() {}\n",
        ] {
            assert!(problems("src/stream/a.rs", text) >= 1, "{text}");
            assert!(problems("src/dialect/a/b.rs", text) >= 1, "{text}");
            assert_eq!(problems("src/platform/cloudflare/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn what_is_pure_passes() {
        for text in [
            "use std::time::Duration;\n",
            "// tokio and std::fs are for others\n",
            "let text = \"std::env\";\n",
            "let worker = 1; let rand = worker;\n",
            "my::worker::f(); std::collections::HashMap::new();\n",
        ] {
            assert_eq!(problems("src/stream/a.rs", text), 0, "{text}");
        }
    }
}

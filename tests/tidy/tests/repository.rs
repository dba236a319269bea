//! Applies the rules to everything that git tracks.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidy::fresh::GENERATED;
use tidy::{File, check, stale_exceptions};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The tracked files that are there (one may be deleted but not yet committed).
fn tracked() -> Vec<String> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let paths: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(paths.iter().any(|path| path == "Cargo.toml"), "git ls-files gave {paths:?}");
    paths
}

fn text_of(path: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).unwrap()).ok()
}

#[test]
fn every_file_keeps_the_rules() {
    let problems: Vec<String> = tracked()
        .iter()
        .filter_map(|path| Some(check(File { path, text: &text_of(path)? })))
        .flatten()
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_list_of_long_files_is_true() {
    let stale = stale_exceptions(|path| Some(fs::read_to_string(root().join(path)).ok()?.lines().count()));
    assert!(stale.is_empty(), "\n{}\n", stale.join("\n"));
}

#[test]
fn generated_files_are_fresh() {
    let read = |path: &str| fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"));
    let problems: Vec<String> = GENERATED
        .iter()
        .filter_map(|file| (file.check)(&read).err().map(|problem| format!("{}: {problem}", file.path)))
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

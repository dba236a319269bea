//! What lies under `deploy/` speaks of what this server has: its metrics, its options, and the chart's own values.

use crate::support::{Setup, TestServer};
use moe_server::engine::DeviceMemory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder under `deploy/`, with their texts.
fn files(path: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder().join(path)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| format!("{path}/{}", name.to_str().unwrap())).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// The words of a text that begin so, with what follows of these characters.
fn words<'t>(text: &'t str, begin: &'t str, more: fn(char) -> bool) -> impl Iterator<Item = &'t str> {
    text.match_indices(begin).map(move |(at, _)| {
        let rest = &text[at + begin.len()..];
        &text[at..at + begin.len() + rest.find(|c| !more(c)).unwrap_or(rest.len())]
    })
}

#[tokio::test]
async fn dashboard_and_rules_name_metrics_that_there_are() {
    let gpu = Some(DeviceMemory { free: 1, total: 2 });
    let server = TestServer::start(Setup { gpu, ..Setup::default() }).await;
    let metrics = server.get("/metrics").await.body;
    let known: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let mut used = BTreeSet::new();
    let chart = files("helm/moe-server/templates").into_iter();
    let files = [files("prometheus"), files("grafana")].concat().into_iter().chain(chart);
    for (name, text) in files {
        for metric in words(&text, "moe_server_", |c| c.is_ascii_lowercase() || c == '_') {
            assert!(known.contains(metric), "{name}: /metrics has no {metric}");
            used.insert(metric.to_owned());
        }
    }
    // What is measured is also shown.
    for metric in known.iter().filter(|metric| !metric.ends_with("_blocks")) {
        assert!(used.contains(*metric), "neither dashboard nor rules show {metric}");
    }
    assert!(metrics.contains("moe_server_time_seconds_total{state=\"asleep\"}"));
    assert!(metrics.contains("moe_server_requests_total{ending=\"error\"}"));
}

/// The options that `moe-server --help` and the like know.
fn options(command: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_moe-server")).args(command).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    words(&text, "--", is_option).map(str::to_owned).collect()
}

fn is_option(c: char) -> bool {
    c.is_ascii_lowercase() || c == '-'
}

#[test]
fn units_image_and_chart_use_options_that_there_are() {
    let serve = options(&["--help"]);
    let supervise = options(&["supervise", "--help"]);
    let mut count = 0;
    let mut check = |name: &str, text: &str, known: &BTreeSet<String>| {
        for option in words(text, "--", is_option).filter(|option| option.len() > 2) {
            assert!(known.contains(option), "{name}: moe-server has no {option}");
            count += 1;
        }
    };
    for (name, text) in files("systemd") {
        for line in text.lines().filter(|line| line.starts_with("ExecStart=/usr/local/bin/moe-server")) {
            // What stands behind ` -- ` is for the server.
            let (own, behind) = line.split_once(" -- ").unwrap_or(("", line));
            check(&name, own, &supervise);
            check(&name, behind, &serve);
        }
    }
    let dockerfile = read("Dockerfile");
    let commands: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("CMD [\"serve\"")).collect();
    assert_eq!(commands.len(), 2, "one for each variant");
    assert_eq!(commands[0], commands[1]);
    check("Dockerfile", commands[0], &serve);
    for name in ["compose.yaml", "helm/moe-server/templates/deployment.yaml"] {
        let text = read(name);
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("- --")) {
            check(name, &format!("--{line}"), &serve);
        }
    }
    assert!(count >= 25, "{count} options were found");
}

/// The dotted names of a YAML file of mappings in blocks, with those on the way.
fn names_of(yaml: &str) -> BTreeSet<String> {
    let mut path: Vec<(usize, &str)> = Vec::new();
    let lines = yaml.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut names = BTreeSet::new();
    for line in lines {
        let Some((name, _)) = line.trim_start().split_once(':') else { continue };
        let depth = line.len() - line.trim_start().len();
        while path.last().is_some_and(|(before, _)| *before >= depth) {
            path.pop();
        }
        path.push((depth, name));
        names.insert(path.iter().map(|(_, name)| *name).collect::<Vec<_>>().join("."));
    }
    names
}

#[test]
fn the_chart_has_the_values_that_it_uses_and_uses_those_that_it_has() {
    let values = names_of(&read("helm/moe-server/values.yaml"));
    let mut used = BTreeSet::new();
    for (name, text) in files("helm/moe-server/templates") {
        for value in words(&text, ".Values.", |c| c.is_ascii_alphanumeric() || c == '.') {
            let value = value.trim_start_matches(".Values.");
            assert!(values.contains(value), "{name}: values.yaml has no {value}");
            used.extend(
                iter::successors(Some(value), |value| Some(value.rsplit_once('.')?.0)).map(str::to_owned),
            );
        }
    }
    let within = |value: &str| used.iter().any(|used| value.starts_with(&format!("{used}.")));
    for value in values.iter().filter(|value| !used.contains(*value)) {
        assert!(within(value), "no template uses {value}");
    }
}

#[test]
fn nothing_runs_as_root_or_without_a_probe() {
    let dockerfile = read("Dockerfile");
    for variant in dockerfile.split("\nFROM ").skip(2) {
        assert!(variant.contains("USER 10001:10001") && variant.contains("HEALTHCHECK"), "{variant}");
        assert!(!variant.contains("USER root"), "{variant}");
    }
    let deployment = read("helm/moe-server/templates/deployment.yaml");
    for part in [
        "runAsNonRoot: true",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "path: /health",
        "path: /ready",
    ] {
        assert!(deployment.contains(part), "{part}");
    }
    for (name, text) in files("systemd").iter().filter(|(_, text)| text.contains("ExecStart=")) {
        assert!(text.contains("DynamicUser=yes"), "{name}");
    }
}

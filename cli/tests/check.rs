//! `moegate check` as a person calls it.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CONFIG: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://127.0.0.1:8788/v1"
secret = "OWN_KEY"
[[origins.models]]
name = "m"
input = "1"
output = "2"
"#;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[variables]
own_key = { required = true, secret = true }
[component.moegate]
allowed_outbound_hosts = ["http://127.0.0.1:8788"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
[component.moegate.variables]
own_key = "{{ own_key }}"
"#;

/// A folder of its own per test, with these files.
fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _absent_the_first_time = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// Whether it is content, and what it says.
fn check(folder: &PathBuf, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_manifest_beside_the_configuration_is_held_to_it() {
    let folder = folder("beside", &[("moegate.toml", CONFIG), ("spin.toml", MANIFEST)]);
    let (good, text) = check(&folder, &[]);
    assert!(good && text.contains("spin.toml: fits it."), "{text}");
    fs::write(folder.join("spin.toml"), MANIFEST.replace("8788", "1")).unwrap();
    let (good, text) = check(&folder, &[]);
    assert!(!good && text.contains("spin.toml does not fit moegate.toml"), "{text}");
    assert!(text.contains("allowed_outbound_hosts = [\"http://127.0.0.1:8788\"]"), "{text}");
    // Spin is left out when it is not meant.
    for arguments in [&["--no-spin"][..], &["--platform", "workers"]] {
        let (good, text) = check(&folder, arguments);
        assert!(good && !text.contains("spin.toml"), "{arguments:?}: {text}");
    }
    // From another folder it is still the one beside the file.
    let elsewhere = folder.parent().unwrap().to_owned();
    assert!(!check(&elsewhere, &["beside/moegate.toml"]).0);
}

/// `spin up` starts with either: the store is then refused, or the variable empty, when a request comes.
#[test]
fn what_spin_accepts_without_a_word_is_told() {
    let folder = folder("silent", &[("moegate.toml", CONFIG)]);
    for (line, path) in [
        ("key_value_stores = [\"default\"]\n", "component.moegate.key_value_stores"),
        ("sqlite_databases = [\"default\"]\n", "component.moegate.sqlite_databases"),
        ("own_key = \"{{ own_key }}\"\n", "component.moegate.variables.own_key"),
    ] {
        assert!(MANIFEST.contains(line), "{line}");
        fs::write(folder.join("spin.toml"), MANIFEST.replace(line, "")).unwrap();
        let (good, text) = check(&folder, &[]);
        assert!(!good && text.contains(&format!("{path}: ")) && text.contains(line.trim()), "{line}: {text}");
    }
}

#[test]
fn a_manifest_may_be_named() {
    let folder = folder("named", &[("moegate.toml", CONFIG), ("other.toml", MANIFEST)]);
    let (good, text) = check(&folder, &[]);
    assert!(good && !text.contains("fits it"), "{text}");
    for arguments in [&["--spin", "other.toml"][..], &["--platform", "workers", "--spin", "other.toml"]] {
        let (good, text) = check(&folder, arguments);
        assert!(good && text.contains("other.toml: fits it."), "{text}");
    }
    let (good, text) = check(&folder, &["--spin", "absent.toml"]);
    assert!(!good && text.contains("cannot read absent.toml"), "{text}");
}

#[test]
fn a_platform_s_rules_are_asked_for_or_come_with_a_manifest() {
    let config = CONFIG.replace("OWN_KEY", "OWN_2");
    let folder = folder("platform", &[("moegate.toml", &config)]);
    assert!(check(&folder, &[]).0);
    let (good, text) = check(&folder, &["--platform", "spin"]);
    assert!(!good && text.contains("cannot be used on spin") && text.contains("origins[0].secret"), "{text}");
    let (good, text) = check(&folder, &["--platform", "spin-hosted"]);
    assert!(!good && text.contains("gateway.max_body_mib"), "{text}");
    let (good, text) = check(&folder, &["--platform", "nowhere"]);
    assert!(!good && text.contains("workers, spin, spin-hosted"), "{text}");
    fs::write(folder.join("spin.toml"), MANIFEST).unwrap();
    let (good, text) = check(&folder, &[]);
    assert!(!good && text.contains("origins[0].secret") && text.contains("--no-spin"), "{text}");
}

#[test]
fn the_note_on_addresses_is_for_workers() {
    let folder = folder("note", &[("moegate.toml", CONFIG)]);
    for (arguments, noted) in
        [(&[][..], true), (&["--platform", "workers"], true), (&["--platform", "spin"], false)]
    {
        let (good, text) = check(&folder, arguments);
        assert!(good, "{text}");
        assert_eq!(text.contains("deployed Workers reach host names only"), noted, "{arguments:?}: {text}");
    }
}

#[test]
fn options_belong_to_check() {
    for arguments in
        [&["schema", "--no-spin"][..], &["keys", "new", "--platform", "spin"], &["check", "--name", "a"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_moegate")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

//! Each way in which a spin.toml can differ from its configuration, and the line that the person is given.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::{Config, authoring, authoring::spin};

fn config() -> Config {
    authoring::parse(
        r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://[::1]:8788/v1"
secret = "OWN_KEY"
[[origins.models]]
name = "m"
input = "1"
output = "2"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
spare_secrets = ["FAR_SPARE"]
[[origins.models]]
name = "m"
input = "1"
output = "2"
"#,
    )
    .unwrap()
}

const GOOD: &str = r#"
spin_manifest_version = 2

[application]
name = "moegate"

[variables]
far_key = { required = true, secret = true }
far_spare = { required = true, secret = true }
own_key = { required = true, secret = true }

[[trigger.http]]
route = "/..."
component = "moegate"

[component.moegate]
source = "build/spin/moegate.wasm"
allowed_outbound_hosts = ["https://api.example.com", "http://[::1]:8788"]
key_value_stores = ["default"]
sqlite_databases = ["default"]

[component.moegate.variables]
far_key = "{{ far_key }}"
far_spare = "{{ far_spare }}"
own_key = "{{ own_key }}"
"#;

#[test]
fn a_good_one_and_its_other_spellings() {
    for (from, to) in [
        ("", ""),
        ("https://api.example.com", "https://api.example.com:443"),
        ("https://api.example.com", "https://api.example.com/"),
        ("\"{{ far_key }}\"", "\"{{far_key}}\""),
        ("[\"default\"]", "[\"other\", \"default\"]"),
        // In an application with more components, more variables.
        (
            "[component.moegate]",
            "[variables.theirs]\ndefault = \"x\"\n[component.other]\nsource = \"o.wasm\"\n[component.moegate]",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        assert_eq!(spin::check(&GOOD.replacen(from, to, 1), &config()), Ok(()), "{from} -> {to}");
    }
}

#[test]
fn each_difference_is_named_with_the_line_to_put() {
    const HOSTS: &str = "component.moegate.allowed_outbound_hosts";
    const HOSTS_LINE: &str =
        r#"allowed_outbound_hosts = ["http://[::1]:8788", "https://api.example.com:443"]"#;
    let declared = "far_key = { required = true, secret = true }";
    let spare = "far_spare = { required = true, secret = true }";
    let spare_on = "far_spare = \"{{ far_spare }}\"";
    let handed_on = "far_key = \"{{ far_key }}\"";
    let table = [
        (declared, "", "variables.far_key", declared),
        (spare, "", "variables.far_spare", spare),
        (spare_on, "", "component.moegate.variables.far_spare", spare_on),
        (declared, "far_key = { required = true }", "variables.far_key", declared),
        (declared, "far_key = { default = \"k\", secret = true }", "variables.far_key", declared),
        (
            declared,
            "far_key = { required = true, secret = true, default = \"k\" }",
            "variables.far_key",
            declared,
        ),
        (declared, &format!("{declared}\nold = {{ required = true }}"), "variables.old", "take the line out"),
        (handed_on, "", "component.moegate.variables.far_key", handed_on),
        (handed_on, "far_key = \"{{ own_key }}\"", "component.moegate.variables.far_key", handed_on),
        (handed_on, "far_key = \"sk-1\"", "component.moegate.variables.far_key", handed_on),
        (handed_on, "far_key = \"x{{ far_key }}\"", "component.moegate.variables.far_key", handed_on),
        (
            handed_on,
            &format!("{handed_on}\nold = \"1\""),
            "component.moegate.variables.old",
            "take the line out",
        ),
        ("[\"default\"]", "[]", "component.moegate.key_value_stores", "key_value_stores = [\"default\"]"),
        (
            "[\"default\"]",
            "[\"other\"]",
            "component.moegate.key_value_stores",
            "key_value_stores = [\"other\", \"default\"]",
        ),
        // Spin takes these without a word: the store is then refused and the variable empty at the first request.
        (
            "key_value_stores = [\"default\"]\n",
            "",
            "component.moegate.key_value_stores",
            "key_value_stores = [\"default\"]",
        ),
        (
            "sqlite_databases = [\"default\"]\n",
            "",
            "component.moegate.sqlite_databases",
            "sqlite_databases = [\"default\"]",
        ),
        (
            "sqlite_databases = [\"default\"]",
            "sqlite_databases = [\"other\"]",
            "component.moegate.sqlite_databases",
            "sqlite_databases = [\"other\", \"default\"]",
        ),
        (
            "own_key = \"{{ own_key }}\"",
            "",
            "component.moegate.variables.own_key",
            "own_key = \"{{ own_key }}\"",
        ),
        ("https://api.example.com\"", "https://*.example.com\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "https://api.example.com:*\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "*://api.example.com:443\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "https://{{ far_host }}\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "https://api.example.com/v1\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "https://api.example.com:80\"", HOSTS, HOSTS_LINE),
        ("https://api.example.com\"", "http://api.example.com\"", HOSTS, HOSTS_LINE),
        (
            "https://api.example.com\"",
            "https://api.example.com\", \"https://more.example\"",
            HOSTS,
            HOSTS_LINE,
        ),
        ("\"https://api.example.com\", ", "", HOSTS, HOSTS_LINE),
        (", \"http://[::1]:8788\"", ", \"http://[::1]\"", HOSTS, HOSTS_LINE),
        ("version = 2", "version = 1", "spin_manifest_version", "spin_manifest_version = 2"),
        ("spin_manifest_version = 2", "", "spin_manifest_version", "spin_manifest_version = 2"),
        ("key_value_stores = [", "key_value_stores = ", "spin.toml", "line 19"),
    ];
    for (from, to, path, message) in table {
        assert!(GOOD.contains(from), "{from}");
        let problems = spin::check(&GOOD.replacen(from, to, 1), &config()).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(places, [path], "{from} -> {to}: {problems:?}");
        assert!(problems[0].message.contains(message), "{from} -> {to}: {problems:?}");
    }
}

#[test]
fn a_manifest_without_the_component_is_refused() {
    let problems = spin::check(&GOOD.replace("component.moegate", "component.other"), &config()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "component.moegate");
}

#[test]
fn the_lines_that_are_given_mend_it() {
    let bare = "spin_manifest_version = 2\n[component.moegate]\n";
    let problems = spin::check(bare, &config()).unwrap_err();
    let line = |path: &str| {
        let problem = problems.iter().find(|problem| problem.path == path).unwrap();
        problem.message.split_once("put: ").unwrap().1.to_owned()
    };
    let mended = [
        "spin_manifest_version = 2\n[variables]".to_owned(),
        line("variables.far_key"),
        line("variables.far_spare"),
        line("variables.own_key"),
        "[component.moegate]".to_owned(),
        line("component.moegate.allowed_outbound_hosts"),
        line("component.moegate.key_value_stores"),
        line("component.moegate.sqlite_databases"),
        "[component.moegate.variables]".to_owned(),
        line("component.moegate.variables.far_key"),
        line("component.moegate.variables.far_spare"),
        line("component.moegate.variables.own_key"),
    ];
    assert_eq!(spin::check(&mended.join("\n"), &config()), Ok(()));
    assert_eq!(problems.len(), mended.len() - 3);
}

#[test]
fn a_configuration_without_origins_needs_no_hosts() {
    let manifest = "spin_manifest_version = 2\n[component.moegate]\nkey_value_stores = [\"default\"]\n\
                    sqlite_databases = [\"default\"]\n";
    assert_eq!(spin::check(manifest, &authoring::parse("").unwrap()), Ok(()));
    // Without the database the key-value store is enough.
    let fewer = manifest.replace("sqlite_databases = [\"default\"]\n", "");
    let records = authoring::parse("[ledger]\nstore = \"key-value\"").unwrap();
    assert_eq!(spin::check(&fewer, &records), Ok(()));
    assert!(!spin::manifest(&records, "a.wasm").contains("sqlite"));
    let open = format!("{manifest}allowed_outbound_hosts = [\"*://*:*\"]\n");
    let problems = spin::check(&open, &authoring::parse("").unwrap()).unwrap_err();
    assert!(problems[0].message.ends_with("allowed_outbound_hosts = []"));
}

#[test]
fn a_manifest_that_is_made_fits() {
    for config in [config(), authoring::parse("").unwrap()] {
        let text = spin::manifest(&config, "a \"b\".wasm");
        assert_eq!(spin::check(&text, &config), Ok(()), "{text}");
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["component"]["moegate"]["source"].as_str(), Some("a \"b\".wasm"));
        assert_eq!(table["trigger"]["http"][0]["component"].as_str(), Some("moegate"));
    }
}

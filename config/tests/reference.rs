//! The reference page says everything that the schema knows.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::authoring;
use serde_json::Value;

fn definitions() -> serde_json::Map<String, Value> {
    let schema: Value = serde_json::from_str(&authoring::schema()).unwrap();
    schema["$defs"].as_object().unwrap().clone()
}

#[test]
fn every_field_has_its_line() {
    let page = authoring::reference();
    for (name, definition) in definitions() {
        let fields = definition["properties"].as_object().into_iter().flatten();
        // Arrays of tables have sections of their own.
        let is_section = |field: &str| {
            [format!(".{field}]]`\n"), format!("## `{field}`\n")].iter().any(|title| page.contains(title))
        };
        for (field, _) in fields.filter(|(field, _)| !is_section(field)) {
            assert!(page.contains(&format!("\n| `{field}` | ")), "{name}.{field}");
        }
    }
}

#[test]
fn each_link_leads_to_a_heading_and_no_type_is_a_bare_name() {
    let page = authoring::reference();
    let anchors: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), ""))
        .collect();
    let links: Vec<_> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 5, "{links:?}");
    assert!(links.iter().all(|link| anchors.iter().any(|anchor| anchor == link)), "{links:?} {anchors:?}");
    for name in definitions().keys() {
        assert!(!page.contains(&format!("| {name} |")), "{name}");
    }
}

#[test]
fn a_type_stands_once_in_the_schema() {
    let names: Vec<_> = definitions().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| !name.ends_with(|c: char| c.is_ascii_digit())), "{names:?}");
}

#[test]
fn what_is_denied_by_default_stands_on_the_page() {
    let page = authoring::reference();
    let (_, section) = page.split_once("## `[origins.fields]`").unwrap();
    for name in moegate_config::DENIED_FIELDS {
        assert!(section.contains(&format!("`{name}`")), "{name}");
    }
}

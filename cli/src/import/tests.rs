//! Nothing is passed over: a member that nobody knows, put into any table of any example, is named.

use super::source::below;
use super::value::Value;
use super::{From, Options, convert_tree, json, yaml};
use std::collections::BTreeMap;

const EXAMPLES: &[(From, &str)] = &[
    (From::Litellm, include_str!("../../tests/import/litellm-balance.yaml")),
    (From::Litellm, include_str!("../../tests/import/litellm-fallbacks.yaml")),
    (From::Portkey, include_str!("../../tests/import/portkey-fallback.json")),
    (From::Portkey, include_str!("../../tests/import/portkey-conditional.json")),
    (From::Portkey, include_str!("../../tests/import/portkey-models.json")),
    (From::Openrouter, include_str!("../../tests/import/openrouter-request.json")),
    (From::Openrouter, include_str!("../../tests/import/openrouter-preset.json")),
];

const UNKNOWN: &str = "zz_unknown";

/// The tree once for each of its tables, with a member more in it, and that member's path.
fn variants(value: &Value) -> Vec<(String, Value)> {
    fn walk(path: &str, value: &Value, put: &mut dyn FnMut(String, Value)) {
        match value {
            Value::Map(members) => {
                let mut more = members.clone();
                more.push((UNKNOWN.to_owned(), Value::Number("1".to_owned())));
                put(below(path, UNKNOWN), Value::Map(more));
                for (i, (name, inner)) in members.iter().enumerate() {
                    walk(&below(path, name), inner, &mut |at, changed| {
                        let mut members = members.clone();
                        members[i].1 = changed;
                        put(at, Value::Map(members));
                    });
                }
            }
            Value::List(values) => {
                for (i, inner) in values.iter().enumerate() {
                    walk(&format!("{path}[{i}]"), inner, &mut |at, changed| {
                        let mut values = values.clone();
                        values[i] = changed;
                        put(at, Value::List(values));
                    });
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk("", value, &mut |path, value| all.push((path, value)));
    all
}

/// Whether one of the places is the other or holds it; the top holds nothing by itself.
fn is_about(path: &str, at: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    holds(path, at) || holds(at, path)
}

#[test]
fn what_nobody_knows_is_named_wherever_it_stands() {
    let providers = BTreeMap::from([("main-258f4d".to_owned(), "openai".to_owned())]);
    let options = Options { models: &[], providers: &providers, variable: &|_| None };
    let mut count = 0;
    for (from, text) in EXAMPLES {
        let read = if *from == From::Litellm { yaml::read(text) } else { json::read(text) };
        for (at, tree) in variants(&read.unwrap()) {
            let paths: Vec<String> = match convert_tree(*from, &tree, &options) {
                Ok(draft) => draft.notes.into_iter().map(|note| note.path).collect(),
                Err(problem) => vec![problem.path],
            };
            assert!(
                paths.iter().any(|path| is_about(path, &at)),
                "{from:?}: nothing is said of {at}: {paths:#?}"
            );
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

/// The path of every value.
fn gather(path: &str, value: &Value, places: &mut Vec<String>) {
    places.push(path.to_owned());
    match value {
        Value::Map(members) => {
            members.iter().for_each(|(name, inner)| gather(&below(path, name), inner, places));
        }
        Value::List(values) => {
            values.iter().enumerate().for_each(|(i, inner)| gather(&format!("{path}[{i}]"), inner, places));
        }
        _ => {}
    }
}

#[test]
fn every_path_names_something_in_the_source() {
    let providers = BTreeMap::from([("main-258f4d".to_owned(), "openai".to_owned())]);
    let options = Options { models: &[], providers: &providers, variable: &|_| None };
    for (from, text) in EXAMPLES {
        let read = if *from == From::Litellm { yaml::read(text) } else { json::read(text) };
        let tree = read.unwrap();
        let mut places = Vec::new();
        gather("", &tree, &mut places);
        for note in convert_tree(*from, &tree, &options).unwrap().notes {
            // Of a member that is not there the table around it is.
            let parent = note.path.rsplit_once('.').map_or("", |(parent, _)| parent);
            let is_there = places.iter().any(|place| *place == note.path || *place == parent);
            assert!(is_there || matches!(&*note.path, "(top)" | "[[keys]]"), "{from:?}: {}", note.path);
        }
    }
}

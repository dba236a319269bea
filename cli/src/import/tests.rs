//! Nothing is passed over: a member that nobody knows, put into any table of any example, is named. And what is written
//! means what was meant.

use super::draft::{Draft, Limits, Model, Origin, Place, Route};
use super::rule::{Condition, Rule};
use super::source::below;
use super::value::Value;
use super::{From, Options, convert_tree, json, output, yaml};
use moegate_config::{Action, Failure, authoring};
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

/// As the gateway's definition has the rule.
fn as_read(rule: &Rule) -> moegate_config::Rule {
    use moegate_config::{Leaf, Part, Rule as Read};
    let all = |rules: &[Rule]| rules.iter().map(as_read).collect();
    match rule {
        Rule::To { origin, model } => Read::To(Leaf { origin: origin.clone(), model: model.clone() }),
        Rule::Order(rules) => Read::Order(all(rules)),
        Rule::Cheapest(rules) => Read::Cheapest(all(rules)),
        Rule::Split(parts) => Read::Split {
            parts: parts.iter().map(|(weight, rule)| Part { weight: *weight, rule: as_read(rule) }).collect(),
            sticky: None,
        },
        Rule::When { when, then, otherwise } => Read::When {
            when: moegate_config::Condition {
                model: when.model.clone(),
                header: when.header.clone(),
                stream: when.stream,
                ..moegate_config::Condition::default()
            },
            then: Box::new(as_read(then)),
            otherwise: otherwise.as_ref().map(|rule| Box::new(as_read(rule))),
        },
    }
}

/// Short and long rules of every sort, with names that TOML must quote.
#[test]
fn what_is_written_is_read_back() {
    let to = |model: &str| Rule::To { origin: "o".to_owned(), model: Some(model.to_owned()) };
    let long = "a-long-name-so-that-the-line-is-broken-".repeat(3);
    let odd = "it's \"odd\"\\n".replace(' ', "_");
    let when = Condition {
        model: vec![odd.clone()],
        header: BTreeMap::from([("x-plan".to_owned(), vec!["\"a\", ]".to_owned(), "b\\".to_owned()])]),
        stream: Some(true),
    };
    for name in [odd.as_str(), &long] {
        let split =
            Rule::Split(vec![(1, to(name)), (0, to("x")), (3, Rule::Cheapest(vec![to("y"), to(name)]))]);
        let choice = |otherwise| Rule::When { when: when.clone(), then: Box::new(split.clone()), otherwise };
        let rules = [
            split.clone(),
            Rule::Order(vec![split.clone(), to(name)]),
            choice(None),
            choice(Some(Box::new(to(name)))),
            choice(Some(Box::new(choice(Some(Box::new(Rule::Order(vec![to(name), split.clone()]))))))),
        ];
        for rule in rules {
            let mut draft = Draft::default();
            for model in [name, "x", "y"] {
                let place = Place { kind: "openai", url: "https://o.example".to_owned(), api_version: None };
                let origin = Origin {
                    name: "o".to_owned(),
                    place,
                    secret: None,
                    aws: None,
                    limits: Limits::default(),
                    models: Vec::new(),
                };
                let model =
                    Model { path: "p\n[[keys]]".to_owned(), name: model.to_owned(), ..Model::default() };
                draft.origin("p", origin, model).unwrap();
            }
            draft.list_open_prices();
            draft.routes.push(Route {
                model: "served".to_owned(),
                aliases: vec![odd.clone()],
                rule: rule.clone(),
                attempts: Some(4),
                first_byte_s: Some(7),
                drop_unsupported: true,
                on: BTreeMap::from([(Failure::RateLimited, Action::Retry)]),
            });
            let toml = output::toml(&draft, "a test");
            let config = authoring::parse(&toml).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"));
            let route = &config.routes[0];
            assert_eq!(route.rule.as_ref(), Some(&as_read(&rule)), "{toml}");
            assert_eq!((&route.aliases[..], route.budget.attempts), (&[odd.clone()][..], 4));
            assert_eq!((route.timeouts.first_byte_s, route.drop_unsupported), (Some(7), true));
            assert_eq!(route.on, draft.routes[0].on);
            assert!(config.keys.is_empty() && config.origins[0].models[0].name == name, "{toml}");
        }
    }
}

//! Rules against the queries they come from: each generated query is evaluated as Portkey does it, for every request there
//! could be, and the rule must lead where the query does.

use super::rule;
use crate::import::draft::Draft;
use crate::import::json;
use crate::import::rule::Rule;
use crate::import::source::Item;
use crate::import::value::Value;
use std::collections::BTreeMap;

/// A request: two entries of metadata with the values 0 to 2, and whether it is a stream.
struct Request {
    metadata: BTreeMap<&'static str, String>,
    stream: bool,
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for a in 0..3 {
        for b in 0..3 {
            for stream in [false, true] {
                let metadata = BTreeMap::from([("a", a.to_string()), ("b", b.to_string())]);
                all.push(Request { metadata, stream });
            }
        }
    }
    all
}

/// As documented: everything in a query must hold.
fn holds(query: &Value, request: &Request) -> bool {
    let Value::Map(members) = query else { panic!("no query") };
    members.iter().all(|(name, value)| match (name.as_str(), value) {
        ("$and", Value::List(queries)) => queries.iter().all(|query| holds(query, request)),
        ("$or", Value::List(queries)) => queries.iter().any(|query| holds(query, request)),
        ("params.stream", Value::Bool(wanted)) => *wanted == request.stream,
        (name, value) => {
            let is = &request.metadata[name.strip_prefix("metadata.").unwrap()];
            match value {
                Value::Text(wanted) => wanted == is,
                Value::Map(operators) => operators.iter().all(|(operator, value)| {
                    let is_in = match value {
                        Value::Text(wanted) => wanted == is,
                        Value::List(values) => values.contains(&Value::Text(is.clone())),
                        _ => panic!("no value"),
                    };
                    is_in != matches!(operator.as_str(), "$ne" | "$nin")
                }),
                _ => panic!("no value"),
            }
        }
    })
}

fn leads_to<'a>(rule: &'a Rule, request: &Request) -> &'a str {
    match rule {
        Rule::To { origin, .. } => origin,
        Rule::When { when, then, otherwise } => {
            let headers = when.header.iter().all(|(name, values)| {
                values.contains(&request.metadata[name.strip_prefix("x-metadata-").unwrap()])
            });
            let holds = headers && when.stream.is_none_or(|stream| stream == request.stream);
            leads_to(if holds { then } else { otherwise.as_ref().unwrap() }, request)
        }
        _ => panic!("no rule of a condition"),
    }
}

/// The next draw of Numerical Recipes' generator.
fn draw(state: &mut u32, below: u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 16) % below
}

fn query(state: &mut u32, depth: u32) -> String {
    let name = ["a", "b"][draw(state, 2) as usize];
    let (x, y) = (draw(state, 3), draw(state, 3));
    match draw(state, if depth == 0 { 5 } else { 8 }) {
        0 => format!(r#"{{"metadata.{name}": "{x}"}}"#),
        1 => format!(r#"{{"metadata.{name}": {{"$ne": "{x}"}}}}"#),
        2 => format!(r#"{{"metadata.{name}": {{"$in": ["{x}", "{y}"]}}}}"#),
        3 => format!(r#"{{"metadata.{name}": {{"$nin": ["{x}", "{y}"]}}, "params.stream": true}}"#),
        4 => {
            format!(r#"{{"metadata.a": "{x}", "metadata.b": {{"$ne": "{y}"}}, "params.stream": {}}}"#, x == y)
        }
        at => {
            let operator = if at == 5 { "$and" } else { "$or" };
            let parts: Vec<_> = (0..=draw(state, 2)).map(|_| query(state, depth - 1)).collect();
            format!(r#"{{"{operator}": [{}]}}"#, parts.join(", "))
        }
    }
}

#[test]
fn a_rule_leads_where_its_query_does() {
    let to = |origin: &str| Rule::To { origin: origin.to_owned(), model: None };
    let mut state = 15;
    let mut built = 0;
    for _ in 0..500 {
        let text = query(&mut state, 2);
        let tree = json::read(&text).unwrap();
        let result =
            rule(&mut Draft::default(), &Item::new("query", &tree), to("then"), Some(to("otherwise")));
        let rule = match result {
            Ok(rule) => rule.unwrap(),
            Err(problem) => {
                assert!(problem.message.contains("nest more than"), "{text}: {problem}");
                continue;
            }
        };
        built += 1;
        for request in requests() {
            let expected = if holds(&tree, &request) { "then" } else { "otherwise" };
            let Request { metadata, stream } = &request;
            assert_eq!(leads_to(&rule, &request), expected, "{text}\n{metadata:?} {stream}\n{rule:#?}");
        }
    }
    assert!(built > 400, "{built}");
}

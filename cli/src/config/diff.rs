//! What is different between two configurations, by path.

use serde_json::Value;
use std::fmt::Write;

/// A value is shown up to here.
const LONGEST: usize = 160;

/// A line for each difference: `+` is only in the new one, `-` only in the old one, `~` is changed. Empty where they are equal.
/// What has a name is compared with what has the same name, wherever it stands.
pub(crate) fn differences(old: &Value, new: &Value) -> String {
    let mut text = String::new();
    compare(&mut text, "", old, new);
    text
}

/// Writing to a String cannot fail.
fn compare(text: &mut String, path: &str, old: &Value, new: &Value) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, old) in olds {
                match news.get(name) {
                    Some(new) => compare(text, &below(name), old, new),
                    None => line(text, '-', &below(name), old),
                }
            }
            for (name, new) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
                line(text, '+', &below(name), new);
            }
        }
        (Value::Array(olds), Value::Array(news)) => match (names(olds), names(news)) {
            (Some(old_names), Some(new_names)) => {
                let below = |name: &str| format!("{path}[{name:?}]");
                for (name, old) in old_names.iter().zip(olds) {
                    match new_names.iter().position(|own| own == name) {
                        Some(at) => compare(text, &below(name), old, &news[at]),
                        None => line(text, '-', &below(name), old),
                    }
                }
                for (name, new) in new_names.iter().zip(news).filter(|(name, _)| !old_names.contains(name)) {
                    line(text, '+', &below(name), new);
                }
                let kept = |own: &[&str], other: &[&str]| {
                    own.iter()
                        .filter(|name| other.contains(name))
                        .map(|name| (*name).to_owned())
                        .collect::<Vec<_>>()
                };
                if kept(&old_names, &new_names) != kept(&new_names, &old_names) {
                    let _ = writeln!(text, "~ {path}: in another order");
                }
            }
            _ => {
                for at in 0..olds.len().max(news.len()) {
                    let below = format!("{path}[{at}]");
                    match (olds.get(at), news.get(at)) {
                        (Some(old), Some(new)) => compare(text, &below, old, new),
                        (Some(old), None) => line(text, '-', &below, old),
                        (None, Some(new)) => line(text, '+', &below, new),
                        (None, None) => {}
                    }
                }
            }
        },
        _ => {
            let _ = writeln!(text, "~ {path}: {} → {}", shown(old), shown(new));
        }
    }
}

fn line(text: &mut String, sign: char, path: &str, value: &Value) {
    let _ = writeln!(text, "{sign} {path}: {}", shown(value));
}

/// The names of what a list holds, where each has one of its own: origins, keys and tenants have a `name`, routes a `model`.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Option<Vec<_>> =
        list.iter().map(|value| value["name"].as_str().or(value["model"].as_str())).collect();
    let names = names?;
    let is_double = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    (!is_double).then_some(names)
}

fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn by_path() {
        for (old, new, expected) in [
            (json!({"a": 1}), json!({"a": 1}), ""),
            (json!({"a": 1}), json!({"a": 2}), "~ a: 1 → 2\n"),
            (json!({"a": {"b": 1}}), json!({"a": {"c": "x"}}), "- a.b: 1\n+ a.c: \"x\"\n"),
            (
                json!({"routes": [{"model": "m", "origin": "o"}]}),
                json!({"routes": [{"model": "n", "origin": "o"}, {"model": "m", "origin": "p"}]}),
                "~ routes[\"m\"].origin: \"o\" → \"p\"\n+ routes[\"n\"]: {\"model\":\"n\",\"origin\":\"o\"}\n",
            ),
            (
                json!({"keys": [{"name": "a"}, {"name": "b"}]}),
                json!({"keys": [{"name": "b"}, {"name": "a"}]}),
                "~ keys: in another order\n",
            ),
            (
                json!({"limits": [{"requests": 1}]}),
                json!({"limits": [{"requests": 2}, {"tokens": 3}]}),
                "~ limits[0].requests: 1 → 2\n+ limits[1]: {\"tokens\":3}\n",
            ),
            (json!({"a": [1, 2]}), json!({"a": [1]}), "- a[1]: 2\n"),
            (
                json!({"a": [{"name": "x"}, {"name": "x"}]}),
                json!({"a": [{"name": "x"}]}),
                "- a[1]: {\"name\":\"x\"}\n",
            ),
        ] {
            let order = |text: &str| {
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(order(&differences(&old, &new)), order(expected));
        }
        let long = differences(&json!({"a": ""}), &json!({"a": "ä".repeat(500)}));
        assert!(long.ends_with("…\n") && long.len() < 200, "{long}");
    }
}

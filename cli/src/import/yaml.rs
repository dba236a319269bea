//! YAML as LiteLLM's reader takes it: PyYAML's `safe_load`, so `yes`, `no`, `on` and `off` are truth values and `<<` merges
//! (YAML 1.1), and numbers stay as they are written.

use super::value::{DEEPEST, Members, Value, problem};
use moegate_config::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// Aliases of aliases grow without bound.
const MOST_VALUES: usize = 200_000;

/// # Errors
/// What the parser says, with line and column; several documents; keys that are no scalars; a key that stands twice;
/// nesting beyond [`DEEPEST`].
pub(super) fn read(text: &str) -> Result<Value, Problem> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            problem("", format!("is not YAML: {} at line {line} column {column}", error.info()))
        })?;
        builder
            .event(event)
            .map_err(|message| problem("", format!("{message} at line {}", span.start.line())))?;
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

/// A list or map that is not complete.
enum Open {
    List(Vec<Value>),
    Map { members: Members, key: Option<String>, merged: Vec<Value> },
}

#[derive(Default)]
struct Builder {
    root: Option<Value>,
    /// Each with its anchor's number; 0 is none.
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Value>,
    documents: usize,
    values: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("a second document begins".to_owned());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
                let value = if is_text { Value::Text(text.into_owned()) } else { plain(&text) };
                return self.complete(value, anchor);
            }
            Event::Alias(anchor) => {
                let value = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or("an alias stands for nothing that is complete")?;
                return self.complete(value, 0);
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor)?,
            Event::MappingStart(anchor, _) => {
                let open = Open::Map { members: Vec::new(), key: None, merged: Vec::new() };
                self.begin(open, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match self.open.pop() {
                    Some((Open::List(values), anchor)) => (Value::List(values), anchor),
                    Some((Open::Map { members, merged, .. }, anchor)) => {
                        (Value::Map(merge(members, merged)?), anchor)
                    }
                    None => return Ok(()),
                };
                return self.complete(value.0, value.1);
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} deep"));
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn complete(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(value.size());
        if self.values > MOST_VALUES {
            return Err(format!(
                "there are more than {MOST_VALUES} values, aliases counted where they are used,"
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(values), _)) => values.push(value),
            Some((Open::Map { members, key, merged }, _)) => match key.take() {
                None => *key = Some(key_of(value)?),
                Some(name) if name == "<<" => merged.push(value),
                Some(name) if members.iter().any(|(other, _)| *other == name) => {
                    return Err(format!("`{}` stands twice in one table", name.escape_debug()));
                }
                Some(name) => members.push((name, value)),
            },
        }
        Ok(())
    }
}

fn key_of(value: Value) -> Result<String, String> {
    match value {
        Value::Text(text) | Value::Number(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok("null".to_owned()),
        Value::List(_) | Value::Map(_) => Err("a key is a list or a table".to_owned()),
    }
}

/// YAML 1.1's merge key: what a table says itself counts, then the merged tables from first to last.
fn merge(mut members: Members, merged: Vec<Value>) -> Result<Members, String> {
    let lists = merged.into_iter().flat_map(|value| match value {
        Value::List(values) => values,
        value => vec![value],
    });
    for value in lists {
        let Value::Map(more) = value else { return Err("`<<` merges something that is no table".to_owned()) };
        for (name, value) in more {
            if !members.iter().any(|(other, _)| *other == name) {
                members.push((name, value));
            }
        }
    }
    Ok(members)
}

/// A scalar without quotes or tag.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ if crate::decimal::Decimal::parse(text).is_some() => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        format!("{:?}", read(text).unwrap())
    }

    #[test]
    fn scalars() {
        for (text, expected) in [
            ("1.5e-07", "Number(\"1.5e-07\")"),
            ("5e-7", "Number(\"5e-7\")"),
            ("\"5\"", "Text(\"5\")"),
            ("!!str 5", "Text(\"5\")"),
            ("True", "Bool(true)"),
            ("off", "Bool(false)"),
            ("~", "Null"),
            ("2024-10-21", "Text(\"2024-10-21\")"),
            ("sk-1234", "Text(\"sk-1234\")"),
            ("", "Null"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn aliases_and_merges() {
        let text = "base: &b {a: 1, b: 2}\nuse:\n  <<: *b\n  b: 3\n";
        let Value::Map(members) = read(text).unwrap() else { panic!("no table") };
        let Value::Map(members) = &members[1].1 else { panic!("no table") };
        assert_eq!(format!("{members:?}"), r#"[("b", Number("3")), ("a", Number("1"))]"#);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("a: [1\nb: 2\n", "is not YAML"),
            ("a: 1\na: 2\n", "`a` stands twice in one table at line 2"),
            ("a: 1\n---\nb: 2\n", "a second document begins at line 2"),
            ("[1]: 2\n", "a key is a list"),
            ("a:\n\tb: 1\n", "is not YAML"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for i in 1..30 {
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        }
        assert!(read(&text).unwrap_err().message.contains("more than"));
        assert!(read(&"- ".repeat(100)).unwrap_err().message.contains("nested"));
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}

//! JSON, with numbers as they are written (RFC 8259, section 6).

use super::value::{DEEPEST, Members, Value, problem};
use moegate_config::Problem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// # Errors
/// What serde_json says, with line and column; a name that stands twice; nesting beyond [`DEEPEST`].
pub(super) fn read(text: &str) -> Result<Value, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| problem("", format!("is not JSON: {error}")))?;
    value("", raw, DEEPEST)
}

fn value(path: &str, raw: &RawValue, left: usize) -> Result<Value, Problem> {
    if left == 0 {
        return Err(problem(path, format!("is nested more than {DEEPEST} deep")));
    }
    let text = raw.get();
    let wrong = |error: serde_json::Error| problem(path, format!("is not JSON: {error}"));
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Object(members) = serde_json::from_str(text).map_err(wrong)?;
            let mut read = Members::with_capacity(members.len());
            for (name, raw) in members {
                let path = super::source::below(path, &name);
                if read.iter().any(|(other, _)| *other == name) {
                    return Err(problem(&path, "stands there twice: which is meant?"));
                }
                let value = value(&path, raw, left - 1)?;
                read.push((name, value));
            }
            Value::Map(read)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.iter().enumerate();
            Value::List(
                items
                    .map(|(i, raw)| value(&format!("{path}[{i}]"), raw, left - 1))
                    .collect::<Result<_, _>>()?,
            )
        }
        Some(b'"') => Value::Text(serde_json::from_str(text).map_err(wrong)?),
        Some(b't' | b'f') => Value::Bool(text.starts_with('t')),
        Some(b'n') => Value::Null,
        _ => Value::Number(text.to_owned()),
    })
}

/// Members in order, repeated ones included.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_written() {
        let Value::Map(members) = read(r#" { "a": [1e-7, 0.10], "b": "x\u0041", "c": null } "#).unwrap()
        else {
            panic!("no table")
        };
        let numbers = ["1e-7", "0.10"].map(|text| Value::Number(text.to_owned()));
        assert_eq!(members[0], ("a".to_owned(), Value::List(numbers.to_vec())));
        assert_eq!(members[1].1, Value::Text("xA".to_owned()));
        assert_eq!(members[2].1, Value::Null);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("{\"a\": 1,}", "(top): is not JSON: key must be a string at line 1 column 9"),
            ("{\"a\": {\"b\": 1, \"b\": 2}}", "a.b: stands there twice: which is meant?"),
            ("", "(top): is not JSON: EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(read(&deep).unwrap_err().message.contains("nested"));
    }
}

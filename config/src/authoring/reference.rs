//! The reference page, made from the schema.

use serde_json::{Map, Value};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

`moegate.toml` is read when the gateway is built; `moegate check` reads it likewise. A mistake stops the build and names
the field. This page is generated from the definition in `config/` by `moegate reference`; the JSON Schema beside it
serves editors (`#:schema`).
";

/// A section per table, in the order in which a file has them.
#[must_use]
pub fn reference() -> String {
    let schema = super::sorted_schema();
    let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    for (title, name) in [
        ("`[gateway]`", "Gateway"),
        ("`[[origins]]`", "Origin"),
        ("`[[origins.models]]`", "Model"),
        ("`[[routes]]`", "Route"),
        ("`[[keys]]`", "Key"),
        ("`[admin]`", "Admin"),
    ] {
        if let Some(definition) = definitions.get(name) {
            section(&mut page, title, definition, &definitions);
        }
    }
    page
}

fn section(page: &mut String, title: &str, definition: &Value, definitions: &Map<String, Value>) {
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n## {title}\n\n{}\n\n| field | type | default | |\n|---|---|---|---|\n",
        text_of(definition)
    );
    let required: Vec<_> = definition
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in definition.get("properties").and_then(Value::as_object).into_iter().flatten() {
        // Arrays of tables have sections of their own.
        if field.get("type").and_then(Value::as_str) == Some("array")
            && field.pointer("/items/$ref").is_some()
        {
            continue;
        }
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::Object(map)) if map.is_empty() => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let _ =
            writeln!(page, "| `{name}` | {} | {default} | {} |", type_of(field, definitions), text_of(field));
    }
}

/// The description on one line, as a table cell needs it.
fn text_of(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or("");
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn type_of(schema: &Value, definitions: &Map<String, Value>) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return definitions.get(name).map_or_else(|| name.to_owned(), |definition| named(name, definition));
    }
    if let Some(Value::Array(any)) = schema.get("anyOf") {
        let some = any.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("null"));
        return some.map(|one| type_of(one, definitions)).collect::<Vec<_>>().join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => kind(name, schema),
        Some(Value::Array(names)) => {
            let name = names.iter().filter_map(Value::as_str).find(|name| *name != "null");
            kind(name.unwrap_or("string"), schema)
        }
        _ => String::new(),
    }
}

fn kind(name: &str, schema: &Value) -> String {
    match name {
        "array" => "list of strings".to_owned(),
        "object" if schema.get("additionalProperties").is_some() => "table of strings".to_owned(),
        other => other.to_owned(),
    }
}

/// An enumeration shows its values.
fn named(name: &str, definition: &Value) -> String {
    let variants: Vec<_> = definition
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|variant| Some(format!("`{}`: {}", variant.get("const")?.as_str()?, text_of(variant))))
        .collect();
    if !variants.is_empty() {
        return variants.join("<br>");
    }
    match name {
        "DollarsPerMillion" => "dollars per million tokens, as a string".to_owned(),
        other => other.to_owned(),
    }
}

//! The reference page, made from the schema.

use crate::{Action, Failure};
use serde_json::{Map, Value};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

`moegate.toml` is read when the gateway is built; `moegate check` reads it likewise. A mistake stops the build and names
the field. This page is generated from the definition in `config/` by `moegate reference`; the JSON Schema beside it
serves editors (`#:schema`).
";

/// What a section is of.
enum Of {
    /// The definition of that name in the schema.
    Table(&'static str),
    /// What follows each failure: keys of a table, which have no definition of their own.
    Actions,
}

/// In the order in which a file has them.
const SECTIONS: [(&str, Of); 24] = [
    ("`[gateway]`", Of::Table("Gateway")),
    ("`[gateway.cors]`", Of::Table("Cors")),
    ("`[[origins]]`", Of::Table("Origin")),
    ("`[[origins.models]]`", Of::Table("Model")),
    ("`[[origins.models.steps]]`", Of::Table("PriceStep")),
    ("`[[origins.models.history]]`", Of::Table("PastPrice")),
    ("`[origins.breaker]`", Of::Table("Breaker")),
    ("`[origins.aws]`", Of::Table("Aws")),
    ("`[origins.fields]`", Of::Table("Fields")),
    ("`[origins.wake]`", Of::Table("Wake")),
    ("`[[routes]]`", Of::Table("Route")),
    ("`[routes.rule]`", Of::Table("Rule")),
    ("`[routes.rule.when]`", Of::Table("Condition")),
    ("`[routes.budget]`", Of::Table("Budget")),
    ("`[routes.cache]`", Of::Table("Cache")),
    ("`[routes.timeouts]`", Of::Table("Timeouts")),
    ("`[routes.on]`", Of::Actions),
    ("`[[keys]]`", Of::Table("Key")),
    ("`[keys.oidc]`", Of::Table("Oidc")),
    ("`[[tenants]]`", Of::Table("Tenant")),
    ("`limits`", Of::Table("Limit")),
    ("`[admin]`", Of::Table("Admin")),
    ("`[ledger]`", Of::Table("Ledger")),
    ("`[telemetry]`", Of::Table("Telemetry")),
];

/// A section per table.
#[must_use]
pub fn reference() -> String {
    let schema = super::sorted_schema();
    let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    for (title, of) in SECTIONS {
        match of {
            Of::Actions => actions(&mut page, title, &definitions),
            Of::Table(name) => {
                if let Some(definition) = definitions.get(name) {
                    section(&mut page, title, definition, &definitions);
                }
            }
        }
    }
    page
}

/// The values of an enumeration, with what is said of each.
fn values<'a>(name: &str, definitions: &'a Map<String, Value>) -> Vec<(&'a str, String)> {
    let variants =
        definitions.get(name).and_then(|definition| definition.get("oneOf")).and_then(Value::as_array);
    let value = |variant: &'a Value| Some((variant.get("const")?.as_str()?, text_of(variant)));
    variants.into_iter().flatten().filter_map(value).collect()
}

fn actions(page: &mut String, title: &str, definitions: &Map<String, Value>) {
    let usual = |name: &str| {
        Failure::ALL.into_iter().find(|failure| failure.name() == name).map(Failure::default_action)
    };
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## {title}\n\nFailure → action, such as `timeout = \"stop\"`. The actions:\n\n");
    for (name, text) in values("Action", definitions) {
        let _ = writeln!(page, "- `{name}`: {text}");
    }
    let _ = write!(page, "\n| failure | usual action | |\n|---|---|---|\n");
    for (name, text) in values("Failure", definitions) {
        let action = match usual(name) {
            Some(Action::Next) => "`next`",
            Some(Action::Retry) => "`retry`",
            Some(Action::Stop) => "`stop`",
            None => "",
        };
        let _ = writeln!(page, "| `{name}` | {action} | {text} |");
    }
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
        // Arrays of tables have sections of their own; those of an enumeration's values have none.
        let items = field.get("items").and_then(reference_in);
        if field.get("type").and_then(Value::as_str) == Some("array")
            && items.is_some_and(|name| values(name, definitions).is_empty())
        {
            continue;
        }
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => String::new(),
            // A table's fields have their own.
            Some(Value::Object(_)) => String::new(),
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
    if let Some(name) = reference_in(schema) {
        return named(name, definitions);
    }
    if let Some(Value::Array(any)) = schema.get("anyOf") {
        let some = any.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("null"));
        return some.map(|one| type_of(one, definitions)).collect::<Vec<_>>().join(" or ");
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("string")
        }
        _ => return String::new(),
    };
    match (name, schema.get("items"), schema.get("additionalProperties")) {
        ("array", Some(items), _) => format!("list of {}", plural(items, definitions)),
        ("object", _, Some(_)) if schema.get("propertyNames").is_some() => {
            format!("table of [actions](#{})", anchor("`[routes.on]`"))
        }
        ("object", _, Some(values)) => format!("table of {}", plural(values, definitions)),
        _ => name.to_owned(),
    }
}

fn reference_in(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// Of the values of a list or a table.
fn plural(schema: &Value, definitions: &Map<String, Value>) -> String {
    match (reference_in(schema), schema.get("type").and_then(Value::as_str)) {
        (Some("Rule"), _) => format!("[rules](#{})", anchor("`[routes.rule]`")),
        (_, Some("string")) => "strings".to_owned(),
        (_, Some("array")) => "lists of strings".to_owned(),
        _ => type_of(schema, definitions),
    }
}

/// An enumeration shows its values; what has a section of its own, a link.
fn named(name: &str, definitions: &Map<String, Value>) -> String {
    let values: Vec<_> =
        values(name, definitions).into_iter().map(|(value, text)| format!("`{value}`: {text}")).collect();
    if !values.is_empty() {
        return values.join("<br>");
    }
    let section = SECTIONS.iter().find(|(_, of)| matches!(of, Of::Table(own) if *own == name));
    match (name, section) {
        ("DollarsPerMillion", _) => "dollars per million tokens, as a string".to_owned(),
        ("Day", _) => "a day in UTC, as a string".to_owned(),
        ("Dollars", _) => "dollars, as a string".to_owned(),
        (_, Some((title, _))) => format!("[{}](#{})", name.to_lowercase(), anchor(title)),
        (other, None) => other.to_owned(),
    }
}

/// As GitHub makes it of a heading: small letters and digits.
fn anchor(title: &str) -> String {
    title.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

//! Schemas on their way from and to Google. Its own `Schema` is a subset of OpenAPI's 3.0 with types in capitals
//! (<https://ai.google.dev/api/caching#Schema>); beside it there are members that take a JSON Schema.

use super::parse::camel;
use crate::dialect::canonical::fields::{Fields, client_list};
use crate::dialect::json::string;
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;

/// A JSON Schema as the members that take one do: `const` is not known there, but a list of one is.
pub(super) fn to_google(json: &mut JsonWriter, schema: &RawValue) {
    // No memory for what has none.
    if !schema.get().contains("\"const\"") {
        return json.raw(schema.get());
    }
    walk(json, schema, DEPTH, &|json, name, value, _| {
        if name != "const" {
            return false;
        }
        json.key("enum").array(|json| json.raw(value.get()));
        true
    });
}

/// Google's schema as a JSON Schema.
pub(super) fn of_google(schema: &RawValue) -> String {
    let mut json = JsonWriter::with_capacity(schema.get().len());
    walk(&mut json, schema, DEPTH, &|json, name, value, is_nullable| {
        match name {
            "type" => match string(value).map(|own| own.to_ascii_lowercase()) {
                Some(own) if own == "type_unspecified" => {}
                Some(own) if is_nullable => json.key("type").array(|json| {
                    json.string(&own);
                    json.string("null");
                }),
                Some(own) => json.member("type", &own),
                None => return false,
            },
            "enum" if is_nullable => json.key("enum").array(|json| {
                client_list(value, "", "")
                    .unwrap_or_default()
                    .into_iter()
                    .for_each(|own| json.raw(own.get()));
                json.raw("null");
            }),
            "nullable" | "propertyOrdering" => {}
            "format" if matches!(value.get(), "\"enum\"") => {}
            // Numbers of 64 bits are texts in protobuf's JSON.
            "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minLength" | "maxLength" => {
                json.key(name).raw(value.get().trim_matches('"'));
            }
            _ => return false,
        }
        true
    });
    json.into_string()
}

/// Writes a member that has to change, and says that it did: its name, its value, whether the schema is `nullable`.
type Change<'c> = &'c dyn Fn(&mut JsonWriter, &str, &RawValue, bool) -> bool;

/// How deep schemas are walked through: the stack is small. What lies deeper stays as it is.
const DEPTH: u8 = 64;

fn walk(json: &mut JsonWriter, schema: &RawValue, depth: u8, change: Change<'_>) {
    let Some(depth) = depth.checked_sub(1) else { return json.raw(schema.get()) };
    let Ok(fields) = Fields::of(schema, "") else { return json.raw(schema.get()) };
    let members = fields.into_members();
    let is_nullable = members.iter().any(|(name, value)| name == "nullable" && value.get() == "true");
    json.object(|json| {
        for (name, value) in members {
            let name = camel(name);
            if change(json, &name, value, is_nullable) {
                continue;
            }
            json.key(&name);
            match &*name {
                "properties" | "$defs" | "definitions" | "patternProperties" => match Fields::of(value, "") {
                    Ok(inner) => json.object(|json| {
                        for (name, value) in inner.into_members() {
                            walk(json.key(&name), value, depth, change);
                        }
                    }),
                    Err(_) => json.raw(value.get()),
                },
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => match client_list(value, "", "") {
                    Ok(all) => {
                        json.array(|json| all.into_iter().for_each(|own| walk(json, own, depth, change)));
                    }
                    Err(_) => json.raw(value.get()),
                },
                "items" | "additionalProperties" | "not" => walk(json, value, depth, change),
                _ => json.raw(value.get()),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_schemas_do_not_exhaust_the_stack() {
        const LEVELS: usize = 100_000;
        let schema = format!("{}{{\"type\":\"STRING\"}}{}", "{\"items\":".repeat(LEVELS), "}".repeat(LEVELS));
        let schema: &RawValue = serde_json::from_str(&schema).unwrap();
        assert_eq!(of_google(schema), schema.get());
        let near: &RawValue = serde_json::from_str(r#"{"items":{"type":"STRING"}}"#).unwrap();
        assert_eq!(of_google(near), r#"{"items":{"type":"string"}}"#);
    }
}

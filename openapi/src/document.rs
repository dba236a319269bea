//! The OpenAPI document.

use crate::table::{Api, Body, EVENTS, Endpoint, Key, Kind, Member, Object};
use serde_json::{Map, Value, json};

/// As it is served.
#[must_use]
pub fn compact() -> String {
    document().to_string()
}

/// As it stands in the documentation.
#[must_use]
pub fn pretty() -> String {
    format!("{:#}\n", document())
}

/// With its keys in order, whatever features of `serde_json` other crates of the build turn on.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for endpoint in crate::endpoints() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(endpoint, &mut schemas);
    }
    let mut responses = Map::new();
    for (name, kind) in ERRORS {
        let schema = schemas.of(kind);
        responses.insert(
            (*name).to_owned(),
            json!({"description": "An error.", "content": {"application/json": {"schema": schema}}}),
        );
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "moegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Unknown members of requests go to origins of the same API as they are. GET is answered to HEAD too, without a body.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"anthropic": []}, {"google": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "responses": responses,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "anthropic": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "google": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
            },
        },
    });
    document.sort_all_objects();
    document
}

/// By the name of their response.
const ERRORS: &[(&str, Kind)] = &[
    ("OpenAI", Kind::Object(&crate::openai::ERROR)),
    ("Anthropic", Kind::Object(&crate::anthropic::ERROR)),
    ("Gemini", Kind::Object(&crate::gemini::ERROR)),
    ("AiSdk", Kind::Object(&crate::ai_sdk::ERROR)),
    (
        "ByHeaders",
        Kind::Either(&[
            Kind::Object(&crate::openai::ERROR),
            Kind::Object(&crate::anthropic::ERROR),
            Kind::Object(&crate::gemini::ERROR),
        ]),
    ),
];

fn error_name(api: Api) -> &'static str {
    match api {
        Api::OpenAi => "OpenAI",
        Api::Anthropic => "Anthropic",
        Api::Gemini => "Gemini",
        Api::AiSdk => "AiSdk",
        Api::ByHeaders => "ByHeaders",
    }
}

fn operation(endpoint: &Endpoint, schemas: &mut Schemas) -> Value {
    let mut content = Map::new();
    for (media_type, kind) in endpoint.answers {
        let schema = match *media_type {
            // As OpenAPI 3.2 has it ("Special Considerations for Server-Sent Events"): the schema is that of each event.
            EVENTS => {
                json!({"type": "object", "properties": {"data": schemas.of_data(kind)}, "required": ["data"]})
            }
            _ => schemas.of(kind),
        };
        content.insert((*media_type).to_owned(), json!({"schema": schema}));
    }
    let streams = endpoint.answers.iter().any(|(media_type, _)| *media_type == EVENTS);
    let description = if streams { "The answer, whole or as events." } else { "The answer." };
    let error = json!({"$ref": format!("#/components/responses/{}", error_name(endpoint.api))});
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "responses": {
            "200": {"description": description, "content": content},
            "4XX": error,
            "5XX": error,
        },
    });
    match endpoint.key {
        Key::None => operation["security"] = json!([]),
        Key::Client => {}
        Key::Admin => operation["security"] = json!([{"bearer": []}]),
    }
    let mut parameters: Vec<_> = endpoint
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let of_headers = crate::ai_sdk::headers(endpoint.path).iter().map(|member| ("header", member));
    parameters.extend(endpoint.query.iter().map(|member| ("query", member)).chain(of_headers).map(
        |(place, member)| {
            let mut parameter = json!({"name": member.name, "in": place, "schema": schemas.of(&member.kind)});
            if member.is_needed {
                parameter["required"] = true.into();
            }
            if !member.about.is_empty() {
                parameter["description"] = member.about.into();
            }
            parameter
        },
    ));
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(Body { media_type, object, .. }) = endpoint.request {
        let schema = schemas.of(&Kind::Object(object));
        operation["requestBody"] = json!({"required": true, "content": {media_type: {"schema": schema}}});
    }
    operation
}

/// The schemas of objects, by their names.
#[derive(Default)]
struct Schemas(Map<String, Value>);

impl Schemas {
    fn of(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Number => json!({"type": "number"}),
            Kind::Count => json!({"type": "integer", "minimum": 0}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Null => json!({"type": "null"}),
            Kind::Map => json!({"type": "object"}),
            Kind::Any => json!({}),
            Kind::Bytes => json!({"type": "string", "format": "binary"}),
            Kind::Words(words) => json!({"enum": words}),
            Kind::List(of) => json!({"type": "array", "items": self.of(of)}),
            Kind::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| self.of(kind)).collect();
                json!({"anyOf": kinds})
            }
            Kind::Object(object) if object.name.is_empty() => self.object(object),
            Kind::Object(object) => {
                if !self.0.contains_key(object.name) {
                    let schema = self.object(object);
                    self.0.insert(object.name.to_owned(), schema);
                }
                json!({"$ref": format!("#/components/schemas/{}", object.name)})
            }
        }
    }

    /// Of the text that an event's data is.
    fn of_data(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Words(_) => self.of(kind),
            Kind::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| self.of_data(kind)).collect();
                json!({"anyOf": kinds})
            }
            _ => {
                json!({"type": "string", "contentMediaType": "application/json", "contentSchema": self.of(kind)})
            }
        }
    }

    fn object(&mut self, object: &Object) -> Value {
        let mut properties = Map::new();
        for member in object.members {
            let mut schema = self.of(&member.kind);
            if let Some(about) = about(member) {
                schema["description"] = about.into();
            }
            properties.insert(member.name.to_owned(), schema);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        let needed: Vec<_> = object.members.iter().filter(|own| own.is_needed).map(|own| own.name).collect();
        if !needed.is_empty() {
            schema["required"] = needed.into();
        }
        schema
    }
}

fn about(member: &Member) -> Option<String> {
    const SAME_API: &str = "Only origins of this API.";
    match (member.is_same_api, member.about) {
        (true, "") => Some(SAME_API.to_owned()),
        (true, about) => Some(format!("{about} {SAME_API}")),
        (false, "") => None,
        (false, about) => Some(about.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Every object that can be reached, by its name.
    fn objects(kind: &Kind, found: &mut HashMap<&'static str, &'static [Member]>) {
        match kind {
            Kind::Object(object) => {
                if object.name.is_empty() {
                } else if let Some(other) = found.insert(object.name, object.members) {
                    let names = |members: &[Member]| members.iter().map(|own| own.name).collect::<Vec<_>>();
                    assert_eq!(names(other), names(object.members), "two objects are named {}", object.name);
                }
                object.members.iter().for_each(|member| objects(&member.kind, found));
            }
            Kind::List(of) => objects(of, found),
            Kind::Either(kinds) => kinds.iter().for_each(|kind| objects(kind, found)),
            _ => {}
        }
    }

    #[test]
    fn names_are_of_one_thing_each() {
        let mut found = HashMap::new();
        let mut ids = Vec::new();
        for endpoint in crate::endpoints() {
            assert!(!ids.contains(&endpoint.id), "{} is there twice", endpoint.id);
            ids.push(endpoint.id);
            if let Some(body) = endpoint.request {
                objects(&Kind::Object(body.object), &mut found);
            }
            endpoint.answers.iter().for_each(|(_, kind)| objects(kind, &mut found));
        }
        ERRORS.iter().for_each(|(_, kind)| objects(kind, &mut found));
        for (name, members) in found {
            for (at, member) in members.iter().enumerate() {
                let is_new = members[..at].iter().all(|other| other.name != member.name);
                assert!(is_new, "{name} has {} twice", member.name);
            }
        }
    }

    #[test]
    fn references_lead_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let place = reference.strip_prefix('#').unwrap_or_default();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }
}

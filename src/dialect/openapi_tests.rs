//! The tables of `openapi/` against the parsers: every member there is one that a parser asks for, and every member that a
//! parser asks for is there.

use super::canonical::fields::asked;
use super::registry::{self, endpoint};
use super::request::{CannotEncode, Changes, Encoded};
use super::{ClientDialect, Endpoint as Found, ModelInfo, Operation};
use crate::config::Origin;
use crate::error::ApiError;
use http::{Method, Request};
use moegate_openapi::table::{Api, Endpoint, Kind, Member, Object};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn origin(kind: &str) -> Origin {
    let text = format!(
        "[[origins]]\nname = \"o\"\nkind = \"{kind}\"\nurl = \"https://o.example/v1\"\nsecret = \"O\"\n\
         fields = {{ allow = [\"store\", \"service_tier\"] }}\n[[origins.models]]\nname = \"m\"\ninput = \"1\"\noutput = \"1\"\n"
    );
    crate::config::authoring::parse(&text).unwrap().origins.remove(0)
}

/// What the gateway makes of the head of such a request.
fn found(own: &Endpoint, headers: &[(&str, &str)]) -> Option<Result<Found, ApiError>> {
    let path = own.path.replace("{model}", "m");
    let method = Method::from_bytes(own.method.to_ascii_uppercase().as_bytes()).unwrap();
    let mut head = Request::builder().method(method).uri(&path);
    // The names that the members of a body have elsewhere.
    let of_api = [("ai-language-model-id", "m"), ("ai-model-id", "m")];
    for (name, value) in of_api.iter().filter(|_| own.api == Api::AiSdk).chain(headers) {
        head = head.header(*name, *value);
    }
    endpoint(&head.body(()).unwrap(), &path).map(|found| found.map_err(|(_, error)| error))
}

/// One that no dialect serves.
fn is_own_page(endpoint: &Endpoint) -> bool {
    use moegate_openapi::{keys, own, tokens};
    let mut pages = own::ENDPOINTS.iter().chain(keys::ENDPOINTS).chain(tokens::ENDPOINTS);
    pages.any(|page| page.path == endpoint.path)
}

#[test]
fn what_is_documented_is_served() {
    for own in moegate_openapi::endpoints() {
        if is_own_page(own) {
            continue;
        }
        let served = found(own, &[]).unwrap_or_else(|| panic!("{} is not served", own.path)).unwrap();
        assert_eq!(matches!(served.operation, Operation::Generate(_)), own.request.is_some(), "{}", own.path);
    }
}

/// The members of an instance that a table has, with their paths in the instance.
fn members(kind: &Kind, value: &Value, path: &str, all: &mut Vec<(String, Member, String)>) {
    match (kind, value) {
        (Kind::Object(object), Value::Object(own)) => {
            for (name, value) in own {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let member = object.members.iter().find(|member| member.name == name);
                let member = member.unwrap_or_else(|| panic!("an example has {path}, which no table has"));
                all.push((path.clone(), *member, place(object, member)));
                members(&member.kind, value, &path, all);
            }
        }
        (Kind::List(of), Value::Array(elements)) => {
            for (at, element) in elements.iter().enumerate() {
                members(of, element, &format!("{path}[{at}]"), all);
            }
        }
        (Kind::Either(kinds), _) => {
            let kind = kinds.iter().find(|kind| is_of(kind, value));
            members(kind.unwrap_or_else(|| panic!("{path} is none of its kinds")), value, path, all);
        }
        _ => assert!(is_of(kind, value), "{path} is not of its kind"),
    }
}

fn is_of(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Text | Kind::Bytes => value.is_string(),
        Kind::Number => value.is_number(),
        Kind::Count => value.is_u64(),
        Kind::Flag => value.is_boolean(),
        Kind::Null => value.is_null(),
        Kind::Map | Kind::Object(_) => value.is_object(),
        Kind::Any => true,
        Kind::Words(words) => value.as_str().is_some_and(|own| words.contains(&own)),
        Kind::List(_) => value.is_array(),
        Kind::Either(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
    }
}

/// A member and the table it stands in, wherever that is used.
fn place(object: &Object, member: &Member) -> String {
    let names: Vec<_> = object.members.iter().map(|own| own.name).collect();
    format!("{} of {}", member.name, names.join(", "))
}

/// Every member that can be reached, by a path without indices.
fn tabled(kind: &Kind, path: &str, all: &mut BTreeMap<String, String>) {
    match kind {
        Kind::Object(object) => {
            for member in object.members {
                let path =
                    if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
                tabled(&member.kind, &path, all);
                all.insert(path, place(object, member));
            }
        }
        Kind::List(of) => tabled(of, &format!("{path}[]"), all),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| tabled(kind, path, all)),
        _ => {}
    }
}

/// Whether a path leads to an object of the tables' that lacks the member; what is no object of theirs may have any.
fn is_missing(path: &str, all: &BTreeMap<String, String>) -> bool {
    let (parent, _) = path.rsplit_once('.').unwrap_or(("", path));
    let is_tabled = parent.is_empty() || all.keys().any(|own| own.starts_with(&format!("{parent}.")));
    is_tabled && !all.contains_key(path)
}

fn without_indices(path: &str) -> String {
    let mut shape = String::new();
    for (at, piece) in path.split('[').enumerate() {
        match piece.split_once(']') {
            Some((_, rest)) if at > 0 => shape.extend(["[]", rest]),
            _ => shape.push_str(piece),
        }
    }
    shape
}

/// The paths of what an origin cannot be told, and of what the client is refused for.
fn refused(encoded: Result<Encoded, CannotEncode>) -> (Vec<String>, Option<String>) {
    match encoded {
        Ok(_) => (Vec::new(), None),
        Err(CannotEncode::Unsupported(paths)) => (paths, None),
        Err(CannotEncode::Field(name)) => (Vec::new(), Some(name)),
        Err(CannotEncode::Invalid(error)) => {
            let param = error.param.clone().unwrap_or_else(|| panic!("{error:?}"));
            (Vec::new(), Some(param.into_owned()))
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn parsers_and_tables_know_the_same_members() {
    let mut problems = BTreeSet::new();
    for own in moegate_openapi::endpoints() {
        let Some(body) = own.request.filter(|_| !is_own_page(own)) else { continue };
        let Found { dialect, operation } = found(own, &[]).unwrap().unwrap();
        let Operation::Generate(call) = operation else { panic!("{}", own.path) };
        let mut problem = |what: String| problems.insert(format!("{}: {what}", own.path));
        // Of another API than the client's.
        let origin = origin(if own.path == "/v1/chat/completions" { "anthropic" } else { "vllm" });
        let model = &origin.models[0];
        let changes =
            Changes { origin: &origin, model, ask_usage: false, drop_unsupported: false, resume: None };
        let object = Kind::Object(body.object);
        let (mut all, mut shown) = (BTreeMap::new(), BTreeSet::new());
        tabled(&object, "", &mut all);
        for example in body.examples {
            let value: Value = serde_json::from_str(example).unwrap();
            let mut present = Vec::new();
            members(&object, &value, "", &mut present);
            shown.extend(present.iter().map(|(_, _, place)| place.clone()));
            let request = match dialect.parse(&call, example.as_bytes()) {
                Ok(request) => request,
                Err(error) => {
                    problem(format!("{error:?}"));
                    continue;
                }
            };
            assert_eq!(request.facts().model, "m", "{}", own.path);
            if !body.is_read {
                continue;
            }
            let (encoded, asked) = asked::during(|| request.encode(&changes));
            for path in asked.iter().map(|path| without_indices(path)) {
                if is_missing(&path, &all) {
                    problem(format!("the parser reads {path}, which no table has"));
                }
            }
            let (unsupported, refused) = refused(encoded);
            let is_refused = |path: &String| unsupported.contains(path) || refused.as_ref() == Some(path);
            for (path, member, _) in present {
                match member.is_same_api {
                    true if !is_refused(&path) => {
                        problem(format!("{path} is not refused: {unsupported:?} {refused:?}"));
                    }
                    // What is refused by name ends the reading.
                    false if !asked.contains(&path) && !is_same_api(&refused, body.object) => {
                        problem(format!("the parser does not know {path}"));
                    }
                    _ => {}
                }
            }
        }
        if body.is_read {
            for (path, _) in all.iter().filter(|(_, place)| !shown.contains(*place)) {
                problem(format!("no example has {path}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Whether what ended the reading is a member that only origins of the same API can be told.
fn is_same_api(refused: &Option<String>, object: &Object) -> bool {
    object.members.iter().any(|member| member.is_same_api && refused.as_deref() == Some(member.name))
}

/// Whether a value is as a table says, with all that is needed.
fn conforms(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Object(object), Value::Object(own)) => object.members.iter().all(|member| {
            own.get(member.name).map_or(!member.is_needed, |value| conforms(&member.kind, value))
        }),
        (Kind::List(of), Value::Array(elements)) => elements.iter().all(|element| conforms(of, element)),
        (Kind::Either(kinds), _) => kinds.iter().any(|kind| conforms(kind, value)),
        _ => is_of(kind, value),
    }
}

#[test]
fn what_the_gateway_itself_says_is_as_documented() {
    let error = ApiError::invalid("missing_field", Some("model"), "no model");
    let conform = |kind: &Kind, text: String| {
        let value = serde_json::from_str(&text).unwrap();
        assert!(conforms(kind, &value), "{text}");
    };
    for own in moegate_openapi::endpoints() {
        let kind = match own.api {
            Api::OpenAi => Kind::Object(&moegate_openapi::openai::ERROR),
            Api::Anthropic => Kind::Object(&moegate_openapi::anthropic::ERROR),
            Api::Gemini => Kind::Object(&moegate_openapi::gemini::ERROR),
            Api::AiSdk => Kind::Object(&moegate_openapi::ai_sdk::ERROR),
            Api::ByHeaders => Kind::Either(&[
                Kind::Object(&moegate_openapi::openai::ERROR),
                Kind::Object(&moegate_openapi::anthropic::ERROR),
                Kind::Object(&moegate_openapi::gemini::ERROR),
            ]),
        };
        for headers in [&[][..], &[("anthropic-version", "2023-06-01")], &[("x-goog-api-key", "k")]] {
            let (dialect, operation): (&dyn ClientDialect, _) = match found(own, headers) {
                Some(found) => found.map(|found| (found.dialect, Some(found.operation))).unwrap(),
                None if own.api == Api::AiSdk => (registry::account_dialect(), None),
                None => (registry::default_dialect(), None),
            };
            conform(&kind, dialect.error_body(&error, Some("r1")));
            conform(&kind, dialect.error_body(&ApiError::unavailable("no_origin", "no origin"), None));
            conform(&kind, dialect.error_body(&ApiError::unknown_model("m", "no model".to_owned()), None));
            let model = ModelInfo { name: "m", created_s: 1, facts: None };
            match operation {
                Some(Operation::ListModels) => {
                    conform(&own.answers[0].1, dialect.model_list(&mut [model].into_iter()));
                    conform(&own.answers[0].1, dialect.model_list(&mut std::iter::empty()));
                }
                Some(Operation::GetModel(_)) => conform(&own.answers[0].1, dialect.model_entry(model)),
                Some(Operation::Generate(_)) | None => {}
            }
        }
    }
}

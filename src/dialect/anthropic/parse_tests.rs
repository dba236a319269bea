use super::*;
use crate::dialect::anthropic::fixtures::{FEATURES, fixture, json, origin};
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{Destination, OriginFormat};
use crate::dialect::openai::Chat;
use serde_json::{Value, json};

/// Members beside one message.
fn with(members: &Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

#[test]
fn every_fixture_is_read_whole() {
    for feature in FEATURES {
        let text = fixture(feature, "request.json");
        let others = parse(&text).unwrap().others;
        let expected: &[&str] =
            if feature == "document_citations" { &["messages[0].content[0].citations.enabled"] } else { &[] };
        assert_eq!(others, expected, "{feature}");
    }
}

#[test]
fn what_only_anthropic_has_is_named() {
    for (members, expected) in [
        (json!({"container": "c"}), "container"),
        (json!({"mcp_servers": [{"type": "url"}]}), "mcp_servers"),
        (json!({"context_management": {"edits": [1]}}), "context_management"),
        (json!({"service_tier": "standard_only"}), "service_tier"),
        (json!({"speed": "fast"}), "speed"),
        (json!({"thinking": {"type": "between_tools"}}), "thinking.type (between_tools)"),
        (
            json!({"output_config": {"task_budget": {"type": "tokens", "total": 1}}}),
            "output_config.task_budget",
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools[0].type (web_search_20250305)",
        ),
        (
            json!({"tools": [{"name": "a", "input_schema": {}, "defer_loading": true}]}),
            "tools[0].defer_loading",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "search_result", "source": "s", "title": "t", "content": []}]}]}),
            "messages[0].content[0].type (search_result)",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "context": "c"}]}]}),
            "messages[0].content[0].context",
        ),
    ] {
        let text = with(&members);
        assert_eq!(parse(&text).unwrap().others, [expected], "{members}");
    }
    // What asks for nothing.
    for members in [
        json!({"service_tier": "auto"}),
        json!({"speed": "standard"}),
        json!({"container": null, "mcp_servers": []}),
        json!({"cache_control": {"type": "ephemeral"}}),
        json!({"tools": [{"type": "custom", "name": "a", "input_schema": {}, "allowed_callers": ["direct"], "eager_input_streaming": true}]}),
    ] {
        let text = with(&members);
        assert_eq!(parse(&text).unwrap().others, [""; 0], "{members}");
    }
}

#[test]
fn bad_ones_name_the_field() {
    for (members, param) in [
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"text": "x"}]}]}), "messages[0].content[0].type"),
        (json!({"max_tokens": "x"}), "max_tokens"),
        (json!({"tool_choice": {"type": "some"}}), "tool_choice.type"),
        (json!({"stop_sequences": [7]}), "stop_sequences[0]"),
        (json!({"system": 7}), "system"),
    ] {
        let text = with(&members);
        let error = parse(&text).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{members}");
    }
}

/// As a chat completion's request.
fn as_chat(text: &str) -> Value {
    let origin = origin("openai", "m");
    let to = Destination { origin: &origin, model: &origin.models[0], ask_usage: false };
    let mut unsupported = Unsupported::default();
    let body = Chat.encode(&parse(text).unwrap(), &to, &mut unsupported);
    assert_eq!(unsupported.into_paths(), [""; 0]);
    json(std::str::from_utf8(&body).unwrap())
}

#[test]
fn said_to_an_openai_compatible_origin() {
    let chat = as_chat(&fixture("tool_round_trip", "request.json"));
    let messages = chat["messages"].as_array().unwrap();
    assert_eq!(messages[1]["tool_calls"][0]["id"], "toolu_01A09q90qw90lq917835lq9");
    assert_eq!(messages[1]["content"], "I'll check.");
    assert_eq!((&messages[2]["role"], &messages[2]["content"]), (&json!("tool"), &json!("15 degrees")));
    assert_eq!(chat["tools"][0]["function"]["name"], "get_weather");
    let chat = as_chat(&fixture("forced_tool", "request.json"));
    assert_eq!(chat["tool_choice"]["function"]["name"], "get_weather");
    assert_eq!(chat["parallel_tool_calls"], false);
    let chat = as_chat(&fixture("json_schema", "request.json"));
    assert_eq!(chat["response_format"]["json_schema"]["strict"], true);
    let chat = as_chat(&fixture("reasoning", "request.json"));
    assert_eq!(chat["reasoning_effort"], "low");
    let chat = as_chat(&fixture("stop_sequence", "request.json"));
    assert_eq!(chat["stop"], json!(["4", "END"]));
}

#[test]
fn thoughts_come_back_to_who_signed_them() {
    use crate::dialect::canonical::Signer;
    use crate::dialect::canonical::request::Content;
    let content = json!([
        {"type": "thinking", "thinking": "a", "signature": "google-gemini-v1:S+/="},
        {"type": "thinking", "thinking": "b", "signature": "E"},
        {"type": "thinking", "thinking": "c", "signature": ""},
        {"type": "redacted_thinking", "data": "openai-responses-v1:D"},
        {"type": "tool_use", "id": "call_1__thought__UQ", "name": "f", "input": {"a": [1]}},
    ]);
    let text = with(&json!({"messages": [{"role": "assistant", "content": content}]}));
    let request = parse(&text).unwrap();
    let mut signatures = Vec::new();
    for part in &request.messages[0].parts {
        match &part.content {
            Content::Reasoning(thought) => {
                let signature = thought.signature.as_ref();
                signatures.push(signature.map(|(signer, text)| (*signer, text.to_string())));
            }
            Content::ToolCall(call) => {
                assert_eq!((&*call.id, &*call.arguments), ("call_1", r#"{"a":[1]}"#));
                assert_eq!(call.signature.as_deref(), Some("UQ=="));
            }
            other => panic!("{other:?}"),
        }
    }
    let own = |signer, text: &str| Some((signer, text.to_owned()));
    let expected = [own(Signer::Google, "S+/="), own(Signer::Anthropic, "E"), None, own(Signer::OpenAi, "D")];
    assert_eq!(signatures, expected);
}

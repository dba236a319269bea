use super::*;
use crate::config::Prefill;
use crate::dialect::anthropic::fixtures::{FEATURES, fixture, json, origin};
use crate::dialect::{anthropic, openai};
use serde_json::{Value, json};

fn said(request: &Request<'_>, kind: &str, model: &str) -> (Value, Vec<String>) {
    let origin = origin(kind, model);
    let to = Destination { origin: &origin, model: &origin.models[0], ask_usage: true };
    let mut unsupported = Unsupported::default();
    let body = encode(request, &to, &mut unsupported);
    (json(std::str::from_utf8(&body).unwrap()), unsupported.into_paths())
}

/// A chat completion's request, said to that model.
fn of_chat(chat: &Value, model: &str) -> (Value, Vec<String>) {
    let text = chat.to_string();
    said(&openai::parse::parse(&text).unwrap(), "anthropic", model)
}

const OLD: &str = "claude-haiku-4-5";
const NEW: &str = "claude-opus-4-6";
const NEWEST: &str = "claude-sonnet-5-5";

/// A chat with these members beside its one message, and what they become beside Anthropic's own.
fn members(chat: &Value, model: &str) -> (Value, Vec<String>) {
    let mut chat = chat.clone();
    chat["messages"] = json!([{"role": "user", "content": "hi"}]);
    let (mut body, unsupported) = of_chat(&chat, model);
    let own = body.as_object_mut().unwrap();
    for name in ["model", "messages"] {
        own.remove(name).unwrap();
    }
    (body, unsupported)
}

#[test]
fn members_of_a_chat() {
    for (chat, model, expected, unsupported) in [
        (json!({}), OLD, json!({"max_tokens": 8192}), &[][..]),
        (json!({"max_completion_tokens": 5}), OLD, json!({"max_tokens": 5}), &[]),
        (
            json!({"max_tokens": 5, "temperature": 0.5, "top_k": 7, "stop": ["a", " "], "user": "u"}),
            OLD,
            json!({"max_tokens": 5, "temperature": 0.5, "top_k": 7, "stop_sequences": ["a"], "metadata": {"user_id": "u"}}),
            &["stop"],
        ),
        (json!({"max_tokens": 5, "temperature": 1.5}), OLD, json!({"max_tokens": 5}), &["temperature"]),
        (
            json!({"max_tokens": 5, "temperature": 0.2, "top_p": 0.9}),
            OLD,
            json!({"max_tokens": 5, "temperature": 0.2}),
            &["top_p"],
        ),
        (
            json!({"max_tokens": 5, "temperature": 0.2, "top_p": 0.9}),
            "claude-3-haiku-20240307",
            json!({"max_tokens": 5, "temperature": 0.2, "top_p": 0.9}),
            &[],
        ),
        (json!({"max_tokens": 5, "temperature": 1, "top_p": 1.0}), NEWEST, json!({"max_tokens": 5}), &[]),
        (
            json!({"max_tokens": 5, "temperature": 0.3, "top_p": 0.99, "top_k": 1}),
            NEWEST,
            json!({"max_tokens": 5}),
            &["temperature", "top_p", "top_k"],
        ),
        (
            json!({"max_tokens": 5, "seed": 1, "presence_penalty": 1, "frequency_penalty": 1, "logprobs": true}),
            OLD,
            json!({"max_tokens": 5}),
            &["seed", "presence_penalty", "frequency_penalty", "logprobs"],
        ),
        (
            json!({"reasoning_effort": "medium"}),
            OLD,
            json!({"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 4096}}),
            &[],
        ),
        (
            json!({"reasoning": {"max_tokens": 20000}}),
            OLD,
            json!({"max_tokens": 28192, "thinking": {"type": "enabled", "budget_tokens": 20000}}),
            &[],
        ),
        (
            json!({"reasoning": {"max_tokens": 20000}, "max_tokens": 3000}),
            OLD,
            json!({"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2999}}),
            &[],
        ),
        (
            json!({"reasoning_effort": "low", "max_tokens": 500}),
            OLD,
            json!({"max_tokens": 500}),
            &["reasoning (with so small a limit of tokens)"],
        ),
        (json!({"reasoning_effort": "none"}), OLD, json!({"max_tokens": 8192}), &[]),
        (
            json!({"reasoning_effort": "minimal", "include_reasoning": true}),
            NEW,
            json!({"max_tokens": 8192, "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}),
            &[],
        ),
        (
            json!({"reasoning": {"max_tokens": 2000}}),
            NEW,
            json!({"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
            &[],
        ),
        (
            json!({"reasoning": {"max_tokens": 2000}}),
            NEWEST,
            json!({"max_tokens": 8192, "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
            &[],
        ),
        (
            json!({"reasoning_effort": "high", "temperature": 0.1, "top_p": 0.5, "top_k": 3}),
            OLD,
            json!({"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 6553}}),
            &["temperature", "top_p", "top_k"],
        ),
    ] {
        let (body, left_out) = members(&chat, model);
        assert_eq!(body, expected, "{chat} {model}");
        assert_eq!(left_out, unsupported, "{chat} {model}");
    }
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}})
}

#[test]
fn tools_and_choices() {
    let own = json!([{"name": "a", "description": "d", "input_schema": {"type": "object"}}]);
    for (choice, alone, thinking, model, expected, unsupported) in [
        (Value::Null, false, false, OLD, Value::Null, &[][..]),
        (Value::Null, true, false, OLD, json!({"type": "auto", "disable_parallel_tool_use": true}), &[]),
        (json!("auto"), false, false, OLD, json!({"type": "auto"}), &[]),
        (json!("none"), true, false, OLD, json!({"type": "none"}), &[]),
        (json!("required"), true, false, OLD, json!({"type": "any", "disable_parallel_tool_use": true}), &[]),
        (
            json!({"type": "function", "function": {"name": "a"}}),
            false,
            false,
            OLD,
            json!({"type": "tool", "name": "a"}),
            &[],
        ),
        (json!("required"), false, true, OLD, json!({"type": "auto"}), &["tool_choice"]),
        (json!("required"), false, false, NEWEST, json!({"type": "auto"}), &["tool_choice"]),
    ] {
        let mut chat = json!({"tools": [tool("a")], "tool_choice": choice, "parallel_tool_calls": !alone});
        if thinking {
            chat["reasoning_effort"] = json!("low");
        }
        let (body, left_out) = members(&chat, model);
        assert_eq!(body["tools"], own, "{choice}");
        assert_eq!(body.get("tool_choice").unwrap_or(&Value::Null), &expected, "{choice}");
        assert_eq!(left_out, unsupported, "{choice}");
    }
}

#[test]
fn of_allowed_tools_those_are_sent() {
    let allowed = json!({"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]});
    let choice = json!({"type": "allowed_tools", "allowed_tools": allowed});
    let (body, _) = members(&json!({"tools": [tool("a"), tool("b")], "tool_choice": choice}), OLD);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"][0]["name"], "b");
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
}

#[test]
fn schemas_say_that_they_are_of_an_object() {
    for (parameters, expected) in [
        (Value::Null, json!({"type": "object"})),
        (json!({}), json!({"type": "object"})),
        (json!({"properties": {}}), json!({"type": "object", "properties": {}})),
        (json!({"type": "object", "required": []}), json!({"type": "object", "required": []})),
    ] {
        let function = json!({"name": "a", "parameters": parameters});
        let (body, _) = members(&json!({"tools": [{"type": "function", "function": function}]}), OLD);
        assert_eq!(body["tools"][0], json!({"name": "a", "input_schema": expected}));
    }
}

#[test]
fn structured_output() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema}});
    let chat = json!({"response_format": format});
    // By a tool that has to be called.
    let (body, left_out) = members(&chat, OLD);
    assert_eq!(body["tools"][0]["name"], "answer_as_json");
    assert_eq!(body["tools"][0]["input_schema"], schema);
    let forced = json!({"type": "tool", "name": "answer_as_json", "disable_parallel_tool_use": true});
    assert_eq!((&body["tool_choice"], body.get("output_config"), left_out.len()), (&forced, None, 0));
    // Beside others.
    let (body, _) = members(&json!({"response_format": format, "tools": [tool("a")]}), OLD);
    assert_eq!(body["tools"][1]["name"], "answer_as_json");
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    // With thinking, and where nothing can be forced.
    let thinking = json!({"response_format": format, "reasoning_effort": "low"});
    for (chat, model) in [(&thinking, OLD), (&thinking, NEW), (&chat, NEWEST)] {
        let (body, left_out) = members(chat, model);
        assert_eq!(body["output_config"]["format"], json!({"type": "json_schema", "schema": schema}));
        assert_eq!((body.get("tools"), left_out.len()), (None, 0));
    }
    // Any object.
    let any = json!({"response_format": {"type": "json_object"}});
    let (body, _) = members(&any, OLD);
    assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object"}));
    assert_eq!(members(&any, NEWEST).1, ["response_format"]);
}

#[test]
fn messages_take_turns() {
    let call = json!({"id": "c:1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let chat = json!({"messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "one"},
        {"role": "user", "content": [
            {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/AA"}},
        ]},
        {"role": "assistant", "content": " ", "tool_calls": [call]},
        {"role": "developer", "content": "later"},
        {"role": "tool", "tool_call_id": "c:1", "content": "r"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "four", "reasoning_content": "unsigned"},
        {"role": "user", "content": "five"},
    ]});
    let (body, left_out) = of_chat(&chat, OLD);
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(body["system"], json!([{"type": "text", "text": "s"}, {"type": "text", "text": "later"}]));
    let text = |text: &str| json!({"type": "text", "text": text});
    let tool_use = json!({"type": "tool_use", "id": "c_1", "name": "f", "input": {"a": 1}});
    let result = json!({"type": "tool_result", "tool_use_id": "c_1", "content": [text("r")]});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [
                text("one"),
                {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AA"}},
            ]},
            {"role": "assistant", "content": [tool_use]},
            {"role": "user", "content": [result, text("three")]},
            {"role": "assistant", "content": [text("four")]},
            {"role": "user", "content": [text("five")]},
        ])
    );
    // The calls want their tools, though none can be called.
    assert_eq!(body["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn a_conversation_begins_with_the_user() {
    for messages in [
        json!([{"role": "system", "content": "s"}]),
        json!([{"role": "assistant", "content": "hello"}, {"role": "user", "content": "hi"}]),
    ] {
        let (body, _) = of_chat(&json!({"messages": messages}), OLD);
        assert_eq!(body["messages"][0], json!({"role": "user", "content": OPENING}));
    }
}

#[test]
fn a_thought_that_is_missing_within_a_loop_of_tools_ends_thinking() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}});
    let mut chat = json!({"reasoning_effort": "low", "tools": [tool("f")], "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ]});
    assert_eq!(of_chat(&chat, OLD).0.get("thinking"), None);
    assert_eq!(of_chat(&chat, NEW).0["thinking"], json!({"type": "adaptive"}));
    let detail =
        json!({"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"});
    chat["messages"][1]["reasoning_details"] = json!([detail]);
    let body = of_chat(&chat, OLD).0;
    assert_eq!(body["thinking"]["type"], "enabled");
    let thought = json!({"type": "thinking", "thinking": "t", "signature": "s"});
    assert_eq!(body["messages"][1]["content"][0], thought);
}

/// Other providers' models think without being told to.
#[test]
fn who_is_to_see_thoughts_gets_some() {
    for (shown, expected) in [(true, Some(json!({"type": "enabled", "budget_tokens": 4096}))), (false, None)]
    {
        let (body, _) = members(&json!({"include_reasoning": shown}), OLD);
        assert_eq!(body.get("thinking"), expected.as_ref(), "{shown}");
    }
}

#[test]
fn files_that_it_does_not_take_are_named() {
    for (part, expected) in [
        (json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}), "messages (sound)"),
        (
            json!({"type": "file", "file": {"file_id": "file-1"}}),
            "messages (a file that another provider keeps)",
        ),
        (
            json!({"type": "file", "file": {"filename": "a", "file_data": "data:text/csv;base64,AA"}}),
            "messages (a file other than PDF or plain text)",
        ),
    ] {
        let (_, left_out) = of_chat(&json!({"messages": [{"role": "user", "content": [part]}]}), OLD);
        assert_eq!(left_out, [expected]);
    }
}

#[test]
fn no_more_places_to_cache_than_four() {
    let part = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let content: Vec<_> = (0..6).map(|_| part.clone()).collect();
    let (body, _) = of_chat(&json!({"messages": [{"role": "user", "content": content}]}), OLD);
    assert_eq!(body.to_string().matches(r#""ttl":"1h""#).count(), 4);
}

#[test]
fn an_answer_that_has_begun() {
    let text = json!({"reasoning_effort": "low", "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": "so far \n"}]})
    .to_string();
    let mut request = openai::parse::parse(&text).unwrap();
    request.resume = Some(Prefill::Assistant);
    let (body, left_out) = said(&request, "anthropic", OLD);
    let last = json!({"role": "assistant", "content": [{"type": "text", "text": "so far"}]});
    assert_eq!((&body["messages"][1], body.get("thinking"), left_out.len()), (&last, None, 0));
    // Newer models take none.
    let (body, left_out) = said(&request, "anthropic", NEW);
    assert_eq!(body["messages"][2]["role"], "user");
    assert_eq!(left_out, ["messages (one of the assistant's at the end)"]);
}

#[test]
fn on_vertex_the_model_is_in_the_path() {
    let text = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let (body, _) = said(&openai::parse::parse(text).unwrap(), "vertex", "claude-sonnet-4-5@20250929");
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(body.get("model"), None);
    let origin = origin("vertex", "claude-sonnet-4-5@20250929");
    let to = Destination { origin: &origin, model: &origin.models[0], ask_usage: true };
    use crate::dialect::format::OriginFormat;
    for (stream, method) in [(false, "rawPredict"), (true, "streamRawPredict")] {
        let path = anthropic::Messages.path(&to, stream);
        assert_eq!(path, format!("/publishers/anthropic/models/claude-sonnet-4-5@20250929:{method}"));
    }
}

/// What Anthropic's own words come to by way of the canonical form: the same, in the longer of two forms.
#[test]
fn there_and_back_is_the_same() {
    fn longer(body: &mut Value) {
        let text = |text: &Value| json!([{"type": "text", "text": text}]);
        if body["system"].is_string() {
            body["system"] = text(&body["system"]);
        }
        for message in body["messages"].as_array_mut().unwrap() {
            if message["content"].is_string() {
                message["content"] = text(&message["content"]);
            }
            for block in message["content"].as_array_mut().unwrap() {
                if block["content"].is_string() {
                    block["content"] = text(&block["content"]);
                }
            }
        }
    }
    for feature in
        FEATURES.into_iter().filter(|feature| !matches!(*feature, "document_citations" | "json_schema"))
    {
        let text = fixture(feature, "request.json");
        let request = anthropic::parse::parse(&text).unwrap();
        assert_eq!(request.others, [""; 0], "{feature}");
        let (body, left_out) = said(&request, "anthropic", "claude-sonnet-4-5");
        let mut expected = json(&text);
        longer(&mut expected);
        assert_eq!((body, left_out), (expected, vec![]), "{feature}");
    }
}

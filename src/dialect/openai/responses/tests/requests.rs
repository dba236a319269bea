//! What goes to origins.

use super::*;

fn config() -> Config {
    let origin = |name: &str, kind: &str, url: &str| {
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\n[[origins.models]]\nname = \"there\"\ninput = \"1\"\noutput = \"2\"\n[[routes]]\nmodel = \"{name}\"\norigin = \"{name}\"\norigin_model = \"there\"\n"
        )
    };
    let texts = [
        origin("own", "openai", "https://api.openai.com/v1"),
        origin("chat", "openai", "https://chat.example/v1"),
        "[[keys]]\nname = \"k\"\nsha256_secret = \"K\"\n".to_owned(),
    ];
    authoring::parse(&texts.concat()).unwrap()
}

fn encoded(origin: &str, body: &str) -> Result<Encoded, CannotEncode> {
    let config = config();
    let origin = config.origins.iter().find(|own| own.name == origin).unwrap();
    let request = Responses.parse(&RESPONSES.into(), body.as_bytes()).unwrap();
    let model = &origin.models[0];
    let changes = Changes { origin, model, ask_usage: true, drop_unsupported: false, resume: None };
    request.encode(&changes)
}

fn body_of(body: &str, encoded: Encoded) -> String {
    let bytes = match encoded.body {
        EncodedBody::Edited(edits) | EncodedBody::Form(edits) => edited(body.as_bytes(), edits),
        EncodedBody::Own(bytes) => bytes,
    };
    String::from_utf8(bytes).unwrap()
}

/// The body as an origin of chat completions gets it.
fn as_chat(body: &Value) -> Value {
    let body = body.to_string();
    let encoded = encoded("chat", &body).unwrap();
    assert_eq!(encoded.path, "/chat/completions");
    serde_json::from_str(&body_of(&body, encoded)).unwrap()
}

#[test]
fn what_an_origin_of_this_api_gets() {
    let body = r#"{ "model":"own", "input":[{"type":"item_reference","id":"rs_1"}],"previous_response_id":"resp_1","shiny_new":{"a":[1]}}"#;
    let encoded = encoded("own", body).unwrap();
    assert_eq!(encoded.path, "/responses");
    assert_eq!(body_of(body, encoded), body.replace("\"own\"", "\"there\""));
}

// *Create a model response*: `input` and its items.
#[test]
fn what_an_origin_of_chat_completions_gets() {
    for (body, expected) in [
        (
            json!({"model": "chat", "input": "Hi", "instructions": "Be kind."}),
            json!({"model": "there", "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]}),
        ),
        (
            json!({"model": "chat", "store": true, "max_output_tokens": 5, "temperature": 0.5, "top_p": 0.9,
            "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 2,
            "metadata": {"a": "b"}, "truncation": "disabled", "service_tier": "auto", "user": "u",
            "input": [
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "What?"},
                    {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
                ]},
            ]}),
            json!({"model": "there", "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": [
                        {"type": "text", "text": "What?"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
                    ]}],
                "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "logprobs": true, "top_logprobs": 2, "user": "u"}),
        ),
        (
            json!({"model": "chat", "parallel_tool_calls": false,
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
            "tool_choice": {"type": "function", "name": "f"},
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "medium"},
            "input": [
                {"role": "user", "content": "Go"},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "x"},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "I go.", "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}", "status": "completed"},
                {"type": "function_call", "call_id": "call_2", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "one"},
                {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "two"}]},
            ]}),
            json!({"model": "there", "messages": [
                    {"role": "user", "content": "Go"},
                    {"role": "assistant", "content": "I go.", "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                        {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "one"},
                    {"role": "tool", "tool_call_id": "call_2", "content": "two"}],
                "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
                "reasoning_effort": "low"}),
        ),
    ] {
        assert_eq!(as_chat(&body), expected, "{body}");
    }
}

#[test]
fn what_openai_alone_keeps_is_refused_by_name() {
    for (member, value, param) in [
        ("previous_response_id", json!("resp_1"), "previous_response_id"),
        ("conversation", json!({"id": "conv_1"}), "conversation"),
        ("prompt", json!({"id": "pmpt_1"}), "prompt"),
        ("input", json!([{"type": "item_reference", "id": "msg_1"}]), "input[0].id"),
        ("input", json!([{"id": "msg_1", "type": "item_reference"}]), "input[0].id"),
    ] {
        let mut body = json!({"model": "chat", "input": "Hi"});
        body[member] = value;
        let Err(CannotEncode::Invalid(error)) = encoded("chat", &body.to_string()) else { panic!("{body}") };
        assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{body}");
    }
    let body = br#"{"model":"own","input":"Hi","background":true}"#;
    let error = Responses.parse(&RESPONSES.into(), body).err().unwrap();
    assert_eq!(error.param.as_deref(), Some("background"));
}

#[test]
fn what_others_have_no_words_for_is_named() {
    for (member, value, path) in [
        ("tools", json!([{"type": "web_search"}]), "tools[0].type (web_search)"),
        ("include", json!(["file_search_call.results"]), "include[0] (file_search_call.results)"),
        (
            "input",
            json!([{"type": "computer_call_output", "call_id": "c"}]),
            "input[0].type (computer_call_output)",
        ),
        ("truncation", json!("auto"), "truncation"),
        ("text", json!({"verbosity": "low"}), "text.verbosity"),
        ("shiny_new", json!(1), "shiny_new"),
    ] {
        let mut body = json!({"model": "chat", "input": [{"role": "user", "content": "Hi"}]});
        body[member] = value;
        assert_eq!(encoded("chat", &body.to_string()), Err(CannotEncode::Unsupported(vec![path.to_owned()])));
    }
}

#[test]
fn the_error_names_the_place() {
    for (input, param) in [
        (json!([]), "input"),
        (json!(1), "input"),
        (json!([{"role": "user"}]), "input[0].content"),
        (json!([{"role": "tool", "content": "x"}]), "input[0].role"),
        (json!([{"role": "user", "content": [{"type": "text_in"}]}]), "input[0].content[0].type"),
        (json!([{"role": "user", "content": [{"type": "input_image"}]}]), "input[0].content[0].image_url"),
        (json!([{"type": "function_call", "name": "f"}]), "input[0].call_id"),
    ] {
        let body = json!({"model": "chat", "input": input});
        let Err(CannotEncode::Invalid(error)) = encoded("chat", &body.to_string()) else { panic!("{body}") };
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn what_other_providers_left_in_a_conversation_does_not_go_to_openai() {
    let input = json!([
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_01m7yzmhg0w8gagebv3q6tyvkr_0", "summary": [], "encrypted_content": "anthropic-claude-v1:c2ln"},
        {"type": "reasoning", "id": "rs_01m7yzmhg0w8gagebv3q6tyvkr_0", "summary": [], "encrypted_content": null},
        {"type": "reasoning", "id": "rs_0123456789012345678901234567890123456789", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "call_1__thought__QUJD", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1__thought__QUJD", "output": "x"},
    ]);
    let body = json!({"model": "own", "input": input}).to_string();
    let sent: Value = serde_json::from_str(&body_of(&body, encoded("own", &body).unwrap())).unwrap();
    let kept = json!([input[0], input[3],
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
    ]);
    assert_eq!(sent["input"], kept);
}

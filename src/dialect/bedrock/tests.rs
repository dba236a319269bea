//! Requests as Claude gets them on Bedrock.

use super::*;
use crate::dialect::openai;
use serde_json::{Value, json};

fn said(chat: &Value) -> (Value, Vec<String>) {
    let text = "[[origins]]\nname = \"o\"\nkind = \"bedrock\"\nurl = \"https://o.example\"\nsecret = \"O\"\n\
                [[origins.models]]\nname = \"us.anthropic.claude-sonnet-4-5-20250929-v1:0\"\ninput = \"1\"\noutput = \"1\"\n";
    let origin = crate::config::authoring::parse(text).unwrap().origins.remove(0);
    let to = Destination { origin: &origin, model: &origin.models[0], ask_usage: true };
    let chat = chat.to_string();
    let mut unsupported = Unsupported::default();
    let body = Converse.encode(&openai::parse::parse(&chat).unwrap(), &to, &mut unsupported);
    (serde_json::from_slice(&body).unwrap(), unsupported.into_paths())
}

/// User Guide, "Extended thinking": the limit has to be above the budget, and within a loop of tools the thought that led to
/// the call has to stand before it.
#[test]
fn thoughts_are_as_at_anthropic() {
    let fields = "additionalModelRequestFields";
    let user = json!({"role": "user", "content": "hi"});
    let (body, _) = said(&json!({"messages": [user], "reasoning": {"enabled": true}}));
    assert_eq!(
        body[fields],
        json!({"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        "no model of adaptive thinking"
    );
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 8192}));
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let mut chat = json!({
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [user, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "r"}],
    });
    assert_eq!(said(&chat).0.get(fields), None);
    chat["messages"][1]["reasoning_details"] =
        json!([{"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}]);
    assert_eq!(said(&chat).0[fields]["thinking"]["type"], "enabled");
}

#[test]
fn one_call_that_is_forced_needs_no_word_against_several() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    for (tools, choice, unsupported) in [
        (json!([tool("f")]), json!("auto"), &["parallel_tool_calls"][..]),
        (json!([tool("f")]), json!("required"), &[]),
        (json!([tool("f"), tool("g")]), json!("required"), &["parallel_tool_calls"]),
        (json!([tool("f"), tool("g")]), json!({"type": "function", "function": {"name": "g"}}), &[]),
    ] {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let chat = json!({"messages": messages, "tools": tools, "tool_choice": choice, "parallel_tool_calls": false});
        assert_eq!(said(&chat).1, unsupported, "{chat}");
    }
}

/// What LiteLLM found in an answer beside OpenAI's members it sends back.
#[test]
fn what_litellm_keeps_is_passed_over() {
    let own = json!({"reasoning_details": [{"type": "reasoning.text"}]});
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "provider_specific_fields": own});
    let assistant =
        json!({"role": "assistant", "content": "a", "tool_calls": [call], "provider_specific_fields": own});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "r"});
    let user = json!({"role": "user", "content": "hi"});
    let tool = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(said(&json!({"messages": [user, assistant, result], "tools": [tool]})).1, [""; 0]);
}

/// API reference, `ContentBlock`, `ToolUseBlock`: texts are not blank, ids are of `[a-zA-Z0-9_-]+`, and blocks of tools want
/// `toolConfig`.
#[test]
fn a_conversation_is_one_that_converse_takes() {
    let call = json!({"id": "a:b", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let chat = json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "  "},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": ""},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a:b", "content": ""},
        {"role": "assistant", "content": "so \n"},
    ]});
    let (body, unsupported) = said(&chat);
    assert_eq!(unsupported, [""; 0]);
    assert_eq!(body["system"], json!([{"text": "be brief"}]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a_b", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "a_b", "content": [{"text": "."}]}}]},
            {"role": "assistant", "content": [{"text": "so"}]},
        ])
    );
    let tool = json!({"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}});
    assert_eq!(body["toolConfig"], json!({"tools": [tool]}));
}

//! What chat completions have no member for.

use super::*;
use serde_json::{Value, json};

fn said(request: &Request<'_>) -> (Value, Vec<String>) {
    let text = "[[origins]]\nname = \"o\"\nkind = \"openai\"\nurl = \"https://o.example\"\nsecret = \"O\"\n\
                [[origins.models]]\nname = \"m\"\ninput = \"1\"\noutput = \"1\"\n";
    let origin = crate::config::authoring::parse(text).unwrap().origins.remove(0);
    let to = Destination { origin: &origin, model: &origin.models[0], ask_usage: true };
    let mut unsupported = Unsupported::default();
    let body = encode(request, &to, &mut unsupported);
    (serde_json::from_slice(&body).unwrap(), unsupported.into_paths())
}

#[test]
fn a_failed_tool_says_so_in_its_text() {
    let result = ToolResult {
        id: "c".into(),
        name: "".into(),
        parts: vec![Content::Text("no such file".into()).into()],
        is_error: true,
    };
    let message = Message { role: Role::User, parts: vec![Content::ToolResult(result).into()] };
    let (body, unsupported) = said(&Request { messages: vec![message], ..Request::default() });
    assert_eq!(unsupported, [""; 0]);
    let told = json!({"role": "tool", "tool_call_id": "c", "content": "Error: no such file"});
    assert_eq!(body["messages"], json!([told]));
}

#[test]
fn an_image_of_an_answer_is_not_dropped_silently() {
    let image = Media {
        kind: MediaKind::Image,
        source: Source::Base64("AAAA".into()),
        media_type: "image/png".into(),
        name: "".into(),
        detail: None,
    };
    let message = Message { role: Role::Assistant, parts: vec![Content::Media(image).into()] };
    let (_, unsupported) = said(&Request { messages: vec![message], ..Request::default() });
    assert_eq!(unsupported, ["messages (an image or a file of the assistant's)"]);
}

//! Chat templates against Python's Jinja, the checks of messages, and templates that mean harm.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod gguf_writer;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gguf_writer::Writer;
use moe_server::model::{ChatTemplate, ModelError, TemplateError};
use serde_json::{Value, json};

fn load(template: Option<&str>) -> Result<ChatTemplate, ModelError> {
    let file = Writer::header(0, 5 + u64::from(template.is_some()))
        .text("general.architecture", "llama4")
        .texts("tokenizer.ggml.tokens", &["a", "<|begin_of_text|>", "<|eot|>", "<|end_of_text|>"])
        .numbers("tokenizer.ggml.token_type", &[1, 3, 3, 3])
        .key("tokenizer.ggml.bos_token_id", 4, &1_u32.to_le_bytes())
        .key("tokenizer.ggml.eos_token_id", 4, &3_u32.to_le_bytes());
    let file = match template {
        Some(template) => file.text("tokenizer.chat_template", template),
        None => file,
    };
    // 2025-04-05 06:07:08
    let clock: fn() -> SystemTime = || UNIX_EPOCH + Duration::from_secs(1_743_833_228);
    Ok(ChatTemplate::from_gguf(&file.open().unwrap())?.with_clock(clock))
}

fn render(template: &str, messages: &Value) -> Result<String, TemplateError> {
    Ok(load(Some(template)).unwrap().render(messages, None, true)?.text().into_owned())
}

fn hi() -> Value {
    json!([{"role": "user", "content": "Hi"}])
}

/// With `TEMPLATE_GOLDENS` in the environment, on what `template_goldens.py --template` made with another template.
#[test]
fn agrees_with_jinja() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/template_goldens.json").to_owned();
    let goldens = std::fs::read(std::env::var("TEMPLATE_GOLDENS").unwrap_or(tests)).unwrap();
    let goldens: Value = serde_json::from_slice(&goldens).unwrap();
    let chats = goldens["chats"].as_array().unwrap();
    assert!(chats.len() >= 20);
    for chat in chats {
        let name = &chat["name"];
        let template = load(goldens["templates"][chat["template"].as_str().unwrap()].as_str()).unwrap();
        let tools = Some(&chat["tools"]).filter(|tools| !tools.is_null());
        let rendered = template.render(&chat["messages"], tools, chat["add_generation_prompt"] == true);
        match (rendered, chat.get("refused")) {
            (Ok(prompt), None) => assert_eq!(prompt.text(), chat["expected"].as_str().unwrap(), "{name}"),
            (Err(TemplateError::Refused(why)), Some(refused)) => {
                assert_eq!(why, refused.as_str().unwrap(), "{name}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

#[test]
fn the_built_in_template_stands_in() {
    let built_in = load(None).unwrap().render(&hi(), None, true).unwrap();
    assert_eq!(
        built_in.text(),
        "<|begin_of_text|><|header_start|>user<|header_end|>\n\nHi<|eot|><|header_start|>assistant<|header_end|>\n\n"
    );
}

#[test]
fn messages_take_the_form_that_templates_expect() {
    let dump = |messages: Value| render("{{ messages | tojson }}", &messages).unwrap();
    assert_eq!(
        dump(
            json!([{"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}], "x": 1}])
        ),
        r#"[{"role": "user", "content": "a b", "x": 1}]"#
    );
    assert_eq!(dump(json!([{"role": "developer", "content": ""}])), r#"[{"role": "system", "content": ""}]"#);
    let called = |arguments: &str| {
        json!([{"role": "assistant", "content": null, "tool_calls": [
            {"function": {"name": "f", "arguments": arguments}}
        ]}])
    };
    assert_eq!(
        dump(called(r#"{"b": 1, "a": [null]}"#)),
        r#"[{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"b": 1, "a": [null]}}}]}]"#
    );
    assert!(dump(called("{broken")).contains(r#""arguments": "{broken""#));
    for calls in [json!(null), json!([])] {
        let message = json!([{"role": "assistant", "content": "x", "tool_calls": calls}]);
        assert_eq!(dump(message), r#"[{"role": "assistant", "content": "x"}]"#);
    }
    let no_tools = load(Some("{{ tools is none }}")).unwrap().render(&hi(), Some(&json!([])), true).unwrap();
    assert_eq!(no_tools.text(), "True");
}

#[test]
fn faults_of_the_request_name_the_field() {
    for (messages, expected) in [
        (json!("Hi"), "messages must be an array and is a string"),
        (json!([]), "messages is empty; send at least one message"),
        (json!([{"role": "user", "content": "a"}, 1]), "messages[1] must be an object and is a number"),
        (json!([{"content": "a"}]), "messages[0].role is missing"),
        (
            json!([{"role": ["user"], "content": "a"}]),
            "messages[0].role must be a role's name and is an array",
        ),
        (json!([{"role": "user"}]), "messages[0].content is missing"),
        (json!([{"role": "user", "content": null}]), "messages[0].content is missing"),
        (
            json!([{"role": "user", "content": {"text": "a"}}]),
            "messages[0].content must be a string or an array of text parts and is an object",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}]),
            r#"messages[0].content[1].type is "image_url"; this model takes only parts of type "text""#,
        ),
        (
            json!([{"role": "user", "content": [{"type": "text"}]}]),
            "messages[0].content[0].text is missing or not a string",
        ),
        (
            json!([{"role": "user", "content": ["a"]}]),
            r#"messages[0].content[0] is not a part with a "type""#,
        ),
        (
            json!([{"role": "assistant", "tool_calls": "f()"}]),
            "messages[0].tool_calls must be an array and is a string",
        ),
        (
            json!([{"role": "assistant", "tool_calls": [1]}]),
            "messages[0].tool_calls[0] must be an object and is a number",
        ),
        (json!([{"role": "assistant", "tool_calls": [{}]}]), "messages[0].tool_calls[0].function is missing"),
        (
            json!([{"role": "assistant", "tool_calls": [{"function": "f"}]}]),
            "messages[0].tool_calls[0].function.name is missing or not a string",
        ),
    ] {
        let error = render("x", &messages).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_of_request());
    }
    for (tools, expected) in [
        (json!({}), "tools must be an array and is an object"),
        (json!([{}, "f"]), "tools[1] must be an object and is a string"),
    ] {
        let error = load(None).unwrap().render(&hi(), Some(&tools), true).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let many = json!(vec![json!({"role": "user", "content": ""}); 400_000]);
    let error =
        render("{% for message in messages %}{{ message.role }}{{ message.content }}{% endfor %}", &many);
    assert!(matches!(error, Err(TemplateError::TooLong)));
    let error = render("{{ raise_exception('roles must alternate') }}", &hi()).unwrap_err();
    assert_eq!(error, TemplateError::Refused("roles must alternate".to_owned()));
    assert!(error.is_of_request());
}

#[test]
fn broken_templates_are_the_models_fault() {
    for source in
        ["{% if %}", "{{", "{% for x in y %}", "{{ x | nosuchfilter }}", "{{ 1 | tojson(sort_keys=true) }}"]
    {
        let error =
            load(Some(source)).map(|template| template.render(&hi(), None, true).unwrap_err().to_string());
        let text = error.unwrap_or_else(|error| error.to_string());
        assert!(text.contains("the model's chat template does not work: "), "{source}: {text}");
    }
    let error = render("{{ messages[0].nothing.more }}", &hi()).unwrap_err();
    assert!(!error.is_of_request(), "{error}");
}

/// A template is data: it may neither run for ever, nor exhaust the stack, nor read files.
#[test]
fn hostile_templates_end() {
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let blocks = "{% if true %}".repeat(100_000);
    for source in [
        "{% for a in range(10000) %}{% for b in range(10000) %}{{ a }}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'x' * 1000000000000 }}",
        "{{ range(1000000000000) | list }}",
        "{{ 'x'.__class__ }}{{ messages.__init__.__globals__.os }}",
        "{% include 'Cargo.toml' %}",
        "{% import 'Cargo.toml' as x %}",
        &parens,
        &blocks,
    ] {
        let error = load(Some(source)).and_then(|template| Ok(template.render(&hi(), None, true)?));
        let shown: String = source.chars().take(80).collect();
        let error = error.expect_err(&shown).to_string();
        assert!(error.contains("does not work") || error.contains("too many steps"), "{shown}: {error}");
    }
}

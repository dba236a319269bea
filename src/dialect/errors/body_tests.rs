use super::*;

/// Message, codes and types, joined.
fn told(body: &str) -> Option<(String, String)> {
    let ErrorBody { message, codes, types, .. } = read(body.as_bytes(), false)?;
    Some((message.unwrap_or_default(), [codes, types].concat().join(" ")))
}

#[test]
fn shapes() {
    for (source, body, message, names) in [
        (
            "OpenAI",
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"c"}}"#,
            "no",
            "c invalid_request_error",
        ),
        (
            "SGLang, vLLM up to 0.9: litellm#10793",
            r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
            "too long",
            "400 badrequesterror",
        ),
        (
            "Gemini's OpenAI endpoint",
            r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#,
            "bad",
            "400 invalid_argument",
        ),
        (
            "TGI",
            r#"{"error":"Input validation error","error_type":"validation"}"#,
            "Input validation error",
            "validation",
        ),
        (
            "Ollama's own API",
            r#"{"error":"model 'x' not found, try pulling it first"}"#,
            "model 'x' not found, try pulling it first",
            "",
        ),
        ("FastAPI", r#"{"detail":"Not authenticated"}"#, "Not authenticated", ""),
        (
            "watsonx: spring-ai-watsonx-ai#19",
            r#"{"errors":[{"code":"invalid_input_argument","message":"Invalid input"}],"trace":"t","status_code":400}"#,
            "Invalid input",
            "invalid_input_argument",
        ),
        // Siblings.
        (
            "xAI: griptape-nodes-engine#1079",
            r#"{"code":"The caller does not have permission","error":"Your newly created teams doesn't have any credits yet."}"#,
            "Your newly created teams doesn't have any credits yet.",
            "the caller does not have permission",
        ),
        (
            "Mistral's list within message: avante.nvim#2347",
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
            "body.stream_options.include_usage: Extra inputs are not permitted",
            "invalid_request_error extra_forbidden",
        ),
        (
            "Mistral's twofold list: php-mistral#76",
            r#"{"object":"Error","detail":[{"type":"extra_forbidden","loc":["body","tools"],"msg":"Extra inputs are not permitted","input":[]}],"message":[{"type":"extra_forbidden","loc":["body","tools"],"msg":"Extra inputs are not permitted","input":[]}],"type":"invalid_request_error","code":3001}"#,
            "body.tools: Extra inputs are not permitted",
            "3001 invalid_request_error extra_forbidden extra_forbidden",
        ),
        (
            "FastAPI's list: openclaude#739",
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted","input":false},{"type":"missing","loc":["body","messages",0],"msg":"Field required"}]}"#,
            "body.store: Extra inputs are not permitted; body.messages.0: Field required",
            "extra_forbidden missing",
        ),
        (
            "NVIDIA NIM, RFC 9457: 9router#2527",
            r#"{"status":400,"title":"Bad Request","detail":"Function id 'x': DEGRADED function cannot be invoked"}"#,
            "Function id 'x': DEGRADED function cannot be invoked",
            "400",
        ),
        (
            "Fireworks: warp#15107",
            r#"{"message":"Model not found, inaccessible, and/or not deployed","param":"model","code":"NOT_FOUND","type":"error"}"#,
            "Model not found, inaccessible, and/or not deployed",
            "not_found error",
        ),
        (
            "Anthropic",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
            "Overloaded",
            "overloaded_error error",
        ),
        (
            "Gemini within text: continue#10530",
            r#"{"error":{"message":"{\n  \"error\": {\n    \"code\": 400,\n    \"message\": \"API key not valid.\",\n    \"status\": \"INVALID_ARGUMENT\",\n    \"details\": [{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\": \"API_KEY_INVALID\"}]\n  }\n}\n","code":400,"status":"Bad Request"}}"#,
            "API key not valid.",
            "400 bad request api_key_invalid 400 invalid_argument",
        ),
        (
            "OpenRouter's metadata: opencode#24462",
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"suspended due to insufficient balance\",\"type\":\"exceeded_current_quota_error\"}}","provider_name":"x"}}}"#,
            "suspended due to insufficient balance",
            "429 exceeded_current_quota_error",
        ),
        (
            "Azure's innererror: compl-ai#20",
            r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{}}}}"#,
            "filtered",
            "responsibleaipolicyviolation content_filter 400",
        ),
        (
            "AWS",
            r#"{"__type":"com.amazon.coral.service#ThrottlingException","Message":"Too many tokens"}"#,
            "Too many tokens",
            "throttlingexception",
        ),
        (
            "Kiro: 9router#1187",
            r#"{"message":"Invalid model.","reason":"INVALID_MODEL_ID"}"#,
            "Invalid model.",
            "invalid_model_id",
        ),
        (
            "NIM through a proxy: picoclaw#1019",
            r#"{"error":"[{'type': 'extra_forbidden', 'loc': ('body', 'prompt_cache_key')}]"}"#,
            "[{'type': 'extra_forbidden', 'loc': ('body', 'prompt_cache_key')}]",
            "",
        ),
    ] {
        assert_eq!(told(body), Some((message.to_owned(), names.to_owned())), "{source}: {body}");
    }
}

#[test]
fn what_is_none() {
    for body in
        ["", "oops", "<html>", "{}", r#"{"a":1}"#, "[]", "[1]", "7", r#"{"error":null}"#, r#"{"error":{}}"#]
    {
        assert_eq!(told(body), None, "{body}");
    }
}

#[test]
fn under_200() {
    for (body, expected) in [
        (r#"{"error":"text"}"#, true),
        (r#"{"error":{"message":"no"}}"#, true),
        (r#"{"choices":[],"error":{"message":"no"}}"#, true),
        (r#"{"object":"error","message":"no","code":500}"#, true),
        (r#"{"detail":"no"}"#, true),
        (r#"{"errors":["no"]}"#, true),
        (r#"[{"error":{"message":"no"}}]"#, true),
        (r#"{"choices":[],"message":"fine"}"#, false),
        (r#"{"usage":{},"message":"fine"}"#, false),
        // OpenRouter: genkit#6259.
        (r#"{"choices":[{"index":0,"finish_reason":"error","error":{"code":502,"message":"no"}}]}"#, true),
        (
            r#"{"choices":[{"index":0,"message":{"content":"an \"error\" and \"error\":1"},"error":null}]}"#,
            false,
        ),
        (r#"{"choices":[],"error":null}"#, false),
        (r#"{"choices":[],"error":{}}"#, false),
        (r#"{"choices":[],"error":""}"#, false),
        (r#"{"message":{"role":"assistant","content":"Ollama's own API"}}"#, false),
        (r#"{"type":"ping"}"#, false),
        ("[1,2]", false),
    ] {
        assert_eq!(read(body.as_bytes(), true).is_some(), expected, "{body}");
    }
}

#[test]
fn what_openai_s_clients_can_read() {
    for (body, expected) in [
        (r#"{"error":{"message":"no"}}"#, true),
        (r#"{"error":{"code":429,"message":"no","status":"X"}}"#, true),
        (r#"{"error":{"message":""}}"#, false),
        (r#"{"error":{"message":{"detail":[{"loc":["a"],"msg":"b"}]}}}"#, false),
        (r#"{"error":"no"}"#, false),
        (r#"[{"error":{"message":"no"}}]"#, false),
        (r#"{"message":"no"}"#, false),
    ] {
        assert_eq!(read(body.as_bytes(), false).is_some_and(|error| error.readable), expected, "{body}");
    }
}

#[test]
fn the_field_it_is_about_and_the_status_it_names() {
    let error = read(br#"{"error":{"message":"no","param":"tools","code":"502"}}"#, false).unwrap();
    assert_eq!((error.param.as_deref(), error.status), (Some("tools"), Some(502)));
}

#[test]
fn nothing_is_followed_for_ever() {
    let mut body = r#"{"message":"deep"}"#.to_owned();
    for _ in 0..50 {
        body = format!(r#"{{"error":{body}}}"#);
    }
    assert!(read(body.as_bytes(), false).is_none());
    let huge = format!(r#"{{"errors":[{}1]}}"#, "1,".repeat(LARGEST));
    assert!(read(huge.as_bytes(), false).is_none());
    assert!(read(huge.as_bytes(), true).is_some_and(|error| error.message.is_none()));
    let wide = format!("[{}]", [r#"{"message":"x"}"#; 1000].join(","));
    assert_eq!(read(wide.as_bytes(), false).unwrap().texts.len(), MOST_DETAILS);
}

//! What is asked.

use super::*;

fn operation(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Result<Operation, u16>> {
    let mut head = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    let found = registry::endpoint(&head.body(()).unwrap(), path)?;
    Some(found.map(|own| own.operation).map_err(|(_, error)| error.status))
}

#[test]
fn headers_say_what_is_asked() {
    let call = |endpoint, model: Option<&str>| {
        Some(Ok(Operation::Generate(Call { endpoint, model: model.map(str::to_owned) })))
    };
    let name = ("ai-language-model-id", "a/b");
    let version = |own| ("ai-language-model-specification-version", own);
    let stream = ("ai-language-model-streaming", "true");
    for (method, path, headers, expected) in [
        (
            "POST",
            "/v4/ai/language-model",
            &[name, version("4"), stream][..],
            call("language-model 4 stream", Some("a/b")),
        ),
        ("POST", "/v4/ai/language-model", &[name, version("2")], call("language-model 2", Some("a/b"))),
        ("POST", "/v1/ai/language-model", &[name, version("3")], call("language-model 3", Some("a/b"))),
        ("POST", "/v1/ai/language-model", &[name], call("language-model 2", Some("a/b"))),
        ("POST", "/v3/ai/language-model", &[stream], call("language-model 3 stream", None)),
        ("POST", "/v4/ai/embedding-model", &[("ai-model-id", "e")], call(EMBEDDING, Some("e"))),
        ("POST", "/v4/ai/image-model", &[], call(IMAGE, None)),
        ("POST", "/v3/ai/reranking-model", &[("ai-model-id", "r")], call(RERANKING, Some("r"))),
        ("GET", "/v4/ai/config", &[], Some(Ok(Operation::ListModels))),
        ("POST", "/v4/ai/config", &[], Some(Err(405))),
        ("GET", "/v4/ai/language-model", &[name], Some(Err(405))),
        ("POST", "/v4/ai/speech-model", &[], Some(Err(404))),
        ("POST", "/v4/ai", &[], Some(Err(404))),
        ("POST", "/v4/aim", &[], None),
        ("POST", "/v2/ai/language-model", &[name], None),
    ] {
        assert_eq!(operation(method, path, headers), expected, "{method} {path}");
    }
}

#[test]
fn without_its_header_there_is_no_model() {
    for endpoint in [endpoint(2, true), EMBEDDING, RERANKING, IMAGE] {
        let error = V4.parse(&endpoint.into(), br#"{"prompt":[],"values":[]}"#).err().unwrap();
        assert_eq!((error.status, error.code), (400, "missing_header"));
    }
}

/// The same conversation as ai 7 and as ai 5 write it.
#[test]
fn a_conversation_is_said_whole() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let prompt = |file: Value, result: Value| {
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [text("look"), file]},
            {"role": "assistant", "content": [
                {"type": "reasoning", "text": "hm", "providerOptions": {"anthropic": {"signature": "c2ln"}}},
                {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Rome"}},
            ]},
            {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "weather", "output": result}]},
        ])
    };
    let body = |prompt: Value| {
        json!({
            "prompt": prompt, "maxOutputTokens": 2000, "temperature": 0.5, "stopSequences": ["x"],
            "tools": [{"type": "function", "name": "weather", "description": "d", "inputSchema": {"type": "object"}, "inputExamples": [{"input": {}}]}],
            "toolChoice": {"type": "auto"}, "headers": {"user-agent": "ai/7"}, "includeRawChunks": false,
        })
    };
    let tagged = json!({"type": "file", "mediaType": "image/png", "data": {"type": "data", "data": "QUJD"}});
    let plain = json!({"type": "file", "mediaType": "image/*", "data": "data:image/png;base64,QUJD"});
    let expected = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [text("look"), {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "{\"degrees\":20}"},
    ]);
    let result = json!({"type": "json", "value": {"degrees": 20}});
    for file in [tagged.clone(), plain] {
        let (seen, dropped) = sent("far", &body(prompt(file, result.clone())));
        assert_eq!(dropped, Vec::<String>::new());
        let mut messages = seen["messages"].clone();
        if let Some(own) = messages[2].as_object_mut() {
            own.entry("content").or_insert(Value::Null);
        }
        assert_eq!(messages, expected);
        assert_eq!(seen["max_completion_tokens"], 2000);
        assert_eq!(seen["tools"][0]["function"]["name"], "weather");
        assert_eq!(seen["stop"], json!(["x"]));
    }
    // The thought comes back to the provider that signed it, and a result's error and picture are told.
    let result = json!({"type": "content", "value": [text("see"), {"type": "media", "mediaType": "image/png", "data": "QUJD"}]});
    let (seen, _) = sent("claude", &body(prompt(tagged, result)));
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"});
    assert_eq!(seen["messages"][1]["content"][0], thought);
    let source = json!({"type": "base64", "media_type": "image/png", "data": "QUJD"});
    assert_eq!(seen["messages"][2]["content"][0]["content"][1], json!({"type": "image", "source": source}));
}

#[test]
fn results_of_tools_in_all_their_forms() {
    for (output, content, is_error) in [
        (json!({"type": "text", "value": "t"}), "t", false),
        (json!({"type": "json", "value": [1]}), "[1]", false),
        (json!({"type": "error-text", "value": "bad"}), "bad", true),
        (json!({"type": "error-json", "value": {"a": 1}}), "{\"a\":1}", true),
        (json!({"type": "execution-denied", "reason": "no"}), "no", true),
        (json!({"type": "execution-denied"}), "the call was not allowed", true),
    ] {
        let body = json!({"prompt": [
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c", "toolName": "t", "input": {}}]},
            {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c", "toolName": "t", "output": output}]},
        ]});
        let (seen, _) = sent("claude", &body);
        let told = &seen["messages"][2]["content"][0];
        let text = told["content"].as_str().or(told["content"][0]["text"].as_str());
        assert_eq!(text, Some(content), "{seen}");
        assert_eq!(told["is_error"].as_bool().unwrap_or(false), is_error, "{seen}");
    }
}

fn asked(more: &Value) -> Value {
    let mut body = json!({"prompt": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn options_of_the_provider_that_serves_it() {
    let options = json!({"providerOptions": {
        "openai": {"reasoningEffort": "low", "logitBias": {"1": 2}, "parallelToolCalls": false},
        "anthropic": {"thinking": {"type": "enabled", "budgetTokens": 1024}, "betas": ["x"]},
        "vllm": {"chat_template_kwargs": {"a": 1}, "temperature": 9},
        "google": {"thinkingConfig": {"thinkingBudget": 0}},
    }, "temperature": 0.5, "maxOutputTokens": 9000});
    let (seen, dropped) = sent("far", &asked(&options));
    assert_eq!((&seen["reasoning_effort"], &seen["logit_bias"]), (&json!("low"), &json!({"1": 2})));
    assert_eq!(dropped, Vec::<String>::new());
    let (seen, dropped) = sent("claude", &asked(&options));
    assert_eq!(seen["thinking"]["budget_tokens"], 1024);
    assert!(dropped.contains(&"providerOptions.anthropic.betas".to_owned()), "{dropped:?}");
    assert!(seen.get("logit_bias").is_none());
    let (seen, _) = sent("vllm", &asked(&options));
    assert_eq!((&seen["chat_template_kwargs"], &seen["temperature"]), (&json!({"a": 1}), &json!(0.5)));
    let (seen, _) = sent("google", &asked(&options));
    assert_eq!(seen["generationConfig"]["thinkingConfig"]["thinkingBudget"], 0);
    // What an origin is not sent by its configuration it does not get this way either.
    let body = asked(&json!({"providerOptions": {"openai": {"serviceTier": "priority"}}})).to_string();
    assert_eq!(
        encoded("far", endpoint(2, false), &body),
        Err(CannotEncode::Field("service_tier".to_owned()))
    );
}

#[test]
fn marks_of_caches_stand_where_they_stood() {
    let mark = json!({"anthropic": {"cacheControl": {"type": "ephemeral", "ttl": "1h"}}});
    let body = json!({"prompt": [
        {"role": "system", "content": "long", "providerOptions": mark},
        {"role": "user", "content": [{"type": "text", "text": "a", "providerOptions": mark}, {"type": "text", "text": "b"}]},
    ]});
    let (seen, _) = sent("claude", &body);
    let cache = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(seen["system"][0]["cache_control"], cache);
    assert_eq!(seen["messages"][0]["content"][0]["cache_control"], cache);
    assert!(seen["messages"][0]["content"][1].get("cache_control").is_none());
}

#[test]
fn settings_that_an_origin_lacks_are_left_out_and_parts_of_the_conversation_are_not() {
    let (seen, dropped) = sent("far", &asked(&json!({"topK": 5, "toolChoice": {"type": "auto"}})));
    assert_eq!((seen.get("top_k"), dropped), (None, vec!["top_k".to_owned()]));
    assert!(seen.get("tool_choice").is_none());
    let file = json!({"type": "file", "mediaType": "application/pdf", "data": {"type": "reference", "reference": {"openai": "file-1"}}});
    let body = json!({"prompt": [{"role": "user", "content": [file]}]}).to_string();
    let refused = encoded("far", endpoint(2, false), &body);
    assert_eq!(
        refused,
        Err(CannotEncode::Unsupported(vec!["prompt[0].content[0].data.reference".to_owned()]))
    );
}

#[test]
fn objects_are_asked_for_by_their_schema() {
    let schema = json!({"type": "object", "properties": {}});
    let (seen, _) =
        sent("far", &asked(&json!({"responseFormat": {"type": "json", "schema": schema, "name": "r"}})));
    assert_eq!(seen["response_format"]["json_schema"]["schema"], schema);
    let (seen, _) = sent("far", &asked(&json!({"responseFormat": {"type": "json"}})));
    assert_eq!(seen["response_format"], json!({"type": "json_object"}));
    let (seen, _) =
        sent("far", &asked(&json!({"responseFormat": {"type": "text"}, "reasoning": "provider-default"})));
    assert_eq!((seen.get("response_format"), seen.get("reasoning_effort")), (None, None));
}

#[test]
fn what_would_change_where_data_goes_is_refused_by_name() {
    let parsed = |gateway: Value| {
        let body = asked(&json!({"providerOptions": {"gateway": gateway}})).to_string();
        let call = Call { endpoint: endpoint(2, false), model: Some("m".to_owned()) };
        V4.parse(&call, body.as_bytes()).map(|request| request.wishes().cloned())
    };
    for (name, value) in [
        ("byok", json!({"openai": [{"apiKey": "k"}]})),
        ("zeroDataRetention", json!(true)),
        ("disallowPromptTraining", json!(true)),
        ("headquarters", json!(["US"])),
        ("has", json!(["vision"])),
        ("someNewOne", json!("x")),
    ] {
        let error = parsed(json!({name: value})).unwrap_err();
        let path = format!("providerOptions.gateway.{name}");
        assert_eq!(
            (error.status, error.kind, error.param.as_deref()),
            (400, "invalid_request_error", Some(&*path))
        );
        assert!(error.message.contains(&path));
    }
    let wishes = parsed(json!({
        "order": ["a"], "only": ["a", "b"], "models": ["n"], "sort": "cost", "user": "u", "tags": ["x", "y"],
        "zeroDataRetention": false, "caching": "auto", "providerTimeouts": {"byok": {"a": 1500}},
    }));
    let wishes = wishes.unwrap().unwrap();
    assert_eq!(
        (wishes.order, wishes.only),
        (vec!["a".to_owned()], Some(vec!["a".to_owned(), "b".to_owned()]))
    );
    assert_eq!(
        (wishes.models, wishes.cheapest, wishes.tag.as_deref()),
        (vec!["n".to_owned()], true, Some("x,y"))
    );
    assert_eq!(wishes.timeouts_ms, [("a".to_owned(), 1500)]);
    assert_eq!(wishes.ignored, ["providerOptions.gateway.caching"]);
}

#[test]
fn embeddings_and_images() {
    for values in [json!({"values": ["a", "b"]}), json!({"input": ["a", "b"]})] {
        let own = encoded("far", EMBEDDING, &values.to_string()).unwrap();
        let EncodedBody::Own(body) = own.body else { panic!("it is said anew") };
        let expected = json!({"model": "gpt", "input": ["a", "b"], "encoding_format": "float"});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        assert_eq!(own.path, "/embeddings");
    }
    let own = encoded("far", IMAGE, r#"{"prompt":"a dot","n":2,"size":"1x1","seed":3}"#).unwrap();
    let EncodedBody::Own(body) = own.body else { panic!("it is said anew") };
    let expected =
        json!({"model": "gpt", "prompt": "a dot", "n": 2, "size": "1x1", "response_format": "b64_json"});
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    assert_eq!(own.dropped, ["seed"]);
    assert_eq!(encoded("claude", EMBEDDING, r#"{"values":["a"]}"#), Err(CannotEncode::Dialect));
    assert_eq!(
        encoded("far", IMAGE, r#"{"prompt":"a","n":1,"files":[{}]}"#),
        Err(CannotEncode::Unsupported(vec!["files".to_owned()]))
    );
}

#[test]
fn documents_to_rank() {
    let asked = |documents: Value| {
        let body =
            json!({"query": "q", "topN": 2, "documents": documents, "providerOptions": {"gateway": {}}});
        encoded("far", RERANKING, &body.to_string())
    };
    for (documents, texts) in [
        (json!({"type": "text", "values": ["a", "b\n"]}), json!(["a", "b\n"])),
        (json!({"type": "object", "values": [{"t": "a"}]}), json!(["{\"t\":\"a\"}"])),
    ] {
        let own = asked(documents).unwrap();
        let EncodedBody::Own(body) = own.body else { panic!("it is said anew") };
        let expected = json!({"model": "gpt", "query": "q", "documents": texts, "top_n": 2});
        assert_eq!((serde_json::from_slice::<Value>(&body).unwrap(), &*own.path), (expected, "/rerank"));
    }
    let refused = |body: &str| {
        let call = Call { endpoint: RERANKING, model: Some("m".to_owned()) };
        V4.parse(&call, body.as_bytes()).err().unwrap_or_else(|| panic!("{body}"))
    };
    for (body, field) in [
        ("{}", "query"),
        (r#"{"query":"q"}"#, "documents"),
        (r#"{"query":"q","documents":["a"]}"#, "documents"),
        (r#"{"query":"q","documents":{"type":"image","values":[]}}"#, "documents"),
        (r#"{"query":"q","documents":{"type":"text","values":[{}]}}"#, "documents.values"),
        (r#"{"query":"q","documents":{"type":"object","values":["a"]}}"#, "documents.values"),
    ] {
        let error = refused(body);
        assert_eq!((error.status, error.param.as_deref()), (400, Some(field)), "{body}");
    }
}

//! As clients speak it.

use super::*;

fn operation(method: &str, uri: &str) -> Option<Result<Operation, u16>> {
    of_head(&Request::builder().method(method).uri(uri).body(()).unwrap())
}

fn of_head(head: &Request<()>) -> Option<Result<Operation, u16>> {
    let path = moegate_wire::path::normal(head.uri().path()).into_owned();
    Gemini.operation(head, &path).map(|found| found.map_err(|error| error.status))
}

#[test]
fn paths() {
    let call = |endpoint, model: &str| {
        Some(Ok(Operation::Generate(Call { endpoint, model: Some(model.to_owned()) })))
    };
    for (method, uri, expected) in [
        ("POST", "/v1beta/models/m:generateContent", call(GENERATE, "m")),
        ("POST", "/v1/models/m:generateContent", call(GENERATE, "m")),
        ("POST", "/v1beta/models/a/b:generateContent", call(GENERATE, "a/b")),
        ("POST", "/v1beta/models/a%2Fb:8b:generateContent", call(GENERATE, "a%2Fb:8b")),
        ("POST", "/v1beta/models/m:streamGenerateContent?alt=sse", call(STREAM, "m")),
        ("POST", "/v1beta/models/m:streamGenerateContent?x=1&%24alt=sse", call(STREAM, "m")),
        ("POST", "/v1beta/models/m:streamGenerateContent?alt=json", call(GROWING, "m")),
        ("POST", "/v1beta/models/m:streamGenerateContent", call(GROWING, "m")),
        ("POST", "/v1beta/models/m:countTokens", call(COUNT, "m")),
        ("GET", "/v1beta/models", Some(Ok(Operation::ListModels))),
        ("GET", "/v1beta/models/a:8b", Some(Ok(Operation::GetModel("a:8b".to_owned())))),
        ("GET", "/v1beta/models/m:generateContent", Some(Err(405))),
        ("POST", "/v1beta/models", Some(Err(405))),
        ("POST", "/v1beta/models/m:embedContent", Some(Err(404))),
        ("POST", "/v1beta/tunedModels/m:generateContent", Some(Err(404))),
        // OpenAI's.
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/m", None),
        ("POST", "/v1/models/m", None),
        ("POST", "/v1/chat/completions", None),
    ] {
        assert_eq!(operation(method, uri), expected, "{method} {uri}");
    }
    // PyPI google-genai 3.6.
    let head = Request::get("/v1/models").header("x-goog-api-key", "k").body(()).unwrap();
    assert_eq!(of_head(&head), Some(Ok(Operation::ListModels)));
}

#[test]
fn bodies_pass_but_for_the_model_and_what_google_refuses() {
    let marked = signature::marked(Signer::Anthropic, "EqQB+/8=", false).unwrap();
    let body = format!(
        r#"{{ "model":"models/m","safetySettings":[{{}}],"contents":[{{"role":"model","parts":[{{"text":"t","thought":true,"thoughtSignature":"{marked}"}},{{"text":"x","thoughtSignature":"CiQB"}}]}}],"unknown":1}}"#
    );
    let expected = r#"{ "model":"models/gemini-3.5-flash","safetySettings":[{}],"contents":[{"role":"model","parts":[{"text":"t","thought":true},{"text":"x","thoughtSignature":"CiQB"}]}],"unknown":1}"#;
    assert_eq!(sent("g", "gemini-3.5-flash", GENERATE, &body).unwrap().1, expected);
    let counted = r#"{"generateContentRequest":{"model":"models/m","contents":[]}}"#;
    let (_, body) = sent("g", "gemini-3.5-flash", COUNT, counted).unwrap();
    assert_eq!(body, counted.replace("models/m", "models/gemini-3.5-flash"));
    assert_eq!(sent("chat", "gpt", COUNT, counted), Err(CannotEncode::Dialect));
}

#[test]
fn what_is_no_text_is_counted() {
    let call = Call { endpoint: GENERATE, model: Some("m".to_owned()) };
    for (parts, media) in [
        (r#"{"text":"inlineData"}"#, 0),
        (
            r#"{"inlineData":{"mimeType":"image/png","data":"QQ=="}},{"fileData":{"fileUri":"https://a.example"}}"#,
            2,
        ),
        (r#"{"inline_data" : {"mime_type":"audio/wav","data":"QQ=="}},{"text":"{\"fileData\":{}}"}"#, 1),
    ] {
        let body = format!(r#"{{"contents":[{{"parts":[{parts}]}}]}}"#);
        let request = Gemini.parse(&call, body.as_bytes()).unwrap();
        assert_eq!((request.facts().size.media, &request.facts().user), (media, &None), "{parts}");
    }
}

#[test]
fn another_origin_goes_on_with_the_answer() {
    let mut partial = Partial::default();
    (partial.text, partial.events) = ("Hel".to_owned(), 3);
    let body = r#"{"contents":[{"parts":[{"text":"a"}]}],"generation_config":{"max_output_tokens":10}}"#;
    let (_, said) = with("g", "gemini-2.5-flash", STREAM, body, Some(&partial)).unwrap();
    assert_eq!(
        said,
        r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"Hel"}]}],"generation_config":{"max_output_tokens":7}}"#
    );
}

/// Names in both spellings, and everything that a turn may hold (<https://ai.google.dev/api/caching#Part>).
#[test]
fn requests_reach_other_apis() {
    let body = json!({
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": "-_8="}}]},
            {"role": "model", "parts": [{"text": "He"}]},
            {"role": "model", "parts": [{"text": "llo"}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"x": 1}}, "thought_signature": "CiQB"}]},
            {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"output": "y"}}}]},
        ],
        "tools": [{"function_declarations": [{
            "name": "f",
            "parameters": {"type": "OBJECT", "properties": {"x": {"type": "INTEGER", "nullable": true, "format": "int32"}}},
        }]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generation_config": {
            "max_output_tokens": 9, "stop_sequences": ["x"], "candidate_count": 1, "response_modalities": ["TEXT"],
        },
    });
    let (_, said) = sent("chat", "gpt", GENERATE, &body.to_string()).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said,
        json!({
            "model": "gpt",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}},
                ]},
                {"role": "assistant", "content": "Hello", "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                ]},
                {"role": "tool", "tool_call_id": "call_0", "content": "y"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {
                "type": "object", "properties": {"x": {"type": ["integer", "null"], "format": "int32"}},
            }}}],
            "tool_choice": "required",
            "max_tokens": 9,
            "stop": ["x"],
        })
    );
}

#[test]
fn what_only_google_has_is_named() {
    let body = json!({
        "contents": [{"parts": [{"text": "a", "videoMetadata": {"fps": 1}}, {"executableCode": {"code": "1"}}]}],
        "tools": [{"googleSearch": {}}, {"codeExecution": {}}],
        "safetySettings": [{"category": "c", "threshold": "BLOCK_LOW_AND_ABOVE"}],
        "generationConfig": {"speechConfig": {"a": 1}, "responseModalities": ["IMAGE"]},
        "cachedContent": "cachedContents/a",
        "labels": {"a": "b"},
    });
    let error = sent("chat", "gpt", GENERATE, &body.to_string()).unwrap_err();
    let expected = [
        "contents[0].parts[0].videoMetadata",
        "contents[0].parts[1].executableCode",
        "tools[0].googleSearch",
        "tools[1].codeExecution",
        "safetySettings[0].threshold",
        "generationConfig.responseModalities",
        "generationConfig.speechConfig",
        "cachedContent",
    ];
    assert_eq!(error, CannotEncode::Unsupported(expected.map(str::to_owned).to_vec()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let invalid = |body: &str| match sent("chat", "gpt", GENERATE, body) {
        Err(CannotEncode::Invalid(error)) => error.param.unwrap_or_default().into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(invalid(r#"{"contents":[{"role":"system","parts":[]}]}"#), "contents[0].role");
    assert_eq!(
        invalid(r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#),
        "contents[0].parts[0].functionCall.name"
    );
    assert_eq!(invalid(r#"{"contents":[]}"#), "contents");
    let call = Call { endpoint: GENERATE, model: Some("m".to_owned()) };
    for body in ["[]", "{}", "x", r#"{"contents":[],"Contents":[]}"#] {
        assert_eq!(Gemini.parse(&call, body.as_bytes()).err().map(|error| error.status), Some(400), "{body}");
    }
}

/// What `@google/genai` and `google-genai` (`errors.py`) and `@ai-sdk/google` (`google-error.ts`) read.
#[test]
fn errors_and_models_in_googles_form() {
    let error =
        ApiError { retry_after_s: Some(3), ..ApiError::unknown_model("none", "no such model".to_owned()) };
    assert_eq!(
        form::error_body(&error),
        r#"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"MODEL_NOT_FOUND","domain":"moegate"},{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"model","description":"no such model"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3s"}]}}"#
    );
    assert!(form::error_body(&ApiError::unauthorized("no")).contains("\"API_KEY_INVALID\""));
    let model = ModelInfo { name: "m", created_s: 0, facts: None };
    let entry = r#"{"name":"models/m","version":"1","displayName":"m","supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]}"#;
    assert_eq!(form::model_entry(model), entry);
    assert_eq!(form::model_list(&mut [model].into_iter()), format!("{{\"models\":[{entry}]}}"));
}

/// The data of a stream's events, every one of which has to have parts: clients' chats keep no answer otherwise.
fn events(stream: &str) -> Vec<Value> {
    let events: Vec<Value> = stream
        .split("\n\n")
        .filter(|event| !event.trim().is_empty())
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    for event in &events {
        assert!(!event["candidates"][0]["content"]["parts"].as_array().unwrap().is_empty(), "{event}");
    }
    events
}

#[test]
fn what_is_written_is_read_as_what_it_was() {
    let through = registry::through(registry::Client::Gemini, registry::Api::Gemini);
    for (feature, answer, stream) in answers() {
        let own = through.answer(answer.as_bytes(), &context()).unwrap().own.unwrap();
        let written = streamed(through, stream, usize::MAX, options());
        events(&written);
        for piece in 1..40 {
            assert_eq!(streamed(through, stream, piece, options()), written, "{feature}, {piece}");
        }
        let original = Answer::of(reader::answer(answer).unwrap());
        let whole = Answer::of(reader::answer(std::str::from_utf8(&own).unwrap()).unwrap());
        let gathered = gathered(&written);
        for own in [&whole, &gathered] {
            assert_eq!(own.id, "resp_r1");
            assert_eq!((&own.model, &own.stop), (&original.model, &original.stop), "{feature}");
            let usage = |answer: &Answer| answer.counts.map(|counts| counts.usage);
            assert_eq!(usage(own), usage(&original), "{feature}");
            assert_eq!((own.text(), &own.parts), (original.text(), &original.parts), "{feature}");
        }
        let value: Value = serde_json::from_slice(&own).unwrap();
        assert_eq!(value["createTime"], "2026-11-21T12:00:00Z");
        assert!(value["usageMetadata"]["cost"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn calls_go_out_whole_and_foreign_thoughts_come_back() {
    let mut writer = GenerateContent.writer(&context(), true);
    let mut out = String::new();
    for delta in [
        Delta::Reasoning("hm".into()),
        Delta::Signature(Signer::Anthropic, "EqQB+/8=".into()),
        Delta::PartEnd,
        Delta::ToolCall { slot: 0, id: "a".into(), name: "f".into(), signature: None },
        Delta::Arguments { slot: 0, json: "{\"x\"".into() },
        Delta::ToolCall { slot: 1, id: "b".into(), name: "g".into(), signature: None },
        Delta::Arguments { slot: 0, json: ":1}".into() },
        Delta::Stop(Stop::ToolCalls),
    ] {
        writer.delta(&delta, &mut out);
    }
    writer.end(None, &mut out);
    let parts: Vec<_> = events(&out)
        .iter()
        .flat_map(|event| event["candidates"][0]["content"]["parts"].as_array().unwrap().clone())
        .collect();
    assert_eq!(
        Value::from(parts.clone()),
        json!([
            {"text": "hm", "thought": true},
            {"text": "", "thought": true, "thoughtSignature": "moegateSignAEqQB+/8="},
            {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": signature::SKIP},
            {"functionCall": {"id": "b", "name": "g", "args": {}}},
            {"text": ""},
        ])
    );
    let body = json!({"contents": [{"role": "model", "parts": parts}]}).to_string();
    let request = parse::parse(&body).unwrap();
    use crate::dialect::canonical::request::Content;
    let [thought, first, second] = &request.messages[0].parts[..] else { panic!("{request:?}") };
    let Content::Reasoning(thought) = &thought.content else { panic!() };
    assert_eq!((&*thought.text, &thought.signature), ("hm", &Some((Signer::Anthropic, "EqQB+/8=".into()))));
    for call in [first, second] {
        assert!(matches!(&call.content, Content::ToolCall(call) if call.signature.is_none()));
    }
    // What is no object cannot be said.
    let mut writer = GenerateContent.writer(&context(), true);
    let mut out = String::new();
    writer.delta(&Delta::ToolCall { slot: 0, id: "a".into(), name: "f".into(), signature: None }, &mut out);
    writer.delta(&Delta::Arguments { slot: 0, json: "{\"x\"".into() }, &mut out);
    writer.end(None, &mut out);
    assert_eq!(events(&out)[1]["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
}

#[test]
fn bytes_of_googles_own_pass_and_an_array_grows_of_the_same() {
    let config = config();
    let exchange = |endpoint| Gemini.exchange(endpoint, &config.origins[0], "gemini-3.5-flash").unwrap();
    for (feature, answer, stream) in answers() {
        let passed = streamed(exchange(STREAM), stream, 7, options());
        // The last counts tell the cost; nothing else changes.
        let (before, cost) = passed.split_once(",\"cost\":").unwrap();
        let (cost, after) = cost.split_once('}').unwrap();
        assert!(cost.parse::<f64>().unwrap() > 0.0 && after.matches("data: ").count() == 0, "{feature}");
        assert_eq!(format!("{before}}}{after}"), stream);
        let array = streamed(exchange(GROWING), stream, usize::MAX, options());
        for piece in [1, 3, 64] {
            assert_eq!(streamed(exchange(GROWING), stream, piece, options()), array);
        }
        let elements: Vec<Value> = serde_json::from_str(&array).unwrap();
        let data: Vec<Value> = passed
            .split("\r\n\r\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(elements, data, "{feature}");
        let facts = exchange(GENERATE).answer(answer.as_bytes(), &context()).unwrap();
        assert!(facts.counts.is_some() && facts.own.is_none() && !facts.edits.is_empty(), "{feature}");
    }
    assert!(!exchange(GROWING).passes());
    let counts = exchange(COUNT).answer(br#"{"totalTokens":7}"#, &context()).unwrap().counts.unwrap();
    assert_eq!(counts.usage, Usage::default());
    assert!(Gemini.exchange(COUNT, &config.origins[2], "gpt").is_none());
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_in_either_form() {
    let config = config();
    let text = stream("text");
    let begun = &text[..=text.find("\r\n\r\n").unwrap() + 3];
    let failed = format!(
        "{begun}data: {{\"error\":{{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}}}\r\n\r\n"
    );
    let exchange = |endpoint| Gemini.exchange(endpoint, &config.origins[0], "gemini-3.5-flash").unwrap();
    for stream in [begun, &failed] {
        let events = streamed(exchange(STREAM), stream, 5, options());
        let last = events.trim_end().rsplit("data: ").next().unwrap();
        assert!(last.starts_with("{\"error\":"), "{events}");
        let array: Vec<Value> =
            serde_json::from_str(&streamed(exchange(GROWING), stream, 5, options())).unwrap();
        assert_eq!(array.len(), 2);
        assert!(array[1]["error"]["code"].is_u64(), "{array:?}");
    }
}

/// The event that a part of Google's comes in.
fn event(part: &Value) -> String {
    let body =
        json!({"candidates": [{"content": {"parts": [part], "role": "model"}}], "responseId": "own-1"});
    format!("data: {body}\n\n")
}

#[test]
fn another_origin_goes_on_under_the_id_that_passed() {
    let kept = || StreamOptions { partial: Some(Partial::default()), ..StreamOptions::default() };
    let text = event(&json!({"text": "Hel", "thoughtSignature": "CiQB"}));
    let code = event(&json!({"executableCode": {"language": "PYTHON", "code": "1"}}));
    for (stream, goes_on) in [(text.clone(), true), (format!("{text}{code}"), false)] {
        let mut scanner = Scanner::new(SAME.stream(kept()));
        assert_eq!(scanner.push(stream.as_bytes()), Forward::Whole);
        assert_eq!(scanner.end(Close::Broken).resumable, goes_on);
        let Some(mut partial) = scanner.take_partial() else {
            assert!(!goes_on);
            continue;
        };
        assert_eq!(partial.text, "Hel");
        partial.resume();
        let options = StreamOptions { partial: Some(partial), ..StreamOptions::default() };
        let mut scanner = Scanner::new(SAME.stream(options));
        let more = event(&json!({"text": "lo"})).replace("own-1", "other");
        let Forward::Bytes(out) = scanner.push(more.as_bytes()) else { panic!("said anew") };
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert!(out.contains("\"responseId\":\"own-1\"") && !out.contains("CiQB"), "{out}");
    }
}

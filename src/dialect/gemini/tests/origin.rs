//! As origins speak it.

use super::*;

/// <https://ai.google.dev/api/generate-content>
#[test]
fn where_requests_go() {
    for (origin, endpoint, path) in [
        ("g", GENERATE, "/models/gemini-3.5-flash:generateContent"),
        ("g", STREAM, "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        ("g", GROWING, "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        ("g", COUNT, "/models/gemini-3.5-flash:countTokens"),
        ("v", GENERATE, "/publishers/google/models/gemini-3.5-flash:generateContent"),
    ] {
        let body = r#"{"contents":[{"parts":[{"text":"a"}]}]}"#;
        assert_eq!(
            sent(origin, "gemini-3.5-flash", endpoint, body).unwrap(),
            (path.to_owned(), body.to_owned())
        );
    }
    let config = config();
    assert_eq!(path(&config.origins[0], "tunedModels/a", GENERATE), "/tunedModels/a:generateContent");
}

/// What is common to both sides comes out as it went in.
#[test]
fn requests_are_said_anew_as_they_were() {
    for (feature, asked) in REQUESTS {
        let mut asked: Value = serde_json::from_str(asked).unwrap();
        let (mut said, unsupported) = anew("g", "gemini-3.5-flash", &asked);
        let expected: &[&str] = match feature {
            "several_answers" => &["generationConfig.candidateCount"],
            "search" => &["tools[0].googleSearch"],
            _ => &[],
        };
        assert_eq!(unsupported, expected, "{feature}");
        match feature {
            "several_answers" | "search" => continue,
            // Schemas are said as JSON Schemas.
            "tools" => {
                let tool = &mut asked["tools"][0]["functionDeclarations"][0];
                tool.as_object_mut().unwrap().remove("parameters");
                tool["parametersJsonSchema"] = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
            }
            // Gemini 3 takes levels.
            "reasoning" => {
                asked["generationConfig"]["thinkingConfig"] =
                    json!({"thinkingLevel": "LOW", "includeThoughts": true});
            }
            _ => {}
        }
        for own in [&mut asked, &mut said] {
            let config = own.get_mut("generationConfig");
            if config.is_some_and(|config| *config == json!({})) {
                own.as_object_mut().unwrap().remove("generationConfig");
            }
        }
        assert_eq!(said, asked, "{feature}");
    }
}

/// <https://ai.google.dev/gemini-api/docs/thinking>
#[test]
fn thoughts_are_asked_for_as_each_model_wants() {
    for (model, asked, expected) in [
        ("gemini-3.5-flash", json!({"thinkingLevel": "HIGH"}), json!({"thinkingLevel": "HIGH"})),
        ("gemini-3.5-flash", json!({"thinkingBudget": 0}), json!({"thinkingLevel": "MINIMAL"})),
        ("gemini-3.5-flash", json!({"thinkingBudget": -1}), json!({})),
        ("gemini-2.5-flash", json!({"thinkingBudget": -1}), json!({"thinkingBudget": -1})),
        ("gemini-2.5-flash", json!({"thinkingBudget": 0}), json!({"thinkingBudget": 0})),
        ("gemini-2.5-flash", json!({"thinkingLevel": "medium"}), json!({"thinkingBudget": 8192})),
        ("gemini-2.5-pro", json!({"thinkingBudget": 0}), json!({"thinkingBudget": 128})),
        (
            "gemini-2.5-pro",
            json!({"thinkingBudget": 99_999, "includeThoughts": true}),
            json!({"thinkingBudget": 32_768, "includeThoughts": true}),
        ),
    ] {
        let body =
            json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"thinkingConfig": asked}});
        let (said, unsupported) = anew("g", model, &body);
        assert_eq!(said["generationConfig"]["thinkingConfig"], expected, "{model} {asked}");
        assert!(unsupported.is_empty());
    }
    let body = json!({
        "contents": [{"parts": [{"text": "a"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}, "presencePenalty": 1},
    });
    assert_eq!(anew("g", "gemini-2.0-flash", &body).1, ["reasoning_effort"]);
    assert_eq!(anew("g", "gemini-2.5-flash", &body).1, ["presence_penalty"]);
}

/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
#[test]
fn calls_of_others_get_the_documented_signature_in_the_turn_under_way() {
    let call = |name: &str| json!({"functionCall": {"id": name, "name": name, "args": {}}});
    let result =
        |name: &str| json!({"functionResponse": {"id": name, "name": name, "response": {"result": "x"}}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [call("f")]},
        {"role": "user", "parts": [result("f")]},
        {"role": "user", "parts": [{"text": "b"}]},
        {"role": "model", "parts": [call("g"), call("h")]},
        {"role": "user", "parts": [result("g"), result("h")]},
        {"role": "model", "parts": [call("i")]},
        {"role": "user", "parts": [result("i")]},
    ]});
    let (said, _) = anew("g", "gemini-3.5-flash", &body);
    let turns = said["contents"].as_array().unwrap();
    let signatures: Vec<_> = turns
        .iter()
        .flat_map(|turn| turn["parts"].as_array().unwrap())
        .filter(|part| part.get("functionCall").is_some())
        .map(|part| part["thoughtSignature"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(signatures, ["-", signature::SKIP, "-", signature::SKIP]);
    // Neighbours are one turn, results first.
    assert_eq!(turns.len(), 7);
    assert_eq!(turns[2]["parts"], json!([result("f"), {"text": "b"}]));
    // Vertex AI's calls have no ids.
    let (said, _) = anew("v", "gemini-3.5-flash", &body);
    assert_eq!(said["contents"][1]["parts"][0], json!({"functionCall": {"name": "f", "args": {}}}));
}

/// <https://ai.google.dev/gemini-api/docs/function-calling#multimodal>,
/// <https://ai.google.dev/gemini-api/docs/file-input-methods>
#[test]
fn files_stand_where_a_model_takes_them() {
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"fileData": {"fileUri": "https://example.com/a.pdf?x=1"}}]},
        {"role": "model", "parts": [{"functionCall": {"id": "f", "name": "f", "args": {"a": 1}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "f", "name": "f", "response": {"output": "x"}, "parts": [picture]}},
        ]},
    ]});
    let (said, _) = anew("g", "gemini-3.5-flash", &body);
    assert_eq!(
        said["contents"][0]["parts"][0],
        json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf?x=1"}})
    );
    assert_eq!(said["contents"][2]["parts"][0]["functionResponse"]["parts"], json!([picture]));
    // Earlier models take none within a result, and 2.0 fetches nothing.
    let (said, unsupported) = anew("g", "gemini-2.0-flash", &body);
    let response = json!({"functionResponse": {"id": "f", "name": "f", "response": {"result": "x"}}});
    assert_eq!(said["contents"][2]["parts"], json!([response, picture]));
    assert_eq!(unsupported, ["a file by its URL or id"]);
    // Gemma 3 has no system prompt.
    let body =
        json!({"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"parts": [{"text": "a"}]}]});
    let (said, _) = anew("g", "gemma-3-27b-it", &body);
    assert_eq!(said["contents"], json!([{"role": "user", "parts": [{"text": "s"}, {"text": "a"}]}]));
    assert_eq!(said.get("systemInstruction"), None);
}

#[test]
fn results_are_objects() {
    let body = |response: Value| {
        json!({"contents": [
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]},
        ]})
    };
    for (said, expected) in [
        (json!({"output": "text"}), json!({"result": "text"})),
        (json!({"name": "f", "content": "text"}), json!({"result": "text"})),
        (json!({"name": "f", "content": {"a": 1}}), json!({"a": 1})),
        (json!({"error": "gone"}), json!({"error": "gone"})),
        (json!({"degrees": 4, "sky": ["clear"]}), json!({"degrees": 4, "sky": ["clear"]})),
        (json!({"$ref": "a"}), json!({"result": "{\"$ref\":\"a\"}"})),
        (json!({"result": [1, 2]}), json!({"result": "[1,2]"})),
    ] {
        let (again, _) = anew("g", "gemini-3.5-flash", &body(said.clone()));
        assert_eq!(again["contents"][2]["parts"][0]["functionResponse"]["response"], expected, "{said}");
        let ids = ["/contents/1/parts/0/functionCall/id", "/contents/2/parts/0/functionResponse/id"];
        assert_eq!(ids.map(|at| again.pointer(at).unwrap()), [&json!("call_0"); 2]);
    }
}

/// <https://ai.google.dev/gemini-api/docs/structured-output>
#[test]
fn structured_output_stands_beside_tools_from_three_on() {
    let tool = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let body = |mode: &str| {
        json!({
            "contents": [{"parts": [{"text": "a"}]}],
            "tools": tool,
            "toolConfig": {"functionCallingConfig": {"mode": mode}},
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"const": 1}},
        })
    };
    let (said, unsupported) = anew("g", "gemini-3.5-flash", &body("AUTO"));
    assert_eq!(said["generationConfig"]["responseJsonSchema"], json!({"enum": [1]}));
    assert!(unsupported.is_empty());
    assert_eq!(anew("g", "gemini-3.5-flash", &body("ANY")).1, ["response_format"]);
    assert_eq!(anew("g", "gemini-2.5-flash", &body("AUTO")).1, ["response_format"]);
}

#[test]
fn a_stream_comes_to_the_whole_answer() {
    for (feature, whole, stream) in answers() {
        let mut whole = Answer::of(reader::answer(whole).unwrap());
        let mut streamed = gathered(stream);
        // One event may be several tokens.
        (whole.events, streamed.events) = (0, 0);
        assert_eq!(Answer::of(streamed.deltas()), Answer::of(whole.deltas()), "{feature}");
    }
}

#[test]
fn what_answers_say() {
    let answer = |feature: &str| gathered(stream(feature));
    let usage = |answer: &Answer| answer.counts.unwrap().usage;
    let text = answer("text");
    assert_eq!((text.id.as_str(), text.model.as_str()), ("xYz1aJ-KBr_QnsEP", "gemini-2.5-flash"));
    assert_eq!((text.text().as_str(), text.stop), ("Hello, wörld!", Some(Stop::End)));
    let tools = answer("parallel_tools");
    assert_eq!(tools.stop, Some(Stop::ToolCalls));
    let AnswerPart::ToolCall { id, name, arguments, signature, .. } = &tools.parts[0] else { panic!() };
    assert_eq!(
        (id.as_str(), name.as_str(), arguments.as_str()),
        ("call_oslo", "weather", r#"{"city":"Oslo"}"#)
    );
    assert!(signature.is_some());
    let thinking = answer("reasoning");
    assert_eq!((usage(&thinking).completion, usage(&thinking).reasoning), (40, 36));
    assert!(
        matches!(&thinking.parts[0], AnswerPart::Reasoning { text, signature: None, .. } if text.ends_with("29."))
    );
    assert!(
        matches!(&thinking.parts[2], AnswerPart::Reasoning { text, signature: Some((Signer::Google, _)), .. } if text.is_empty())
    );
    assert_eq!(usage(&answer("cache")).cached, 1920);
    assert_eq!(answer("length").stop, Some(Stop::Length));
    assert_eq!(answer("refusal").stop, Some(Stop::Filter));
    let cited = answer("citations");
    let AnswerPart::Text { citations, .. } = &cited.parts[0] else { panic!() };
    assert_eq!((&*citations[0].url, citations[0].range), ("https://example.com/oslo", Some((0, 13))));
    let logprobs: Value = serde_json::from_str(&format!("[{}]", answer("logprobs").logprobs)).unwrap();
    assert_eq!((&logprobs[0]["token"], &logprobs[1]["logprob"]), (&json!("Hel"), &json!(-0.01)));
    assert_eq!(logprobs[0]["top_logprobs"][1], json!({"token": "Hi", "logprob": -2.5, "bytes": null}));
}

#[test]
fn ids_that_are_missing_are_made_of_the_answer() {
    let body = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"f","args":{"a":1}}}]},"finishReason":"STOP"}],"responseId":"a/b-c"}"#;
    let ids: Vec<_> = reader::answer(body)
        .unwrap()
        .into_iter()
        .filter_map(|delta| match delta {
            Delta::ToolCall { id, .. } => Some(id.into_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_ab-c_0", "call_ab-c_1"]);
}

/// <https://ai.google.dev/api/generate-content#FinishReason>,
/// <https://ai.google.dev/api/generate-content#PromptFeedback>
#[test]
fn what_is_no_answer() {
    let blocked = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4},"modelVersion":"m"}"#;
    let error = GenerateContent.error(200, blocked).unwrap();
    assert_eq!(error.failure, crate::config::Failure::ContentFilter);
    assert!(error.message.unwrap().contains("SAFETY"));
    assert!(reader::answer(std::str::from_utf8(blocked).unwrap()).is_none());
    let text = std::str::from_utf8(blocked).unwrap();
    let mut deltas = Vec::new();
    use crate::dialect::format::EventKind;
    assert_eq!(GenerateContent.reader().event("", text, &mut deltas), EventKind::Error(text.into()));
    for (reason, expected) in [
        ("MALFORMED_FUNCTION_CALL", Stop::Failed("MALFORMED_FUNCTION_CALL".into())),
        ("PROHIBITED_CONTENT", Stop::Filter),
        ("CONTINUATION", Stop::Length),
        ("SOMETHING_NEW", Stop::End),
    ] {
        let body = format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
        assert!(reader::answer(&body).unwrap().contains(&Delta::Stop(expected)), "{reason}");
    }
    for body in ["{}", "[]", r#"{"candidates":[]}"#, r#"{"choices":[]}"#] {
        assert!(reader::answer(body).is_none(), "{body}");
    }
}

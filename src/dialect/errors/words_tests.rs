use super::*;
#[test]
fn context_length() {
    check_texts(
        400,
        ContextLength,
        &[
            ("OpenAI", "This model's maximum context length is 8192 tokens"),
            (
                "SGLang: pi-go#37",
                "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            ),
            (
                "Gemini: overflow.ts",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            (
                "vLLM: xorbitsai/inference#3785",
                "The decoder prompt (length 5000) is longer than the maximum model length of 4096",
            ),
            ("Bedrock: overflow.ts", "Input is too long for requested model."),
            (
                "TGI: helm#2080",
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 8000 `inputs` tokens and 1000 `max_new_tokens`",
            ),
            // Siblings.
            ("Anthropic: harness-sdk#1663", "prompt is too long: 903884 tokens > 200000 maximum"),
            ("OpenAI's Responses: overflow.ts", "Your input exceeds the context window of this model"),
            (
                "xAI: overflow.ts",
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens",
            ),
            (
                "Groq, Cerebras: cline#5140",
                "Please reduce the length of the messages or completion. Current length is 42328 while limit is 40000",
            ),
            (
                "OpenRouter: overflow.ts",
                "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens",
            ),
            ("llama.cpp: overflow.ts", "the request exceeds the available context size, try increasing it"),
            (
                "LM Studio: overflow.ts",
                "tokens to keep from the initial prompt is greater than the context length",
            ),
            (
                "LM Studio: bug-tracker#546",
                "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens",
            ),
            (
                "Mistral: litellm#21647",
                "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ),
            ("Moonshot: overflow.ts", "Your request exceeded model token limit: 262144 (requested: 300000)"),
            ("Ollama: pi-go#37", "prompt too long; exceeded max context length by 100918 tokens"),
            (
                "Poolside: pi-go#37",
                "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
            ),
            (
                "Bedrock Mantle: harness-sdk#3722",
                "prompt tokens (1200008) exceed model maximum (1050000) for openai.gpt-5.6-terra",
            ),
            ("Perplexity: litellm#21647", "The total length of all messages is too long."),
            ("Bedrock: openclaw#58839", "Input exceeds the max input token limit"),
            ("Cohere: openclaw#58839", "total tokens exceeds the model's max of 4096"),
            ("Copilot: overflow.ts", "prompt token count of 130000 exceeds the limit of 128000"),
            (
                "TGI: llama#1103",
                "Input validation error: `inputs` must have less than 4096 tokens. Given: 4545",
            ),
        ],
    );
    check(&[
        (
            "TGI",
            422,
            r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3997 `inputs` tokens and 100 `max_new_tokens`","error_type":"validation"}"#,
            ContextLength,
        ),
        (
            "llama.cpp",
            400,
            r#"{"error":{"code":400,"message":"the request is too large","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}"#,
            ContextLength,
        ),
        (
            "xorbits: deepagents#468",
            500,
            r#"{"detail":"[address=0.0.0.0:43769, pid=1065] The decoder prompt (length 66501) is longer than the maximum model length of 65536."}"#,
            ContextLength,
        ),
        (
            "Anthropic",
            413,
            r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
            ContextLength,
        ),
        ("a text", 400, "Input is too long for requested model.", ContextLength),
    ]);
}

#[test]
fn content_filters() {
    check_texts(
        400,
        ContentFilter,
        &[
            (
                "Azure: helm#3327",
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.",
            ),
            ("DeepSeek: DeepSeek-V2#30", "Content Exists Risk"),
            ("DashScope: Qwen#938", "Input data may contain inappropriate content."),
            (
                "DashScope: qwen-code#2905",
                "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.",
            ),
            ("OpenAI", "Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
            (
                "Azure within a proxy: argo-proxy#91",
                "Error code: 400 - {'error': {'message': 'The response was filtered', 'code': 'content_filter'}}",
            ),
        ],
    );
    check(&[
        (
            "OpenRouter",
            403,
            r#"{"error":{"code":403,"message":"Input flagged","metadata":{"reasons":["violence"]}}}"#,
            ContentFilter,
        ),
        (
            "OpenRouter, docs",
            403,
            r#"{"error":{"code":403,"message":"m requires moderation on x. Your input was flagged for \"y\".","metadata":{"reasons":["y"],"flagged_input":"…","provider_name":"x"}}}"#,
            ContentFilter,
        ),
        (
            "xAI: llmgateway#1785",
            403,
            r#"{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_CSAM"}"#,
            ContentFilter,
        ),
        (
            "Azure: compl-ai#20",
            400,
            r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            ContentFilter,
        ),
        (
            "DashScope: chaoxing#539",
            400,
            r#"{"error":{"code":"data_inspection_failed","param":null,"message":"no","type":"data_inspection_failed"},"id":"c","request_id":"r"}"#,
            ContentFilter,
        ),
        ("DeepSeek: DeepSeek-V2#30", 400, r#"{"detail":"Content Exists Risk"}"#, ContentFilter),
        (
            "Tongyi: dify#7932",
            500,
            r#"{"message":"Input data may contain inappropriate content."}"#,
            ContentFilter,
        ),
    ]);
}

#[test]
fn keys_and_accounts() {
    for (source, status, body, spent) in [
        (
            "Gemini: continue#10530",
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}]"#,
            false,
        ),
        (
            "xAI: docs, debugging",
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***bc."}"#,
            false,
        ),
        (
            "OpenAI: continue#10016",
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            false,
        ),
        (
            "NIM: BallonsTranslator#1233",
            403,
            r#"{"status":403,"title":"Forbidden","detail":"Authorization failed"}"#,
            false,
        ),
        ("Anthropic", 403, r#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#, false),
        // Spent.
        (
            "DeepSeek: aider#4851",
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            true,
        ),
        (
            "xAI: griptape-nodes-engine#1079",
            403,
            r#"{"code":"The caller does not have permission to execute the specified operation","error":"Your newly created teams doesn't have any credits yet."}"#,
            true,
        ),
        (
            "xAI: continue#10373",
            429,
            r#"{"code":"resource","error":"Your team x has either used all available credits or reached its monthly spending limit."}"#,
            true,
        ),
        (
            "xAI: sub2api#4069",
            403,
            r#"{"code":"x","error":"You have run out of credits or need a Grok subscription."}"#,
            true,
        ),
        (
            "Moonshot: continue#11443",
            429,
            r#"{"error":{"message":"Your account o is suspended due to insufficient balance, please recharge your account or check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
            true,
        ),
        (
            "Moonshot: Kimi-K2#5",
            403,
            r#"{"error":{"message":"Your account xx is not active, organization xx exceeded current quota, please check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
            true,
        ),
        (
            "Anthropic",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            true,
        ),
        (
            "OpenRouter through it: opencode#24462",
            429,
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"suspended\",\"type\":\"exceeded_current_quota_error\"}}"}}}"#,
            true,
        ),
    ] {
        let error = error_of(status, body.as_bytes()).unwrap();
        assert_eq!((error.failure, error.spent), (BadKey, spent), "{source}: {status} {body}");
    }
}

use super::*;
use crate::config::Failure::{Unsupported, Waking};

#[test]
fn rate_limits() {
    check(&[
        (
            "Gemini, an array",
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}]"#,
            RateLimited,
        ),
        (
            "Bedrock: positron#7844",
            400,
            r#"{"__type":"ThrottlingException","message":"Too many tokens, please wait before trying again."}"#,
            RateLimited,
        ),
        (
            "Bedrock: claude-code#1466",
            400,
            r#"{"message":"Too many tokens, please wait before trying again."}"#,
            RateLimited,
        ),
        (
            "OpenAI: vanna-flask#11",
            429,
            r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimited,
        ),
        (
            "Moonshot: MoneyPrinterTurbo#339",
            429,
            r#"{"error":{"message":"Your account reached max request: 3, please try again after 1 seconds","type":"rate_limit_reached_error"}}"#,
            RateLimited,
        ),
        (
            "Cerebras: Kiln#1500",
            429,
            r#"{"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}"#,
            RateLimited,
        ),
        (
            "Groq without its code: continue#10218",
            413,
            r#"{"error":"Request too large for model `m` on tokens per minute (TPM): Limit 12000, Requested 14137"}"#,
            RateLimited,
        ),
    ]);
}

#[test]
fn models_that_are_not_there() {
    check(&[
        ("Ollama", 404, r#"{"error":"model \"x\" not found, try pulling it first"}"#, ModelNotFound),
        (
            "Mistral: langchaingo#1233",
            400,
            r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#,
            ModelNotFound,
        ),
        (
            "Fireworks: warp#15107",
            404,
            r#"{"message":"Model not found, inaccessible, and/or not deployed","param":"model","code":"NOT_FOUND","type":"error"}"#,
            ModelNotFound,
        ),
        (
            "NIM: free-claude-code#1021",
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function 'f': Not found for account 'a'"}"#,
            ModelNotFound,
        ),
        (
            "LiteLLM's proxy: litellm#3142",
            400,
            r#"{"error":{"message":"400: {'error': 'Invalid model name passed in model=Lite-GPT-12'}","type":"None","param":"None","code":400}}"#,
            ModelNotFound,
        ),
        (
            "Groq: langflow#11120",
            400,
            r#"{"error":{"message":"The model m requires terms acceptance.","type":"invalid_request_error","code":"model_terms_required"}}"#,
            ModelNotFound,
        ),
        (
            "Kiro: 9router#1187",
            400,
            r#"{"message":"Invalid model. Please select a different model to continue.","reason":"INVALID_MODEL_ID"}"#,
            ModelNotFound,
        ),
        (
            "Bedrock: AionCore#377",
            400,
            r#"{"message":"The provided model identifier is invalid."}"#,
            ModelNotFound,
        ),
        (
            "Together: puter#3168",
            400,
            r#"{"id":"r","error":{"message":"Unable to access non-serverless model m.","type":"invalid_request_error","param":null,"code":"model_not_available"}}"#,
            ModelNotFound,
        ),
        (
            "OpenRouter: openfang#697",
            400,
            r#"{"error":{"message":"hunter-alpha is not a valid model ID","code":400},"user_id":"u"}"#,
            ModelNotFound,
        ),
        (
            "Workers AI: cloudflare/agents#1328",
            400,
            r#"{"success":false,"errors":[{"code":5007,"message":"No such model minimax/m2.7 or task"}],"messages":[],"result":null}"#,
            ModelNotFound,
        ),
        (
            "Anthropic",
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#,
            ModelNotFound,
        ),
    ]);
}

#[test]
fn what_an_origin_cannot_do() {
    check_texts(
        400,
        Unsupported,
        &[
            ("Azure: openai-python#1469", "Unrecognized request argument supplied: stream_options"),
            ("xAI: n8n#14581", "Argument not supported on this model: presencePenalty"),
            (
                "xAI: open-webui#21266",
                "Model grok-4-1-fast-reasoning does not support parameter presencePenalty.",
            ),
            ("Groq: chatbot#21", "property 'store' is unsupported, did you mean 'stop'?"),
            ("Groq: langflow#11120", "tool calling is not supported with this model"),
            ("Groq: pluely#242", "`reasoning_effort` is not supported with this model"),
            (
                "vLLM: vllm#9986",
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
            ),
            ("Ollama: ollama#14795", "registry.ollama.ai/library/gemma3:4b does not support tools"),
            (
                "Copilot: copilot-api#164",
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            ),
            (
                "OpenAI: NextChat#3195",
                "max_tokens is too large: 8192. This model supports at most 4096 completion tokens, whereas you provided 8192.",
            ),
            (
                "DeepSeek: open-deep-research#19",
                "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            ),
            ("Groq: groq-moa#8", "max_tokens for `llama-3.1-8b-instant` must be less than or equal to 8000"),
            ("Gemini: poenl/gemini-api#4", "User location is not supported for the API use."),
            ("Moonshot: bike4mind#1089", "invalid temperature: only 1 is allowed for this model"),
            (
                "NIM: picoclaw#1019",
                "[{'type': 'extra_forbidden', 'loc': ('body', 'prompt_cache_key'), 'msg': 'Extra inputs are not permitted', 'input': 'main'}]",
            ),
        ],
    );
    check(&[
        (
            "the sentence as `param`: AQBot#93",
            400,
            r#"{"error":{"message":"Param Incorrect","type":"upstream_error","param":"max_tokens is too large: 1048576. This model supports at most 131072 completion tokens, whereas you provided 1048576.","code":"400"}}"#,
            Unsupported,
        ),
        (
            "moe-server",
            400,
            r#"{"error":{"message":"`tools`: this server has no tool calls","type":"invalid_request_error","param":"tools","code":"unsupported_parameter"}}"#,
            Unsupported,
        ),
        (
            "OpenAI: eva-agent#83",
            400,
            r#"{"error":{"message":"Unsupported parameter: 'temperature' is not supported with this model.","type":"invalid_request_error","param":"temperature","code":"unsupported_parameter"}}"#,
            Unsupported,
        ),
        (
            "OpenAI: qwen-code#921",
            400,
            r#"{"error":{"message":"no","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            Unsupported,
        ),
        (
            "Cerebras: free-claude-code#1136",
            400,
            r#"{"message":"property 'x' is unsupported","type":"invalid_request_error","param":"validation_error","code":"wrong_api_format"}"#,
            Unsupported,
        ),
        (
            "Mistral: php-mistral#76",
            422,
            r#"{"object":"Error","detail":[{"type":"extra_forbidden","loc":["body","tools"],"msg":"Extra inputs are not permitted","input":[]}]}"#,
            Unsupported,
        ),
        (
            "OpenRouter: fast-agent#122",
            404,
            r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#,
            Unsupported,
        ),
        (
            "FastAPI: a field that is missing is the request's fault",
            422,
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}"#,
            Refused,
        ),
    ]);
}

#[test]
fn servers_in_trouble() {
    check(&[
        (
            "llama.cpp: llama-swap#146",
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Waking,
        ),
        (
            "MiniMax: MiniMax-M2#62",
            500,
            r#"{"type":"error","error":{"type":"api_error","message":"insufficient balance (1008)"},"request_id":"r"}"#,
            BadKey,
        ),
        (
            "ModelScope: modelscope#1691",
            429,
            r#"{"error":{"http_code":"429","message":"insufficient balance (1008)","type":"insufficient_balance_error"},"request_id":"r"}"#,
            BadKey,
        ),
        (
            "Anthropic",
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ServerError,
        ),
        (
            "z.ai under 200: llm-simple-router#95",
            200,
            r#"{"error":{"code":"1305","message":"busy"}}"#,
            ServerError,
        ),
        (
            "Workers AI: cloudflare-docs#15116",
            200,
            r#"{"result":null,"success":false,"errors":[{"code":7009,"message":"Upstream service unavailable"}],"messages":[]}"#,
            ServerError,
        ),
    ]);
}

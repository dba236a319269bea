//! What origins call their errors. Beside each entry: where it was seen.
//!
//! A code or type is compared whole, a phrase is looked for anywhere in a text; both in lower case. Codes and types that say
//! no more than the status (`invalid_request_error`, `api_error`, `BadRequestError`) are not here.

use crate::config::Failure;
use crate::config::Failure::{
    BadKey, ContentFilter, ContextLength, ModelNotFound, RateLimited, ServerError, Unsupported, Waking,
};
use moegate_wire::resume;

pub(super) const CODES: &[(&str, Failure)] = &[
    // Prompt and answer do not fit.
    ("context_length_exceeded", ContextLength), // OpenAI, Groq, Azure: platform.openai.com/docs/guides/error-codes
    ("string_above_max_length", ContextLength), // OpenAI: the same page
    ("exceed_context_size_error", ContextLength), // llama.cpp: tools/server/README.md
    ("model_context_window_exceeded", ContextLength), // z.ai: can1357/oh-my-pi#683
    ("max_tokens_exceeded", ContextLength),     // OpenRouter: docs/api-reference/errors
    ("token_limit_exceeded", ContextLength),    // OpenRouter: the same page
    ("string_too_long", ContextLength),         // OpenRouter: the same page
    ("request_too_large", ContextLength),       // Anthropic: docs/api/errors (413)
    // The content is refused.
    ("content_filter", ContentFilter), // OpenAI, Azure, Moonshot: openai-dotnet#55
    ("content_policy_violation", ContentFilter), // OpenAI, OpenRouter: docs/api-reference/errors
    ("responsibleaipolicyviolation", ContentFilter), // Azure's innererror: compl-ai#20
    ("data_inspection_failed", ContentFilter), // DashScope: chaoxing#539
    ("datainspectionfailed", ContentFilter), // DashScope: QwenLM/Qwen#938
    ("moderation", ContentFilter),     // OpenRouter's `metadata.reasons`: docs/api-reference/errors
    // The gateway's account is spent.
    ("insufficient_quota", BadKey),           // OpenAI: docs/guides/error-codes
    ("billing_hard_limit_reached", BadKey),   // OpenAI: the same page
    ("billing_not_active", BadKey),           // OpenAI: the same page
    ("credit_balance_exhausted", BadKey),     // OpenAI: the same page
    ("exceeded_current_quota_error", BadKey), // Moonshot: MoonshotAI/kimi-code#1857, Kimi-K2#5
    ("insufficient_balance_error", BadKey),   // MiniMax through ModelScope: modelscope#1691
    ("insufficient_balance", BadKey),         // sub2api#890
    ("billing_error", BadKey),                // Anthropic: docs/api/errors (402)
    // The gateway's key is refused.
    ("invalid_api_key", BadKey),      // OpenAI: continuedev/continue#10016
    ("api_key_invalid", BadKey),      // Google's `details[].reason`: continuedev/continue#10530
    ("authentication_error", BadKey), // Anthropic: docs/api/errors
    ("permission_error", BadKey),     // Anthropic: the same page
    ("unauthenticated", BadKey),      // Google: google.rpc.Code
    ("permission_denied", BadKey),    // Google: google.rpc.Code
    // Too much at a time.
    ("rate_limit_exceeded", RateLimited), // OpenAI, Groq's 413: gpt-researcher#985
    ("rate_limit_error", RateLimited),    // Anthropic: docs/api/errors
    ("rate_limit_reached_error", RateLimited), // Moonshot: MoneyPrinterTurbo#339
    ("resource_exhausted", RateLimited),  // Google: google.rpc.Code
    ("throttlingexception", RateLimited), // Bedrock: positron#7844
    ("queue_exceeded", RateLimited),      // Cerebras: Kiln-AI/Kiln#1500
    // It has no such model.
    ("model_not_found", ModelNotFound), // OpenAI, Groq: docs/guides/error-codes
    ("invalid_model", ModelNotFound),   // Mistral's 400: langchaingo#1233
    ("invalid_model_id", ModelNotFound), // Kiro: decolua/9router#1187
    ("model_not_available", ModelNotFound), // Together: HeyPuter/puter#3168
    ("dedicated_endpoint_not_running", ModelNotFound), // Together: HeyPuter/puter#3168
    ("deploymentnotfound", ModelNotFound), // Azure: learn.microsoft.com, Azure OpenAI
    ("model_terms_required", ModelNotFound), // Groq: langflow#11120
    ("not_found", ModelNotFound),       // Fireworks, Google: warp#15107
    ("not_found_error", ModelNotFound), // Anthropic: docs/api/errors
    // Our own server of another model, or another version of it: the same handle would fail the same way.
    (resume::MISMATCH, ModelNotFound),
    (resume::INVALID, ModelNotFound),
    // What was asked is beyond it.
    ("unsupported_parameter", Unsupported), // OpenAI, moe-server: eva-agent#83
    ("unsupported_value", Unsupported),     // OpenAI: QwenLM/qwen-code#921
    ("unknown_parameter", Unsupported),     // OpenAI, Azure: agno#1066
    ("extra_forbidden", Unsupported),       // FastAPI (Mistral, NIM): php-mistral#76
    ("wrong_api_format", Unsupported),      // Cerebras: free-claude-code#1136
    // It is in trouble.
    ("origin_waking", Waking),
    // moe-server, when it sleeps.
    ("asleep", Waking),
    ("waking", Waking),
    ("draining", Waking),
    ("overloaded_error", ServerError), // Anthropic: docs/api/errors (529)
];

/// Looked for where the status leaves it open; the first one that is found holds.
pub(super) const PHRASES: &[(&str, Failure)] = &[
    ("api key not valid", BadKey), // Gemini's 400: continuedev/continue#10530
    ("api key expired", BadKey),   // Gemini's 400: ai.google.dev, troubleshooting
    ("incorrect api key provided", BadKey), // xAI's 400: docs.x.ai, debugging
    ("invalid api key", BadKey),   // Groq, Together: docs, error codes
    // A pace, though some say how many tokens.
    ("tokens per min", RateLimited),    // OpenAI, Groq: vanna-flask#11
    ("tokens per day", RateLimited),    // Groq: continuedev/continue#10920
    ("rate limit", RateLimited),        // Groq: elizaOS/eliza#4040
    ("too many requests", RateLimited), // Cerebras: inference-docs, error codes
    ("please wait before trying again", RateLimited), // Bedrock: anthropics/claude-code#1466
    // Not the mere word "billing": Gemini's usual limit of requests per minute says to check one's plan and billing.
    ("credit balance", BadKey),                   // Anthropic's 400: docs/api/errors
    ("insufficient balance", BadKey),             // DeepSeek, Moonshot: Aider-AI/aider#4851
    ("insufficient credits", BadKey),             // OpenRouter: docs/api-reference/errors
    ("have any credits", BadKey),                 // xAI's 403: griptape-nodes-engine#1079
    ("used all available credits", BadKey),       // xAI's 429: continuedev/continue#10373
    ("run out of credits", BadKey),               // xAI's 403: sub2api#4069
    ("exceeded current quota", BadKey),           // Moonshot's 403: MoonshotAI/Kimi-K2#5
    ("content management policy", ContentFilter), // Azure: helm#3327
    ("responsible_ai", ContentFilter),            // Azure: learn.microsoft.com, content filtering
    ("content_filter", ContentFilter),            // Azure within a proxy's text: argo-proxy#91
    ("content_policy", ContentFilter),            // OpenAI
    ("content exists risk", ContentFilter),       // DeepSeek: deepseek-ai/DeepSeek-V2#30
    ("inappropriate content", ContentFilter),     // DashScope: QwenLM/qwen-code#2905
    ("datainspectionfailed", ContentFilter),      // DashScope: QwenLM/qwen-code#2905
    ("content violates usage guidelines", ContentFilter), // xAI's 403: theopenco/llmgateway#1785
    ("violating our usage policy", ContentFilter), // OpenAI's 400 `invalid_prompt`
    ("was flagged", ContentFilter),               // OpenRouter: docs/api-reference/errors
    ("input flagged", ContentFilter),             // OpenRouter
    ("moderation", ContentFilter),                // OpenRouter: docs/api-reference/errors
    ("context_length", ContextLength),            // codes within a proxy's text
    ("context length", ContextLength), // OpenAI, SGLang, Together, Mistral, LM Studio: pi-mono, overflow.ts
    ("context window", ContextLength), // OpenAI, MiniMax: overflow.ts
    ("context size", ContextLength),   // llama.cpp: overflow.ts
    ("context limit", ContextLength),  // Anthropic
    ("context the overflows", ContextLength), // LM Studio: lmstudio-bug-tracker#237
    ("prompt is too long", ContextLength), // Anthropic, Bedrock: strands-agents/harness-sdk#1663
    ("prompt too long", ContextLength), // Ollama: iamclancyliang/pi-go#37
    ("input is too long", ContextLength), // Bedrock, Replicate: litellm#21647
    ("too long and exceeds limit", ContextLength), // vLLM: vllm/v1/engine/processor.py
    ("maximum model length", ContextLength), // vLLM: xorbitsai/inference#3785
    ("maximum number of tokens", ContextLength), // Gemini: overflow.ts
    ("max input token limit", ContextLength), // Bedrock: openclaw#58839
    ("maximum prompt length", ContextLength), // xAI: overflow.ts
    ("maximum allowed input length", ContextLength), // OpenRouter: iamclancyliang/pi-go#37
    ("exceed model maximum", ContextLength), // Bedrock Mantle: strands-agents/harness-sdk#3722
    ("exceed customer model maximum", ContextLength), // OpenAI through Bedrock: the same
    ("exceeded model token limit", ContextLength), // Moonshot: overflow.ts
    ("exceeds the model's max", ContextLength), // Cohere: openclaw#58839
    ("length of all messages is too long", ContextLength), // Perplexity: litellm#21647
    ("reduce the length of the messages", ContextLength), // Groq, Cerebras: cline#5140
    ("range of input length should be", ContextLength), // DashScope
    ("prompt token count", ContextLength), // GitHub Copilot: overflow.ts
    ("`max_new_tokens` must be <=", ContextLength), // TGI, Together: helm#2080, transformers#28523
    ("`inputs` must have less than", ContextLength), // TGI: meta-llama/llama#1103
    ("exceed the model limit of", ContextLength), // Bedrock: RooCodeInc/Roo-Code#248
    ("exceeds the model limit of", ContextLength), // the same: bedrock-access-gateway#41
    ("model not found", ModelNotFound), // Fireworks: warp#15107
    ("model not exist", ModelNotFound), // DeepSeek's 400
    ("invalid model", ModelNotFound),  // Mistral, LiteLLM's proxy: mistral-vibe#617, litellm#3142
    ("is not a valid model id", ModelNotFound), // OpenRouter's 400: openfang#697
    ("model identifier is invalid", ModelNotFound), // Bedrock: AionCore#377
    ("with on-demand throughput isn", ModelNotFound), // Bedrock: anthropics/claude-code#1293
    ("no such model", ModelNotFound),  // Cloudflare's Workers AI: cloudflare/agents#1328
    ("try pulling it first", ModelNotFound), // Ollama
    ("no models loaded", ModelNotFound), // LM Studio
    ("unrecognized request argument", Unsupported), // Azure: openai-python#1469
    ("unsupported parameter", Unsupported), // OpenAI, Copilot: caozhiyuan/copilot-api#164
    ("unknown parameter", Unsupported), // Azure: BoltAI#135
    ("extra inputs are not permitted", Unsupported), // Mistral, NIM: picoclaw#1019
    ("is unsupported", Unsupported),   // Groq: chatbot#21
    ("not supported with this model", Unsupported), // OpenAI, Groq: pluely#242
    ("not supported on this model", Unsupported), // xAI: n8n#14581
    ("does not support", Unsupported), // Ollama, xAI, OpenAI: ollama#14795, open-webui#21266
    ("doesn't support", Unsupported),  // the same
    ("support tool use", Unsupported), // OpenRouter: fast-agent#122
    ("tool choice requires", Unsupported), // vLLM: vllm#9986
    ("this model supports at most", Unsupported), // OpenAI's `max_tokens`: NextChat#3195
    ("valid range of max_tokens", Unsupported), // DeepSeek: open-deep-research#19
    ("max_tokens for `", Unsupported), // Groq: groq-moa#8
    ("location is not supported", Unsupported), // Gemini, of the gateway: poenl/gemini-api#4
    ("only 1 is allowed for this model", Unsupported), // Moonshot's temperature: bike4mind#1089
    ("loading model", Waking),         // llama.cpp's 503: llama-swap#146
];

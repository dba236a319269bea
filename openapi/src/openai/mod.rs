//! OpenAI's chat completions, completions and models
//! (<https://platform.openai.com/docs/api-reference/chat/create>), with members that OpenRouter, vLLM and others have.

mod answers;

use crate::table::{
    Api, Body, EVENTS, Endpoint, JSON, Key, Kind, MODEL, Object, STREAM, count, flag, list, map, member,
    number, object, text, words,
};
pub use answers::ERROR;
use answers::{CHAT_COMPLETION, CHUNK, MODEL_ENTRY, MODELS, TEXT_COMPLETION};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "post",
        path: "/v1/chat/completions",
        id: "createChatCompletion",
        summary: "A chat completion.",
        api: Api::OpenAi,
        key: Key::Client,
        query: &[],
        request: Some(Body { media_type: JSON, object: &CHAT, examples: CHAT_EXAMPLES, is_read: true }),
        answers: &[
            (JSON, Kind::Object(&CHAT_COMPLETION)),
            (EVENTS, Kind::Either(&[DONE, Kind::Object(&CHUNK)])),
        ],
    },
    Endpoint {
        method: "post",
        path: "/v1/completions",
        id: "createCompletion",
        summary: "A completion of a prompt, by origins of OpenAI's API.",
        api: Api::OpenAi,
        key: Key::Client,
        query: &[],
        request: Some(Body {
            media_type: JSON,
            object: &COMPLETION,
            examples: &[COMPLETION_EXAMPLE],
            is_read: false,
        }),
        answers: &[
            (JSON, Kind::Object(&TEXT_COMPLETION)),
            (EVENTS, Kind::Either(&[DONE, Kind::Object(&TEXT_COMPLETION)])),
        ],
    },
    Endpoint {
        method: "get",
        path: "/v1/models",
        id: "listModels",
        summary: "The models that the key may use; in Anthropic's form for requests with anthropic-version or x-api-key, in Google's with x-goog-api-key.",
        api: Api::ByHeaders,
        key: Key::Client,
        query: &[],
        request: None,
        answers: &[(
            JSON,
            Kind::Either(&[
                Kind::Object(&MODELS),
                Kind::Object(&crate::anthropic::MODELS),
                Kind::Object(&crate::gemini::MODELS),
            ]),
        )],
    },
    Endpoint {
        method: "get",
        path: "/v1/models/{model}",
        id: "getModel",
        summary: "One of them.",
        api: Api::ByHeaders,
        key: Key::Client,
        query: &[],
        request: None,
        answers: &[(
            JSON,
            Kind::Either(&[
                Kind::Object(&MODEL_ENTRY),
                Kind::Object(&crate::anthropic::MODEL_ENTRY),
                Kind::Object(&crate::gemini::MODEL_ENTRY),
            ]),
        )],
    },
];

/// The last event of a stream.
const DONE: Kind = Kind::Words(&["[DONE]"]);

const CHAT: Object = Object {
    name: "ChatRequest",
    members: &[
        MODEL,
        list("messages", &Kind::Object(&MESSAGE), "The conversation.").needed(),
        STREAM,
        map("stream_options", "{\"include_usage\": true}: a last event has the counts."),
        count("max_completion_tokens", "The most tokens of the answer, thoughts among them."),
        count("max_tokens", ""),
        number("temperature", "0 to 2."),
        number("top_p", "0 to 1."),
        number("top_k", "As vLLM and others have it."),
        number("seed", ""),
        number("presence_penalty", "-2 to 2."),
        number("frequency_penalty", "-2 to 2."),
        member("stop", TEXTS, "Where the answer ends."),
        flag("logprobs", ""),
        count("top_logprobs", ""),
        count("n", "More than one answer: only origins of OpenAI's API."),
        list("tools", &Kind::Object(&TOOL), "Functions that the model may call."),
        member(
            "tool_choice",
            Kind::Either(&[Kind::Words(&["none", "auto", "required"]), Kind::Object(&TOOL_CHOICE)]),
            "",
        ),
        flag("parallel_tool_calls", "False: one call at a time."),
        object("response_format", &RESPONSE_FORMAT, "The form of the answer's text."),
        text("reasoning_effort", "none, minimal, low, medium, high, xhigh."),
        object("reasoning", &REASONING, "As OpenRouter has it."),
        flag("include_reasoning", "The older name of reasoning.exclude, reversed."),
        list("modalities", &Kind::Text, "Other than text: only origins of OpenAI's API."),
        text("service_tier", ""),
        text("verbosity", "low, medium, high."),
        text("user", "The end user, as the app names them: a hint."),
        text("safety_identifier", ""),
        text("prompt_cache_key", ""),
        text("prompt_cache_retention", ""),
        map("metadata", ""),
        map("usage", "OpenRouter's; counts are always told."),
        map("logit_bias", "").same_api(),
        map("prediction", "").same_api(),
        map("audio", "").same_api(),
        map("web_search_options", "").same_api(),
        flag("store", "").same_api(),
    ],
};

const TEXTS: Kind = Kind::Either(&[Kind::Text, Kind::List(&Kind::Text)]);

const MESSAGE: Object = Object {
    name: "",
    members: &[
        words("role", &["system", "developer", "user", "assistant", "tool"], "").needed(),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&PART)), Kind::Null]), ""),
        text("name", ""),
        text("tool_call_id", ""),
        list("tool_calls", &Kind::Object(&TOOL_CALL), ""),
        text("refusal", ""),
        text("reasoning", "Thoughts, as they came."),
        text("reasoning_content", ""),
        list(
            "reasoning_details",
            &Kind::Object(&REASONING_DETAIL),
            "OpenRouter's: thoughts with their signatures.",
        ),
        list("annotations", &Kind::Any, ""),
        map("audio", ""),
        map(LITELLM, "What LiteLLM kept of an answer."),
    ],
};

const LITELLM: &str = "provider_specific_fields";

const PART: Object = Object {
    name: "",
    members: &[
        words("type", &["text", "image_url", "input_audio", "file", "refusal"], "").needed(),
        text("text", ""),
        object("image_url", &IMAGE_URL, ""),
        object("input_audio", &INPUT_AUDIO, ""),
        object("file", &FILE, ""),
        text("refusal", ""),
        map("cache_control", ""),
    ],
};

const IMAGE_URL: Object = Object {
    name: "",
    members: &[text("url", "https:// or data:").needed(), text("detail", "auto, low, high.")],
};

const INPUT_AUDIO: Object =
    Object { name: "", members: &[text("data", "").needed(), text("format", "wav, mp3.").needed()] };

const FILE: Object =
    Object { name: "", members: &[text("filename", ""), text("file_data", ""), text("file_id", "")] };

const TOOL_CALL: Object = Object {
    name: "ToolCall",
    members: &[
        text("id", "").needed(),
        words("type", &["function"], ""),
        object("function", &CALLED, "").needed(),
        object("extra_content", &EXTRA_CONTENT, "Google's, as it came."),
        count("index", ""),
        map(LITELLM, ""),
    ],
};

const CALLED: Object = Object {
    name: "",
    members: &[text("name", "").needed(), text("arguments", "A JSON object as text."), map(LITELLM, "")],
};

const EXTRA_CONTENT: Object = Object { name: "", members: &[object("google", &GOOGLE, "")] };

const GOOGLE: Object =
    Object { name: "", members: &[text("thought_signature", "Of the thought that led to the call.")] };

const REASONING_DETAIL: Object = Object {
    name: "",
    members: &[
        text("type", "reasoning.text, reasoning.summary, reasoning.encrypted."),
        text("text", ""),
        text("summary", ""),
        text("signature", ""),
        text("data", ""),
        text("format", "Whose it is."),
        text("id", ""),
        count("index", ""),
    ],
};

const TOOL: Object = Object {
    name: "",
    members: &[
        text("type", "function; others: only origins of OpenAI's API."),
        object("function", &FUNCTION, ""),
        map("cache_control", ""),
    ],
};

const FUNCTION: Object = Object {
    name: "",
    members: &[
        text("name", "").needed(),
        text("description", ""),
        map("parameters", "A JSON Schema."),
        flag("strict", ""),
    ],
};

const TOOL_CHOICE: Object = Object {
    name: "",
    members: &[
        text("type", "function, allowed_tools.").needed(),
        object("function", &NAMED, ""),
        object("allowed_tools", &ALLOWED, ""),
    ],
};

const NAMED: Object = Object { name: "NamedFunction", members: &[text("name", "").needed()] };

const ALLOWED: Object = Object {
    name: "",
    members: &[text("mode", "auto, required."), list("tools", &Kind::Object(&ALLOWED_TOOL), "")],
};

const ALLOWED_TOOL: Object = Object { name: "", members: &[object("function", &NAMED, "")] };

const RESPONSE_FORMAT: Object = Object {
    name: "",
    members: &[
        text("type", "text, json_object, json_schema.").needed(),
        object("json_schema", &JSON_SCHEMA, ""),
    ],
};

const JSON_SCHEMA: Object = Object {
    name: "",
    members: &[text("name", ""), text("description", ""), map("schema", ""), flag("strict", "")],
};

const REASONING: Object = Object {
    name: "",
    members: &[
        text("effort", ""),
        count("max_tokens", ""),
        flag("enabled", ""),
        flag("exclude", "Thoughts are not in the answer."),
    ],
};

const CHAT_EXAMPLES: &[&str] = &[
    r#"{"model":"m","messages":[
        {"role":"system","content":"s"},
        {"role":"user","content":[
            {"type":"text","text":"t","cache_control":{"ttl":"5m"}},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},
            {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
            {"type":"file","file":{"filename":"f","file_data":"data:application/pdf;base64,AA==","file_id":"i"}}]},
        {"role":"assistant","name":"a","content":[{"type":"refusal","refusal":"r"}],"refusal":"r","reasoning":"h",
         "reasoning_content":"h","annotations":[],"audio":{"id":"a"},"provider_specific_fields":{},
         "reasoning_details":[
            {"type":"reasoning.text","text":"h","signature":"s","format":"anthropic-claude-v1","id":"i","index":0},
            {"type":"reasoning.encrypted","data":"d"},{"type":"reasoning.summary","summary":"s"}],
         "tool_calls":[{"id":"c","type":"function","index":0,"provider_specific_fields":{},
            "function":{"name":"f","arguments":"{}","provider_specific_fields":{}},
            "extra_content":{"google":{"thought_signature":"s"}}}]},
        {"role":"tool","tool_call_id":"c","content":"r"}],
      "stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":9,"max_tokens":9,"temperature":1,
      "top_p":0.5,"top_k":5,"seed":1,"presence_penalty":1,"frequency_penalty":1,"stop":["s"],"logprobs":true,
      "top_logprobs":1,"n":1,"tools":[{"type":"function","cache_control":{"ttl":"1h"},"function":{"name":"f",
      "description":"d","parameters":{"type":"object"},"strict":true}}],
      "tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,
      "response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,
      "schema":{"type":"object"}}},"reasoning_effort":"low",
      "reasoning":{"effort":"low","max_tokens":9,"enabled":true,"exclude":true},"include_reasoning":true,
      "modalities":["text"],"service_tier":"auto","verbosity":"medium","user":"u","safety_identifier":"s",
      "prompt_cache_key":"k","prompt_cache_retention":"24h","metadata":{"a":"b"},"usage":{"include":true}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"u"}],"tools":[{"function":{"name":"f"}}],
      "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}},
      "logit_bias":{"1":2},"prediction":{"type":"content","content":"c"},"audio":{"voice":"v"},
      "web_search_options":{"search_context_size":"low"}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"u"}],"store":true}"#,
];

const COMPLETION: Object = Object {
    name: "CompletionRequest",
    members: &[
        MODEL,
        member("prompt", TEXTS, ""),
        text("suffix", ""),
        STREAM,
        map("stream_options", ""),
        count("max_tokens", ""),
        number("temperature", ""),
        number("top_p", ""),
        count("n", ""),
        member("stop", TEXTS, ""),
        flag("echo", ""),
        number("seed", ""),
        count("logprobs", ""),
        number("presence_penalty", ""),
        number("frequency_penalty", ""),
        map("logit_bias", ""),
        text("user", ""),
    ],
};

const COMPLETION_EXAMPLE: &str = r#"{"model":"m","prompt":"p","suffix":"s","stream":true,
    "stream_options":{"include_usage":true},"max_tokens":9,"temperature":1,"top_p":0.5,"n":1,"stop":"s","echo":false,
    "seed":1,"logprobs":1,"presence_penalty":1,"frequency_penalty":1,"logit_bias":{},"user":"u"}"#;

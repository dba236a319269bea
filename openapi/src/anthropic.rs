//! Anthropic's Messages (<https://platform.claude.com/docs/en/api/messages>), and its form of errors and models.

use crate::table::{
    Api, Body, EVENTS, Endpoint, JSON, Key, Kind, MODEL, Member, Object, STREAM, count, flag, list, map,
    member, number, object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "post",
        path: "/v1/messages",
        id: "createMessage",
        summary: "A message.",
        api: Api::Anthropic,
        key: Key::Client,
        query: &[],
        request: Some(Body { media_type: JSON, object: &REQUEST, examples: EXAMPLES, is_read: true }),
        answers: &[(JSON, Kind::Object(&MESSAGE_ANSWER)), (EVENTS, Kind::Object(&EVENT))],
    },
    Endpoint {
        method: "post",
        path: "/v1/messages/count_tokens",
        id: "countMessageTokens",
        summary: "How many tokens a message's prompt has, by origins of Anthropic's API.",
        api: Api::Anthropic,
        key: Key::Client,
        query: &[],
        request: Some(Body { media_type: JSON, object: &COUNT, examples: &[COUNT_EXAMPLE], is_read: false }),
        answers: &[(JSON, Kind::Object(&TOKEN_COUNT))],
    },
];

const MESSAGES: Member = list("messages", &Kind::Object(&MESSAGE), "The conversation.").needed();
const SYSTEM: Member =
    member("system", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&SYSTEM_BLOCK))]), "");
const TOOLS: Member = list("tools", &Kind::Object(&TOOL), "");
const TOOL_CHOICE_MEMBER: Member = object("tool_choice", &TOOL_CHOICE, "");
const THINKING_MEMBER: Member = object("thinking", &THINKING, "");
const OUTPUT_CONFIG_MEMBER: Member = object("output_config", &OUTPUT_CONFIG, "");

const REQUEST: Object = Object {
    name: "MessageRequest",
    members: &[
        MODEL,
        MESSAGES,
        count("max_tokens", "Anthropic's own origins need it."),
        SYSTEM,
        STREAM,
        number("temperature", "0 to 1."),
        number("top_p", ""),
        number("top_k", ""),
        list("stop_sequences", &Kind::Text, ""),
        TOOLS,
        TOOL_CHOICE_MEMBER,
        THINKING_MEMBER,
        OUTPUT_CONFIG_MEMBER,
        object("output_format", &FORMAT, "The older name of output_config.format."),
        object("metadata", &METADATA, ""),
        text("service_tier", ""),
        text("speed", ""),
        map("cache_control", ""),
        text("anthropic_version", "Of bodies meant for Vertex AI or Bedrock."),
        list("mcp_servers", &Kind::Map, "").same_api(),
        map("context_management", "").same_api(),
        member("container", Kind::Any, "").same_api(),
    ],
};

const COUNT: Object = Object {
    name: "MessageCountRequest",
    members: &[MODEL, MESSAGES, SYSTEM, TOOLS, TOOL_CHOICE_MEMBER, THINKING_MEMBER, OUTPUT_CONFIG_MEMBER],
};

const MESSAGE: Object = Object {
    name: "MessageParam",
    members: &[
        words("role", &["user", "assistant", "system"], "").needed(),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&BLOCK))]), "").needed(),
    ],
};

const SYSTEM_BLOCK: Object = Object {
    name: "SystemBlock",
    members: &[
        text("type", "text.").needed(),
        text("text", "").needed(),
        list("citations", &Kind::Any, ""),
        CACHE_CONTROL,
    ],
};

const CACHE_CONTROL: Member = map("cache_control", "{\"type\": \"ephemeral\"}, with ttl 5m or 1h.");

const BLOCK: Object = Object {
    name: "Block",
    members: &[
        text(
            "type",
            "text, image, document, tool_use, tool_result, thinking, redacted_thinking; others: only origins of this API.",
        )
        .needed(),
        text("text", ""),
        object("source", &SOURCE, "Of an image or a document."),
        text("title", ""),
        member("citations", Kind::Any, "Of a document, whether they are wanted; of a text, as they came."),
        text("id", ""),
        text("name", ""),
        map("input", ""),
        map("caller", ""),
        text("tool_use_id", ""),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Map)]), "Of a result: a text, or blocks."),
        flag("is_error", ""),
        text("thinking", ""),
        text("signature", ""),
        text("data", ""),
        CACHE_CONTROL,
    ],
};

const SOURCE: Object = Object {
    name: "",
    members: &[
        text("type", "base64, url, file, text, content.").needed(),
        text("media_type", ""),
        text("data", ""),
        text("url", ""),
        text("file_id", ""),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Map)]), ""),
    ],
};

const TOOL: Object = Object {
    name: "Tool",
    members: &[
        text("type", "custom; others: only origins of this API."),
        text("name", "").needed(),
        text("description", ""),
        map("input_schema", "A JSON Schema."),
        flag("strict", ""),
        CACHE_CONTROL,
        flag("eager_input_streaming", ""),
        list("input_examples", &Kind::Any, ""),
        list("allowed_callers", &Kind::Text, "Other than direct: only origins of this API."),
    ],
};

const TOOL_CHOICE: Object = Object {
    name: "ToolChoice",
    members: &[
        words("type", &["auto", "any", "tool", "none"], "").needed(),
        text("name", ""),
        flag("disable_parallel_tool_use", "One call at a time."),
    ],
};

const THINKING: Object = Object {
    name: "Thinking",
    members: &[
        text("type", "enabled, disabled, adaptive.").needed(),
        count("budget_tokens", ""),
        text("display", "summarized, omitted."),
    ],
};

const OUTPUT_CONFIG: Object = Object {
    name: "OutputConfig",
    members: &[text("effort", "low, medium, high, max."), object("format", &FORMAT, "")],
};

const FORMAT: Object = Object {
    name: "OutputFormat",
    members: &[text("type", "json_schema.").needed(), map("schema", "").needed()],
};

const METADATA: Object = Object { name: "", members: &[text("user_id", "")] };

const EXAMPLES: &[&str] = &[
    r#"{"model":"m","max_tokens":9,"stream":true,"temperature":1,"top_p":0.5,"top_k":5,"stop_sequences":["s"],
      "system":[{"type":"text","text":"s","citations":[],"cache_control":{"type":"ephemeral"}}],
      "messages":[
        {"role":"user","content":[
            {"type":"text","text":"t","citations":[],"cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},
            {"type":"image","source":{"type":"url","url":"https://e.example/i.png"}},
            {"type":"document","title":"t","citations":{"enabled":false},"source":{"type":"file","file_id":"f"}},
            {"type":"document","source":{"type":"content","content":[{"type":"text","text":"t"}]}}]},
        {"role":"assistant","content":[
            {"type":"thinking","thinking":"t","signature":"s"},
            {"type":"redacted_thinking","data":"d"},
            {"type":"tool_use","id":"c","name":"f","input":{},"caller":{"type":"direct"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"r","is_error":true}]}],
      "tools":[{"type":"custom","name":"f","description":"d","input_schema":{"type":"object"},"strict":true,
        "cache_control":{"ttl":"5m"},"eager_input_streaming":true,"input_examples":[{}],"allowed_callers":["direct"]}],
      "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
      "thinking":{"type":"enabled","budget_tokens":1024,"display":"summarized"},
      "output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}},
      "metadata":{"user_id":"u"},"service_tier":"auto","speed":"standard","cache_control":{"type":"ephemeral"},
      "anthropic_version":"vertex-2023-10-16"}"#,
    r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"u"}],
      "output_format":{"type":"json_schema","schema":{"type":"object"}},"mcp_servers":[{"type":"url"}],
      "context_management":{"edits":[{}]},"container":"c"}"#,
];

const COUNT_EXAMPLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"u"}],"system":"s",
    "tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},
    "thinking":{"type":"disabled"},"output_config":{"effort":"low"}}"#;

const MESSAGE_ANSWER: Object = Object {
    name: "Message",
    members: &[
        text("id", "").needed(),
        words("type", &["message"], "").needed(),
        words("role", &["assistant"], "").needed(),
        text("model", "").needed(),
        list("content", &Kind::Object(&ANSWER_BLOCK), "").needed(),
        member(
            "stop_reason",
            Kind::Either(&[Kind::Text, Kind::Null]),
            "end_turn, max_tokens, stop_sequence, tool_use, refusal.",
        )
        .needed(),
        member("stop_sequence", Kind::Either(&[Kind::Text, Kind::Null]), ""),
        object("usage", &USAGE, "").needed(),
    ],
};

const ANSWER_BLOCK: Object =
    Object { name: "", members: &[text("type", "text, thinking, redacted_thinking, tool_use.").needed()] };

const USAGE: Object = Object {
    name: "",
    members: &[
        count("input_tokens", "").needed(),
        count("output_tokens", "").needed(),
        number("cost", "Dollars."),
    ],
};

const EVENT: Object = Object {
    name: "MessageEvent",
    members: &[text("type", "message_start, content_block_delta, message_delta, message_stop.").needed()],
};

const TOKEN_COUNT: Object = Object { name: "MessageCount", members: &[count("input_tokens", "").needed()] };

pub const MODELS: Object = Object {
    name: "AnthropicModelList",
    members: &[
        list("data", &Kind::Object(&MODEL_ENTRY), "").needed(),
        flag("has_more", "").needed(),
        member("first_id", Kind::Either(&[Kind::Text, Kind::Null]), "").needed(),
        member("last_id", Kind::Either(&[Kind::Text, Kind::Null]), "").needed(),
    ],
};

pub const MODEL_ENTRY: Object = Object {
    name: "AnthropicModel",
    members: &[
        words("type", &["model"], "").needed(),
        text("id", "").needed(),
        text("display_name", "").needed(),
        text("created_at", "").needed(),
    ],
};

/// An error as Anthropic's clients read it.
pub const ERROR: Object = Object {
    name: "AnthropicError",
    members: &[words("type", &["error"], "").needed(), object("error", &ERROR_FIELDS, "").needed()],
};

const ERROR_FIELDS: Object = Object {
    name: "",
    members: &[
        text("type", "").needed(),
        text("message", "").needed(),
        text("code", ""),
        text("param", "The member that it is about."),
    ],
};

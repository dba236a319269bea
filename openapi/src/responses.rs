//! OpenAI's Responses (<https://platform.openai.com/docs/api-reference/responses/create>).

use crate::table::{
    Api, Body, EVENTS, Endpoint, JSON, Key, Kind, MODEL, Object, STREAM, count, flag, list, map, member,
    number, object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: "post",
    path: "/v1/responses",
    id: "createResponse",
    summary: "A response. Nothing is stored for models of other origins than OpenAI's own.",
    api: Api::OpenAi,
    key: Key::Client,
    query: &[],
    request: Some(Body { media_type: JSON, object: &REQUEST, examples: EXAMPLES, is_read: true }),
    answers: &[(JSON, Kind::Object(&RESPONSE)), (EVENTS, Kind::Object(&EVENT))],
}];

const REQUEST: Object = Object {
    name: "ResponseRequest",
    members: &[
        MODEL,
        member("input", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&ITEM))]), "The conversation.")
            .needed(),
        text("instructions", ""),
        STREAM,
        map("stream_options", ""),
        flag("store", "False: items are sent whole."),
        count("max_output_tokens", ""),
        number("temperature", "0 to 2."),
        number("top_p", "0 to 1."),
        count("top_logprobs", ""),
        list("include", &Kind::Text, "reasoning.encrypted_content, message.output_text.logprobs."),
        list("tools", &Kind::Object(&TOOL), ""),
        member(
            "tool_choice",
            Kind::Either(&[Kind::Words(&["none", "auto", "required"]), Kind::Object(&TOOL_CHOICE)]),
            "",
        ),
        flag("parallel_tool_calls", "False: one call at a time."),
        count("max_tool_calls", ""),
        object("text", &TEXT, "The form of the answer's text."),
        object("reasoning", &REASONING, ""),
        text("service_tier", ""),
        text("truncation", "disabled, auto."),
        text("user", ""),
        text("safety_identifier", ""),
        text("prompt_cache_key", ""),
        text("prompt_cache_retention", ""),
        map("prompt_cache_options", ""),
        map("metadata", "Comes back with the answer."),
        flag("background", ""),
        text("previous_response_id", "").same_api(),
        member("conversation", Kind::Any, "").same_api(),
        map("prompt", "").same_api(),
    ],
};

const ITEM: Object = Object {
    name: "",
    members: &[
        text(
            "type",
            "message (the usual one), function_call, function_call_output, reasoning, image_generation_call; item_reference only with an origin that stores.",
        ),
        text("id", ""),
        text("status", ""),
        words("role", &["user", "assistant", "system", "developer"], ""),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&PART))]), ""),
        text("phase", ""),
        text("call_id", ""),
        text("name", ""),
        text("arguments", "A JSON object as text."),
        member("output", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&PART))]), ""),
        list("summary", &Kind::Map, ""),
        text("encrypted_content", ""),
        text("output_format", ""),
        text("result", ""),
    ],
};

const PART: Object = Object {
    name: "ResponsePart",
    members: &[
        text("type", "input_text, input_image, input_file, output_text, refusal.").needed(),
        text("text", ""),
        text("image_url", "https:// or data:"),
        text("detail", "auto, low, high."),
        text("file_data", ""),
        text("file_url", ""),
        text("file_id", ""),
        text("filename", ""),
        text("refusal", ""),
        list("annotations", &Kind::Any, ""),
        list("logprobs", &Kind::Any, ""),
        map("prompt_cache_breakpoint", ""),
    ],
};

const TOOL: Object = Object {
    name: "",
    members: &[
        text("type", "function; others: only origins of this API.").needed(),
        text("name", ""),
        text("description", ""),
        map("parameters", "A JSON Schema."),
        flag("strict", ""),
    ],
};

const TOOL_CHOICE: Object = Object {
    name: "",
    members: &[
        text("type", "function, allowed_tools.").needed(),
        text("name", ""),
        text("mode", "auto, required."),
        list("tools", &Kind::Object(&ALLOWED), ""),
    ],
};

const ALLOWED: Object = Object { name: "", members: &[text("type", "").needed(), text("name", "")] };

const TEXT: Object =
    Object { name: "", members: &[object("format", &FORMAT, ""), text("verbosity", "low, medium, high.")] };

const FORMAT: Object = Object {
    name: "",
    members: &[
        text("type", "text, json_object, json_schema.").needed(),
        text("name", ""),
        text("description", ""),
        map("schema", ""),
        flag("strict", ""),
    ],
};

const REASONING: Object = Object {
    name: "",
    members: &[
        text("effort", "none, minimal, low, medium, high, xhigh."),
        text("summary", "auto, concise, detailed."),
        text("generate_summary", "The older name of summary."),
    ],
};

const EXAMPLES: &[&str] = &[
    r#"{"model":"m","instructions":"i","stream":true,"stream_options":{"include_obfuscation":false},"store":false,
      "input":[
        {"type":"message","id":"i","status":"completed","role":"user","content":[
            {"type":"input_text","text":"t","annotations":[],"logprobs":[],"prompt_cache_breakpoint":{"mode":"explicit"}},
            {"type":"input_image","image_url":"https://e.example/i.png","detail":"low"},
            {"type":"input_file","file_data":"data:application/pdf;base64,AA==","filename":"f"},
            {"type":"input_file","file_url":"https://e.example/f.pdf"},
            {"type":"input_image","file_id":"f"}]},
        {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"e",
         "content":[{"text":"t"}]},
        {"role":"assistant","phase":"commentary","content":[{"type":"refusal","refusal":"r"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"o"},
        {"type":"image_generation_call","id":"i","output_format":"png","result":"AA=="}],
      "max_output_tokens":9,"temperature":1,"top_p":0.5,"top_logprobs":1,"include":["reasoning.encrypted_content"],
      "tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}],
      "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false,"max_tool_calls":1,
      "text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true},
      "verbosity":"medium"},"reasoning":{"effort":"low","summary":"auto"},"service_tier":"auto",
      "truncation":"disabled","user":"u","safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h",
      "prompt_cache_options":{"mode":"explicit"},"metadata":{"a":"b"},"background":false}"#,
    r#"{"model":"m","input":"i","tools":[{"type":"function","name":"f"}],"reasoning":{"generate_summary":"auto"},
      "tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}}"#,
    r#"{"model":"m","input":"i","previous_response_id":"r"}"#,
    r#"{"model":"m","input":"i","conversation":"c"}"#,
    r#"{"model":"m","input":"i","prompt":{"id":"p"}}"#,
];

const RESPONSE: Object = Object {
    name: "Response",
    members: &[
        text("id", "").needed(),
        text("object", "").needed(),
        number("created_at", "").needed(),
        text("model", "").needed(),
        text("status", "completed, incomplete, failed, in_progress.").needed(),
        list("output", &Kind::Object(&OUTPUT), "").needed(),
        member("error", Kind::Any, ""),
        member("incomplete_details", Kind::Any, ""),
        member("usage", Kind::Either(&[Kind::Object(&USAGE), Kind::Null]), ""),
    ],
};

const OUTPUT: Object =
    Object { name: "", members: &[text("type", "message, reasoning, function_call.").needed()] };

const USAGE: Object = Object {
    name: "",
    members: &[
        count("input_tokens", "").needed(),
        count("output_tokens", "").needed(),
        count("total_tokens", "").needed(),
        number("cost", "Dollars."),
    ],
};

const EVENT: Object = Object {
    name: "ResponseEvent",
    members: &[
        text("type", "response.created, response.output_text.delta, response.completed.").needed(),
        count("sequence_number", "").needed(),
    ],
};

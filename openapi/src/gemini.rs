//! Google's Gemini API (<https://ai.google.dev/api/generate-content>), and its form of errors and models.

use crate::table::{
    Api, Body, EVENTS, Endpoint, JSON, Key, Kind, Member, Object, count, flag, list, map, member, number,
    object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "post",
        path: "/v1beta/models/{model}:generateContent",
        id: "generateContent",
        summary: "An answer; also at /v1.",
        api: Api::Gemini,
        key: Key::Client,
        query: &[],
        request: Some(BODY),
        answers: &[(JSON, Kind::Object(&ANSWER))],
    },
    Endpoint {
        method: "post",
        path: "/v1beta/models/{model}:streamGenerateContent",
        id: "streamGenerateContent",
        summary: "An answer as a stream: a JSON array, or with alt=sse server-sent events; also at /v1.",
        api: Api::Gemini,
        key: Key::Client,
        query: &[words("alt", &["sse", "json"], "")],
        request: Some(BODY),
        answers: &[(EVENTS, Kind::Object(&ANSWER)), (JSON, Kind::List(&Kind::Object(&ANSWER)))],
    },
    Endpoint {
        method: "post",
        path: "/v1beta/models/{model}:countTokens",
        id: "countTokens",
        summary: "How many tokens a prompt has, by origins of Google's API; also at /v1.",
        api: Api::Gemini,
        key: Key::Client,
        query: &[],
        request: Some(Body { media_type: JSON, object: &COUNT, examples: COUNT_EXAMPLES, is_read: false }),
        answers: &[(JSON, Kind::Object(&TOKEN_COUNT))],
    },
    Endpoint {
        method: "get",
        path: "/v1beta/models",
        id: "listGeminiModels",
        summary: "The models that the key may use.",
        api: Api::Gemini,
        key: Key::Client,
        query: &[],
        request: None,
        answers: &[(JSON, Kind::Object(&MODELS))],
    },
    Endpoint {
        method: "get",
        path: "/v1beta/models/{model}",
        id: "getGeminiModel",
        summary: "One of them.",
        api: Api::Gemini,
        key: Key::Client,
        query: &[],
        request: None,
        answers: &[(JSON, Kind::Object(&MODEL_ENTRY))],
    },
];

const BODY: Body = Body { media_type: JSON, object: &REQUEST, examples: EXAMPLES, is_read: true };

const REQUEST: Object = Object {
    name: "GenerateContentRequest",
    members: &[
        CONTENTS.needed(),
        object("systemInstruction", &CONTENT, ""),
        list("tools", &Kind::Object(&TOOL), ""),
        object("toolConfig", &TOOL_CONFIG, ""),
        object("generationConfig", &GENERATION_CONFIG, ""),
        list(
            "safetySettings",
            &Kind::Map,
            "category and threshold; a filter beyond the usual: only origins of this API.",
        ),
        text("serviceTier", ""),
        map("labels", ""),
        text("model", ""),
        text("cachedContent", "").same_api(),
    ],
};

const CONTENTS: Member = list("contents", &Kind::Object(&CONTENT), "The conversation.");

const CONTENT: Object = Object {
    name: "Content",
    members: &[text("role", "user, model."), list("parts", &Kind::Object(&PART), "")],
};

const PART: Object = Object {
    name: "",
    members: &[
        text("text", ""),
        object("inlineData", &INLINE_DATA, ""),
        object("fileData", &FILE_DATA, ""),
        object("functionCall", &FUNCTION_CALL, ""),
        object("functionResponse", &FUNCTION_RESPONSE, ""),
        flag("thought", ""),
        text("thoughtSignature", ""),
        member("mediaResolution", Kind::Any, ""),
        map("partMetadata", ""),
    ],
};

const INLINE_DATA: Object = Object {
    name: "InlineData",
    members: &[text("data", "").needed(), text("mimeType", ""), text("displayName", "")],
};

const FILE_DATA: Object = Object {
    name: "FileData",
    members: &[text("fileUri", "").needed(), text("mimeType", ""), text("displayName", "")],
};

const FUNCTION_CALL: Object =
    Object { name: "", members: &[text("name", "").needed(), text("id", ""), map("args", "")] };

const FUNCTION_RESPONSE: Object = Object {
    name: "",
    members: &[
        text("name", "").needed(),
        text("id", ""),
        map("response", "").needed(),
        list("parts", &Kind::Object(&RESPONSE_PART), "Media."),
    ],
};

const RESPONSE_PART: Object = Object {
    name: "",
    members: &[
        object("inlineData", &INLINE_DATA, ""),
        object("fileData", &FILE_DATA, ""),
        member("mediaResolution", Kind::Any, ""),
    ],
};

const TOOL: Object = Object {
    name: "",
    members: &[
        list("functionDeclarations", &Kind::Object(&DECLARATION), ""),
        map("googleSearch", "").same_api(),
        map("codeExecution", "").same_api(),
        map("urlContext", "").same_api(),
    ],
};

const DECLARATION: Object = Object {
    name: "",
    members: &[
        text("name", "").needed(),
        text("description", ""),
        map("parameters", ""),
        map("parametersJsonSchema", "A JSON Schema."),
        map("response", ""),
        map("responseJsonSchema", ""),
        text("behavior", ""),
    ],
};

const TOOL_CONFIG: Object =
    Object { name: "", members: &[object("functionCallingConfig", &CALLING_CONFIG, "")] };

const CALLING_CONFIG: Object = Object {
    name: "",
    members: &[text("mode", "AUTO, ANY, NONE, VALIDATED."), list("allowedFunctionNames", &Kind::Text, "")],
};

const GENERATION_CONFIG: Object = Object {
    name: "",
    members: &[
        count("maxOutputTokens", ""),
        number("temperature", "0 to 2."),
        number("topP", ""),
        number("topK", ""),
        number("seed", ""),
        number("presencePenalty", ""),
        number("frequencyPenalty", ""),
        list("stopSequences", &Kind::Text, ""),
        flag("responseLogprobs", ""),
        count("logprobs", ""),
        count("candidateCount", "More than one: only origins of this API."),
        member("mediaResolution", Kind::Any, ""),
        list("responseModalities", &Kind::Text, "Other than TEXT: only origins of this API."),
        text("responseMimeType", "text/plain, application/json."),
        map("responseSchema", ""),
        map("responseJsonSchema", "A JSON Schema."),
        map("_responseJsonSchema", ""),
        object("thinkingConfig", &THINKING_CONFIG, ""),
        map("speechConfig", "").same_api(),
        map("imageConfig", "").same_api(),
    ],
};

const THINKING_CONFIG: Object = Object {
    name: "",
    members: &[
        number("thinkingBudget", "Tokens; -1: as the model likes."),
        text("thinkingLevel", "minimal, low, medium, high."),
        flag("includeThoughts", ""),
    ],
};

const EXAMPLES: &[&str] = &[
    r#"{"model":"models/m","labels":{"a":"b"},"serviceTier":"standard",
      "systemInstruction":{"role":"system","parts":[{"text":"s"}]},
      "contents":[
        {"role":"user","parts":[
            {"text":"t","mediaResolution":"MEDIA_RESOLUTION_LOW","partMetadata":{}},
            {"inlineData":{"data":"AA==","mimeType":"image/png","displayName":"d"}},
            {"fileData":{"fileUri":"https://e.example/f.pdf","mimeType":"application/pdf","displayName":"d"}}]},
        {"role":"model","parts":[{"text":"h","thought":true},
            {"functionCall":{"name":"f","id":"c","args":{}},"thoughtSignature":"s"}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","id":"c","response":{"output":"o"},"parts":[
            {"inlineData":{"data":"AA==","mimeType":"image/png"},"mediaResolution":"MEDIA_RESOLUTION_LOW"},
            {"fileData":{"fileUri":"https://e.example/i.png","mimeType":"image/png"}}]}}]}],
      "tools":[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":{"type":"object"},
        "parameters":{"type":"OBJECT"},"response":{"type":"OBJECT"},"responseJsonSchema":{"type":"object"},
        "behavior":"BLOCKING"}]}],
      "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
      "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],
      "generationConfig":{"maxOutputTokens":9,"temperature":1,"topP":0.5,"topK":5,"seed":1,"presencePenalty":1,
        "frequencyPenalty":1,"stopSequences":["s"],"responseLogprobs":true,"logprobs":1,"candidateCount":1,
        "mediaResolution":"MEDIA_RESOLUTION_LOW","responseModalities":["TEXT"],"responseMimeType":"application/json",
        "responseSchema":{"type":"OBJECT"},"responseJsonSchema":{"type":"object"},
        "_responseJsonSchema":{"type":"object"},
        "thinkingConfig":{"thinkingBudget":1024,"thinkingLevel":"low","includeThoughts":true}}}"#,
    r#"{"contents":[{"parts":[{"text":"t"}]}],"cachedContent":"cachedContents/c",
      "tools":[{"googleSearch":{},"codeExecution":{},"urlContext":{}}],
      "generationConfig":{"speechConfig":{"a":1},"imageConfig":{"a":1}}}"#,
];

const COUNT: Object = Object {
    name: "CountTokensRequest",
    members: &[CONTENTS, object("generateContentRequest", &REQUEST, "")],
};

const COUNT_EXAMPLES: &[&str] =
    &[r#"{"contents":[{"parts":[{"text":"t"}]}]}"#, r#"{"generateContentRequest":{"contents":[]}}"#];

const ANSWER: Object = Object {
    name: "GenerateContentResponse",
    members: &[
        list("candidates", &Kind::Object(&CANDIDATE), ""),
        map("promptFeedback", ""),
        object("usageMetadata", &USAGE, ""),
        text("modelVersion", ""),
        text("responseId", ""),
    ],
};

const CANDIDATE: Object = Object {
    name: "",
    members: &[map("content", ""), text("finishReason", "STOP, MAX_TOKENS, SAFETY, …"), count("index", "")],
};

const USAGE: Object = Object {
    name: "",
    members: &[
        count("promptTokenCount", ""),
        count("candidatesTokenCount", ""),
        count("totalTokenCount", ""),
    ],
};

const TOKEN_COUNT: Object = Object { name: "TokenCount", members: &[count("totalTokens", "").needed()] };

pub const MODELS: Object =
    Object { name: "GeminiModelList", members: &[list("models", &Kind::Object(&MODEL_ENTRY), "").needed()] };

pub const MODEL_ENTRY: Object = Object {
    name: "GeminiModel",
    members: &[
        text("name", "").needed(),
        text("version", "").needed(),
        text("displayName", "").needed(),
        list("supportedGenerationMethods", &Kind::Text, "").needed(),
    ],
};

/// An error as Google's clients read it.
pub const ERROR: Object =
    Object { name: "GeminiError", members: &[object("error", &ERROR_FIELDS, "").needed()] };

const ERROR_FIELDS: Object = Object {
    name: "",
    members: &[
        count("code", "").needed(),
        text("message", "").needed(),
        text("status", "").needed(),
        list("details", &Kind::Map, ""),
    ],
};

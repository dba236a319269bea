//! The protocol of the AI SDK's gateway provider (npm `@ai-sdk/gateway`, `createGateway`).

use crate::table::{
    Api, Body, EVENTS, Endpoint, JSON, Key, Kind, Member, Object, count, flag, list, map, member, number,
    object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[
    post(
        "/v4/ai/language-model",
        "aiLanguageModel",
        "An answer of a language model; also at /v3/ai and /v1/ai.",
        Body { media_type: JSON, object: &REQUEST, examples: EXAMPLES, is_read: true },
        &[(JSON, Kind::Object(&ANSWER)), (EVENTS, Kind::Either(&[Kind::Object(&EVENT), DONE]))],
    ),
    post(
        "/v4/ai/embedding-model",
        "aiEmbeddingModel",
        "Embeddings, by OpenAI-compatible origins; also at /v3/ai and /v1/ai.",
        Body { media_type: JSON, object: &EMBEDDING_REQUEST, examples: EMBEDDING_EXAMPLES, is_read: false },
        &[(JSON, Kind::Object(&EMBEDDINGS))],
    ),
    post(
        "/v4/ai/reranking-model",
        "aiRerankingModel",
        "Documents in the order of their relevance, by OpenAI-compatible origins that have /rerank; also at /v3/ai and /v1/ai.",
        Body { media_type: JSON, object: &RERANKING_REQUEST, examples: RERANKING_EXAMPLES, is_read: false },
        &[(JSON, Kind::Object(&RANKING))],
    ),
    post(
        "/v4/ai/image-model",
        "aiImageModel",
        "Images, by OpenAI-compatible origins; also at /v3/ai and /v1/ai.",
        Body { media_type: JSON, object: &IMAGE_REQUEST, examples: IMAGE_EXAMPLES, is_read: false },
        &[(JSON, Kind::Object(&IMAGES))],
    ),
    Endpoint {
        method: "get",
        path: "/v4/ai/config",
        id: "aiConfig",
        summary: "The models that the key may use; also at /v3/ai and /v1/ai, by the version of the specification.",
        api: Api::AiSdk,
        key: Key::Client,
        query: &[],
        request: None,
        answers: &[(JSON, Kind::Object(&MODELS))],
    },
];

const fn post(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Body,
    answers: &'static [(&'static str, Kind)],
) -> Endpoint {
    let (api, key, request) = (Api::AiSdk, Key::Client, Some(body));
    Endpoint { method: "post", path, id, summary, api, key, query: &[], request, answers }
}

/// The headers of a request, which say what other APIs say in the body.
#[must_use]
pub fn headers(path: &str) -> &'static [Member] {
    const LANGUAGE: &[Member] = &[
        text("ai-language-model-id", "The model's name at this gateway.").needed(),
        words("ai-language-model-specification-version", &["2", "3", "4"], "By default that of the path."),
        words("ai-language-model-streaming", &["true", "false"], "The answer comes as server-sent events."),
    ];
    const OTHER: &[Member] = &[text("ai-model-id", "The model's name at this gateway.").needed()];
    match path {
        "/v4/ai/language-model" => LANGUAGE,
        "/v4/ai/embedding-model" | "/v4/ai/reranking-model" | "/v4/ai/image-model" => OTHER,
        _ => &[],
    }
}

const DONE: Kind = Kind::Words(&["[DONE]"]);

const OPTIONS: Member = map(
    "providerOptions",
    "By provider; `gateway`: order, only, models, sort, user, tags, providerTimeouts. What would change where data goes \
     and is not honoured is refused.",
);

const REQUEST: Object = Object {
    name: "AiLanguageModelRequest",
    members: &[
        list("prompt", &Kind::Object(&MESSAGE), "The conversation.").needed(),
        count("maxOutputTokens", ""),
        number("temperature", ""),
        number("topP", ""),
        number("topK", ""),
        number("seed", ""),
        number("presencePenalty", ""),
        number("frequencyPenalty", ""),
        list("stopSequences", &Kind::Text, ""),
        object("responseFormat", &FORMAT, ""),
        list("tools", &Kind::Object(&TOOL), ""),
        object("toolChoice", &CHOICE, "Without tools it says nothing."),
        text("reasoning", "provider-default, none, minimal, low, medium, high, xhigh, max."),
        flag("includeRawChunks", ""),
        map("headers", "The caller's again."),
        OPTIONS,
    ],
};

const FORMAT: Object = Object {
    name: "",
    members: &[
        words("type", &["text", "json"], "").needed(),
        map("schema", "A JSON Schema."),
        text("name", ""),
        text("description", ""),
    ],
};

const TOOL: Object = Object {
    name: "AiTool",
    members: &[
        text("type", "function; a provider's own tool (`provider`) is left out with a warning."),
        text("name", "").needed(),
        text("description", ""),
        map("inputSchema", "A JSON Schema."),
        list("inputExamples", &Kind::Map, ""),
        flag("strict", ""),
        map("providerOptions", ""),
    ],
};

const CHOICE: Object = Object {
    name: "",
    members: &[words("type", &["auto", "none", "required", "tool"], "").needed(), text("toolName", "")],
};

const MESSAGE: Object = Object {
    name: "AiMessage",
    members: &[
        words("role", &["system", "user", "assistant", "tool"], "").needed(),
        member("content", Kind::Either(&[Kind::Text, Kind::List(&Kind::Object(&PART))]), "").needed(),
        map("providerOptions", ""),
    ],
};

const PART: Object = Object {
    name: "AiPart",
    members: &[
        text("type", "text, file, reasoning, tool-call, tool-result.").needed(),
        text("text", ""),
        text("mediaType", "Of a file."),
        text("filename", ""),
        member("data", Kind::Either(&[Kind::Text, Kind::Object(&DATA)]), "A file, or its URL."),
        text("url", "Of a file, in earlier versions."),
        text("toolCallId", ""),
        text("toolName", ""),
        member("input", Kind::Any, "What a tool is called with."),
        flag("providerExecuted", "The provider ran it: it can be said to no other."),
        object("output", &OUTPUT, "What a tool answered."),
        map("providerOptions", "Signatures of thoughts, marks for caches."),
    ],
};

const DATA: Object = Object {
    name: "",
    members: &[
        text("type", "data, url, text.").needed(),
        text("data", "Base64."),
        text("url", ""),
        text("text", ""),
    ],
};

const OUTPUT: Object = Object {
    name: "",
    members: &[
        text("type", "text, json, error-text, error-json, execution-denied, content.").needed(),
        member("value", Kind::Any, ""),
        text("reason", "Of execution-denied."),
    ],
};

const ANSWER: Object = Object {
    name: "AiAnswer",
    members: &[
        list("content", &Kind::Map, "").needed(),
        member("finishReason", Kind::Any, "An object with `unified` and `raw`; a word in version 2.")
            .needed(),
        map("usage", "").needed(),
        list("warnings", &Kind::Map, "What the origin was not told.").needed(),
        map("providerMetadata", "`gateway`: cost, generationId, routing with the attempts.").needed(),
    ],
};

const EVENT: Object = Object {
    name: "AiStreamPart",
    members: &[text(
        "type",
        "stream-start, response-metadata, text-…, reasoning-…, tool-input-…, tool-call, file, source, error; finish is the last.",
    )
    .needed()],
};

const EMBEDDING_REQUEST: Object = Object {
    name: "AiEmbeddingRequest",
    members: &[
        member("values", VALUES, "").needed(),
        member("input", VALUES, "The same, in version 2."),
        count("dimensions", ""),
        OPTIONS,
    ],
};

const VALUES: Kind = Kind::Either(&[Kind::Text, Kind::List(&Kind::Text)]);

const EMBEDDINGS: Object = Object {
    name: "AiEmbeddings",
    members: &[
        list("embeddings", &Kind::List(&Kind::Number), "").needed(),
        map("usage", ""),
        map("providerMetadata", "").needed(),
    ],
};

const RERANKING_REQUEST: Object = Object {
    name: "AiRerankingRequest",
    members: &[
        text("query", "").needed(),
        member("documents", Kind::Object(&DOCUMENTS), "").needed(),
        count("topN", ""),
        OPTIONS,
    ],
};

const DOCUMENTS: Object = Object {
    name: "AiDocuments",
    members: &[
        words("type", &["text", "object"], "").needed(),
        list("values", &Kind::Any, "Strings, or objects.").needed(),
    ],
};

const RANKING: Object = Object {
    name: "AiRanking",
    members: &[list("ranking", &Kind::Object(&PLACE), "").needed(), map("providerMetadata", "").needed()],
};

const PLACE: Object = Object {
    name: "AiRankingPlace",
    members: &[count("index", "").needed(), number("relevanceScore", "").needed()],
};

const IMAGE_REQUEST: Object = Object {
    name: "AiImageRequest",
    members: &[text("prompt", ""), count("n", ""), text("size", "Such as 1024x1024."), OPTIONS],
};

const IMAGES: Object = Object {
    name: "AiImages",
    members: &[
        list("images", &Kind::Text, "Base64.").needed(),
        map("usage", ""),
        map("providerMetadata", "").needed(),
    ],
};

const MODELS: Object =
    Object { name: "AiModels", members: &[list("models", &Kind::Object(&MODEL), "").needed()] };

const MODEL: Object = Object {
    name: "AiModel",
    members: &[
        text("id", "").needed(),
        text("name", "").needed(),
        text("modelType", ""),
        count("context_window", ""),
        count("max_tokens", ""),
        map("pricing", "Dollars for one token, as strings."),
        map("specification", "").needed(),
    ],
};

/// An error as the SDK reads it.
pub const ERROR: Object = Object {
    name: "AiError",
    members: &[
        object("error", &ERROR_FIELDS, "").needed(),
        text("generationId", "Of a request that has records: /v1/generation says more."),
    ],
};

const UNKNOWN_MODEL: Object = Object { name: "", members: &[text("modelId", "").needed()] };

const ERROR_FIELDS: Object = Object {
    name: "",
    members: &[
        text("message", "").needed(),
        words(
            "type",
            &[
                "invalid_request_error",
                "forbidden",
                "not_found",
                "model_not_found",
                "rate_limit_exceeded",
                "failed_dependency",
                "internal_server_error",
            ],
            "",
        )
        .needed(),
        member(
            "param",
            Kind::Either(&[Kind::Text, Kind::Object(&UNKNOWN_MODEL)]),
            "The field that it is about; of model_not_found the model.",
        ),
        text("code", "").needed(),
    ],
};

pub const CREDITS: Object = Object {
    name: "AiCredits",
    members: &[text("balance", "Dollars.").needed(), text("total_used", "Dollars.").needed()],
};

pub const GENERATION: Object = Object { name: "AiGeneration", members: &[map("data", "").needed()] };

pub const SPENT: Object =
    Object { name: "AiSpendReport", members: &[list("results", &Kind::Map, "").needed()] };

const EXAMPLES: &[&str] = &[
    r#"{
        "prompt":[
            {"role":"system","content":"s","providerOptions":{"anthropic":{"cacheControl":{"type":"ephemeral"}}}},
            {"role":"user","content":[
                {"type":"text","text":"t","providerOptions":{}},
                {"type":"file","mediaType":"image/png","filename":"f","data":"data:image/png;base64,QUJD"},
                {"type":"file","mediaType":"image/png","data":{"type":"data","data":"QUJD"}},
                {"type":"file","mediaType":"image/png","data":{"type":"url","url":"https://e.example/a.png"}},
                {"type":"image-url","url":"https://e.example/a.png"}
            ]},
            {"role":"assistant","content":[
                {"type":"reasoning","text":"r"},
                {"type":"tool-call","toolCallId":"c","toolName":"n","input":{"a":1},"providerExecuted":false}
            ]},
            {"role":"tool","content":[{"type":"tool-result","toolCallId":"c","toolName":"n","output":{"type":"json","value":[1]}}]},
            {"role":"assistant","content":[{"type":"tool-call","toolCallId":"d","toolName":"n","input":{}}]},
            {"role":"tool","content":[{"type":"tool-result","toolCallId":"d","toolName":"n","output":{"type":"execution-denied","reason":"no"}}]}
        ],
        "maxOutputTokens":64,"temperature":1,"topP":1,"topK":1,"seed":1,"presencePenalty":0.5,"frequencyPenalty":0.5,
        "stopSequences":["x"],"reasoning":"low","includeRawChunks":false,"headers":{"user-agent":"a"},"providerOptions":{"gateway":{"user":"u"}},
        "tools":[{"type":"function","name":"n","description":"d","inputSchema":{},"inputExamples":[{}],"strict":true,"providerOptions":{}}],
        "toolChoice":{"type":"tool","toolName":"n"},
        "responseFormat":{"type":"json","schema":{},"name":"n","description":"d"}
    }"#,
    r#"{"prompt":[{"role":"user","content":[{"type":"file","mediaType":"text/plain","data":{"type":"text","text":"t"}}]}]}"#,
];

const EMBEDDING_EXAMPLES: &[&str] =
    &[r#"{"values":["a"],"dimensions":2,"providerOptions":{}}"#, r#"{"input":"a"}"#];

const RERANKING_EXAMPLES: &[&str] =
    &[r#"{"query":"q","documents":{"type":"text","values":["a"]},"topN":1,"providerOptions":{}}"#];

const IMAGE_EXAMPLES: &[&str] = &[r#"{"prompt":"a","n":1,"size":"1x1","providerOptions":{}}"#];

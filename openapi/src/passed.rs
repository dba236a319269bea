//! What passes to origins of OpenAI's API, and back, as it is: embeddings, moderations, images, audio
//! (<https://platform.openai.com/docs/api-reference>), and reranking (<https://docs.cohere.com/reference/rerank>). The gateway reads the model.

use crate::table::{
    Api, Body, Endpoint, FORM, JSON, Key, Kind, MODEL, Member, Object, STREAM, count, list, map, member,
    number, object, text,
};

const fn endpoint(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    request: Body,
    answers: &'static [(&'static str, Kind)],
) -> Endpoint {
    let (api, key) = (Api::OpenAi, Key::Client);
    Endpoint { method: "post", path, id, summary, api, key, query: &[], request: Some(request), answers }
}

const fn json(object: &'static Object, examples: &'static [&'static str]) -> Body {
    Body { media_type: JSON, object, examples, is_read: false }
}

const fn form(object: &'static Object) -> Body {
    Body { media_type: FORM, object, examples: &[], is_read: false }
}

pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        "/v1/embeddings",
        "createEmbedding",
        "Embeddings.",
        json(
            &EMBEDDINGS,
            &[r#"{"model":"m","input":"i","dimensions":1,"encoding_format":"float","user":"u"}"#],
        ),
        &[(JSON, Kind::Object(&EMBEDDING_LIST))],
    ),
    endpoint(
        "/v1/moderations",
        "createModeration",
        "Whether texts or images are harmful.",
        json(&MODERATIONS, &[r#"{"model":"m","input":"i"}"#]),
        &[(JSON, Kind::Object(&MODERATION))],
    ),
    endpoint(
        "/v1/rerank",
        "createRanking",
        "Documents in the order of their relevance, as vLLM, Jina and Cohere say it.",
        json(&RERANK, &[r#"{"model":"m","query":"q","documents":["a","b"],"top_n":1}"#]),
        &[(JSON, Kind::Object(&RANKING))],
    ),
    endpoint(
        "/v1/images/generations",
        "createImage",
        "An image.",
        json(
            &IMAGES,
            &[
                r#"{"model":"m","prompt":"p","n":1,"size":"s","quality":"q","response_format":"url","user":"u","stream":false}"#,
            ],
        ),
        IMAGE_ANSWERS,
    ),
    endpoint(
        "/v1/images/edits",
        "createImageEdit",
        "An image after another one.",
        form(&IMAGE_EDITS),
        IMAGE_ANSWERS,
    ),
    endpoint(
        "/v1/audio/speech",
        "createSpeech",
        "A text, spoken.",
        json(
            &SPEECH,
            &[
                r#"{"model":"m","input":"i","voice":"v","instructions":"i","response_format":"mp3","speed":1}"#,
            ],
        ),
        &[("audio/*", Kind::Bytes), ("application/octet-stream", Kind::Bytes)],
    ),
    endpoint(
        "/v1/audio/transcriptions",
        "createTranscription",
        "What is said in a recording.",
        form(&TRANSCRIPTIONS),
        TEXT_ANSWERS,
    ),
    endpoint(
        "/v1/audio/translations",
        "createTranslation",
        "What is said in a recording, in English.",
        form(&TRANSLATIONS),
        TEXT_ANSWERS,
    ),
];

const EMBEDDINGS: Object = Object {
    name: "EmbeddingRequest",
    members: &[
        MODEL,
        member("input", Kind::Either(&[Kind::Text, Kind::List(&Kind::Any)]), "Texts, or lists of tokens.")
            .needed(),
        count("dimensions", ""),
        text("encoding_format", "float, base64."),
        text("user", ""),
    ],
};

const EMBEDDING_LIST: Object = Object {
    name: "EmbeddingList",
    members: &[list("data", &Kind::Map, "").needed(), text("model", "").needed(), map("usage", "")],
};

const MODERATIONS: Object = Object {
    name: "ModerationRequest",
    members: &[MODEL, member("input", Kind::Either(&[Kind::Text, Kind::List(&Kind::Any)]), "").needed()],
};

const MODERATION: Object =
    Object { name: "Moderation", members: &[list("results", &Kind::Map, "").needed(), text("model", "")] };

const RERANK: Object = Object {
    name: "RerankRequest",
    members: &[
        MODEL,
        text("query", "").needed(),
        list("documents", &Kind::Any, "Texts, or what the origin takes.").needed(),
        count("top_n", ""),
    ],
};

const RANKING: Object = Object {
    name: "Ranking",
    members: &[list("results", &Kind::Object(&PLACE), "").needed(), text("model", ""), map("usage", "")],
};

const PLACE: Object = Object {
    name: "",
    members: &[count("index", "Of the document.").needed(), number("relevance_score", "").needed()],
};

const PROMPT: Member = text("prompt", "").needed();
const IMAGE: Member = member("image", Kind::Bytes, "").needed();
const SIZE: Member = text("size", "");
const N: Member = count("n", "");
const FORMAT: Member = text("response_format", "");
const USER: Member = text("user", "");
const FILE: Member = member("file", Kind::Bytes, "").needed();

const IMAGES: Object = Object {
    name: "ImageRequest",
    members: &[MODEL, PROMPT, N, SIZE, text("quality", ""), FORMAT, USER, STREAM],
};

const IMAGE_EDITS: Object = Object {
    name: "ImageEditRequest",
    members: &[MODEL, PROMPT, IMAGE, member("mask", Kind::Bytes, ""), N, SIZE, FORMAT, USER],
};

const IMAGE_ANSWERS: &[(&str, Kind)] = &[(JSON, Kind::Object(&IMAGE_LIST))];

const IMAGE_LIST: Object = Object {
    name: "ImageList",
    members: &[number("created", ""), list("data", &Kind::Object(&IMAGE_ENTRY), "").needed()],
};

const IMAGE_ENTRY: Object = Object { name: "", members: &[text("url", ""), text("b64_json", "")] };

const SPEECH: Object = Object {
    name: "SpeechRequest",
    members: &[
        MODEL,
        text("input", "").needed(),
        member("voice", Kind::Any, "").needed(),
        text("instructions", ""),
        text("response_format", "mp3, opus, aac, flac, wav, pcm."),
        number("speed", ""),
    ],
};

const TRANSCRIPTIONS: Object = Object {
    name: "TranscriptionRequest",
    members: &[
        MODEL,
        FILE,
        text("language", ""),
        text("prompt", ""),
        text("response_format", "json, text, srt, verbose_json, vtt."),
        number("temperature", ""),
    ],
};

const TRANSLATIONS: Object = Object {
    name: "TranslationRequest",
    members: &[MODEL, FILE, text("prompt", ""), FORMAT, number("temperature", "")],
};

const TEXT_ANSWERS: &[(&str, Kind)] = &[(JSON, Kind::Object(&TRANSCRIPT)), ("text/plain", Kind::Text)];

const TRANSCRIPT: Object = Object {
    name: "Transcript",
    members: &[text("text", "").needed(), object("usage", &TRANSCRIPT_USAGE, "")],
};

const TRANSCRIPT_USAGE: Object = Object { name: "", members: &[text("type", "tokens, duration.")] };

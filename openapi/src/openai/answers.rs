//! Answers, lists of models and errors in OpenAI's form.

use super::TOOL_CALL;
use crate::table::{Kind, Object, count, list, map, member, number, object, text, words};

pub(super) const CHAT_COMPLETION: Object = Object {
    name: "ChatCompletion",
    members: &[
        text("id", "").needed(),
        text("object", "").needed(),
        number("created", "").needed(),
        text("model", "").needed(),
        list("choices", &Kind::Object(&CHOICE), "").needed(),
        object("usage", &USAGE, ""),
    ],
};

const CHOICE: Object = Object {
    name: "",
    members: &[
        count("index", "").needed(),
        object("message", &ANSWER, "").needed(),
        member("finish_reason", TEXT_OR_NULL, "stop, length, tool_calls, content_filter."),
    ],
};

const TEXT_OR_NULL: Kind = Kind::Either(&[Kind::Text, Kind::Null]);

const ANSWER: Object = Object {
    name: "",
    members: &[
        text("role", "").needed(),
        member("content", TEXT_OR_NULL, ""),
        member("refusal", TEXT_OR_NULL, ""),
        list("tool_calls", &Kind::Object(&TOOL_CALL), ""),
    ],
};

const USAGE: Object = Object {
    name: "Usage",
    members: &[
        count("prompt_tokens", "").needed(),
        count("completion_tokens", "").needed(),
        count("total_tokens", "").needed(),
        number("cost", "Dollars."),
    ],
};

pub(super) const CHUNK: Object = Object {
    name: "ChatCompletionChunk",
    members: &[
        text("id", "").needed(),
        text("object", "").needed(),
        number("created", "").needed(),
        text("model", "").needed(),
        list("choices", &Kind::Object(&CHUNK_CHOICE), "").needed(),
        member("usage", Kind::Either(&[Kind::Object(&USAGE), Kind::Null]), ""),
    ],
};

const CHUNK_CHOICE: Object = Object {
    name: "",
    members: &[
        count("index", "").needed(),
        map("delta", "A part of the message.").needed(),
        member("finish_reason", TEXT_OR_NULL, ""),
    ],
};

pub(super) const TEXT_COMPLETION: Object = Object {
    name: "TextCompletion",
    members: &[
        text("id", "").needed(),
        text("object", "").needed(),
        number("created", "").needed(),
        text("model", "").needed(),
        list("choices", &Kind::Object(&TEXT_CHOICE), "").needed(),
        member("usage", Kind::Either(&[Kind::Object(&USAGE), Kind::Null]), ""),
    ],
};

const TEXT_CHOICE: Object = Object {
    name: "",
    members: &[
        count("index", "").needed(),
        text("text", "").needed(),
        member("finish_reason", TEXT_OR_NULL, ""),
    ],
};

pub(super) const MODELS: Object = Object {
    name: "ModelList",
    members: &[
        words("object", &["list"], "").needed(),
        list("data", &Kind::Object(&MODEL_ENTRY), "").needed(),
    ],
};

pub(super) const MODEL_ENTRY: Object = Object {
    name: "Model",
    members: &[
        text("id", "").needed(),
        words("object", &["model"], "").needed(),
        count("created", "Unix seconds.").needed(),
        text("owned_by", "").needed(),
        text("type", "language, embedding or image: what its price and its name say."),
        count("context_window", "Tokens of prompt and answer together, where the configuration says it."),
        count("max_tokens", "The longest answer, where the configuration says it."),
        map(
            "pricing",
            "Dollars for one token, as strings: input, output, input_cache_read, input_cache_write.",
        ),
    ],
};

/// An error as OpenAI's clients read it.
pub const ERROR: Object =
    Object { name: "OpenAIError", members: &[object("error", &ERROR_FIELDS, "").needed()] };

const ERROR_FIELDS: Object = Object {
    name: "",
    members: &[
        text("message", "").needed(),
        text("type", "").needed(),
        member("code", Kind::Either(&[Kind::Text, Kind::Number, Kind::Null]), "").needed(),
        member("param", TEXT_OR_NULL, "The member that it is about."),
    ],
};

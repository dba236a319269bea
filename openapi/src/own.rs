//! The gateway's own pages.

use crate::table::{
    Api, Body, Endpoint, JSON, Key, Kind, Object, count, flag, list, map, object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[
    page("/usage", "getUsage", "What was used, summed.", Key::Admin, &USAGE),
    page(
        "/usage/export",
        "exportUsage",
        "Every row of a time, as lines of JSON or CSV.",
        Key::Admin,
        &EXPORT,
    ),
    page("/requests/{id}", "getRequest", "The rows of one request.", Key::Admin, &REQUEST),
    page("/origins", "getOrigins", "How the origins are, and the last wakes.", Key::Admin, &ORIGINS),
    page(
        "/config",
        "getConfig",
        "Which configuration holds, and the versions before it.",
        Key::Admin,
        &CONFIG,
    ),
    change("put", "/config", "pushConfig", "Has a configuration hold, without a deploy.", &PUSH),
    change("post", "/config/rollback", "rollBackConfig", "Has an earlier version hold again.", &ROLLBACK),
    account("/v1/credits", "getCredits", "What is left of the key's budget, and what is used.", &CREDITS),
    account("/v1/generation", "getGeneration", "What one answer cost.", &GENERATION),
    account("/v1/report", "getSpendReport", "What the key has spent, grouped.", &SPENT),
    page("/health", "getHealth", "Whether the gateway answers.", Key::None, &HEALTH),
    page("/openapi.json", "getOpenApi", "This document.", Key::None, &DOCUMENT),
];

const fn page(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    key: Key,
    answer: &'static Answer,
) -> Endpoint {
    let Answer { query, answers } = *answer;
    Endpoint { method: "get", path, id, summary, api: Api::OpenAi, key, query, request: None, answers }
}

/// What a client reads of its own, in the form of the AI SDK's gateway provider.
const fn account(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answer: &'static Answer,
) -> Endpoint {
    Endpoint { api: Api::AiSdk, ..page(path, id, summary, Key::Client, answer) }
}

const fn change(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    object: &'static Object,
) -> Endpoint {
    let request = Some(Body { media_type: JSON, object, examples: &[], is_read: true });
    let answers = &[(JSON, Kind::Object(&MADE))];
    Endpoint { method, path, id, summary, api: Api::OpenAi, key: Key::Admin, query: &[], request, answers }
}

#[derive(Clone, Copy)]
struct Answer {
    query: &'static [crate::table::Member],
    answers: &'static [(&'static str, Kind)],
}

const USAGE: Answer = Answer {
    query: &[
        text("period", "A year, month, day or hour in UTC: 2026, 2026-11, 2026-11-21, 2026-11-21T16."),
        text("by", "One more dimension: hour, day, user or tag."),
        text("cursor", "The next_cursor of an earlier answer."),
    ],
    answers: &[(JSON, Kind::Object(&REPORT))],
};

const CREDITS: Answer = Answer { query: &[], answers: &[(JSON, Kind::Object(&crate::ai_sdk::CREDITS))] };

const GENERATION: Answer = Answer {
    query: &[text("id", "The `generationId` of an answer.").needed()],
    answers: &[(JSON, Kind::Object(&crate::ai_sdk::GENERATION))],
};

const SPENT: Answer = Answer {
    query: &[
        text("start_date", "A day in UTC, such as 2026-11-21.").needed(),
        text("end_date", "The same; it is in it.").needed(),
        words("group_by", &["day", "user", "model", "tag", "provider", "credential_type"], ""),
        words("date_part", &["day", "hour"], "Of group_by=day."),
        text("user_id", ""),
        text("model", ""),
        text("provider", ""),
        text("tags", "As the requests have them, with commas between them."),
        words("credential_type", &["byok", "system"], ""),
    ],
    answers: &[(JSON, Kind::Object(&crate::ai_sdk::SPENT))],
};

const EXPORT: Answer = Answer {
    query: &[
        text("since", "Unix seconds, or a day or hour in UTC."),
        text("until", "The same; not in it."),
        text("format", "jsonl or csv."),
        text("cursor", "The next_cursor of an earlier answer."),
    ],
    answers: &[("application/x-ndjson", Kind::Map), ("text/csv", Kind::Map)],
};

const REQUEST: Answer = Answer { query: &[], answers: &[(JSON, Kind::Map)] };

const ORIGINS: Answer = Answer { query: &[], answers: &[(JSON, Kind::Map)] };

const CONFIG: Answer = Answer {
    query: &[count("version", "The JSON of that version instead; 0 is the compiled-in one.")],
    answers: &[(JSON, Kind::Either(&[Kind::Object(&STATE), Kind::Map]))],
};

const HEALTH: Answer = Answer { query: &[], answers: &[(JSON, Kind::Object(&STATUS))] };

const DOCUMENT: Answer = Answer { query: &[], answers: &[(JSON, Kind::Map)] };

const STATUS: Object = Object {
    name: "Health",
    members: &[
        words("status", &["ok"], "").needed(),
        count("missing_secrets", "How many platform secrets that requests need have no value."),
    ],
};

const IF_VERSION: crate::table::Member =
    count("if_version", "The latest version: 409 if there is a later one.").needed();
const NOTE: crate::table::Member = text("note", "Why, in at most 500 bytes.");

const PUSH: Object = Object {
    name: "",
    members: &[IF_VERSION, NOTE, map("config", "As moegate.toml, in JSON; less than 1 MB.").needed()],
};

const ROLLBACK: Object = Object {
    name: "",
    members: &[IF_VERSION, NOTE, count("version", "Which one; 0 is the compiled-in one.").needed()],
};

const MADE: Object =
    Object { name: "ConfigMade", members: &[count("version", "").needed(), text("hash", "").needed()] };

const STATE: Object = Object {
    name: "ConfigState",
    members: &[
        count("version", "The latest; 0 where nothing was pushed.").needed(),
        text("hash", "The SHA-256 of its JSON.").needed(),
        text("base", "That of the compiled-in configuration that it was pushed against.").needed(),
        count("since_ms", "Unix milliseconds.").needed(),
        text("deployed", "The SHA-256 of the compiled-in configuration's JSON.").needed(),
        flag("applies", "Whether `base` is `deployed`: otherwise the compiled-in one holds.").needed(),
        text("running", "What the instance that answers serves by, as in rows.").needed(),
        list("versions", &Kind::Map, "The last 50, the latest first.").needed(),
    ],
};

const REPORT: Object = Object {
    name: "UsageReport",
    members: &[
        text("period", "").needed(),
        object("totals", &TOTALS, "").needed(),
        map("by_key", "").needed(),
        map("by_model", "").needed(),
        map("by_origin", "").needed(),
        map("by_ending", "").needed(),
        text("next_cursor", "Where the next page begins."),
    ],
};

const TOTALS: Object = Object {
    name: "",
    members: &[
        count("requests", "").needed(),
        count("cache_hits", "Requests that were answered out of a route's cache."),
        count("attempts", "").needed(),
        count("unmetered_attempts", "").needed(),
        count("prompt_tokens", "").needed(),
        count("cached_tokens", "").needed(),
        count("completion_tokens", "").needed(),
        count("reasoning_tokens", "").needed(),
        count("cost_nanodollars", "").needed(),
    ],
};

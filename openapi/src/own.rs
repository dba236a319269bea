//! The gateway's own pages.

use crate::table::{Api, Endpoint, JSON, Key, Kind, Object, count, map, object, text, words};

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

const HEALTH: Answer = Answer { query: &[], answers: &[(JSON, Kind::Object(&STATUS))] };

const DOCUMENT: Answer = Answer { query: &[], answers: &[(JSON, Kind::Map)] };

const STATUS: Object = Object { name: "Health", members: &[words("status", &["ok"], "").needed()] };

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

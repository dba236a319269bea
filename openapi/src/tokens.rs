//! Browser tokens.

use crate::table::{Api, Body, Endpoint, JSON, Key, Kind, Member, Object, count, list, member, text};

pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: "post",
    path: "/v1/tokens",
    id: "makeToken",
    summary: "Makes a short-lived token for a page, which may do a part of what the key may.",
    api: Api::OpenAi,
    key: Key::Client,
    query: &[],
    request: Some(Body {
        media_type: JSON,
        object: &WANTED,
        examples: &[
            r#"{"models":["m"],"origin":"https://app.example","user":"u-17","ttl":600,"requests":50,"dollars":"0.25"}"#,
        ],
        is_read: true,
    }),
    answers: &[(JSON, Kind::Object(&TOKEN))],
}];

const MODELS: Member = list("models", &Kind::Text, "The models that it may ask.").needed();
const ORIGIN: Member = text("origin", "The page's, as browsers send it; in gateway.cors.").needed();

const WANTED: Object = Object {
    name: "NewToken",
    members: &[
        MODELS,
        ORIGIN,
        text("user", "Whom it is for: the records' user."),
        count("ttl", "Seconds. Default: 600; at most 3600."),
        count("requests", "In all. Default: 100; at most 10000."),
        text("dollars", "What they may cost in all."),
    ],
};

const TOKEN: Object = Object {
    name: "Token",
    members: &[
        text("token", "To be sent as any key.").needed(),
        text("id", "").needed(),
        count("expires_at", "Unix seconds.").needed(),
        MODELS,
        ORIGIN,
        member("user", Kind::Either(&[Kind::Text, Kind::Null]), "").needed(),
        count("requests", "").needed(),
        member("dollars", Kind::Either(&[Kind::Text, Kind::Null]), "").needed(),
    ],
};

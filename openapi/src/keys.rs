//! Keys made at run time.

use crate::table::{
    Api, Body, Endpoint, JSON, Key, Kind, Member, Object, count, list, member, object, text, words,
};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint { query: &[CURSOR], ..of("get", "/keys", "listKeys", "Keys made at run time.", &LIST) },
    Endpoint {
        request: Some(Body {
            media_type: JSON,
            object: &NEW,
            examples: &[
                r#"{"name":"preview-7","tenant":"acme","models":["m"],"errors":"plain","limits":[{"per":"day","requests":100,"tokens":100000,"dollars":"5","soft_percent":80},{"concurrent":2}],"expires_at":"2099-01-01T00:00:00Z"}"#,
                r#"{"name":"preview-7","models":null,"ttl":604800}"#,
            ],
            is_read: true,
        }),
        ..of("post", "/keys", "makeKey", "Makes a key; its text is shown once.", &MADE)
    },
    Endpoint {
        request: Some(Body {
            media_type: JSON,
            object: &LIMITED,
            examples: &[r#"{"models":["m"],"limits":[],"expires_at":1798761600}"#, r#"{"ttl":3600}"#],
            is_read: true,
        }),
        ..of("patch", "/keys/{name}", "limitKey", "Changes limits, models or expiry.", &CHANGED)
    },
    of("delete", "/keys/{name}", "revokeKey", "Revokes a key.", &CHANGED),
    Endpoint {
        request: Some(Body {
            media_type: JSON,
            object: &ROTATED,
            examples: &[r#"{"overlap":3600}"#],
            is_read: true,
        }),
        ..of("post", "/keys/{name}/rotate", "rotateKey", "Gives a key a new text, shown once.", &MADE)
    },
    Endpoint {
        query: &[CURSOR],
        ..of("get", "/keys/audit", "auditKeys", "Every change of a key, the newest first.", &AUDIT)
    },
];

const fn of(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: &'static [(&'static str, Kind)],
) -> Endpoint {
    Endpoint {
        method,
        path,
        id,
        summary,
        api: Api::OpenAi,
        key: Key::Admin,
        query: &[],
        request: None,
        answers,
    }
}

const CURSOR: Member = text("cursor", "The next_cursor of an earlier answer.");
const NEXT: Member = text("next_cursor", "Where the next page begins.");

const LIST: [(&str, Kind); 1] = [(
    JSON,
    Kind::Object(&Object {
        name: "KeyList",
        members: &[list("keys", &Kind::Object(&KEY), "By their names.").needed(), NEXT],
    }),
)];
const MADE: [(&str, Kind); 1] = [(
    JSON,
    Kind::Object(&Object {
        name: "KeyMade",
        members: &[
            object("key", &KEY, "").needed(),
            text("secret", "The key itself, shown only now.").needed(),
        ],
    }),
)];
const CHANGED: [(&str, Kind); 1] =
    [(JSON, Kind::Object(&Object { name: "KeyChanged", members: &[object("key", &KEY, "").needed()] }))];
const AUDIT: [(&str, Kind); 1] = [(
    JSON,
    Kind::Object(&Object {
        name: "KeyAudit",
        members: &[list("changes", &Kind::Object(&CHANGE), "").needed(), NEXT],
    }),
)];

const MODELS: Member = member(
    "models",
    Kind::Either(&[Kind::List(&Kind::Text), Kind::Null]),
    "The models that it may use; null: all.",
);
const LIMITS: Member = list("limits", &Kind::Object(&LIMIT), "As in moegate.toml; all of them.");
const EXPIRES: Member = member(
    "expires_at",
    Kind::Either(&[Kind::Count, Kind::Text, Kind::Null]),
    "Unix seconds or RFC 3339; null: never.",
);
const TTL: Member = count("ttl", "Instead: seconds from now.");
const ERRORS: Member = words("errors", &["full", "plain"], "How much it is told of errors at origins.");

const NEW: Object = Object {
    name: "NewKey",
    members: &[
        text("name", "Stands in its records; given once.").needed(),
        text("tenant", "The tenant that it belongs to. Default: a tenant of its own, or its maker's."),
        MODELS,
        ERRORS,
        LIMITS,
        EXPIRES,
        TTL,
    ],
};
const LIMITED: Object = Object { name: "KeyLimits", members: &[MODELS, LIMITS, EXPIRES, TTL] };
const ROTATED: Object = Object {
    name: "KeyRotation",
    members: &[count("overlap", "Seconds for which the texts before stay good. Default: a day.")],
};

const LIMIT: Object = Object {
    name: "Limit",
    members: &[
        words("per", &["minute", "hour", "day", "month"], ""),
        count("requests", ""),
        count("tokens", ""),
        text("dollars", ""),
        count("soft_percent", ""),
        count("concurrent", ""),
    ],
};

pub const KEY: Object = Object {
    name: "MadeKey",
    members: &[
        text("name", "").needed(),
        text("tenant", ""),
        list("models", &Kind::Text, ""),
        ERRORS,
        LIMITS.needed(),
        text("made_by", "admin, or the name of a key with makes_keys.").needed(),
        count("created_at", "Unix seconds, as all times here.").needed(),
        count("expires_at", ""),
        count("revoked_at", ""),
        count("old_secrets_until", "Until when texts before the newest are good."),
    ],
};

const CHANGE: Object = Object {
    name: "KeyChange",
    members: &[
        text("id", "").needed(),
        count("at", "").needed(),
        text("by", "As made_by.").needed(),
        text("name", "The key's.").needed(),
        words("what", &["make", "limit", "rotate", "revoke"], "").needed(),
        member("before", Kind::Either(&[Kind::Object(&KEY), Kind::Null]), "").needed(),
        object("after", &KEY, "").needed(),
    ],
};

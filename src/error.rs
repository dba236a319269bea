//! What a client is told when something is wrong. Dialects say it in their own form.

use std::borrow::Cow;

/// An origin's text is shown up to here.
const MOST_SHOWN: usize = 2048;
/// A name of a client's is shown up to here; a model's has at most 200 characters.
const LONGEST_NAME: usize = 256;

/// A foreign text for people: cut, and without control characters.
#[must_use]
pub fn shown_text(text: &str) -> String {
    cut(text, MOST_SHOWN)
}

/// A name that a client sent, such as a model's: cut, and without control characters.
#[must_use]
pub fn shown_name(name: &str) -> String {
    cut(name, LONGEST_NAME)
}

fn cut(text: &str, most: usize) -> String {
    let cut = &text[..text.floor_char_boundary(most)];
    let dots = if cut.len() < text.len() { "…" } else { "" };
    cut.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(dots.chars()).collect()
}

/// An error, in neutral words; `kind` and `code` are OpenAI's vocabulary, which other dialects map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    /// The class (OpenAI's `type`).
    pub kind: &'static str,
    pub code: &'static str,
    /// The field of the request it is about.
    pub param: Option<Cow<'static, str>>,
    pub message: Cow<'static, str>,
    /// The header `Allow` of a 405.
    pub allow: Option<&'static str>,
    /// Seconds after which it may work: the header `Retry-After`.
    pub retry_after_s: Option<u32>,
    pub detail: Option<Box<Detail>>,
}

/// What some dialects or headers say besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// What is left of the limit that was reached.
    Limit(Remaining),
    /// The model that there is not, cut to what may be shown.
    UnknownModel(String),
}

/// What is left of a limit of a window, as answers say it in OpenAI's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    pub what: Limited,
    pub limit: u64,
    pub left: u64,
    /// Until the window ends.
    pub reset_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    Requests,
    Tokens,
}

impl ApiError {
    pub(crate) fn new(
        status: u16,
        kind: &'static str,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            message: message.into(),
            allow: None,
            retry_after_s: None,
            detail: None,
        }
    }

    /// 400.
    #[must_use]
    pub fn invalid(
        code: &'static str,
        param: Option<&'static str>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let param = param.map(Cow::Borrowed);
        Self { param, ..Self::new(400, "invalid_request_error", code, message) }
    }

    /// 401.
    #[must_use]
    pub fn unauthorized(message: &'static str) -> Self {
        Self::new(401, "authentication_error", "invalid_api_key", message)
    }

    /// 401: an issuer's token that is not taken, or a browser's.
    #[must_use]
    pub fn bad_token(message: String) -> Self {
        Self::new(401, "authentication_error", "invalid_token", message)
    }

    /// 403: what a browser token is not for.
    #[must_use]
    pub fn token_not_allowed(message: &'static str) -> Self {
        Self::new(403, "forbidden", "token_not_allowed", message)
    }

    /// 503: an issuer's keys cannot be had.
    #[must_use]
    pub fn issuer_unavailable(issuer: &str) -> Self {
        let text = format!(
            "the keys of the issuer {issuer} cannot be had at the moment, so nobody can tell whether the token is good; try again in a moment"
        );
        Self { retry_after_s: Some(5), ..Self::new(503, "internal_server_error", "issuer_unavailable", text) }
    }

    /// 403.
    #[must_use]
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, "forbidden", "model_not_allowed", message)
    }

    /// 403 for a page whose browser asks whether it may call.
    #[must_use]
    pub fn page_not_allowed(origin: &str) -> Self {
        let message = format!(
            "pages of `{}` may not call this gateway: add the origin to gateway.cors.origins in moegate.toml",
            shown_name(origin)
        );
        Self::new(403, "forbidden", "page_not_allowed", message)
    }

    /// 415: the body is compressed.
    #[must_use]
    pub fn encoded_body(encoding: &str) -> Self {
        let message = format!(
            "the request body has the content encoding `{}`, which the gateway does not decode: send it without `Content-Encoding`, as plain JSON",
            shown_name(encoding)
        );
        Self::new(415, "invalid_request_error", "unsupported_content_encoding", message)
    }

    /// 404 for a path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            404,
            "not_found",
            "not_found",
            "there is nothing at this path; the gateway serves /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, /v1/moderations, /v1/rerank, /v1/images/…, /v1/audio/…, /v1/messages, /v1beta/models/{model}:generateContent, /v4/ai/…, /v1/models, /usage, /health and /openapi.json, which describes all of them",
        )
    }

    /// 404 for a model.
    #[must_use]
    pub fn unknown_model(model: &str, message: String) -> Self {
        Self {
            param: Some(Cow::Borrowed("model")),
            detail: Some(Box::new(Detail::UnknownModel(model.to_owned()))),
            ..Self::new(404, "model_not_found", "model_not_found", message)
        }
    }

    /// 405.
    #[must_use]
    pub fn method(allowed: &'static str) -> Self {
        let message = format!("this path takes {} only", allowed.replace(", ", " and "));
        Self {
            allow: Some(allowed),
            ..Self::new(405, "invalid_request_error", "method_not_allowed", message)
        }
    }

    /// 409: the same request is under way.
    #[must_use]
    pub fn still_running() -> Self {
        let text = "the first request with this Idempotency-Key is still under way; ask again in a moment";
        Self {
            retry_after_s: Some(1),
            ..Self::new(409, "invalid_request_error", "idempotency_key_in_use", text)
        }
    }

    /// 422: the idempotency key belongs to another request.
    #[must_use]
    pub fn key_reused() -> Self {
        let text =
            "this Idempotency-Key came with another body or path before: a new request needs a new key";
        Self::new(422, "invalid_request_error", "idempotency_key_reused", text)
    }

    /// 413.
    #[must_use]
    pub fn too_large(limit_mib: u32) -> Self {
        let text = format!(
            "the request body is over the limit of {limit_mib} MiB (gateway.max_body_mib in moegate.toml)"
        );
        Self::new(413, "invalid_request_error", "body_too_large", text)
    }

    /// 408.
    #[must_use]
    pub fn body_timeout() -> Self {
        let text = "the request body did not come in time; send it again";
        Self::new(408, "invalid_request_error", "body_timeout", text)
    }

    /// An origin's fault, by the status the client gets.
    #[must_use]
    pub fn upstream(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, "upstream_error", code, message)
    }

    /// 503: nothing was asked, and it may work later.
    #[must_use]
    pub fn unavailable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(503, "upstream_error", code, message)
    }

    /// 503: the instance holds as many bytes as it may.
    #[must_use]
    pub fn too_many_bytes() -> Self {
        let text = "the gateway is holding as much request data as it may at once (gateway.max_inflight_mib in moegate.toml); try again in a moment";
        Self { retry_after_s: Some(1), ..Self::new(503, "overloaded", "too_many_bytes_in_flight", text) }
    }

    /// 429: a limit of the gateway's own.
    #[must_use]
    pub fn limited(
        code: &'static str,
        message: String,
        retry_after_s: u32,
        remaining: Option<Remaining>,
    ) -> Self {
        let error = Self::new(429, "rate_limit_error", code, message);
        Self {
            retry_after_s: Some(retry_after_s),
            detail: remaining.map(Detail::Limit).map(Box::new),
            ..error
        }
    }

    /// 402: a budget is used up.
    #[must_use]
    pub fn budget(message: String) -> Self {
        Self::new(402, "insufficient_quota", "budget_exceeded", message)
    }

    /// 503: what would be spent could not be written down.
    #[must_use]
    pub fn ledger_unavailable() -> Self {
        let text = "the gateway's ledger does not answer, and nothing is spent that is not accounted for; try again in a moment (operators: the log says why; `on_ledger_failure = \"open\"` on a route serves it without)";
        Self { retry_after_s: Some(1), ..Self::new(503, "overloaded", "ledger_unavailable", text) }
    }

    /// 401: what an own server reports is not signed as it must be.
    #[must_use]
    pub fn receipts_refused(message: String) -> Self {
        Self::new(401, "authentication_error", "receipts_refused", message)
    }

    /// 404: there is no record of it.
    #[must_use]
    pub fn unknown_request() -> Self {
        let text =
            "there is no record of a request with this id (records are kept for `ledger.keep_days` days)";
        Self::new(404, "invalid_request_error", "unknown_request", text)
    }

    /// 503: nobody can tell whether the key is good.
    #[must_use]
    pub fn secrets_unavailable() -> Self {
        let text = "the gateway cannot read its secrets at the moment; try again in a moment";
        Self {
            retry_after_s: Some(1),
            ..Self::new(503, "internal_server_error", "secrets_unavailable", text)
        }
    }

    /// 503: nobody can tell whether a key made at run time is good.
    #[must_use]
    pub fn keys_unavailable() -> Self {
        let text = "the gateway's store of keys does not answer; try again in a moment";
        Self { retry_after_s: Some(1), ..Self::new(503, "internal_server_error", "keys_unavailable", text) }
    }

    /// 403: keys are made with another key.
    #[must_use]
    pub fn makes_no_keys() -> Self {
        let text = "keys are made with the admin key, or a key that has `makes_keys = true` in moegate.toml";
        Self::new(403, "forbidden", "makes_no_keys", text)
    }

    /// 403: a key would be stronger than the one that it is made with.
    #[must_use]
    pub fn stronger_key(param: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(Cow::Borrowed(param)), ..Self::new(403, "forbidden", "stronger_key", message) }
    }

    /// 404: there is no key of that name.
    #[must_use]
    pub fn unknown_key() -> Self {
        let text = "no key of this name was made at run time with the key that you use; those in moegate.toml are changed there";
        Self::new(404, "invalid_request_error", "unknown_key", text)
    }

    /// 409: a key is not as it would have to be.
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, "invalid_request_error", code, message)
    }

    /// 400: an origin's configuration refuses a member of the body.
    #[must_use]
    pub fn denied_field(field: &str, origin: &str) -> Self {
        let field = shown_name(field);
        let message = format!(
            "the origin `{origin}` is not sent the field `{field}`, which could choose another model, provider, price or place to store: leave it out, or allow it in origins.fields of moegate.toml"
        );
        Self {
            param: Some(Cow::Owned(field)),
            ..Self::new(400, "invalid_request_error", "field_not_allowed", message)
        }
    }

    /// 400: a member of the request would choose where it goes, or with whose key.
    #[must_use]
    pub fn endpoint_override(field: &str) -> Self {
        let message = format!(
            "the field `{field}` is not taken from clients, at any depth: origins and their keys stand in moegate.toml only; leave it out"
        );
        Self {
            param: Some(Cow::Owned(field.to_owned())),
            ..Self::new(400, "invalid_request_error", "field_not_allowed", message)
        }
    }

    /// 400: an origin's API has no words for members of the request.
    #[must_use]
    pub fn unsupported(params: &[String], origin: &str) -> Self {
        let first = params.first().map_or("", String::as_str);
        let names: Vec<_> = params.iter().take(8).map(|name| format!("`{}`", shown_name(name))).collect();
        let message = format!(
            "the origin `{origin}` speaks an API that has no words for {}: leave it out, or have it left out there with `drop_unsupported = true` on the route in moegate.toml",
            names.join(", ")
        );
        Self {
            param: Some(Cow::Owned(shown_name(first))),
            ..Self::new(400, "invalid_request_error", "unsupported_parameter", message)
        }
    }

    /// 400: an origin has no endpoint of that kind.
    #[must_use]
    pub fn no_such_api(origin: &str) -> Self {
        let message = format!("the origin `{origin}` has no endpoint for this kind of request");
        Self::new(400, "invalid_request_error", "origin_cannot_serve", message)
    }

    /// 424: what the operator has to put right first. No SDK sends a request again for this status, which would not help.
    #[must_use]
    pub fn misconfigured(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(424, "internal_server_error", code, message)
    }

    /// Whether its text is about the operator's set-up.
    #[must_use]
    pub fn is_of_operator(&self) -> bool {
        self.status >= 500 || self.status == 424
    }

    /// 500, the gateway's own fault or its owner's.
    #[must_use]
    pub fn internal(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(500, "internal_server_error", code, message)
    }
}

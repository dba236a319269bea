//! What is tried again, how often, for how long and for how much money.

use crate::DollarsPerMillion;
use serde::{Deserialize, Serialize};

/// What one request may spend over all its retries and fallbacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Calls to origins in all, the first one included. 1 to 10.
    pub attempts: u32,
    /// Seconds in all, streams included: what is not complete by then is ended with an error. 1 to 3600; on Fermyon Wasm
    /// Functions less than 30.
    pub seconds: u32,
    /// US dollars in all, as a string such as `"0.05"`: no further attempt is begun that could exceed it, by what the
    /// earlier ones cost (or, where that is not known, could have cost) and the prompt and `max_tokens` of the next.
    /// Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars: Option<Dollars>,
    /// The longest wait, in seconds, before an origin is asked again. One whose `Retry-After` is longer is given up, and
    /// so is the request if there is no other. 0 to 60.
    pub longest_wait_s: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { attempts: 3, seconds: 600, dollars: None, longest_wait_s: 10 }
    }
}

/// US dollars, held in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dollars(DollarsPerMillion);

impl Dollars {
    #[must_use]
    pub fn nanodollars(self) -> u64 {
        self.0.0
    }
}

#[cfg(feature = "authoring")]
impl schemars::JsonSchema for Dollars {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        DollarsPerMillion::json_schema(generator)
    }
}

/// Time limits of a route's attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Seconds until a stream's first content, or the whole of an unstreamed answer, must have come. 1 to 600. Default:
    /// the origin's own `first_byte_timeout_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_s: Option<u32>,
    /// Seconds that a pumped stream may be silent once it has begun, comments included. 1 to 600. Default: 60. A relayed
    /// stream is not read; only the budget's `seconds` ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u32>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Refused, unresolvable, no TLS, reset before the answer; Cloudflare's 521 to 523, 525, 526, 530.
    Connect,
    /// Nothing in time: before the first content, between two chunks, or in all.
    Timeout,
    /// The connection broke before the answer was whole.
    Broken,
    /// 408.
    RequestTimeout,
    /// 409.
    Conflict,
    /// 425.
    TooEarly,
    /// 429.
    RateLimited,
    /// 5xx, and an error event in a stream.
    ServerError,
    /// 503 with the code `origin_waking`: it is starting.
    Waking,
    /// The prompt is too long for the model.
    ContextLength,
    /// The origin's content filter refused prompt or answer.
    ContentFilter,
    /// 401, 402 or 403, or a spent quota: the origin refuses the gateway's key.
    BadKey,
    /// 404, or an error that says so: the origin does not know the model, or our own server not the beginning of an answer it should go on with.
    ModelNotFound,
    /// The origin or its model cannot do what the request asks: tools, a parameter, a value.
    Unsupported,
    /// Something that is no answer: a page, a redirect, JSON of another form, a stream of no events.
    BadAnswer,
    /// Any other 4xx: the request itself is at fault. Always ends the request.
    Refused,
}

/// A table by failure: schemars does not look at the keys of a map.
#[cfg(feature = "authoring")]
pub(crate) fn actions_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let (failure, action) = (generator.subschema_for::<Failure>(), generator.subschema_for::<Action>());
    schemars::json_schema!({ "type": "object", "propertyNames": failure, "additionalProperties": action })
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The next origin of the plan; after the last one, those that may be asked again, after a pause.
    Next,
    /// The same origin once more, after a pause; then the next.
    Retry,
    /// The client gets the error.
    Stop,
}

impl Failure {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::RequestTimeout,
        Self::Conflict,
        Self::TooEarly,
        Self::RateLimited,
        Self::ServerError,
        Self::Waking,
        Self::ContextLength,
        Self::ContentFilter,
        Self::BadKey,
        Self::ModelNotFound,
        Self::Unsupported,
        Self::BadAnswer,
        Self::Refused,
    ];

    /// As in `on` and in what the gateway says of its attempts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::TooEarly => "too_early",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Waking => "waking",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::BadKey => "bad_key",
            Self::ModelNotFound => "model_not_found",
            Self::Unsupported => "unsupported",
            Self::BadAnswer => "bad_answer",
            Self::Refused => "refused",
        }
    }

    /// What follows where the route does not say.
    #[must_use]
    pub fn default_action(self) -> Action {
        match self {
            Self::Conflict | Self::TooEarly | Self::RequestTimeout => Action::Retry,
            Self::ContentFilter | Self::Refused => Action::Stop,
            _ => Action::Next,
        }
    }
}

/// When an origin's model is left out for a while because it keeps failing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Opens after so many failures in a row; 0: never opens.
    pub failures: u32,
    /// Opens when so many of a hundred attempts of the last 30 seconds failed, if there were at least `attempts`.
    pub percent: u32,
    /// See `percent`.
    pub attempts: u32,
    /// Seconds until one attempt may probe the origin again. Doubles with each probe that fails, up to a minute.
    pub open_s: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, percent: 50, attempts: 20, open_s: 5 }
    }
}

/// How the tokens of an origin's pumped streams become known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StreamUsage {
    /// It is asked with `stream_options`. One that refuses that is asked once more without it, and for an hour no more;
    /// streams without counts are recorded as unmetered.
    #[default]
    Ask,
    /// The same, but a whole stream without counts is counted by its events, one token each, and by the length of the
    /// request; its record says that it was inferred.
    Estimate,
    /// It is not asked: what it says by itself counts.
    Never,
}

/// How an origin is told to go on from a partial answer, for routes with `continue`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// The partial answer is the last message, of the role `assistant`: Anthropic, OpenRouter, many others.
    #[default]
    Assistant,
    /// That message also has `"prefix": true`: Mistral, DeepSeek.
    Prefix,
    /// The request also has `"continue_final_message": true` and `"add_generation_prompt": false`: vLLM, SGLang.
    ContinueFinalMessage,
    /// It cannot: no stream is continued there.
    None,
}

//! Errors as `OpenAI` writes them: `{"error":{"message","type","param","code"}}`.

use crate::schedule::{Failure, Refused};
use crate::sleep::Asleep;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use moegate_wire::OriginState;
use serde_json::json;

/// An error that a client sees: with a status, or inside a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    /// The path to the field that is wrong, if it is one.
    pub param: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// The code for a compressed body.
    pub const ENCODED: &str = "unsupported_content_encoding";

    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), retry_after_s: None }
    }

    /// 400 for the field at `param`.
    #[must_use]
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(StatusCode::BAD_REQUEST, "invalid_value", message) }
    }

    /// 400 for something that this server does not do, and that cannot be ignored.
    #[must_use]
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: "unsupported_parameter", ..Self::invalid(param, message) }
    }

    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The body, also what goes into a stream.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { message, param, code, .. } = self;
        json!({"error": {"message": message, "type": self.kind(), "param": param, "code": code}}).to_string()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.status, [(header::CONTENT_TYPE, json)], self.body()).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == Self::ENCODED {
            // RFC 9110, section 15.5.16: what would have been taken.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Asleep> for ApiError {
    fn from(Asleep { state, retry_after_s }: Asleep) -> Self {
        let message = match state {
            OriginState::Cold | OriginState::Ready => {
                "the server is asleep: wake it (POST /wake) and send the request again once GET /ready answers 200"
            }
            OriginState::Waking => {
                "the server is waking: send the request again after the seconds that Retry-After says, or once GET \
                 /ready answers 200"
            }
            OriginState::Draining => {
                "the server is going to sleep and finishes what it has: send the request elsewhere, or wake it (POST \
                 /wake) and send it again"
            }
        };
        // Where it woke meanwhile, the request is refused all the same.
        let code = state.refusal().or(OriginState::Cold.refusal()).unwrap_or_default();
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let (status, code, message) = match failure {
            Failure::NotANumber => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_a_number",
                "the model computed a value that is not a number, so the answer cannot go on; if this repeats, \
                 check the model file",
            ),
            Failure::KvExhausted => (
                StatusCode::SERVICE_UNAVAILABLE,
                "kv_cache_exhausted",
                "the KV cache cannot hold this conversation; shorten it or start the server with more --kv-tokens",
            ),
            Failure::EngineBroke => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "engine_broke",
                "the engine broke twice at the same place of this request, and was replaced; the server's log says why",
            ),
            Failure::EngineDead => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "engine_dead",
                "the engine has stopped for good; send the request again once the server has been started again",
            ),
            Failure::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "the engine refused a step; the server's log says why",
            ),
            Failure::ShuttingDown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "shutting_down",
                "the server is shutting down; send the request again",
            ),
            Failure::Asleep(asleep) => return asleep.into(),
        };
        Self::new(status, code, message)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Asleep(asleep) => asleep.into(),
            Refused::EngineDead => Failure::EngineDead.into(),
            Refused::ShuttingDown => Self { retry_after_s: Some(5), ..Failure::ShuttingDown.into() },
            Refused::QueueFull => Self {
                retry_after_s: Some(2),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "server_busy",
                    "the server's queue is full; try again after the seconds that Retry-After says",
                )
            },
        }
    }
}

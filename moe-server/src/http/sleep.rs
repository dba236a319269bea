//! `POST /wake`, `/sleep` and `/lease`, and the state in `GET /health`: see [`moegate_wire::origin`].

use super::error::ApiError;
use super::{Caller, Server, json_response};
use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use moegate_wire::origin::{Lease, MAX_LEASE_SECONDS};
use moegate_wire::{OriginState, OriginStatus};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// 200 in every state: the process lives. Why a wake failed names files: that is for who shows the key.
pub(super) async fn health(State(server): State<Arc<Server>>, caller: Result<Caller, ApiError>) -> Response {
    health_of(server.scheduler.status(), caller.is_ok())
}

/// Proof that a request may change the server's state: with the key, and by nothing that a web page's form could send.
pub(super) struct Operator;

impl FromRequestParts<Arc<Server>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        server.auth.check(&parts.headers)?;
        server.auth.check_type(&parts.headers).map(|()| Self)
    }
}

pub(super) async fn wake(State(server): State<Arc<Server>>, _: Operator) -> Response {
    let status = server.scheduler.wake();
    answer(&status, OriginState::Ready)
}

pub(super) async fn sleep(State(server): State<Arc<Server>>, _: Operator) -> Response {
    let status = server.scheduler.sleep();
    answer(&status, OriginState::Cold)
}

pub(super) async fn lease(
    State(server): State<Arc<Server>>,
    _: Operator,
    body: Bytes,
) -> Result<Response, ApiError> {
    let status = server.scheduler.lease(lease_of(&body)?);
    Ok(answer(&status, status.state))
}

/// The body of `POST /lease`.
///
/// # Errors
/// 400 for anything else.
pub(crate) fn lease_of(body: &[u8]) -> Result<Duration, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Lease { seconds }) if (1..=MAX_LEASE_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs(seconds))
        }
        _ => {
            let message =
                format!("send {{\"seconds\": N}} with a whole number from 1 to {MAX_LEASE_SECONDS}");
            Err(ApiError::invalid("seconds", message))
        }
    }
}

pub(crate) fn health_of(status: OriginStatus, shows_key: bool) -> Response {
    let reason = status.reason.filter(|_| shows_key);
    let mut body = json!(OriginStatus { reason, ..status });
    if let Some(members) = body.as_object_mut() {
        members.insert("status".to_owned(), json!("ok"));
    }
    json_response(&body)
}

/// 200 where the state is the one that was asked for, else 202.
pub(crate) fn answer(status: &OriginStatus, wanted: OriginState) -> Response {
    let code = if status.state == wanted { StatusCode::OK } else { StatusCode::ACCEPTED };
    let json = HeaderValue::from_static("application/json");
    (code, [(header::CONTENT_TYPE, json)], json!(status).to_string()).into_response()
}

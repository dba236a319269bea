//! The OpenAI surface, health, metrics, receipts.
//!
//! A request's way: [`auth`] → body → [`request`] (checked, named errors) → tokens → [`receipts`] → the scheduler's
//! queue → `delivery`. Nothing here computes for long: parsing and tokenising run on the blocking pool.

pub mod answer;
pub mod auth;
pub mod body;
pub mod codec;
pub mod connections;
mod delivery;
pub mod error;
pub mod fields;
mod generate;
mod host;
mod metrics;
pub mod receipts;
pub mod request;
mod resume;
pub(crate) mod sleep;
mod spelling;
mod stall;
pub mod text;
pub mod tickets;

use crate::outbox::Outbox;
use crate::schedule::{Refused, Scheduler, Unready};
use crate::telemetry::Telemetry;
use auth::Auth;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use codec::Codec;
pub use connections::{Limits, run};
use error::ApiError;
use moegate_wire::header::REQUEST_ID;
use moegate_wire::origin;
use receipts::Receipts;
use request::Endpoint;
use serde_json::{Value, json};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tickets::Spent;
use tokio::sync::Semaphore;

/// All that the handlers share.
pub struct Server {
    pub codec: Arc<dyn Codec>,
    pub scheduler: Scheduler,
    pub receipts: Receipts,
    /// Where receipts of the gateway's requests go by themselves.
    pub outbox: Option<Outbox>,
    /// Where spans of the requests go.
    pub telemetry: Option<Telemetry>,
    pub auth: Auth,
    /// Where generations need a ticket: those that were used.
    pub tickets: Option<Spent>,
    /// The names under which the model is served.
    pub models: Vec<String>,
    /// The model's time in Unix seconds, for `/v1/models`.
    pub created: u64,
    pub max_body_bytes: usize,
    /// How long a stream may be silent.
    pub keepalive: Duration,
    pub limits: Limits,
    pub body_budget: body::Budget,
    /// One large body is read into tokens at a time: its JSON takes many times its size in memory.
    pub large_bodies: Arc<Semaphore>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("models", &self.models).finish_non_exhaustive()
    }
}

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
    let chat = |State(server), request| generate::handle(server, Endpoint::Chat, request);
    let completions = |State(server), request| generate::handle(server, Endpoint::Completions, request);
    let routes = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/receipts/{id}", get(receipts::get))
        .route("/metrics", get(metrics::get))
        .route(origin::HEALTH, get(sleep::health))
        .route(origin::READY, get(ready))
        .route(origin::WAKE, post(sleep::wake))
        .route(origin::SLEEP, post(sleep::sleep))
        .route(origin::LEASE, post(sleep::lease))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(server)
        .layer(from_fn(host::check))
        .layer(from_fn(with_request_id));
    // A router looks for the route before its layers run: the outer one has none.
    Router::new().fallback_service(routes).layer(from_fn(spelling::normal))
}

/// The id that this server made for a request; a ticket's goes before it.
#[derive(Debug, Clone)]
struct LocalId(String);

async fn with_request_id(mut request: Request, next: Next) -> Response {
    let id = format!("req_{:016x}{:016x}", random(), random());
    let value = HeaderValue::try_from(&id);
    request.extensions_mut().insert(LocalId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().entry(REQUEST_ID).or_insert(value);
    }
    response
}

/// A random number, for ids and seeds (not for secrets): the standard library's hash keys come from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Proof that a request showed the key.
#[derive(Debug)]
struct Caller;

impl FromRequestParts<Arc<Server>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        server.auth.check(&parts.headers).map(|()| Self)
    }
}

fn json_response(body: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body.to_string()).into_response()
}

/// Only who shows the key learns the models' names.
async fn ready(
    State(server): State<Arc<Server>>,
    caller: Result<Caller, ApiError>,
) -> Result<Response, ApiError> {
    let unready = |code, why: String| Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, why));
    match server.scheduler.ready() {
        Ok(()) if caller.is_ok() => Ok(json_response(&json!({"status": "ready", "models": server.models}))),
        Ok(()) => Ok(json_response(&json!({"status": "ready"}))),
        Err(Unready::Refusing(Refused::ShuttingDown)) => unready("shutting_down", "the server is shutting down".into()),
        Err(Unready::NotANumber) => unready(
            "not_a_number",
            "the last generations all failed on values that are not numbers; requests are still taken, and one that \
             is completed makes the server ready again; check the model file, then the machine's memory"
                .into(),
        ),
        Err(Unready::Refusing(Refused::Asleep(asleep))) => Err(asleep.into()),
        Err(Unready::Refusing(_)) => {
            let why = server.scheduler.dead().unwrap_or("the compute thread has ended");
            unready("engine_dead", format!("{why}; the server has to be started again"))
        }
    }
}

fn model_body(server: &Server, id: &str) -> Value {
    json!({
        "id": id, "object": "model", "created": server.created, "owned_by": "moe-server",
        "max_model_len": server.scheduler.context_length(),
    })
}

async fn models(State(server): State<Arc<Server>>, _: Caller) -> Response {
    let data: Vec<Value> = server.models.iter().map(|id| model_body(&server, id)).collect();
    json_response(&json!({"object": "list", "data": data}))
}

async fn model(
    State(server): State<Arc<Server>>,
    _: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let id = path(id)?;
    if server.models.contains(&id) {
        return Ok(json_response(&model_body(&server, &id)));
    }
    Err(request::unknown_model(&id, &server.models))
}

/// A part of the path; in the place of axum's own answer to bad escapes.
fn path(part: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    part.map(|Path(part)| part).map_err(|_| {
        let message = "the path is not UTF-8 after its %-escapes are resolved: send the id as it was given";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_path", message)
    })
}

async fn no_route() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path; this server has /v1/chat/completions, /v1/completions, /v1/models, \
         /v1/receipts/{id}, /metrics, /health, /ready, /wake, /sleep and /lease",
    )
}

async fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not take this method; the header Allow says which it takes",
    )
}

//! Answers for the states, and passes everything else on to the server: bytes as they come, both ways.

use super::Shared;
use crate::http::error::ApiError;
use crate::http::sleep::{answer, health_of, lease_of};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get as on_get, post};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use moegate_wire::{OriginState, OriginStatus, origin};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Headers that are about one connection (RFC 9110, section 7.6.1), and the one that hyper answers by itself.
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Why the server could not be asked; nobody reads it.
type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(origin::HEALTH, on_get(health))
        .route(origin::READY, on_get(ready))
        .route(origin::WAKE, post(wake))
        .route(origin::SLEEP, post(sleep))
        .route(origin::LEASE, post(lease))
        .fallback(pass)
        .with_state(shared)
}

async fn health(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    health_of(shared.switch.status(), shared.auth.check(&headers).is_ok())
}

/// As the server says it, where there is one: it knows more.
async fn ready(state: State<Arc<Shared>>, request: Request) -> Response {
    if state.switch.state() == OriginState::Ready {
        return pass(state, request).await;
    }
    ApiError::from(state.switch.asleep()).into_response()
}

fn operator(shared: &Shared, headers: &HeaderMap) -> Result<(), ApiError> {
    shared.auth.check(headers)?;
    shared.auth.check_type(headers)
}

fn told(shared: &Shared, status: &OriginStatus, wanted: OriginState) -> Response {
    shared.look.notify_one();
    answer(status, wanted)
}

async fn wake(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    operator(&shared, &headers)?;
    Ok(told(&shared, &shared.switch.wake(), OriginState::Ready))
}

async fn sleep(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    operator(&shared, &headers)?;
    Ok(told(&shared, &shared.switch.sleep(), OriginState::Cold))
}

async fn lease(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    operator(&shared, &headers)?;
    let status = shared.switch.lease(lease_of(&body)?);
    Ok(answer(&status, status.state))
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    passed(shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn passed(shared: Arc<Shared>, request: Request) -> Result<Response, ApiError> {
    // Whoever reads (metrics, receipts) or shows no key neither wakes the server nor keeps it awake.
    let refused = shared.auth.check(request.headers());
    let work = match &refused {
        Ok(()) if request.method() == Method::POST => Some(admit(&shared).await?),
        _ => None,
    };
    let asleep = || refused.err().unwrap_or_else(|| shared.switch.asleep().into());
    let address = shared.address().ok_or_else(asleep)?;
    let gone = || {
        let message = "the server behind this one could not be reached or ended: send the request again, after a wake \
                       (POST /wake) where GET /ready does not answer 200";
        ApiError::new(StatusCode::BAD_GATEWAY, "server_gone", message)
    };
    let (mut sender, connection) = connect::<Body>(address).await.map_err(|_| gone())?;
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    parts.version = axum::http::Version::HTTP_11;
    let response = sender.send_request(Request::from_parts(parts, body)).await.map_err(|_| gone())?;
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::new(Passing { body, _connection: connection, _work: work })))
}

/// Waits for a wake, where a request may have one.
async fn admit(shared: &Arc<Shared>) -> Result<Work, ApiError> {
    // Counted first: else the server might be stopped in between.
    let work = Work::begin(shared);
    let mut changed = shared.changed.subscribe();
    shared.switch.admit().map_err(ApiError::from)?;
    shared.look.notify_one();
    loop {
        changed.mark_unchanged();
        match shared.switch.state() {
            OriginState::Ready if shared.address().is_some() => return Ok(work),
            OriginState::Ready | OriginState::Waking => {}
            OriginState::Cold | OriginState::Draining => return Err(shared.switch.asleep().into()),
        }
        // An error means that nobody would change anything any more.
        changed.changed().await.map_err(|_| ApiError::from(shared.switch.asleep()))?;
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// A connection of its own, so that its end is seen on the other side at once.
async fn connect<B>(address: SocketAddr) -> Result<(SendRequest<B>, Connection), Failed>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Failed>,
{
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let task = tokio::spawn(async move {
        // Whoever waits for an answer sees it, too.
        let _ = connection.await;
    });
    Ok((sender, Connection(task.abort_handle())))
}

/// The body of an answer to a GET.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<Bytes, Failed> {
    let (mut sender, _connection) = connect(address).await?;
    let request = Request::get(path).header(header::HOST, "localhost").body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes())
}

/// Closed when it is dropped.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request that keeps the server awake.
#[derive(Debug)]
struct Work(Arc<Shared>);

impl Work {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.running.fetch_add(1, Ordering::AcqRel);
        Self(shared.clone())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        // From now on it is idle.
        self.0.switch.touch();
        self.0.look.notify_one();
    }
}

/// An answer on its way. Dropped before its end, the client has left: the server sees the same.
struct Passing {
    body: Incoming,
    _connection: Connection,
    _work: Option<Work>,
}

impl hyper::body::Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

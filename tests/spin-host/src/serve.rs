//! The HTTP side: accepts connections, finds the route, hands requests to the component.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::guest::Guest;
use crate::manifest::Route;

/// Paths that the runtime answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Everything that a connection needs.
pub(crate) struct Server {
    pub(crate) guest: ProxyHandler<Guest>,
    pub(crate) routes: Vec<Route>,
    /// The answer to `/.well-known/spin/info`, JSON.
    pub(crate) info: String,
    /// Whether small writes go out at once. The real runtime leaves the system's default, which delays them.
    pub(crate) nodelay: bool,
}

/// A request that cannot be passed on; the real runtime closes its connection without an answer.
#[derive(Debug)]
struct Unusable(&'static str);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unusable {}

impl Server {
    /// Serves until the future is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    tokio::spawn(Arc::clone(&self).connection(stream, client));
                }
                Err(error) => {
                    eprintln!("spin-host: accept: {error}");
                    // Out of descriptors, most likely: others have to be closed first.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, client: SocketAddr) {
        if self.nodelay {
            // A socket that refuses the option still works.
            let _ = stream.set_nodelay(true);
        }
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move { server.answer(request, client).await }
        });
        let served = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        if let Err(error) = served {
            eprintln!("spin-host: connection: {error}");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<Response<WasiBody>, Unusable> {
        let path = request.uri().path();
        if let Some(name) = path.strip_prefix(WELL_KNOWN) {
            return Ok(match name {
                "health" => Response::new(full("OK")),
                "info" => {
                    let mut info = Response::new(full(&self.info));
                    info.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    info
                }
                _ => empty(StatusCode::NOT_FOUND),
            });
        }
        let longest = |route: &&Route| (route.path.len(), !route.wildcard);
        let route = self.routes.iter().filter(|route| route.matches(path).is_some()).max_by_key(longest);
        let Some(route) = route else { return Ok(empty(StatusCode::NOT_FOUND)) };
        let request = prepare(request, route, client)?;
        if request.headers().values().any(|value| std::str::from_utf8(value.as_bytes()).is_err()) {
            // The real runtime makes strings of all headers.
            eprintln!("spin-host: request failed: a header is not UTF-8");
            return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(self.guest.handle((), request).await.unwrap_or_else(|error| {
            eprintln!("spin-host: request failed: {error:#}");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }))
    }
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(Empty::<Bytes>::new().map_err(impossible).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn full(text: &str) -> WasiBody {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(impossible).boxed_unsync()
}

fn impossible(never: Infallible) -> Error {
    match never {}
}

/// The request as the real runtime hands it over: an absolute URL, no `connection` header, and the `spin-…` headers.
fn prepare(
    request: Request<Incoming>,
    route: &Route,
    client: SocketAddr,
) -> Result<Request<WasiBody>, Unusable> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(CONNECTION);
    parts.uri = absolute(parts.uri, &parts.headers)?;
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let full_url = format!("http://{host}{path}");
    let component_route = if route.path.is_empty() { "/" } else { route.path.as_str() };
    let path_info = route.matches(parts.uri.path()).unwrap_or("").to_owned();
    for (name, value) in [
        ("spin-path-info", path_info.as_str()),
        ("spin-full-url", full_url.as_str()),
        ("spin-matched-route", route.raw.as_str()),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", route.raw.as_str()),
        ("spin-component-route", component_route),
        ("spin-client-addr", client.to_string().as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            parts.headers.append(HeaderName::from_static(name), value);
        }
    }
    Ok(Request::from_parts(parts, body.map_err(Error::from).boxed_unsync()))
}

fn absolute(uri: Uri, headers: &HeaderMap) -> Result<Uri, Unusable> {
    let from_header = match headers.get(HOST) {
        None => None,
        Some(host) => {
            Some(Authority::try_from(host.as_bytes()).map_err(|_| Unusable("an invalid host header"))?)
        }
    };
    let mut parts = uri.into_parts();
    parts.authority = match (from_header, parts.authority) {
        (None, None) => return Err(Unusable("no host header")),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(one), Some(other)) if one == other => Some(one),
        (Some(_), Some(_)) => return Err(Unusable("the host header and the URL disagree")),
    };
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).map_err(|_| Unusable("an unusable URL"))
}

//! Requests that components send: who may be reached, with which time-outs, over which connections.
//!
//! As in the real runtime there is one keep-alive pool for the whole application, redirects are not followed, and the
//! error codes are the real one's: any failed connect is `ConnectionRefused`, a late first byte is
//! `ConnectionReadTimeout`, anything that hyper objects to is `HttpProtocolError`.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Sleep, sleep, timeout};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::connect::{CONNECT_TIMEOUT, ConnectError, Connector};
use crate::hosts::AllowedHosts;

/// The real runtime's limit where a request's options name none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

type Answer = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// What all instances share.
#[derive(Clone)]
pub(crate) struct Outbound {
    allowed: Arc<AllowedHosts>,
    client: Client<Connector, WasiBody>,
}

/// One instance's view of `wasi:http`.
pub(crate) struct Hooks {
    outbound: Outbound,
    /// Whether hop-by-hop headers are refused where the guest sets them. The real runtime does that, but hands over the
    /// ones that others sent; this version of wasmtime-wasi-http would take those out on the way in, by the same
    /// question.
    refuse_hop_by_hop: bool,
}

impl Outbound {
    pub(crate) fn new(allowed: AllowedHosts, connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { allowed: Arc::new(allowed), client }
    }

    /// For everything that the guest makes itself.
    pub(crate) fn for_guest(&self) -> Hooks {
        Hooks { outbound: self.clone(), refuse_hop_by_hop: true }
    }

    /// For what comes from outside.
    pub(crate) fn for_received(&self) -> Hooks {
        Hooks { outbound: self.clone(), refuse_hop_by_hop: false }
    }

    async fn send(self, mut request: Request<WasiBody>, options: RequestOptions) -> Answer {
        if !self.allowed.allow(request.uri()) {
            eprintln!("spin-host: a request to {} is not in allowed_outbound_hosts", shown(request.uri()));
            return Err(Error::HttpRequestDenied);
        }
        // hyper puts the authority's own in.
        request.headers_mut().remove(HOST);
        let connect_timeout = options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let first_byte_timeout = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let between_bytes_timeout = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
        if !matches!(request.uri().scheme(), Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
        {
            return Err(Error::HttpProtocolError);
        }
        let sent = CONNECT_TIMEOUT.scope(connect_timeout, self.client.request(request));
        let response = timeout(first_byte_timeout, sent)
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?
            .map_err(|error| request_error(&error))?;
        let response = response.map(|body| {
            let body = body.map_err(|_| Error::HttpProtocolError).boxed_unsync();
            TimedBody { body: Some(body), between_bytes_timeout, waiting: None }.boxed_unsync()
        });
        let sent: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
        Ok((response, sent))
    }
}

/// A URL without its path and query, which may hold what isn't for a log.
fn shown(uri: &http::Uri) -> String {
    format!(
        "{}://{}",
        uri.scheme_str().unwrap_or(""),
        uri.authority().map_or("", |authority| authority.as_str())
    )
}

fn request_error(error: &hyper_util::client::legacy::Error) -> Error {
    match error.source().and_then(|source| source.downcast_ref::<ConnectError>()) {
        Some(connect) => connect.code(),
        None => {
            eprintln!("spin-host: outbound request: {error}");
            Error::HttpProtocolError
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        self.refuse_hop_by_hop && DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_errors: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        Box::new(self.outbound.clone().send(request, options.unwrap_or_default()))
    }
}

/// A response's body that fails when nothing comes for too long.
struct TimedBody {
    /// Gone, and its connection with it, once time has run out.
    body: Option<WasiBody>,
    between_bytes_timeout: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let limit = self.between_bytes_timeout;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        self.body = None;
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

//! Connections to other servers, plain and TLS.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use crate::failure::{Failure, Result};

tokio::task_local! {
    /// The limit for a connection made on behalf of the current request: the pool has no other way to pass it.
    pub(crate) static CONNECT_TIMEOUT: Duration;
}

/// Makes the pool's connections.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
    nodelay: bool,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectError {
    Uri,
    Dns,
    Refused,
    Timeout,
    Tls,
}

impl ConnectError {
    /// The code that the real runtime gives.
    pub(crate) fn code(self) -> Error {
        match self {
            Self::Uri => Error::HttpRequestUriInvalid,
            Self::Dns => {
                Error::DnsError { rcode: Some("address not available".to_owned()), info_code: Some(0) }
            }
            Self::Refused => Error::ConnectionRefused,
            Self::Timeout => Error::ConnectionTimeout,
            Self::Tls => Error::TlsProtocolError,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for ConnectError {}

impl Connector {
    /// Trusts what the machine trusts and, where given, the certificates in `ca` (PEM).
    pub(crate) fn new(ca: Option<&Path>, nodelay: bool) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        // A machine without any is no error: tests of plain HTTP need none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca {
            let unusable = |error: String| Failure::new(format!("--ca {}: {error}", path.display()));
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::new(format!("cannot set up TLS: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), nodelay })
    }

    async fn connect(self, uri: Uri, limit: Option<Duration>) -> Result<TokioIo<Io>, ConnectError> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or(ConnectError::Uri)?;
        let bare_host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses: Vec<_> =
            tokio::net::lookup_host((bare_host, port)).await.map_err(|_| ConnectError::Dns)?.collect();
        let connecting = TcpStream::connect(&addresses[..]);
        let stream = match limit {
            Some(limit) => {
                tokio::time::timeout(limit, connecting).await.map_err(|_| ConnectError::Timeout)?
            }
            None => connecting.await,
        };
        let stream = stream.map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => ConnectError::Dns,
            _ => ConnectError::Refused,
        })?;
        if self.nodelay {
            // A socket that refuses the option still works.
            let _ = stream.set_nodelay(true);
        }
        if !secure {
            return Ok(TokioIo::new(Io::Plain(stream)));
        }
        let name = ServerName::try_from(bare_host.to_owned()).map_err(|_| ConnectError::Dns)?;
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(TokioIo::new(Io::Tls(Box::new(stream)))),
            Err(error) => {
                eprintln!("spin-host: TLS with {host}: {error}");
                Err(ConnectError::Tls)
            }
        }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Io>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Io>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Read here: the pool may finish the connection in a task of its own.
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).ok();
        Box::pin(self.clone().connect(uri, limit))
    }
}

/// A connection of either kind.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(stream) => stream.connected(),
            Self::Tls(stream) => {
                let (tcp, session) = stream.get_ref();
                let connected = tcp.connected();
                if session.alpn_protocol() == Some(b"h2") { connected.negotiated_h2() } else { connected }
            }
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

//! An HTTP client for what the server sends by itself: one URL, one connection, one POST at a time.

use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// For the whole exchange.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);
/// The most that is read of an answer.
const ANSWER_BYTES: usize = 64 << 10;
const AGENT: &str = concat!("moe-server/", env!("CARGO_PKG_VERSION"));

pub(crate) struct Client {
    host: String,
    port: u16,
    /// The header Host.
    authority: HeaderValue,
    target: Uri,
    /// `None` for plain HTTP.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Kept from one request to the next.
    open: Option<SendRequest<Full<Bytes>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Client {
    /// Bodies go to `path` below `base`, the URL that was given as `option`.
    ///
    /// # Errors
    /// What is wrong with it, or with the certificates that this machine trusts.
    pub(crate) fn new(option: &str, base: &str, path: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{option} {base}: {why}");
        let url: Uri = base.parse().map_err(|_| wrong("give a URL, such as https://name.example"))?;
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
            return Err(wrong("give the whole URL, with https:// before the name"));
        };
        if authority.as_str().contains('@') || url.query().is_some() {
            return Err(wrong("leave out what is before an @ and behind a ?"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = *scheme == Scheme::HTTPS;
        if !secure && (*scheme != Scheme::HTTP || !is_loopback(&host)) {
            return Err(wrong("use https (http is for loopback addresses only)"));
        }
        let under = url.path().trim_end_matches('/');
        Ok(Self {
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| wrong("its name is no header"))?,
            target: format!("{under}{path}").parse().map_err(|_| wrong("its path is none"))?,
            tls: if secure { Some(tls(&host).map_err(|why| wrong(&why))?) } else { None },
            host,
            open: None,
        })
    }

    /// Sends a body of JSON. A connection from before that turns out to be closed is not an error.
    ///
    /// # Errors
    /// There was no answer, and why.
    pub(crate) async fn post(&mut self, headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
        let exchange = async {
            if let Some(open) = self.open.take().filter(|open| !open.is_closed())
                && let Ok(answer) = self.exchange(open, headers, &body).await
            {
                return Ok(answer);
            }
            let connecting = timeout(CONNECT_LIMIT, self.connect());
            let open = connecting.await.map_err(|_| "no connection within ten seconds".to_owned())??;
            self.exchange(open, headers, &body).await
        };
        timeout(EXCHANGE_LIMIT, exchange).await.map_err(|_| "no answer within thirty seconds".to_owned())?
    }

    async fn exchange(
        &mut self,
        mut open: SendRequest<Full<Bytes>>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::post(self.target.clone())
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        let json = HeaderValue::from_static("application/json");
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(header::HOST, self.authority.clone());
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        open.ready().await.map_err(|error| told(&error))?;
        let response: Response<_> = open.send_request(request).await.map_err(|error| told(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
        self.open = Some(open);
        Ok(Answer { status: head.status, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| format!("no connection to {}: {error}", self.host))?;
        match &self.tls {
            None => speak(TokioIo::new(stream)).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await;
                speak(TokioIo::new(stream.map_err(|error| format!("TLS with {}: {error}", self.host))?)).await
            }
        }
    }
}

async fn speak<I>(io: I) -> Result<SendRequest<Full<Bytes>>, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (open, connection) = handshake(io).await.map_err(|error| told(&error))?;
    // Its errors come to the request as well.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(open)
}

/// hyper's errors keep the reason to themselves.
fn told(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Trusts what the machine trusts.
fn tls(host: &str) -> Result<(TlsConnector, ServerName<'static>), String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "its name is none of a host".to_owned())?;
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this machine has no certificates to trust: install ca-certificates, or name a file of \
                    them by SSL_CERT_FILE"
            .to_owned());
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The beginning of an answer's text, in one line, for the log.
pub(crate) fn excerpt(body: &[u8]) -> impl Display {
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]).trim().escape_debug().to_string();
    if text.is_empty() { "without a text".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (base, port, target) in [
            ("http://127.0.0.1:81", 81, "/receipts"),
            ("http://localhost/", 80, "/receipts"),
            ("http://[::1]:8787/gateway/", 8787, "/gateway/receipts"),
        ] {
            let client = Client::new("--to", base, "/receipts").unwrap();
            assert_eq!((client.port, client.target.to_string().as_str()), (port, target), "{base}");
        }
        for (base, part) in [
            ("", "--to"),
            ("gateway.example", "https://"),
            ("/receipts", "https://"),
            ("http://gateway.example", "loopback"),
            ("ftp://localhost", "use https"),
            ("https://user@gateway.example", "before an @"),
            ("https://gateway.example/?a=b", "behind a ?"),
        ] {
            let error = Client::new("--to", base, "/receipts").unwrap_err();
            assert!(error.contains(part), "{base}: {error}");
        }
    }

    #[test]
    fn texts_stay_in_their_line() {
        assert_eq!(excerpt(b"a\nb\x1b[31m ").to_string(), "a\\nb\\u{1b}[31m");
        assert_eq!(excerpt(b" ").to_string(), "without a text");
    }
}

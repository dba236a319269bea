//! Calls to the admin API of a running gateway.

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Method, Request, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The environment variable that holds the key. Arguments stand in shells' histories and in lists of processes.
const KEY_VARIABLE: &str = "MOEGATE_ADMIN_KEY";
/// A whole call: the gateway itself gives up after less.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A gateway, and the key that is shown to it.
pub(crate) struct Gateway {
    /// Without a slash at its end.
    url: String,
    key: String,
    agent: ureq::Agent,
}

impl Gateway {
    /// The gateway at that URL, with the key from the environment.
    ///
    /// # Errors
    /// There is no key; the URL is none, or would send the key in the clear.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let key = std::env::var(KEY_VARIABLE).unwrap_or_default();
        if key.is_empty() {
            return Err(format!(
                "no admin key: set the environment variable {KEY_VARIABLE} to the gateway's admin key (or to a key with `makes_keys`)"
            ));
        }
        Self::with_key(url, key)
    }

    fn with_key(url: &str, key: String) -> Result<Self, String> {
        let url = url.trim_end_matches('/').to_owned();
        is_safe(&url)?;
        let agent = ureq::Agent::config_builder()
            // The gateway's errors say more than their status.
            .http_status_as_error(false)
            // A key is shown to the gateway that was named, and to nobody else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(LONGEST))
            .user_agent(concat!("moegate/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls(url.starts_with("https:"))?)
            .build()
            .into();
        Ok(Self { url, key, agent })
    }

    /// Sends a request and gives the JSON that answers it.
    ///
    /// # Errors
    /// The gateway cannot be reached, or refuses: what it says of that.
    pub(crate) fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let told = |error: &dyn std::fmt::Display| format!("{method} {}{path}: {error}", self.url);
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body).map_err(|error| told(&error))?;
        // DELETE with an empty body is sent without one.
        let answer = if request.body().is_empty() {
            self.agent.run(request.map(|_| ()))
        } else {
            self.agent.run(request)
        };
        let mut answer = answer.map_err(|error| told(&error))?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(LARGEST).read_to_string();
        let text = text.map_err(|error| told(&error))?;
        let value: Option<Value> = serde_json::from_str(&text).ok();
        match value {
            Some(value) if status.is_success() => Ok(value),
            Some(value) if value["error"]["message"].is_string() => {
                let why = value["error"]["message"].as_str().unwrap_or_default();
                Err(format!("the gateway answers {}: {why}", status.as_u16()))
            }
            _ => Err(told(&format!("status {}, and no answer of a moegate", status.as_u16()))),
        }
    }
}

/// # Errors
/// The URL is none of a gateway, or would send the key in the clear over a network.
fn is_safe(url: &str) -> Result<(), String> {
    let parsed: http::Uri = url.parse().map_err(|_| format!("`{url}` is no URL of a gateway"))?;
    let host = parsed.host().unwrap_or_default();
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match parsed.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if is_here => Ok(()),
        Some("http") => Err(format!(
            "`{url}` would send the admin key in the clear: use https (http is for localhost only, such as the end of a tunnel)"
        )),
        _ => Err(format!("`{url}` is no URL of a gateway: write https://gateway.example")),
    }
}

/// With the roots of the system's store.
///
/// # Errors
/// The store has none.
fn tls(wanted: bool) -> Result<TlsConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        TlsConfig::builder().provider(TlsProvider::Rustls).unversioned_rustls_crypto_provider(provider);
    if !wanted {
        return Ok(builder.build());
    }
    let found = rustls_native_certs::load_native_certs();
    let roots: Vec<_> = found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    if roots.is_empty() {
        return Err("the system has no root certificates: install its ca-certificates, or name a file in SSL_CERT_FILE".to_owned());
    }
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(roots))).build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_key_is_not_sent_in_the_clear() {
        for (url, good) in [
            ("https://gateway.example", true),
            ("http://localhost:8787", true),
            ("http://127.0.0.1:8787", true),
            ("http://[::1]:8787", true),
            ("http://gateway.example", false),
            ("http://localhost.example", false),
            ("gateway.example", false),
            ("ftp://gateway.example", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url).is_ok(), good, "{url}");
        }
    }

    /// A server of one answer; gives what it was sent.
    fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let length = connection.read(&mut asked).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (url, server)
    }

    #[test]
    fn answers_and_refusals() {
        const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
        const REFUSED: &str =
            "HTTP/1.1 409 Conflict\r\ncontent-length: 35\r\n\r\n{\"error\":{\"message\":\"it is there\"}}\n";
        const ELSEWHERE: &str =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        for (answer, body, expected) in [
            (OK, None, Ok("{\"a\":1}")),
            (OK, Some(serde_json::json!({"b": 2})), Ok("{\"a\":1}")),
            (REFUSED, None, Err("the gateway answers 409: it is there")),
            (ELSEWHERE, None, Err("status 302, and no answer of a moegate")),
        ] {
            let (url, server) = answering(answer);
            let gateway = Gateway::with_key(&url, "mg-admin".to_owned()).unwrap();
            let method = if body.is_some() { Method::POST } else { Method::GET };
            match (gateway.call(&method, "/keys", body.as_ref()), expected) {
                (Ok(value), Ok(text)) => assert_eq!(value.to_string(), text),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (got, expected) => panic!("{got:?}, not {expected:?}"),
            }
            let asked = server.join().unwrap();
            assert!(asked.contains(" /keys HTTP/1.1") && asked.contains("Bearer mg-admin"), "{asked}");
        }
    }
}
